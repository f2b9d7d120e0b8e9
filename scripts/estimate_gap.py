"""Estimate each model's accuracy and its gap to the reference, with intervals."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from gap.cli import UserError, progress, run
from gap.predictions import Cell, read_cell, read_correct
from gap.statistics import Correct, Estimate, Resampling, accuracy, gap, within_margin
from gap.tables import study_order, write_table

Paths = dict[Cell, list[str]]
ACCURACY_COLUMNS = (
    *("dataset", "model", "size", "n", "accuracy", "accuracy_low", "accuracy_high"),
    *("seeds", "seed_list"),
)
GAP_COLUMNS = (
    *("dataset", "model", "reference", "size", "n", "gap", "gap_low", "gap_high"),
    *("seeds", "seed_list", "within_margin"),
)


def index(paths: Sequence[str]) -> Paths:
    """Return the predictions files of each cell; reads metadata only."""
    cells: Paths = defaultdict(list)
    for path in paths:
        cells[read_cell(path)].append(path)
    return dict(cells)


def estimate(
    cells: Paths, recipe: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the accuracies and of the gaps: data sets and models as given, then by n.

    A model that shares no seed with the reference at a size, or meets no reference there, has an
    accuracy and no gap. Memory holds two models of one data set and size at a time. Raises
    UserError where that leaves no gap at all.
    """
    accuracies: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    alone: list[Cell] = []
    for group in progress(_groups(cells), "sizes"):
        reference = next((cell for cell in group if cell.model == recipe["reference"]), None)
        reference_correct = read_correct(cells[reference]) if reference else {}
        for cell in group:
            correct = reference_correct if cell == reference else read_correct(cells[cell])
            accuracies.append(_accuracy_row(cell, correct, recipe))
            if reference and cell != reference and reference_correct.keys() & correct.keys():
                gaps.append(_gap_row(reference, cell, reference_correct, correct, recipe))
            elif cell != reference:
                alone.append(cell)
    if alone and not gaps:
        others = ", ".join(dict.fromkeys(cell.model for cell in alone))
        raise UserError(
            f"nothing can be compared: no run of the reference {recipe['reference']} has the data "
            f"set, size and seed of a run of another model ({others}); run more of them, or make "
            "another model the reference"
        )
    return study_order(accuracies), study_order(gaps)


def _groups(cells: Paths) -> list[list[Cell]]:
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.dataset, cell.size].append(cell)
    return list(groups.values())


def _accuracy_row(cell: Cell, correct: Correct, recipe: Mapping[str, Any]) -> dict[str, Any]:
    result = accuracy(correct, _resampling(recipe))
    row = {"dataset": cell.dataset, "model": cell.model, "size": cell.size, "n": cell.n}
    return row | _columns("accuracy", result)


def _gap_row(
    reference: Cell, cell: Cell, ours: Correct, theirs: Correct, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        result = gap(ours, theirs, _resampling(recipe))
    except UserError as error:
        where = f"data set {cell.dataset}, size {cell.size}, {reference.model} and {cell.model}"
        raise UserError(f"{where}: {error}") from None
    return {
        "dataset": cell.dataset,
        "model": cell.model,
        "reference": reference.model,
        "size": cell.size,
        "n": cell.n,
        **_columns("gap", result),
        "within_margin": within_margin(result, recipe["margin"]),
    }


def _columns(name: str, estimate: Estimate) -> dict[str, Any]:
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        "seeds": len(estimate.seeds),
        "seed_list": " ".join(map(str, estimate.seeds)),
    }


def _resampling(recipe: Mapping[str, Any]) -> Resampling:
    return Resampling(recipe["confidence"], recipe["resamples"], recipe["seed"])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1), resamples, seed"
    parser.add_argument("--recipe", required=True, type=json.loads, help=recipe)
    parser.add_argument("--accuracies", required=True, help="CSV file to write")
    parser.add_argument("--gaps", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    if not arguments.predictions:
        raise UserError("no predictions to read, as no run is finished; run at least one")
    accuracies, gaps = estimate(index(arguments.predictions), arguments.recipe)
    write_table(arguments.accuracies, ACCURACY_COLUMNS, accuracies, decimals=4)
    write_table(arguments.gaps, GAP_COLUMNS, gaps, decimals=4)


if __name__ == "__main__":
    run(main)
