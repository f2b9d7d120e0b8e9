"""What every run came to on every test row of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gap.results.predictions import Cell, CorrectRows, Paths, read_by_seed, read_groups
from gap.results.row_values import ROW_VALUES, RowValues, share_of
from gap.run.errors import UserError
from gap.run.progress import progress
from gap.study.metrics import MetricName

Vector = NDArray[np.float64]
# Rows of which covariances are computed at a time.
BLOCK = 8192


@dataclass(frozen=True)
class RunScores:
    """The runs of a data set, one for each cell and seed.

    `cells` and `seeds` (runs,) say which they are, `values` (runs, rows) what each test row adds to
    a run's metric, in points: the metric is their mean over the rows, plus the run's entry of
    `levels` (runs,). Without levels the metric is a share: a row lifts it by `largest` or not at
    all. A row of a kind that was not seen changes its own value by at most `largest`.
    """

    cells: Sequence[Cell]
    seeds: Sequence[int]
    values: NDArray[np.float32]
    levels: Vector | None = None
    largest: float = 100.0

    @property
    def rows(self) -> int:
        """The number of test rows, or of groups of them."""
        return self.values.shape[1]

    @cached_property
    def means(self) -> Vector:
        """The metric of each run, in points, (runs,)."""
        return self._centres if self.levels is None else self._centres + self.levels

    @cached_property
    def _centres(self) -> Vector:
        """The mean of each run's values, (runs,)."""
        return np.asarray(self.values.mean(axis=1, dtype=np.float64))

    @cached_property
    def covariance(self) -> Vector:
        """The covariances of runs over test rows, in points squared, (runs, runs)."""
        total = np.zeros((len(self.seeds), len(self.seeds)))
        for start in range(0, self.rows, BLOCK):
            block = self.values[:, start : start + BLOCK] - self._centres[:, None]
            total += block @ block.T
        return total / max(1, self.rows - 1)

    def weighted(self, weights: Vector) -> Vector:
        """Return the sum of runs with these weights (runs,) for each test row, (rows,)."""
        used = np.flatnonzero(weights)
        return np.asarray(weights[used] @ self.values[used])

    def grouped(self, groups: NDArray[np.int64]) -> RunScores:
        """Return the same with one value for each group of rows that belong together.

        `groups` (rows,) numbers the groups. Rows of a group count as one observation, so that
        intervals are over groups; the metric stays what it is, a mean over rows. A group's value is
        how far its rows are from that mean, in all (Cochran 1977, Sampling Techniques, ch. 9).

        A group of a kind that was not seen counts as the root mean square of the sizes does, which
        is how sizes enter the variance; as the largest one, it would hide what all others tell.
        """
        sizes = np.bincount(groups)
        scale = len(sizes) / self.rows
        typical = float(np.sqrt(np.square(sizes, dtype=np.float64).mean()))
        values = np.empty((len(self.seeds), len(sizes)), dtype=np.float32)
        for run, (by_row, centre) in enumerate(zip(self.values, self._centres, strict=True)):
            values[run] = scale * np.bincount(groups, weights=by_row - centre)
        return replace(
            self, values=values, levels=self.means, largest=self.largest * scale * typical
        )


def scores_of(correct: Mapping[Cell, CorrectRows]) -> RunScores:
    """Return the scores of runs, given which rows they have right.

    Raises UserError where the numbers of test rows differ.
    """
    values = {
        cell: {seed: share_of(right) for seed, right in by_seed.items()}
        for cell, by_seed in correct.items()
    }
    return join_runs(values)


def read_scores(cells: Paths, metric: MetricName) -> Iterator[RunScores]:
    """Yield the scores of each data set in the order given; memory holds one data set at a time.

    Test rows that belong together count as one. Raises UserError where two files hold the same
    seed, or the numbers of test rows differ.
    """
    evaluate = ROW_VALUES[metric]
    datasets: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        datasets[cell.dataset].append(cell)
    for members in progress(list(datasets.values()), "data sets"):
        values = {cell: read_by_seed(cells[cell], evaluate) for cell in members}
        scores = join_runs(values)
        groups = read_groups(cells[members[0]][0])
        yield scores if groups is None else scores.grouped(groups)


def join_runs(values: Mapping[Cell, Mapping[int, RowValues]]) -> RunScores:
    """Return the scores of all runs of a data set in one metric, given by cell and seed.

    Raises UserError where the numbers of test rows differ.
    """
    cells = [cell for cell, by_seed in values.items() for _ in by_seed]
    seeds = [seed for by_seed in values.values() for seed in by_seed]
    runs = [run for by_seed in values.values() for run in by_seed.values()]
    _check_lengths(cells, [run.values for run in runs])
    levels = [run.level for run in runs if run.level is not None]
    largest = max(run.largest for run in runs)
    stacked = np.stack([run.values for run in runs])
    return RunScores(cells, seeds, stacked, np.array(levels) if levels else None, largest)


def _check_lengths(cells: Sequence[Cell], rows: Sequence[NDArray[np.float32]]) -> None:
    first = len(rows[0])
    for cell, right in zip(cells, rows, strict=True):
        if len(right) != first:
            raise UserError(
                f"data set {cell.dataset}, size {cell.size}, {cells[0].model} and {cell.model}: "
                f"test sets of different length, {sorted({first, len(right)})} rows; expected one "
                "test set per data set; run predict again for the older file"
            )
