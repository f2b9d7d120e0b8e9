"""Fit curves through the gaps, and say from which size on each is at most the margin."""

from __future__ import annotations

import argparse
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from gap.results.curves import FEWEST_SIZES, Curves, Measured, crossing, curves, held_back, measured
from gap.results.predictions import Paths, index, read_correct
from gap.results.statistics import Correct, paired
from gap.results.tables import write_table
from gap.run.program import run
from gap.run.progress import progress

WHO = ("dataset", "model", "reference")
CROSSING_COLUMNS = (*WHO, "sizes", "largest", "form", "n", "n_low", "n_high", "within_reach")
FORECAST_COLUMNS = (*WHO, "sizes", "largest", "n", "value", "low", "high", "measured")
CURVE_COLUMNS = (*WHO, "n", "gap", "gap_low", "gap_high")
# Points of a curve in its table, of those at which it was looked at.
EVERY = 6

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def forecast(cells: Paths, recipe: Mapping[str, Any]) -> Tables:
    """Return the rows of crossings, forecasts (of held-back sizes) and curves, in the cells' order.

    A model has them on a data set where it shares seeds with the reference at three sizes or more.
    Memory holds two models of one data set at a time. Random: the draws behind intervals, the same
    for a model whatever else is in the study.
    """
    tables: Tables = {"crossings": [], "forecasts": [], "curves": []}
    for dataset, models in progress(_by_dataset(cells), "data sets"):
        reference = _correct(models.pop(recipe["reference"], {}))
        for model, paths in models.items():
            known = _gaps(reference, _correct(paths))
            if known is not None:
                who = dict(zip(WHO, (dataset, model, recipe["reference"]), strict=True))
                for name, rows in _rows(known, who, recipe).items():
                    tables[name] += [who | row for row in rows]
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


def _rows(known: Measured, who: Mapping[str, str], recipe: Mapping[str, Any]) -> Tables:
    confidence = recipe["confidence"]
    rng = np.random.default_rng(zlib.crc32("/".join(who.values()).encode()))
    found = curves(known, rng)
    where = crossing(found, recipe["margin"], confidence)
    crossed = {
        **{"sizes": len(known.n), "largest": int(known.n[-1]), "form": found.form},
        **{"n": where.n, "n_low": where.low, "n_high": where.high},
        "within_reach": where.within_reach,
    }
    return {
        "crossings": [crossed],
        "forecasts": [asdict(one) for one in held_back(known, confidence, rng)],
        "curves": _curve_rows(found, confidence),
    }


def _curve_rows(found: Curves, confidence: float) -> list[Row]:
    low, high = np.quantile(found.draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    columns = (column[::EVERY] for column in (found.n, found.values, low, high))
    names = CURVE_COLUMNS[len(WHO) :]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=json.loads, help=recipe)
    for name in ("crossings", "forecasts", "curves"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    tables = forecast(index(arguments.predictions), arguments.recipe)
    write_table(arguments.crossings, CROSSING_COLUMNS, tables["crossings"], decimals=4)
    write_table(arguments.forecasts, FORECAST_COLUMNS, tables["forecasts"], decimals=4)
    write_table(arguments.curves, CURVE_COLUMNS, tables["curves"], decimals=4)


if __name__ == "__main__":
    run(main)
