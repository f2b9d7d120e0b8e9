"""Curves through what was measured at several sizes, and the size at which a gap closes.

What is fitted is a mean by size, such as the gap to the reference. Shapes of such curves: Viering
and Loog 2021, The Shape of Learning Curves: a Review, arXiv 2103.10948; Hestness et al. 2017, Deep
Learning Scaling is Predictable, Empirically, arXiv 1712.00409.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# No forecast is given beyond this many times the largest measured size.
REACH = 10.0
# Draws of what might have been measured, for intervals.
DRAWS = 2000
# Sizes at which a curve is looked at, from the smallest to as far as forecasts go.
GRID = 300
FEWEST_SIZES = 3


@dataclass(frozen=True)
class Form:
    """A family of curves: for a value of its exponent or scale, a sum of known terms.

    `terms(n, shape)` returns them, (sizes, terms); `shapes(n)` the values to try for sizes n.
    """

    name: str
    terms: Callable[[Vector, float], Vector]
    shapes: Callable[[Vector], Vector]
    parameters: int


EXPONENTS = np.geomspace(0.03, 3.0, 60)
FORMS = (
    Form(
        "power law with offset",
        lambda n, exponent: np.stack([n**-exponent, np.ones_like(n)], axis=1),
        lambda n: EXPONENTS,
        parameters=3,
    ),
    Form(
        "power law", lambda n, exponent: n[:, None] ** -exponent, lambda n: EXPONENTS, parameters=2
    ),
    Form(
        "exponential with offset",
        lambda n, scale: np.stack([np.exp(-n / scale), np.ones_like(n)], axis=1),
        lambda n: np.geomspace(n[0] / 2, 2 * n[-1], 60),
        parameters=3,
    ),
    Form(
        "logarithmic",
        lambda n, _: np.stack([np.log(n), np.ones_like(n)], axis=1),
        lambda n: np.ones(1),
        parameters=2,
    ),
)


@dataclass(frozen=True)
class Measured:
    """Means by size, with what is known of how far off they are.

    `n` (sizes,) ascending, `values` (sizes,) in points; `rows` (sizes, sizes) is the covariance
    that comes of the test rows, which all sizes share; `seeds` (sizes,) the variance that comes of
    seeds, independent between sizes, known on `freedom` degrees of freedom (0: one seed, unknown).
    """

    n: Vector
    values: Vector
    rows: Vector
    seeds: Vector
    freedom: int

    def first(self, sizes: int) -> Measured:
        """Return what was measured at so many of the smallest sizes."""
        part = slice(sizes)
        return Measured(
            self.n[part], self.values[part], self.rows[part, part], self.seeds[part], self.freedom
        )

    def draw(self, count: int, rng: np.random.Generator) -> Vector:
        """Return values that might have been measured as well, (count, sizes)."""
        of_rows = rng.multivariate_normal(np.zeros(len(self.n)), self.rows, count, method="eigh")
        if self.freedom == 0:
            return self.values + of_rows
        of_seeds = rng.standard_t(self.freedom, (count, len(self.n))) * np.sqrt(self.seeds)
        return self.values + of_rows + of_seeds


def measured(n: Sequence[int], values: Sequence[NDArray[Any]]) -> Measured:
    """Return what `values`, one array (seeds, test rows) for each size of `n`, say in points.

    The variance of seeds is taken as one for all sizes, for want of seeds: their mean square,
    pooled over the sizes.
    """
    by_row = np.stack([100 * one.mean(axis=0, dtype=np.float64) for one in values])
    means = [100 * one.mean(axis=1, dtype=np.float64) for one in values]
    counts = np.array([len(one) for one in means])
    freedom = int((counts - 1).sum())
    squares = sum(float(np.square(one - one.mean()).sum()) for one in means)
    pooled = squares / freedom if freedom else 0.0
    rows = np.atleast_2d(np.cov(by_row)) / by_row.shape[1]
    return Measured(
        np.asarray(n, dtype=np.float64), by_row.mean(axis=1), rows, pooled / counts, freedom
    )


@dataclass(frozen=True)
class Fits:
    """Curves of one form, one for each of several vectors of values, with a shape each."""

    form: Form
    shapes: Vector
    coefficients: Vector

    def at(self, n: Vector) -> Vector:
        """Return the curves' values at sizes `n`, (curves, sizes)."""
        found = np.empty((len(self.shapes), len(n)))
        for shape in np.unique(self.shapes):
            ours = self.shapes == shape
            found[ours] = self.coefficients[ours] @ self.form.terms(n, shape).T
        return found


def fit(form: Form, n: Vector, values: Vector, weights: Vector) -> Fits:
    """Return the curves of `form` nearest to each row of `values` (curves, sizes).

    Nearest by least squares, weighted with `weights` (sizes,). For a given exponent or scale that
    is linear; the best of the values to try is taken.
    """
    root = np.sqrt(weights)
    shapes = form.shapes(n)
    best = np.full(len(values), np.inf)
    chosen = np.zeros(len(values))
    coefficients = np.zeros((len(values), form.terms(n, shapes[0]).shape[1]))
    for shape in shapes:
        terms = form.terms(n, shape) * root[:, None]
        solved = (values * root) @ np.linalg.pinv(terms).T
        error = np.square(values * root - solved @ terms.T).sum(axis=1)
        better = error < best - 1e-12
        best[better], chosen[better] = error[better], shape
        coefficients[better] = solved[better]
    return Fits(form, chosen, coefficients)


@dataclass(frozen=True)
class Curves:
    """The curve through what was measured, and `draws` of it: values on a grid of sizes.

    `form` names the form of the curve. `n` (grid,) are sizes from the smallest measured to as far
    as forecasts go; `values` (grid,); `draws` (draws, grid).
    """

    form: str
    n: Vector
    values: Vector
    draws: Vector

    def at(self, n: float) -> tuple[float, Vector]:
        """Return the curve's value at a size, and those of its draws, (draws,)."""
        place = np.log(n)
        value = float(np.interp(place, np.log(self.n), self.values))
        right = int(np.clip(np.searchsorted(np.log(self.n), place), 1, len(self.n) - 1))
        ends = np.log(self.n[right - 1 : right + 1])
        share = (place - ends[0]) / (ends[1] - ends[0])
        return value, (1 - share) * self.draws[:, right - 1] + share * self.draws[:, right]


def curves(known: Measured, rng: np.random.Generator, draws: int = DRAWS) -> Curves:
    """Return the curve through what was measured; raises ValueError for fewer than three sizes.

    Its form is that which, fitted to all sizes but the largest, comes nearest to the value there.
    Each draw of what might have been measured chooses its own form, so that the doubt about the
    form is part of all intervals. Random: the draws.
    """
    if len(known.n) < FEWEST_SIZES:
        raise ValueError(f"{len(known.n)} sizes; a curve takes {FEWEST_SIZES}")
    values = np.concatenate([known.values[None, :], known.draw(draws, rng)])
    weights = 1 / np.maximum(np.diag(known.rows) + known.seeds, 1e-6)
    grid = np.geomspace(known.n[0], REACH * known.n[-1], GRID)
    forms = [form for form in FORMS if form.parameters < len(known.n)]
    errors, fitted = [], []
    for form in forms:
        before = fit(form, known.n[:-1], values[:, :-1], weights[:-1])
        errors.append(np.abs(before.at(known.n[-1:])[:, 0] - values[:, -1]))
        fitted.append(fit(form, known.n, values, weights).at(grid))
    chosen = np.argmin(errors, axis=0)
    on_grid = np.stack(fitted)[chosen, np.arange(len(values))]
    return Curves(forms[chosen[0]].name, grid, on_grid[0], on_grid[1:])


def crossings(n: Vector, values: Vector, margin: float) -> Vector:
    """Return the size from which on each row of `values` (curves, grid) is at most `margin`.

    It is the first of `n` where a curve is never above, and infinite where it ends above.
    """
    above = values > margin
    last = len(n) - 1 - np.argmax(above[:, ::-1], axis=1)
    found = np.full(len(values), n[0])
    found[above[:, -1]] = np.inf
    between = np.flatnonzero(above.any(axis=1) & ~above[:, -1])
    left, right = values[between, last[between]], values[between, last[between] + 1]
    share = (left - margin) / (left - right)
    logs = np.log(n)
    start, end = logs[last[between]], logs[last[between] + 1]
    found[between] = np.exp(start + share * (end - start))
    return found


@dataclass(frozen=True)
class Crossing:
    """The size from which on a gap is at most the margin, with its interval; each may be infinite.

    What is as small as the smallest measured size means: there or before. `within_reach` is the
    share of draws that cross at all, up to REACH times the largest measured size.
    """

    n: float
    low: float
    high: float
    within_reach: float


def crossing(found: Curves, margin: float, confidence: float) -> Crossing:
    """Return where a gap's curve falls to `margin` points for good."""
    of_draws = crossings(found.n, found.draws, margin)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    # Some draws are infinite, and nothing can be interpolated between those.
    low, high = np.quantile(of_draws, ends, method="nearest")
    n = crossings(found.n, found.values[None, :], margin)[0]
    return Crossing(float(n), float(low), float(high), float(np.isfinite(of_draws).mean()))


@dataclass(frozen=True)
class Forecast:
    """What the smaller sizes said of a larger one, beside what was measured there, in points."""

    sizes: int
    largest: int
    n: int
    value: float
    low: float
    high: float
    measured: float


def held_back(
    known: Measured, confidence: float, rng: np.random.Generator, draws: int = DRAWS
) -> list[Forecast]:
    """Return the forecasts of each size from all sizes below it, three at least.

    Intervals are of what would be measured there, so the noise of that is part of them.
    """
    found = []
    for sizes in range(FEWEST_SIZES, len(known.n)):
        value, of_draws = curves(known.first(sizes), rng, draws).at(known.n[sizes])
        noise = known.draw(draws, rng)[:, sizes] - known.values[sizes]
        ends = np.quantile(of_draws + noise, [(1 - confidence) / 2, (1 + confidence) / 2])
        found.append(
            Forecast(
                sizes,
                int(known.n[sizes - 1]),
                int(known.n[sizes]),
                value,
                float(ends[0]),
                float(ends[1]),
                float(known.values[sizes]),
            )
        )
    return found
