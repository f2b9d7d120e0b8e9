"""Estimate each model's accuracy and its gap to the reference, with intervals."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from gap.results.predictions import Cell, Paths, index
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.run_scores import read_scores
from gap.results.statistics import Estimate, differences
from gap.results.study_errors import StudyErrors
from gap.results.tables import study_order, write_rows
from gap.run.errors import UserError
from gap.run.program import run


def estimate(cells: Paths, recipe: ReadingRecipe) -> tuple[list[AccuracyRow], list[GapRow]]:
    """Return the rows of the accuracies and of the gaps: data sets and models as given, then by n.

    A model that meets no reference at a size has an accuracy and no gap. Memory holds the runs of
    one data set at a time. Raises UserError where that leaves no gap at all.
    """
    accuracies: list[AccuracyRow] = []
    gaps: list[tuple[StudyErrors, Cell, Estimate]] = []
    for scores in read_scores(cells):
        errors = StudyErrors(scores, recipe.reference)
        accuracies += [accuracy_row(errors, cell, recipe.confidence) for cell in errors.cells]
        gaps += [(errors, cell, errors.gap(cell)) for cell in errors.compared]
    others = list(dict.fromkeys(cell.model for cell in cells if cell.model != recipe.reference))
    if others and not gaps:
        raise UserError(
            f"nothing can be compared: no run of the reference {recipe.reference} has the data "
            f"set and size of a run of another model ({', '.join(others)}); run more of them, or "
            "make another model the reference"
        )
    return study_order(accuracies), study_order(gap_rows(gaps, recipe))


def accuracy_row(errors: StudyErrors, cell: Cell, confidence: float) -> AccuracyRow:
    """Return the row of a model's accuracy."""
    estimate = errors.mean(cell)
    low, high = _within(0.0, 100.0, estimate.interval(confidence))
    seeds = errors.seeds(cell)
    return AccuracyRow(
        dataset=cell.dataset,
        model=cell.model,
        size=cell.size,
        n=cell.n,
        accuracy=estimate.value,
        accuracy_low=low,
        accuracy_high=high,
        seed_error=_seed_error(errors, estimate),
        row_error=math.sqrt(estimate.row_variance),
        seeds=len(seeds),
        seed_list=" ".join(map(str, seeds)),
        diverged=len(errors.diverged[cell]),
    )


def gap_rows(
    gaps: Sequence[tuple[StudyErrors, Cell, Estimate]], recipe: ReadingRecipe
) -> list[GapRow]:
    """Return the rows of all gaps, with what can be said of each among all of them."""
    claims = differences([gap for _, _, gap in gaps], recipe.margin, recipe.confidence)
    rows = []
    for (errors, cell, gap), claim in zip(gaps, claims, strict=True):
        low, high = _within(-100.0, 100.0, gap.interval(recipe.confidence))
        reference = errors.reference_of(cell)
        diverged = sum(len(errors.diverged[member]) for member in (reference, cell))
        ahead, within, behind = gap.chances(recipe.margin)
        row = GapRow(
            dataset=cell.dataset,
            model=cell.model,
            reference=recipe.reference,
            size=cell.size,
            n=cell.n,
            gap=gap.value,
            gap_low=low,
            gap_high=high,
            seed_error=_seed_error(errors, gap),
            row_error=math.sqrt(gap.row_variance),
            chance_error=math.sqrt(errors.chance_variance(cell)),
            own_seed_error=errors.own_seed_error(cell),
            rows=errors.scores.rows,
            reference_seeds=len(errors.seeds(reference)),
            seeds=len(errors.seeds(cell)),
            seed_list=" ".join(map(str, errors.seeds(cell))),
            diverged=diverged,
            ordinary_gap=errors.gap(cell, ordinary=True).value if diverged else None,
            ahead=ahead,
            within=within,
            behind=behind,
            difference=claim,
        )
        rows.append(row)
    return rows


def _within(lowest: float, highest: float, interval: tuple[float, float]) -> list[float]:
    # Few seeds make an interval wider than accuracies can be.
    return [min(highest, max(lowest, end)) for end in interval]


def _seed_error(errors: StudyErrors, estimate: Estimate) -> float | None:
    """Return the standard error that seeds give; None where one seed each tells nothing of it."""
    return math.sqrt(estimate.seed_variances.mean()) if errors.several_seeds else None


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
