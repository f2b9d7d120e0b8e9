"""Reads data cards, which tell what prepare made of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gap.data.manifests import Card
from gap.run.json import read_json


def read_card(path: str | Path) -> Card:
    """Return the card in a file."""
    card: Card = read_json(path)
    return card


def read_labels(paths: Iterable[str | Path]) -> dict[str, list[str]]:
    """Return the labels of each data set, in the order of the cards."""
    return {card["dataset"]: card["labels"] for card in map(read_card, paths)}
