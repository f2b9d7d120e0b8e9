"""Estimate each model's accuracy and its gap to the reference, with intervals."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import TypedDict

from gap.results.predictions import Cell, Paths, beside_reference, index
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.statistics import Correct, Estimate, accuracy, differences, gap
from gap.results.tables import study_order, write_rows
from gap.run.errors import UserError
from gap.run.program import run


def estimate(cells: Paths, recipe: ReadingRecipe) -> tuple[list[AccuracyRow], list[GapRow]]:
    """Return the rows of the accuracies and of the gaps: data sets and models as given, then by n.

    A model that shares no seed with the reference at a size, or meets no reference there, has an
    accuracy and no gap. Memory holds two models of one data set and size at a time. Raises
    UserError where that leaves no gap at all.
    """
    accuracies: list[AccuracyRow] = []
    gaps: list[tuple[Cell, Estimate]] = []
    unpaired: list[Cell] = []
    for cell, correct, reference, reference_correct in beside_reference(cells, recipe.reference):
        accuracies.append(accuracy_row(cell, accuracy(correct), recipe.confidence))
        if reference and cell != reference and reference_correct.keys() & correct.keys():
            gaps.append((cell, _gap(reference, cell, reference_correct, correct)))
        elif cell != reference:
            unpaired.append(cell)
    if unpaired and not gaps:
        models = ", ".join(dict.fromkeys(cell.model for cell in unpaired))
        raise UserError(
            f"nothing can be compared: no run of the reference {recipe.reference} has the data "
            f"set, size and seed of a run of another model ({models}); run more of them, or make "
            "another model the reference"
        )
    return study_order(accuracies), study_order(gap_rows(gaps, recipe))


def _gap(
    reference: Cell, cell: Cell, reference_correct: Correct, model_correct: Correct
) -> Estimate:
    try:
        return gap(reference_correct, model_correct)
    except UserError as error:
        where = f"data set {cell.dataset}, size {cell.size}, {reference.model} and {cell.model}"
        raise UserError(f"{where}: {error}") from None


def accuracy_row(cell: Cell, estimate: Estimate, confidence: float) -> AccuracyRow:
    """Return the row of a model's accuracy."""
    low, high = _within(0.0, 100.0, estimate.interval(confidence))
    return AccuracyRow(
        dataset=cell.dataset,
        model=cell.model,
        size=cell.size,
        n=cell.n,
        accuracy=estimate.value,
        accuracy_low=low,
        accuracy_high=high,
        **_errors(estimate),
    )


def gap_rows(gaps: Sequence[tuple[Cell, Estimate]], recipe: ReadingRecipe) -> list[GapRow]:
    """Return the rows of all gaps, with what can be said of each."""
    claims = differences([estimate for _, estimate in gaps], recipe.margin, recipe.confidence)
    rows = []
    for (cell, estimate), claim in zip(gaps, claims, strict=True):
        low, high = _within(-100.0, 100.0, estimate.interval(recipe.confidence))
        row = GapRow(
            dataset=cell.dataset,
            model=cell.model,
            reference=recipe.reference,
            size=cell.size,
            n=cell.n,
            gap=estimate.value,
            gap_low=low,
            gap_high=high,
            **_errors(estimate),
            difference=claim,
        )
        rows.append(row)
    return rows


def _within(lowest: float, highest: float, interval: tuple[float, float]) -> list[float]:
    # Few seeds make an interval wider than accuracies can be.
    return [min(highest, max(lowest, end)) for end in interval]


class Errors(TypedDict):
    """What rows of accuracies and of gaps have alike."""

    seed_error: float | None
    row_error: float
    seeds: int
    seed_list: str


def _errors(estimate: Estimate) -> Errors:
    errors = [math.sqrt(component.variance) for component in estimate.components]
    return {
        # One seed tells nothing of what seeds do.
        "seed_error": errors[0] if len(errors) > 1 else None,
        "row_error": errors[-1],
        "seeds": len(estimate.seeds),
        "seed_list": " ".join(map(str, estimate.seeds)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=recipe)
    parser.add_argument("--accuracies", required=True, help="CSV file to write")
    parser.add_argument("--gaps", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    accuracies, gaps = estimate(index(arguments.predictions), arguments.recipe)
    write_rows(arguments.accuracies, AccuracyRow, accuracies)
    write_rows(arguments.gaps, GapRow, gaps)


if __name__ == "__main__":
    run(main)
