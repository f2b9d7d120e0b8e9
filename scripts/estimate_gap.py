"""Estimate each model's accuracy and its gap to the reference, with intervals."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gap.results.predictions import Cell, Paths, index
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow, MetricRow
from gap.results.run_scores import read_scores
from gap.results.statistics import Claim, Estimate, differences
from gap.results.study_errors import StudyErrors
from gap.results.tables import study_order, write_rows
from gap.run.errors import UserError
from gap.run.program import run
from gap.study.metrics import METRICS, Metric, MetricName


@dataclass(frozen=True)
class Estimates:
    """What one metric came to: the errors of each cell's data set, and the gaps of those compared.

    `claims` has what can be said of each gap among all of them.
    """

    cells: list[tuple[StudyErrors, Cell]]
    gaps: dict[Cell, Estimate]
    claims: dict[Cell, Claim]


@dataclass(frozen=True)
class Tables:
    """The rows of accuracies, of gaps, and of metrics that are listed beside the first."""

    accuracies: list[AccuracyRow]
    gaps: list[GapRow]
    metrics: list[MetricRow]


def estimate(cells: Paths, recipe: ReadingRecipe) -> Tables:
    """Return the rows of all tables: data sets and models as given, then by n.

    A model that meets no reference at a size has an accuracy and no gap. Memory holds the runs of
    one metric. Raises UserError where that leaves no gap at all.
    """
    first, *further = recipe.metric
    headline = estimates_of(first, cells, recipe)
    others = list(dict.fromkeys(cell.model for cell in cells if cell.model != recipe.reference))
    if others and not headline.gaps:
        raise UserError(
            f"nothing can be compared: no run of the reference {recipe.reference} has the data "
            f"set and size of a run of another model ({', '.join(others)}); run more of them, or "
            "make another model the reference"
        )
    return Tables(
        study_order([accuracy_row(errors, cell, recipe) for errors, cell in headline.cells]),
        study_order(gap_rows(headline, recipe)),
        study_order(
            row
            for metric in further
            for row in metric_rows(metric, estimates_of(metric, cells, recipe), recipe)
        ),
    )


def estimates_of(metric: MetricName, cells: Paths, recipe: ReadingRecipe) -> Estimates:
    """Return what a metric came to in all data sets."""
    members: list[tuple[StudyErrors, Cell]] = []
    gaps: dict[Cell, Estimate] = {}
    for scores in read_scores(cells, metric):
        errors = StudyErrors(scores, recipe.reference)
        members += [(errors, cell) for cell in errors.cells]
        gaps |= {cell: errors.gap(cell) for cell in errors.compared}
    claims = differences(gaps.values(), recipe.margin, recipe.confidence)
    return Estimates(members, gaps, dict(zip(gaps, claims, strict=True)))


def metric_rows(
    name: MetricName, estimates: Estimates, recipe: ReadingRecipe
) -> Iterator[MetricRow]:
    """Yield the rows of a metric that is listed beside the first."""
    for errors, cell in estimates.cells:
        value = errors.mean(cell)
        low, high = mean_interval(value, METRICS[name], recipe)
        gap = estimates.gaps.get(cell)
        ends = gap_interval(gap, METRICS[name], recipe) if gap else (None, None)
        yield MetricRow(
            dataset=cell.dataset,
            model=cell.model,
            metric=name,
            reference=recipe.reference,
            size=cell.size,
            n=cell.n,
            value=value.value,
            value_low=low,
            value_high=high,
            gap=gap.value if gap else None,
            gap_low=ends[0],
            gap_high=ends[1],
            difference=estimates.claims.get(cell),
        )


def accuracy_row(errors: StudyErrors, cell: Cell, recipe: ReadingRecipe) -> AccuracyRow:
    """Return the row of a model's accuracy, or of the metric that stands in its place."""
    estimate = errors.mean(cell)
    low, high = mean_interval(estimate, recipe.headline, recipe)
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
        metric=recipe.metric[0],
    )


def gap_rows(estimates: Estimates, recipe: ReadingRecipe) -> list[GapRow]:
    """Return the rows of all gaps, with what can be said of each among all of them."""
    rows = []
    for errors, cell in estimates.cells:
        if (gap := estimates.gaps.get(cell)) is None:
            continue
        low, high = gap_interval(gap, recipe.headline, recipe)
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
            difference=estimates.claims[cell],
            metric=recipe.metric[0],
        )
        rows.append(row)
    return rows


def mean_interval(estimate: Estimate, metric: Metric, recipe: ReadingRecipe) -> tuple[float, float]:
    """Return the ends of a mean's interval; few seeds make it wider than a metric can be."""
    low, high = estimate.interval(recipe.confidence)
    return max(metric.lowest, low), min(metric.highest, high)


def gap_interval(gap: Estimate, metric: Metric, recipe: ReadingRecipe) -> tuple[float, float]:
    """Return the ends of a gap's interval, which are no further than two values can be apart."""
    low, high = gap.interval(recipe.confidence)
    furthest = metric.highest - metric.lowest
    return max(-furthest, low), min(furthest, high)


def _seed_error(errors: StudyErrors, estimate: Estimate) -> float | None:
    """Return the standard error that seeds give; None where one seed each tells nothing of it."""
    return math.sqrt(estimate.seed_variances.mean()) if errors.several_seeds else None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, metric (names), margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=recipe)
    parser.add_argument("--accuracies", required=True, help="CSV file to write")
    parser.add_argument("--gaps", required=True, help="CSV file to write")
    parser.add_argument("--metrics", required=True, help="CSV file to write, of further metrics")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    tables = estimate(index(arguments.predictions), arguments.recipe)
    write_rows(arguments.accuracies, AccuracyRow, tables.accuracies)
    write_rows(arguments.gaps, GapRow, tables.gaps)
    write_rows(arguments.metrics, MetricRow, tables.metrics)


if __name__ == "__main__":
    run(main)
