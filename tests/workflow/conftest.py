"""The workflow in a folder of its own, and data to study there."""

import pytest
from tiny_study import TINY_STUDY, copy_workflow, new_study, write_tickets


@pytest.fixture
def study(tmp_path):
    """A copy of the workflow."""
    return copy_workflow(tmp_path / "study")


@pytest.fixture
def tickets(study):
    """tickets.csv in the study's folder, see write_tickets."""
    return write_tickets(study.folder / "tickets.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_bert):
    """A finished tiny study, and its config."""
    study = new_study(tmp_path_factory.mktemp("finished") / "study", tiny_bert)
    call = study.snakemake("--cores", "2", config=TINY_STUDY)
    assert call.rc == 0, call.output
    return study, TINY_STUDY
