"""Rows of a study's tables for tests: what a test does not say is filled in."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from gap.data.manifests import Card, Side
from gap.results.rows import TableRow

AnyRow = TypeVar("AnyRow", bound=TableRow)
FILLED: dict[object, Any] = {str: "", int: 1, float: 0.0, bool: False}


def row_of(row_class: type[AnyRow], **values: Any) -> AnyRow:
    """Return a row with these fields; the others are 1, 0.0, False, empty, or None where may be."""
    hints = typing.get_type_hints(row_class)
    names = [field.name for field in dataclasses.fields(row_class)]
    return row_class(**{name: _filled(hints[name]) for name in names} | values)


def _filled(hint: Any) -> Any:
    options = typing.get_args(hint)
    if type(None) in options:
        return None
    if hint in FILLED:
        return FILLED[hint]
    return options[0] if typing.get_origin(hint) is typing.Literal else {}


def card_of(dataset: str, pool: int, test: int, **values: Any) -> Card:
    """Return the card of a data set with so many rows; what else it says are `values`."""
    card: Any = {
        "dataset": dataset,
        "test_source_sha256": None,
        "label_table_sha256": None,
        "labels": [],
        "origin": None,
        "rejected": {},
        "warnings": [],
        "test_groups": None,
        "near_duplicates": None,
        "relatives": None,
        "sequences": None,
        "pool": side_of(pool),
        "test": side_of(test),
        "text_budget": {
            "words": 100,
            "unit": "word",
            "called": "word",
            "unit_from_data": True,
            "keep": "head",
        },
    }
    return typing.cast(Card, card | values)


def side_of(rows: int) -> Side:
    return {"rows": rows, "sha256": "0" * 64, "label_counts": {}}
