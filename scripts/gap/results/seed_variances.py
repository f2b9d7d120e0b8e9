"""How much a seed changes a mean, known from all cells of a data set together.

A few seeds tell little about their own variance. Cells of a study are alike, so each borrows from
the others, as in Smyth 2004, Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments, Statistical Applications in Genetics and Molecular Biology
3(1). Part of the variance is known: chance in single test rows, of which there are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# The logarithms of variances (points squared) that are thought of, beyond chance.
LOG_VARIANCES = np.arange(-6.0, 8.01, 0.25)
# Where a model's variances may lie, as logarithms.
LOCATIONS = np.arange(-8.0, 8.01, 0.5)
# How the logarithm falls with that of n, and what it is on average: mean and standard deviation.
SLOPES = np.array([0.0, -0.5, -1.0, -1.5])
AVERAGE, AVERAGE_SPREAD = 0.8, 2.2
# How much cells of one model differ, and how much models do: standard deviations of logarithms,
# whose prior is half-normal.
CELL_SPREADS = np.array([0.3, 0.7, 1.2, 2.0])
MODEL_SPREADS = np.array([0.15, 0.7, 1.4, 2.5])
SPREAD_OF_SPREADS = 1.6


@dataclass(frozen=True)
class SeedVariances:
    """What is known of the variance of a seed's mean in each cell.

    The variance is `chance` (cells,) plus one of exp(LOG_VARIANCES), whose probabilities are
    `weights` (cells, variances).
    """

    chance: Vector
    weights: Vector

    @property
    def mean(self) -> Vector:
        """The expected variance of each cell, (cells,)."""
        return np.asarray(self.chance + self.weights @ np.exp(LOG_VARIANCES))

    def points(self, count: int) -> Vector:
        """Return `count` variances of each cell that are equally probable, (cells, count)."""
        below = np.cumsum(self.weights, axis=1)
        shares = (np.arange(count) + 0.5) / count
        # A variance of the grid stands for all within half a step of it.
        step = LOG_VARIANCES[1] - LOG_VARIANCES[0]
        edges = np.append(LOG_VARIANCES - step / 2, LOG_VARIANCES[-1] + step / 2)
        logs = [np.interp(shares, np.append(0.0, share), edges) for share in below]
        return np.asarray(self.chance[:, None] + np.exp(logs))


@dataclass(frozen=True)
class SeedSquares:
    """What the seeds of each cell show, all arrays (cells,).

    `squares` are the variances between seed means, in points squared, on `freedom` degrees of
    freedom (0: one seed, any number); `chance` is the part of them that chance in single rows
    gives; `model` numbers the models; `n` counts labelled examples.
    """

    squares: Vector
    freedom: Vector
    chance: Vector
    model: NDArray[np.int64]
    n: Vector


def borrow(seen: SeedSquares) -> SeedVariances:
    """Return what all cells together say of the variance of a seed's mean in each.

    s^2 ~ v chi^2 / freedom, v = chance + tau^2; log tau^2 ~ N(a + b (log n - mean) + u, omega^2) in
    each cell, u ~ N(0, omega_m^2) in each model, with the priors of the constants above. All sums
    are over grids, so nothing is random.
    """
    likelihood = _likelihood(seen)
    place = np.log(seen.n) - np.log(seen.n).mean()
    shapes = [(slope, spread) for slope in SLOPES for spread in CELL_SPREADS]
    kernels = [
        _normal(LOG_VARIANCES[None, :, None] - slope * place[:, None, None], LOCATIONS, spread)
        for slope, spread in shapes
    ]
    # Of each cell at each location of its model: (shapes, cells, locations).
    cells = np.stack([np.einsum("ct,ctl->cl", likelihood, kernel) for kernel in kernels])
    models = _by_model(np.log(np.maximum(cells, 1e-300)), seen.model)
    prior = np.array(
        [_half_normal(CELL_SPREADS)[i % len(CELL_SPREADS)] for i in range(len(shapes))]
    )
    of_locations = _locations(models, prior)
    weights = np.zeros_like(likelihood)
    for kernel, cell, location in zip(kernels, cells, of_locations, strict=True):
        share = location[seen.model] / np.maximum(cell, 1e-300)
        weights += likelihood * np.einsum("ctl,cl->ct", kernel, share)
    return SeedVariances(seen.chance, weights / weights.sum(axis=1, keepdims=True))


def _likelihood(seen: SeedSquares) -> Vector:
    """Return the likelihood of each variance of the grid in each cell, (cells, variances)."""
    variances = seen.chance[:, None] + np.exp(LOG_VARIANCES)
    logs = -0.5 * seen.freedom[:, None] * (np.log(variances) + seen.squares[:, None] / variances)
    return np.exp(logs - logs.max(axis=1, keepdims=True))


def _normal(values: Vector, means: Vector, spread: float) -> Vector:
    """Return normal densities on a grid, as shares of the last axis but one."""
    densities = np.exp(-0.5 * ((values - means) / spread) ** 2)
    return np.asarray(densities / np.maximum(densities.sum(axis=-2, keepdims=True), 1e-300))


def _half_normal(spreads: Vector) -> Vector:
    """Return the weights of a grid of spreads: their density times the distance of neighbours."""
    return np.asarray(np.exp(-0.5 * (spreads / SPREAD_OF_SPREADS) ** 2) * np.gradient(spreads))


def _by_model(logs: Vector, model: NDArray[np.int64]) -> Vector:
    """Return the sums of logarithms over the cells of each model, (shapes, models, locations)."""
    members = (model == np.arange(int(model.max()) + 1)[:, None]).astype(np.float64)
    return np.asarray(members @ logs)


def _locations(models: Vector, prior: Vector) -> Vector:
    """Return how probable each shape with each model's location is, (shapes, models, locations).

    `models` are log-likelihoods of the same shape, `prior` (shapes,) weights.
    """
    highest = models.max(axis=2, keepdims=True)
    likelihood = np.exp(models - highest)
    spread = [_normal(LOCATIONS[:, None], LOCATIONS[None, :], width) for width in MODEL_SPREADS]
    # Summed over each model's location: (spreads, shapes, models, averages).
    summed = np.maximum(np.stack([likelihood @ kernel for kernel in spread]), 1e-300)
    logs = (np.log(summed) + highest).sum(axis=2)
    logs += np.log(prior)[None, :, None] + np.log(_half_normal(MODEL_SPREADS))[:, None, None]
    logs -= 0.5 * ((LOCATIONS - AVERAGE) / AVERAGE_SPREAD) ** 2
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    parts = zip(shares, summed, spread, strict=True)
    back = sum((share[:, None, :] / total) @ kernel.T for share, total, kernel in parts)
    return np.asarray(likelihood * back)
