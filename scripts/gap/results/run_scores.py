"""What every run came to on every test row of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gap.results.predictions import Cell, CorrectRows, Paths, read_correct
from gap.run.errors import UserError
from gap.run.progress import progress

Vector = NDArray[np.float64]
# Rows of which covariances are computed at a time.
BLOCK = 8192


@dataclass(frozen=True)
class RunScores:
    """The runs of a data set, one for each cell and seed.

    `cells` and `seeds` (runs,) say which they are, `values` (runs, rows) what each test row adds to
    a run's metric, in points: the metric is their mean over the rows. `step` is by how many points
    the value of a row can change.
    """

    cells: Sequence[Cell]
    seeds: Sequence[int]
    values: NDArray[np.float32]
    step: float = 100.0

    @property
    def rows(self) -> int:
        """The number of test rows, or of groups of them."""
        return self.values.shape[1]

    @cached_property
    def means(self) -> Vector:
        """The metric of each run, in points, (runs,)."""
        return np.asarray(self.values.mean(axis=1, dtype=np.float64))

    @cached_property
    def covariance(self) -> Vector:
        """The covariances of runs over test rows, in points squared, (runs, runs)."""
        total = np.zeros((len(self.seeds), len(self.seeds)))
        for start in range(0, self.rows, BLOCK):
            block = self.values[:, start : start + BLOCK] - self.means[:, None]
            total += block @ block.T
        return total / max(1, self.rows - 1)

    def weighted(self, weights: Vector) -> Vector:
        """Return the sum of runs with these weights (runs,) for each test row, (rows,)."""
        used = np.flatnonzero(weights)
        return np.asarray(weights[used] @ self.values[used])

    def grouped(self, groups: NDArray[np.int64]) -> RunScores:
        """Return the same with one value for each group of rows that belong together.

        `groups` (rows,) numbers the groups. Rows of a group count as one observation, so that
        intervals are over groups; the mean stays what it is.
        """
        count = int(groups.max()) + 1
        sums = np.zeros((len(self.seeds), count))
        for run, values in enumerate(self.values):
            sums[run] = np.bincount(groups, weights=values, minlength=count)
        return replace(self, values=(sums * count / self.rows).astype(np.float32))


def scores_of(correct: Mapping[Cell, CorrectRows]) -> RunScores:
    """Return the scores of runs, given which rows they have right.

    Raises UserError where the numbers of test rows differ.
    """
    cells = [cell for cell, by_seed in correct.items() for _ in by_seed]
    seeds = [seed for by_seed in correct.values() for seed in by_seed]
    rows = [right for by_seed in correct.values() for right in by_seed.values()]
    _check_lengths(cells, rows)
    return RunScores(cells, seeds, np.float32(100) * np.stack(rows))


def read_scores(cells: Paths) -> Iterator[RunScores]:
    """Yield the scores of each data set in the order given; memory holds one data set at a time."""
    datasets: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        datasets[cell.dataset].append(cell)
    for members in progress(list(datasets.values()), "data sets"):
        yield scores_of({cell: read_correct(cells[cell]) for cell in members})


def _check_lengths(cells: Sequence[Cell], rows: Sequence[NDArray[np.bool_]]) -> None:
    first = len(rows[0])
    for cell, right in zip(cells, rows, strict=True):
        if len(right) != first:
            raise UserError(
                f"data set {cell.dataset}, size {cell.size}, {cells[0].model} and {cell.model}: "
                f"test sets of different length, {sorted({first, len(right)})} rows; expected one "
                "test set per data set; run predict again for the older file"
            )
