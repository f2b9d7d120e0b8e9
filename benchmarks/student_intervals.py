"""Intervals of single gaps by Student's t: what the workflow did before, for comparison.

As a program it writes a table of the gaps in files of predictions.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common  # noqa: F401  (finds gap)
import numpy as np
from gap.results.predictions import Cell, beside_reference, index
from gap.results.reading import ReadingRecipe
from gap.results.statistics import Claim
from gap.run.errors import UserError
from gap.run.program import run
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import false_discovery_control
from scipy.stats import t as student

Correct = Mapping[int, NDArray[np.bool_]]
# A smaller chance counts as zero; no gap needs to be told apart from one so small.
SMALLEST_CHANCE = 1e-12


@dataclass(frozen=True)
class Component:
    """One component of a mean's variance, in points squared, with its degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class Estimate:
    """A mean, in percent or percentage points, with the seeds and the uncertainty of it."""

    value: float
    seeds: tuple[int, ...]
    components: tuple[Component, ...]

    def half_width(self, confidence: float) -> float:
        """Return half the width of the interval of this confidence (0..1), in points.

        Each component has an interval of its own, by Student's t, and their half-widths add up in
        squares (Banerjee 1960, Approximate confidence interval for linear functions of means of k
        populations, Sankhya 22). It covers at least as often as it says.
        """
        squares = (
            component.variance * student.ppf((1 + confidence) / 2, component.freedom) ** 2
            for component in self.components
        )
        return math.sqrt(math.fsum(squares))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the ends of the interval of this confidence (0..1)."""
        half = self.half_width(confidence)
        return self.value - half, self.value + half

    def chance(self, limit: float) -> float:
        """Return the two-sided p value of `limit`: 1 - confidence of the interval ending there."""
        distance = abs(self.value - limit)
        if distance == 0:
            return 1.0
        if distance >= self.half_width(1 - SMALLEST_CHANCE):
            return 0.0
        return float(
            brentq(lambda p: self.half_width(1 - p) - distance, SMALLEST_CHANCE, 1.0, xtol=1e-12)
        )


def gap(reference: Correct, model: Correct) -> Estimate:
    """Return reference accuracy minus model accuracy in percentage points, paired.

    Both are {seed: (rows,)}; the mean is over the seeds that both have, and each test row of the
    one is compared with the same row of the other. Raises UserError where no seed is shared or the
    numbers of test rows differ.
    """
    return estimate(*paired(reference, model))


def paired(reference: Correct, model: Correct) -> tuple[NDArray[np.int8], list[int]]:
    """Return what `gap` is the mean of, (seeds, test rows), and the seeds; it raises the same."""
    seeds = sorted(reference.keys() & model.keys())
    if not seeds:
        raise UserError("no seed in common; expected at least one that both have")
    rows = {len(values[seed]) for values in (reference, model) for seed in seeds}
    if len(rows) > 1:
        raise UserError(
            f"test sets of different length, {sorted(rows)} rows; expected one test set per data "
            "set; run predict again for the older file"
        )
    pairs = [reference[seed].astype(np.int8) - model[seed].astype(np.int8) for seed in seeds]
    return np.stack(pairs), seeds


def estimate(values: NDArray[np.integer[Any] | np.bool_], seeds: Sequence[int]) -> Estimate:
    """Return 100 times the mean of `values` (seeds, test rows), seeds and rows both random.

    A value is the mean, plus an effect of its seed, plus one of its test row, plus what is left.
    The mean squares of the analysis of variance of such a two-way layout (Scheffe 1959, The
    Analysis of Variance, ch. 7) give the mean's variance in two components: that of seeds, which
    includes what is left, on seeds - 1 degrees of freedom; and that of rows, on rows - 1. One seed
    tells nothing of seeds, and the interval is one over test rows only.

    A bootstrap that draws seeds and rows anew (Owen 2007, The pigeonhole bootstrap, Annals of
    Applied Statistics 1(2)) knows of no degrees of freedom: with few seeds its intervals are too
    narrow. benchmarks/RESULTS.md has both side by side.
    """
    count, rows = values.shape
    row_means = values.mean(axis=0, dtype=np.float64)
    seed_means = values.mean(axis=1, dtype=np.float64)
    mean = float(seed_means.mean())
    row_squares = count * float(np.square(row_means - mean).sum())
    seed_squares = rows * float(np.square(seed_means - mean).sum())
    # Integers: the sum of squares is exact, and what is left of it never falls below 0 by much.
    total_squares = float(np.square(values, dtype=np.int64).sum()) - count * rows * mean**2
    rest_squares = max(0.0, total_squares - row_squares - seed_squares)
    scale = 100**2 / (count * rows)
    row_freedom = max(1, rows - 1)
    if count == 1:
        components = (Component(scale * row_squares / row_freedom, row_freedom),)
        return Estimate(100 * mean, tuple(seeds), components)
    seed_square = seed_squares / (count - 1)
    row_square = row_squares / row_freedom - rest_squares / (row_freedom * (count - 1))
    return Estimate(
        100 * mean,
        tuple(seeds),
        (
            Component(scale * seed_square, count - 1),
            Component(scale * max(0.0, row_square), row_freedom),
        ),
    )


def claims(gaps: Sequence[Estimate], margin: float, confidence: float) -> list[Claim]:
    """Return what can be said of each gap, as gap.results.statistics.differences has it."""
    chances = [gap.chance(math.copysign(margin, gap.value)) for gap in gaps]
    adjusted = false_discovery_control(chances, method="bh")
    said: list[Claim] = ["none" if abs(gap.value) <= margin else "clear" for gap in gaps]
    return [
        claim if chance <= 1 - confidence else "unclear"
        for claim, chance in zip(said, adjusted, strict=True)
    ]


def gaps_of(predictions: Sequence[str], reference: str) -> dict[Cell, Estimate]:
    """Return the gap of each cell that has a reference; memory holds two cells at a time."""
    return {
        cell: gap(reference_correct, correct)
        for cell, correct, reference_cell, reference_correct in beside_reference(
            index(predictions), reference
        )
        if reference_cell not in (None, cell)
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: reference, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=recipe)
    parser.add_argument("--alone", required=True, type=Path, help="CSV file to write")
    parser.add_argument("predictions", nargs="+", help="Parquet files, or @FILE that lists them")
    options = parser.parse_args(argv)
    recipe = options.recipe
    gaps = gaps_of(options.predictions, recipe.reference)
    said = claims(list(gaps.values()), recipe.margin, recipe.confidence)
    with options.alone.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["dataset", "model", "n", "gap", "gap_low", "gap_high", "difference"])
        for (cell, estimated), claim in zip(gaps.items(), said, strict=True):
            ends = estimated.interval(recipe.confidence)
            table.writerow([cell.dataset, cell.model, cell.n, estimated.value, *ends, claim])


if __name__ == "__main__":
    run(main)
