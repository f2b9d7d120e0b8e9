"""The workflow in a folder of its own, and data to study there."""

import pytest
from tiny_study import copy_workflow, write_tickets


@pytest.fixture
def study(tmp_path):
    """A copy of the workflow."""
    return copy_workflow(tmp_path / "study")


@pytest.fixture
def tickets(study):
    """tickets.csv in the study's folder, see write_tickets."""
    return write_tickets(study.folder / "tickets.csv")
