"""The data card: what prepare tells of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NotRequired, TypedDict

from gap.run.json import read_json


class Side(TypedDict):
    """Pool or test: its rows, the digest of its texts and labels, and its rows of each label."""

    rows: int
    sha256: str
    label_counts: dict[str, int]


class Lengths(TypedDict):
    """Lengths of the texts before they are cut."""

    mean: float
    median: float
    percentile_95: float


class TextBudget(TypedDict):
    """How many words of a text are kept at most, and which: "head" or "head_and_tail"."""

    words: int
    keep: str


class Card(TypedDict):
    """card.json: the labels in the order of their indices, and what became of the rows.

    `rejected` counts rows by why they are left out, `merged` rows of the same text and label,
    `dropped_in_test` pool rows whose text stands in test, `texts_with_several_labels` texts
    that stand in the source with more than one label; `cut_share` (0..1) is the share of texts that
    are longer than the budget; `labels_that_look_alike` has groups of labels that differ in case or
    invisible characters; `warnings` has sentences about the data that a person should read;
    `test_groups` counts the groups of the test set.
    """

    dataset: str
    origin: str | None
    labels: list[str]
    labels_that_look_alike: list[list[str]]
    pool: Side
    test: Side
    rows_read: dict[str, int]
    rejected: dict[str, int]
    warnings: list[str]
    test_groups: int | None
    merged: int
    dropped_in_test: int
    texts_with_several_labels: int
    text_budget: TextBudget
    words: Lengths
    characters: Lengths
    cut_share: float
    source_sha256: str
    test_source_sha256: NotRequired[str]


def read_card(path: str | Path) -> Card:
    """Return the card in a file."""
    card: Card = read_json(path)
    return card


def read_labels(paths: Iterable[str | Path]) -> dict[str, list[str]]:
    """Return the labels of each data set, in the order of the cards."""
    return {card["dataset"]: card["labels"] for card in map(read_card, paths)}
