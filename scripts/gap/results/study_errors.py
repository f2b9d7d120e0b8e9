"""One model of how far the means of a data set's cells may be off, and those of their gaps.

A run's metric is the mean of its cell, plus an effect of its seed, plus one of each test row, plus
chance. The variance that chance gives is known well, as there are many rows; that of seeds is
borrowed over all cells (gap.results.seed_variances); seeds that both models have may go together.
docs/statistics.md has the formulas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gap.results.curves import Measured
from gap.results.predictions import Cell
from gap.results.run_scores import RunScores
from gap.results.seed_variances import SeedSquares, SeedVariances, borrow
from gap.results.statistics import POINTS, Estimate, Tally

Vector = NDArray[np.float64]
Runs = NDArray[np.int64]
# A seed has diverged that is further below its cell's median than both of these: points, and
# standard deviations of a typical cell's seeds.
FEWEST_POINTS, TYPICAL_SPREADS = 6.0, 4.0
# The correlation of two models' effects of the same seed, and its prior: mean, standard deviation.
CORRELATIONS = np.arange(-0.2, 0.951, 0.05)
CORRELATION, CORRELATION_SPREAD = 0.1, 0.3
# No difference of test rows has a variance below this, in points squared.
LEAST_VARIANCE = 1e-4


class StudyErrors:
    """How far means and gaps of a data set may be off.

    `scores` are all runs of the data set, `reference` is the model that others are compared with.
    """

    def __init__(self, scores: RunScores, reference: str) -> None:
        self.scores = scores
        self.reference = reference
        self.cells: list[Cell] = list(dict.fromkeys(scores.cells))

    @cached_property
    def _runs(self) -> dict[Cell, Runs]:
        places: dict[Cell, list[int]] = {cell: [] for cell in self.cells}
        for place, cell in enumerate(self.scores.cells):
            places[cell].append(place)
        return {cell: np.array(members) for cell, members in places.items()}

    @cached_property
    def diverged(self) -> dict[Cell, list[int]]:
        """The seeds of each cell that have diverged."""
        means = self.scores.means
        below = {cell: np.median(means[runs]) - means[runs] for cell, runs in self._runs.items()}
        limit = max(FEWEST_POINTS, TYPICAL_SPREADS * self._typical_spread())
        return {
            cell: [self.scores.seeds[run] for run in self._runs[cell][distance > limit]]
            for cell, distance in below.items()
        }

    def _typical_spread(self) -> float:
        """Return the standard deviation of a typical cell's seeds: the median over cells."""
        means = self.scores.means
        several = [means[runs] for runs in self._runs.values() if len(runs) > 1]
        return float(np.sqrt(np.median([values.var(ddof=1) for values in several] or [0.0])))

    def runs(self, cell: Cell, ordinary: bool = False) -> Runs:
        """Return the places of a cell's runs; `ordinary`: of those that have not diverged."""
        runs = self._runs[cell]
        if not ordinary or not self.diverged[cell]:
            return runs
        return np.array([run for run in runs if self.scores.seeds[run] not in self.diverged[cell]])

    @cached_property
    def chances(self) -> Vector:
        """The variance of a run's mean that chance in single rows gives it, (cells,)."""
        seen = np.array([self._chance(self.runs(cell, ordinary=True)) for cell in self.cells])
        models = np.array([cell.model for cell in self.cells])
        for model in set(models):
            ours = models == model
            if np.isnan(seen[ours]).all():
                continue
            seen[ours & np.isnan(seen)] = np.nanmean(seen[ours])
        return np.nan_to_num(seen, nan=np.nanmean(seen) if not np.isnan(seen).all() else 0.0)

    def _chance(self, runs: Runs) -> float:
        return self._residual(runs, runs) / self.scores.rows if len(runs) > 1 else np.nan

    def _residual(self, first: Runs, second: Runs) -> float:
        """Return the residual mean square (or mean product) of runs of the same seeds and rows.

        What is left of a run's rows beyond the effects of run and row (Scheffe 1959, The Analysis
        of Variance, ch. 7), in points squared.
        """
        block = self.scores.covariance[np.ix_(first, second)]
        count = len(first)
        return float((np.trace(block) - block.sum() / count) / (count - 1))

    @cached_property
    def variances(self) -> SeedVariances:
        """The variance of an ordinary seed's mean in each cell."""
        means = self.scores.means
        runs = [self.runs(cell, ordinary=True) for cell in self.cells]
        models = {name: place for place, name in enumerate({c.model: 0 for c in self.cells})}
        return borrow(
            SeedSquares(
                np.array([means[own].var(ddof=1) if len(own) > 1 else 0.0 for own in runs]),
                np.array([max(0, len(own) - 1) for own in runs], dtype=np.float64),
                self.chances,
                np.array([models[cell.model] for cell in self.cells]),
                np.array([cell.n for cell in self.cells], dtype=np.float64),
            )
        )

    @cached_property
    def several_seeds(self) -> bool:
        """Whether any cell has two ordinary seeds, without which nothing is known of seeds."""
        return any(len(self.runs(cell, ordinary=True)) > 1 for cell in self.cells)

    @cached_property
    def _references(self) -> dict[str, Cell]:
        """The reference's cells by their sizes."""
        return {cell.size: cell for cell in self.cells if cell.model == self.reference}

    @cached_property
    def compared(self) -> list[Cell]:
        """The cells that have a gap: those of other models where the reference was run, too."""
        others = (cell for cell in self.cells if cell.model != self.reference)
        return [cell for cell in others if cell.size in self._references]

    def reference_of(self, cell: Cell) -> Cell:
        """Return the reference's cell of the same size; raises KeyError where it has none."""
        return self._references[cell.size]

    def seeds(self, cell: Cell) -> list[int]:
        """Return the seeds of a cell, ascending."""
        return sorted(self.scores.seeds[run] for run in self.runs(cell))

    def chance_variance(self, cell: Cell) -> float:
        """Return the variance that chance in single rows gives a cell's gap, in points squared."""
        pair = self.reference_of(cell), cell
        return sum(self._chance_of(member, len(self.runs(member))) for member in pair)

    def own_seed_error(self, cell: Cell) -> float | None:
        """Return the standard error of a gap by the seeds of its two cells alone, in points.

        None where one of them has one seed.
        """
        pair = [self.runs(member) for member in (self.reference_of(cell), cell)]
        if min(map(len, pair)) < 2:
            return None
        means = self.scores.means
        return float(np.sqrt(sum(means[runs].var(ddof=1) / len(runs) for runs in pair)))

    @cached_property
    def correlations(self) -> dict[str, float]:
        """The correlation of the reference's and each model's effects of the same seeds.

        It is that of what seeds do beyond chance in single rows: the mean of its posterior on a
        grid, given all sizes of the model.
        """
        prior = -0.5 * ((CORRELATIONS - CORRELATION) / CORRELATION_SPREAD) ** 2
        logs: dict[str, Vector] = defaultdict(lambda: prior)
        for cell in self.compared:
            logs[cell.model] = logs[cell.model] + self._evidence(cell)
        shares = {model: np.exp(values - values.max()) for model, values in logs.items()}
        return {model: float(share @ CORRELATIONS / share.sum()) for model, share in shares.items()}

    def _evidence(self, cell: Cell) -> Vector:
        """Return the log-likelihoods of all correlations, given a pair's means of shared seeds."""
        reference = self.reference_of(cell)
        shared = self._shared(reference, cell, ordinary=True)
        freedom = len(shared[0]) - 1
        if freedom < 1:
            return np.zeros(len(CORRELATIONS))
        means = self.scores.means
        one, other = (means[runs] - means[runs].mean() for runs in shared)
        places = [self.cells.index(member) for member in (reference, cell)]
        first, second = self.variances.mean[places]
        effects = np.maximum(self.variances.mean[places] - self.chances[places], 0.0)
        together = self._shared_chance(reference, cell, shared)
        together = together + CORRELATIONS * np.sqrt(effects.prod())
        rest = np.maximum(first * second - together**2, LEAST_VARIANCE**2)
        squares = second * (one @ one) + first * (other @ other) - 2 * together * (one @ other)
        return np.asarray(-0.5 * (freedom * np.log(rest) + squares / rest))

    def _shared_chance(self, reference: Cell, cell: Cell, shared: tuple[Runs, Runs]) -> float:
        """Return the covariance that chance in single rows gives two models' means of one seed.

        Models that learn from the same examples err on the same rows. `shared` are their runs of
        the same seeds; 0 for fewer than two of them.
        """
        if len(shared[0]) < 2:
            return 0.0
        places = [self.cells.index(member) for member in (reference, cell)]
        most = float(np.sqrt(np.maximum(self.chances[places], 0.0).prod()))
        return float(np.clip(self._residual(*shared) / self.scores.rows, -most, most))

    def _shared(self, reference: Cell, cell: Cell, ordinary: bool = False) -> tuple[Runs, Runs]:
        """Return the runs of both cells that have the same seeds, in the same order."""
        by_seed = [
            {self.scores.seeds[run]: run for run in self.runs(member, ordinary)}
            for member in (reference, cell)
        ]
        seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
        first, second = ([places[seed] for seed in seeds] for places in by_seed)
        return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)

    def mean(self, cell: Cell) -> Estimate:
        """Return the mean of a cell's runs: its metric, in points."""
        runs = self.runs(cell)
        weights = self._weights(runs)
        row_variance = self._row_variance(weights, self._chance_of(cell, len(runs)))
        tally = self._tally(weights) if self.scores.levels is not None else self._share(weights)
        seeds = self._points(cell) / len(runs) + self._divergence(cell, len(runs))
        return Estimate(float(weights @ self.scores.means), seeds, row_variance, tally)

    def gap(self, cell: Cell, ordinary: bool = False) -> Estimate:
        """Return the reference's mean minus a cell's, in points, over all seeds of both.

        Each test row of the one is compared with the same row of the other, and seeds that both
        have may go together. `ordinary`: without seeds that have diverged. Raises KeyError where
        the reference has no cell of the size.
        """
        reference = self.reference_of(cell)
        runs = self.runs(reference, ordinary), self.runs(cell, ordinary)
        shared = self._shared(reference, cell, ordinary)
        weights = self._weights(runs[0]) - self._weights(runs[1])
        counts = len(runs[0]), len(runs[1])
        together = 2 * len(shared[0]) / (counts[0] * counts[1])
        shared_chance = self._shared_chance(reference, cell, shared)
        chance = self._chance_of(reference, counts[0]) + self._chance_of(cell, counts[1])
        chance -= together * shared_chance
        variances = self._points(reference)[:, None], self._points(cell)[None, :]
        seeds = variances[0] / counts[0] + variances[1] / counts[1]
        seeds = seeds - together * self._covariances(reference, cell, shared_chance)
        if not ordinary:
            seeds = seeds + self._divergence(reference, counts[0])
            seeds = seeds + self._divergence(cell, counts[1])
        tally = self._tally(weights)
        row_variance = self._row_variance(weights, chance)
        # Two rows more, of which one lifts and one lowers the gap: with few rows, all of them may
        # lift it by chance (Bonett and Price 2012, Journal of Educational and Behavioral
        # Statistics 37).
        row_variance += 2 * (tally.step / tally.rows) ** 2
        return Estimate(float(weights @ self.scores.means), seeds.ravel(), row_variance, tally)

    def _covariances(self, reference: Cell, cell: Cell, shared_chance: float) -> Vector:
        """Return the covariances of two models' means of one seed, for all pairs of variances."""
        if not self.several_seeds:
            return np.zeros((1, 1))
        effects = [
            np.maximum(self._points(member) - self.chances[self.cells.index(member)], 0.0)
            for member in (reference, cell)
        ]
        return shared_chance + self.correlations[cell.model] * np.sqrt(np.outer(*effects))

    def by_size(self, cells: Sequence[Cell]) -> Measured:
        """Return what was measured of a model at several sizes; `cells` are its own, by n."""
        counts = np.array([len(self.runs(cell)) for cell in cells])
        places = [self.cells.index(cell) for cell in cells]
        seeds = self.variances.mean[places] if self.several_seeds else self.chances[places]
        diverged = [
            self._divergence(cell, count) for cell, count in zip(cells, counts, strict=True)
        ]
        values = np.array([self.scores.means[self.runs(cell)].mean() for cell in cells])
        n = np.array([cell.n for cell in cells], dtype=np.float64)
        return Measured(n, values, np.maximum(seeds / counts + diverged, LEAST_VARIANCE))

    def _weights(self, runs: Runs) -> Vector:
        weights = np.zeros(len(self.scores.seeds))
        weights[runs] = 1 / len(runs)
        return weights

    def _chance_of(self, cell: Cell, seeds: int) -> float:
        """Return the variance that chance gives the mean of so many seeds."""
        return float(self.chances[self.cells.index(cell)]) / seeds

    def _row_variance(self, weights: Vector, chance: float) -> float:
        """Return what test rows give the mean of weighted runs, beyond chance."""
        whole = float(weights @ self.scores.covariance @ weights) / self.scores.rows
        return max(LEAST_VARIANCE, whole - chance)

    def _points(self, cell: Cell) -> Vector:
        """Return equally probable variances of an ordinary seed's mean in a cell, (values,)."""
        if not self.several_seeds:
            return np.zeros(1)
        return np.asarray(self._all_points[self.cells.index(cell)])

    @cached_property
    def _all_points(self) -> Vector:
        return self.variances.points(POINTS)

    def _share(self, weights: Vector) -> Tally:
        """Return the tally of a mean that is a share: rows lift it or do not."""
        by_row = self.scores.weighted(weights).astype(np.float64)
        total = float(by_row.sum())
        step = float(np.square(by_row).sum()) / total if total > 0 else self.scores.largest
        return Tally(max(0.0, total / step), None, step, self.scores.rows)

    def _tally(self, weights: Vector) -> Tally:
        """Return the tally of weighted runs whose rows lift or lower it."""
        by_row = self.scores.weighted(weights).astype(np.float64)
        # What is left of sums that cancel is no difference.
        by_row[np.abs(by_row) < 1e-6 * self.scores.largest] = 0.0
        sizes = float(np.abs(by_row).sum())
        step = float(np.square(by_row).sum()) / sizes if sizes > 0 else self.scores.largest
        lifting = float(by_row[by_row > 0].sum()) / step
        lowering = max(0.0, sizes / step - lifting)
        return Tally(lifting, lowering, step, self.scores.rows, self.scores.largest)

    def _divergence(self, cell: Cell, seeds: int) -> float:
        """Return the variance that seeds which may diverge give the mean of so many of them.

        A share of a model's seeds loses as much as those that have diverged in this data set: the
        share among its own seeds, one more seed with the share among all, and half of another one.
        """
        lost = sum(map(len, self.diverged.values()))
        if not lost:
            return 0.0
        own = [other for other in self.cells if other.model == cell.model]
        diverged = sum(len(self.diverged[other]) for other in own)
        count = sum(len(self.runs(other)) for other in own)
        share = (diverged + lost / len(self.scores.seeds) + 0.5) / (count + 2)
        return self._squared_loss * share * (1 - share) / seeds

    @cached_property
    def _squared_loss(self) -> float:
        """The mean of the squares of the points that diverged seeds lose."""
        means, seeds = self.scores.means, self.scores.seeds
        losses = [
            means[self.runs(cell, ordinary=True)].mean() - means[run]
            for cell, runs in self._runs.items()
            for run in runs
            if seeds[run] in self.diverged[cell]
        ]
        return float(np.mean(np.square(losses)))
