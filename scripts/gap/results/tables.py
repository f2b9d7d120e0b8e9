"""The CSV tables of a study: how their rows are ordered, written and read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

TEXTS = {
    *("dataset", "model", "reference", "size", "seed_list", "difference", "processor"),
    *("label", "reference_label", "model_label", "text"),
}


def study_order(
    rows: Iterable[dict[str, Any]], recipe: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the rows by data set and model, then by n and seed.

    Data sets and models come as `recipe` lists them under "datasets" and "models", others and
    without it in order of first appearance.
    """
    rows, recipe = list(rows), recipe or {}
    datasets = _places([*recipe.get("datasets", []), *(row["dataset"] for row in rows)])
    models = _places([*recipe.get("models", []), *(row["model"] for row in rows)])
    return sorted(
        rows,
        key=lambda row: (
            datasets[row["dataset"]],
            models[row["model"]],
            row["n"],
            row.get("size", ""),
            row.get("seed", 0),
        ),
    )


def write_table(
    path: str | Path, columns: Sequence[str], rows: Iterable[dict[str, Any]], decimals: int
) -> None:
    """Write the rows as CSV in one step, fractions with a fixed number of decimals."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    table = pd.DataFrame(list(rows), columns=list(columns))
    table.to_csv(partial, index=False, float_format=f"%.{decimals}f", lineterminator="\n")
    os.replace(partial, target)


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a study's table: texts, whole numbers and fractions as such."""
    # A model may be called "10" or "NA": names are texts, whatever they look like.
    table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
