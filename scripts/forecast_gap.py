"""Fit curves through the gaps, and say from which size on each is at most the margin."""

from __future__ import annotations

import argparse
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
from gap.results.curves import FEWEST_SIZES, Curves, Measured, crossing, curves, held_back, measured
from gap.results.predictions import Paths, index, read_correct
from gap.results.reading import ReadingRecipe
from gap.results.rows import CrossingRow, CurveRow, ForecastRow
from gap.results.statistics import Correct, paired
from gap.results.tables import write_rows
from gap.run.program import run
from gap.run.progress import progress

# How many points of a curve its table has, out of those at which it was computed.
EVERY = 6


class Comparison(NamedTuple):
    """A model and the reference on a data set."""

    dataset: str
    model: str
    reference: str


@dataclass(frozen=True)
class Tables:
    """The rows of crossings, forecasts (of held-back sizes) and curves."""

    crossings: list[CrossingRow] = field(default_factory=list)
    forecasts: list[ForecastRow] = field(default_factory=list)
    curves: list[CurveRow] = field(default_factory=list)


def forecast(cells: Paths, recipe: ReadingRecipe) -> Tables:
    """Return the rows of all tables, in the cells' order.

    A model has them on a data set where it shares seeds with the reference at three sizes or more.
    Memory holds two models of one data set at a time. Random: the draws behind intervals, the same
    for a model whatever else is in the study.
    """
    tables = Tables()
    for dataset, models in progress(_by_dataset(cells), "data sets"):
        reference_correct = _correct(models.pop(recipe.reference, {}))
        for model, paths in models.items():
            gaps = _gaps(reference_correct, _correct(paths))
            if gaps is not None:
                _add(tables, Comparison(dataset, model, recipe.reference), gaps, recipe)
    return tables


def _by_dataset(cells: Paths) -> list[tuple[str, dict[str, Paths]]]:
    groups: dict[str, dict[str, Paths]] = defaultdict(lambda: defaultdict(dict))
    for cell, paths in cells.items():
        groups[cell.dataset][cell.model][cell] = paths
    return list(groups.items())


def _correct(paths: Paths) -> dict[int, Correct]:
    return {cell.n: read_correct(files) for cell, files in paths.items()}


def _gaps(reference: Mapping[int, Correct], model: Mapping[int, Correct]) -> Measured | None:
    """Return the gaps at all sizes at which seeds are shared; None for fewer than three sizes."""
    values = {
        n: paired(reference[n], model[n])[0]
        for n in sorted(reference.keys() & model.keys())
        if reference[n].keys() & model[n].keys()
    }
    return measured(list(values), list(values.values())) if len(values) >= FEWEST_SIZES else None


def _add(tables: Tables, compared: Comparison, gaps: Measured, recipe: ReadingRecipe) -> None:
    """Add the rows of a model."""
    names = compared._asdict()
    rng = np.random.default_rng(zlib.crc32("/".join(compared).encode()))
    curve = curves(gaps, rng)
    crossed = crossing(curve, recipe.margin, recipe.confidence)
    tables.crossings.append(
        CrossingRow(
            **names,
            sizes=len(gaps.n),
            largest=int(gaps.n[-1]),
            form=curve.form,
            n=crossed.n,
            n_low=crossed.low,
            n_high=crossed.high,
            within_reach=crossed.within_reach,
        )
    )
    forecasts = held_back(gaps, recipe.confidence, rng)
    tables.forecasts.extend(ForecastRow(**names, **asdict(forecast)) for forecast in forecasts)
    tables.curves.extend(_curve_rows(compared, curve, recipe.confidence))


def _curve_rows(compared: Comparison, curve: Curves, confidence: float) -> list[CurveRow]:
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(curve.draws, ends, axis=0)
    points = zip(*(column[::EVERY] for column in (curve.n, curve.values, low, high)), strict=True)
    return [CurveRow(*compared, *point) for point in points]


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
