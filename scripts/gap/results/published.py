"""Figures that others published: they stand beside a study's own and are in none of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def published_figures(
    published: Sequence[Row], accuracies: Sequence[Row], reference: str
) -> list[dict[str, Any]]:
    """Return the figures with `n`, where they stand on the axis of n, and `gap` to the reference.

    `published` has dataset, model, size, accuracy (percent), source and perhaps note. A share has
    the `n` of the study's own size of that name, as no other is known; None where the study has no
    such size. A `gap` (points) is the difference of two figures of one source, data set and size;
    None where the source has no such figure of the reference.
    """
    sizes = {(row["dataset"], row["size"]): int(row["n"]) for row in accuracies}
    references = {_setting(row): row["accuracy"] for row in published if row["model"] == reference}
    return [
        {
            **row,
            "n": _number(row, sizes),
            "gap": _gap(row, reference, references.get(_setting(row))),
        }
        for row in published
    ]


def _setting(row: Row) -> tuple[str, str, str]:
    return row["dataset"], row["size"], row["source"]


def _number(row: Row, sizes: Mapping[tuple[str, str], int]) -> int | None:
    size = row["size"]
    return int(size) if size.isdecimal() else sizes.get((row["dataset"], size))


def _gap(row: Row, reference: str, best: float | None) -> float | None:
    if best is None or row["model"] == reference:
        return None
    # Differences of decimals: 78.85 - 76.37 is 2.48.
    return round(best - float(row["accuracy"]), 6)
