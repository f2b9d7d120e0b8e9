"""Draw curves through the gaps, and say from which size on each is at most the margin."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from gap.results.curves import (
    REACH,
    Forecast,
    GapCurve,
    Measured,
    crossing,
    gap_curve,
    grid,
    held_back,
    staying,
)
from gap.results.predictions import Paths, index
from gap.results.reading import ReadingRecipe
from gap.results.rows import CrossingRow, CurveRow, ForecastRow
from gap.results.run_scores import read_scores
from gap.results.study_errors import StudyErrors
from gap.results.tables import write_rows
from gap.run.program import run
from gap.study.sizes import FEWEST_SIZES

# How many points of a curve its table has, out of those at which it was computed.
EVERY = 3


@dataclass(frozen=True)
class Comparison:
    """A model and the reference on a data set: what was measured at the sizes that both have."""

    dataset: str
    model: str
    measured: tuple[Measured, Measured]
    row_variance: float
    forecasts: Sequence[Forecast]

    def curve(self) -> GapCurve:
        """Return the curve of the gap."""
        return gap_curve(*self.measured, self.row_variance, grid(self.measured[0].n.tolist()))


@dataclass(frozen=True)
class Tables:
    """The rows of crossings, forecasts (of held-back sizes) and curves."""

    crossings: list[CrossingRow] = field(default_factory=list)
    forecasts: list[ForecastRow] = field(default_factory=list)
    curves: list[CurveRow] = field(default_factory=list)


def forecast(cells: Paths, recipe: ReadingRecipe) -> Tables:
    """Return the rows of all tables: data sets and models as given.

    A model has them on a data set where it meets the reference at three sizes or more. Memory holds
    the runs of one data set at a time.
    """
    tables = Tables()
    for scores in read_scores(cells, recipe.metric[0]):
        errors = StudyErrors(scores, recipe.reference)
        models = dict.fromkeys(cell.model for cell in errors.compared)
        comparisons = [
            comparison for model in models if (comparison := _compare(errors, model, recipe))
        ]
        withheld = is_withheld([each for one in comparisons for each in one.forecasts])
        for comparison in comparisons:
            _add(tables, comparison, withheld, recipe)
    return tables


def _compare(errors: StudyErrors, model: str, recipe: ReadingRecipe) -> Comparison | None:
    """Return what was measured of a model; None for fewer than three sizes."""
    cells = sorted((cell for cell in errors.compared if cell.model == model), key=lambda c: c.n)
    if len(cells) < FEWEST_SIZES:
        return None
    measured = (
        errors.by_size([errors.reference_of(cell) for cell in cells]),
        errors.by_size(cells),
    )
    row_variance = errors.gap(cells[-1]).row_variance
    forecasts = held_back(*measured, row_variance, recipe.confidence)
    return Comparison(cells[0].dataset, model, measured, row_variance, forecasts)


def is_withheld(forecasts: Sequence[Forecast]) -> bool:
    """Return whether curves forecast held-back sizes no better than that the gap stays as it is."""
    if not forecasts:
        return False
    by_curve = fmean(abs(one.value - one.measured) for one in forecasts)
    by_last = fmean(abs(one.last - one.measured) for one in forecasts)
    return by_curve >= by_last


def _add(tables: Tables, comparison: Comparison, withheld: bool, recipe: ReadingRecipe) -> None:
    """Add the rows of a model."""
    names = (comparison.dataset, comparison.model, recipe.reference)
    curve = staying(comparison.curve()) if withheld else comparison.curve()
    tables.crossings.append(_crossing_row(names, comparison, curve, withheld, recipe))
    tables.forecasts.extend(ForecastRow(*names, **asdict(one)) for one in comparison.forecasts)
    tables.curves.extend(_curve_rows(names, curve, recipe))


def _crossing_row(
    names: tuple[str, str, str],
    comparison: Comparison,
    curve: GapCurve,
    withheld: bool,
    recipe: ReadingRecipe,
) -> CrossingRow:
    closes = crossing(curve, recipe.margin, recipe.confidence)
    low, high = curve.interval(recipe.confidence)
    within = curve.within(recipe.margin)
    twice, farthest = (curve.at(times * curve.largest) for times in (2.0, REACH))
    return CrossingRow(
        *names,
        sizes=len(comparison.measured[0].n),
        largest=int(curve.largest),
        withheld=withheld,
        falls=any(measured.falls for measured in comparison.measured),
        n=closes.n,
        n_low=closes.low,
        n_high=closes.high,
        gap_2x=float(curve.values[twice]),
        gap_2x_low=float(low[twice]),
        gap_2x_high=float(high[twice]),
        within_2x=float(within[twice]),
        gap_4x=float(curve.values[farthest]),
        gap_4x_low=float(low[farthest]),
        gap_4x_high=float(high[farthest]),
        within_4x=float(within[farthest]),
    )


def _curve_rows(
    names: tuple[str, str, str], curve: GapCurve, recipe: ReadingRecipe
) -> list[CurveRow]:
    low, high = curve.interval(recipe.confidence)
    columns = (curve.n, curve.values, low, high, curve.within(recipe.margin))
    points = zip(*(column[::EVERY].tolist() for column in columns), strict=True)
    return [CurveRow(*names, *point) for point in points]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=recipe)
    for name in ("crossings", "forecasts", "curves"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    tables = forecast(index(arguments.predictions), arguments.recipe)
    write_rows(arguments.crossings, CrossingRow, tables.crossings)
    write_rows(arguments.forecasts, ForecastRow, tables.forecasts)
    write_rows(arguments.curves, CurveRow, tables.curves)


if __name__ == "__main__":
    run(main)
