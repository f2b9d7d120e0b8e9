"""What the JSON files say that a report is made from: cards of data sets, records of provenance."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class TextBudget(TypedDict):
    """How much of a text models read."""

    words: NotRequired[int]


class Rows(TypedDict):
    """A part of a data set: its rows, and the digest of them."""

    rows: int
    sha256: NotRequired[str]


class Card(TypedDict):
    """A data set's card, as prepare.py writes it; `rejected` counts rows by the reason."""

    dataset: str
    labels: list[str]
    pool: Rows
    test: Rows
    origin: NotRequired[str]
    rejected: NotRequired[dict[str, int]]
    text_budget: NotRequired[TextBudget]


class Hardware(TypedDict):
    """Where models were trained."""

    processor: str
    precision: str


class TrainingEnvironment(TypedDict):
    """A machine with its packages {name: version}."""

    hardware: Hardware
    packages: dict[str, str]


class Run(TypedDict):
    """What is recorded of a run: the number of its environment."""

    environment: str


class Source(TypedDict):
    """A source as it was fetched: what the config says of it, and {file: sha256}."""

    spec: dict[str, Any]
    files: dict[str, str]


class Parts(TypedDict):
    """The two parts of a data set."""

    pool: Rows
    test: Rows


class Record(TypedDict):
    """What record_provenance.py writes: all that the results were made from."""

    config: dict[str, Any]
    sources: dict[str, Source]
    datasets: dict[str, Parts]
    runs: dict[str, Run]
    environments: dict[str, TrainingEnvironment]


def machine(hardware: Hardware) -> str:
    """Return where models were trained, in words: "a CPU in fp32"."""
    return f"{hardware['processor']} in {hardware['precision']}"
