"""Estimate each model's accuracy and its gap to the reference, with intervals."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gap.results.predictions import Cell, Paths, beside_reference, index
from gap.results.statistics import Correct, Estimate, accuracy, differences, gap
from gap.results.tables import study_order, write_table
from gap.run.errors import UserError
from gap.run.program import run

ACCURACY_COLUMNS = (
    *("dataset", "model", "size", "n", "accuracy", "accuracy_low", "accuracy_high"),
    *("seed_error", "row_error", "seeds", "seed_list"),
)
GAP_COLUMNS = (
    *("dataset", "model", "reference", "size", "n", "gap", "gap_low", "gap_high"),
    *("seed_error", "row_error", "seeds", "seed_list", "difference"),
)


def estimate(
    cells: Paths, recipe: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the accuracies and of the gaps: data sets and models as given, then by n.

    A model that shares no seed with the reference at a size, or meets no reference there, has an
    accuracy and no gap. Memory holds two models of one data set and size at a time. Raises
    UserError where that leaves no gap at all.
    """
    confidence = recipe["confidence"]
    accuracies: list[dict[str, Any]] = []
    gaps: list[tuple[dict[str, Any], Estimate]] = []
    alone: list[Cell] = []
    for cell, correct, reference, ours in beside_reference(cells, recipe["reference"]):
        row = {"dataset": cell.dataset, "model": cell.model, "size": cell.size, "n": cell.n}
        accuracies.append(row | _columns("accuracy", accuracy(correct), confidence))
        if reference and cell != reference and ours.keys() & correct.keys():
            found = _gap(reference, cell, ours, correct)
            row |= {"reference": reference.model} | _columns("gap", found, confidence)
            gaps.append((row, found))
        elif cell != reference:
            alone.append(cell)
    if alone and not gaps:
        others = ", ".join(dict.fromkeys(cell.model for cell in alone))
        raise UserError(
            f"nothing can be compared: no run of the reference {recipe['reference']} has the data "
            f"set, size and seed of a run of another model ({others}); run more of them, or make "
            "another model the reference"
        )
    claims = differences([found for _, found in gaps], recipe["margin"], confidence)
    rows = [row | {"difference": claim} for (row, _), claim in zip(gaps, claims, strict=True)]
    return study_order(accuracies), study_order(rows)


def _gap(reference: Cell, cell: Cell, ours: Correct, theirs: Correct) -> Estimate:
    try:
        return gap(ours, theirs)
    except UserError as error:
        where = f"data set {cell.dataset}, size {cell.size}, {reference.model} and {cell.model}"
        raise UserError(f"{where}: {error}") from None


def _columns(name: str, estimate: Estimate, confidence: float) -> dict[str, Any]:
    # Few seeds make an interval wider than accuracies can be.
    lowest = 0.0 if name == "accuracy" else -100.0
    low, high = (min(100.0, max(lowest, end)) for end in estimate.interval(confidence))
    errors = [math.sqrt(part.variance) for part in estimate.parts]
    return {
        name: estimate.value,
        f"{name}_low": low,
        f"{name}_high": high,
        # Of one seed nothing is known of what seeds do: the cell stays empty.
        "seed_error": errors[0] if len(errors) > 1 else None,
        "row_error": errors[-1],
        "seeds": len(estimate.seeds),
        "seed_list": " ".join(map(str, estimate.seeds)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=json.loads, help=recipe)
    parser.add_argument("--accuracies", required=True, help="CSV file to write")
    parser.add_argument("--gaps", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    accuracies, gaps = estimate(index(arguments.predictions), arguments.recipe)
    write_table(arguments.accuracies, ACCURACY_COLUMNS, accuracies, decimals=4)
    write_table(arguments.gaps, GAP_COLUMNS, gaps, decimals=4)


if __name__ == "__main__":
    run(main)
