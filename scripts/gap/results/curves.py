"""Learning curves of models, what they say of larger sizes, and the size at which a gap closes.

Shapes of such curves: Viering and Loog 2021, The Shape of Learning Curves: a Review, arXiv
2103.10948; Hestness et al. 2017, Deep Learning Scaling is Predictable, Empirically, arXiv
1712.00409. How often which shape occurs, and how far forecasts are off, was learned from real
curves: LCDB 1.1 (Yan et al. 2025, CC BY 4.0), by benchmarks/real_curves.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr
from scipy.stats import norm

from gap.study.sizes import FEWEST_SIZES

Vector = NDArray[np.float64]
# No forecast is given beyond this many times the largest measured size.
REACH = 4.0
# Sizes at which a curve is looked at, from the smallest to as far as forecasts go.
GRID = 121
# What a metric is before anything is measured, in points: mean and standard deviation.
LEVEL, LEVEL_SPREAD = 70.0, 40.0
# A curve is a level, minus a power of n, plus a random walk. Each exponent with its probability; 0
# is no power, so that the curve stays as it is but for the walk.
EXPONENTS = {0.0: 0.17, 0.1: 0.12, 0.2: 0.23, 0.4: 0.24, 0.8: 0.21, 1.6: 0.03}
# What the power takes away at the smallest size, in points, as a standard deviation.
RISES = {4.0: 0.23, 16.0: 0.59, 60.0: 0.18}
# The standard deviation of the walk's step when n doubles, in points.
WALKS = {0.5: 0.78, 2.0: 0.105, 6.0: 0.07, 18.0: 0.045}
# How many of its standard deviations hold 95 % of forecasts, by how often the sizes have doubled
# between the smallest and the largest: for fewer doublings than the first number.
HELD = ((3.0, 5.5), (5.0, 2.6), (math.inf, 2.1))
# A fall of a curve beyond noise: in standard errors.
FALL = 3.0


@dataclass(frozen=True)
class Form:
    """A shape of curves, with its probability before anything is measured."""

    exponent: float
    rise: float
    walk: float
    probability: float


def forms() -> list[Form]:
    """Return all shapes."""
    walks = list(WALKS.items())
    still = [Form(0.0, 0.0, walk, EXPONENTS[0.0] * share) for walk, share in walks]
    powers = [(exponent, share) for exponent, share in EXPONENTS.items() if exponent]
    return still + [
        Form(exponent, rise, walk, first * second * third)
        for (exponent, first), (rise, second), (walk, third) in product(
            powers, RISES.items(), walks
        )
    ]


@dataclass(frozen=True)
class Measured:
    """A model's metric by size, in points, and its variance by seeds; all (sizes,), by n."""

    n: Vector
    values: Vector
    variances: Vector

    def first(self, sizes: int) -> Measured:
        """Return what was measured at so many of the smallest sizes."""
        return Measured(self.n[:sizes], self.values[:sizes], self.variances[:sizes])

    @property
    def falls(self) -> bool:
        """Whether the metric falls from one size to a larger one by more than noise."""
        drops = self.values[:, None] - self.values[None, :]
        errors = np.sqrt(self.variances[:, None] + self.variances[None, :])
        return bool(np.triu(drops > FALL * errors, 1).any())


@dataclass(frozen=True)
class Curve:
    """A curve at sizes `n`: its mean and variance there, in points; all (sizes,)."""

    n: Vector
    values: Vector
    variances: Vector


def fit_curve(measured: Measured, n: Vector) -> Curve:
    """Return a model's curve at the sizes `n`, given what was measured.

    The mean over all forms, each weighted by its probability and by how well it explains what was
    measured. Raises ValueError for fewer than three sizes.
    """
    if len(measured.n) < FEWEST_SIZES:
        raise ValueError(f"{len(measured.n)} sizes; a curve takes {FEWEST_SIZES}")
    fits = [_fit_form(form, measured, n) for form in forms()]
    logs = np.array([fit.evidence for fit in fits])
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    means = np.stack([fit.values for fit in fits])
    squares = np.stack([fit.variances for fit in fits]) + means**2
    values = shares @ means
    variances = np.maximum(shares @ squares - values**2, 1e-9)
    return Curve(n, np.clip(values, 0.0, 100.0), variances)


@dataclass(frozen=True)
class _Fit:
    values: Vector
    variances: Vector
    evidence: float


def _fit_form(form: Form, measured: Measured, n: Vector) -> _Fit:
    """Return the curve of one form: a Gaussian process whose power of n only rises.

    That the metric rises with n cuts a normal distribution in half; its mean and variance are then
    those of a truncated normal distribution.
    """
    sizes = len(measured.n)
    every = np.concatenate([measured.n, n])
    power = form.rise * (every / measured.n[0]) ** -form.exponent if form.exponent else 0.0 * every
    doublings = np.log2(every / measured.n[0])
    prior = LEVEL_SPREAD**2 + np.outer(power, power)
    prior += form.walk**2 * np.minimum(doublings[:, None], doublings[None, :])
    inner = prior[:sizes, :sizes] + np.diag(measured.variances)
    across = prior[:sizes, sizes:]
    residual = measured.values - LEVEL
    solved = np.linalg.solve(inner, np.column_stack([residual, across, power[:sizes]]))
    values = LEVEL + across.T @ solved[:, 0]
    variances = np.diag(prior)[sizes:] - (across * solved[:, 1:-1]).sum(axis=0)
    evidence = -0.5 * (residual @ solved[:, 0] + np.linalg.slogdet(inner)[1])
    evidence += math.log(form.probability)
    if not form.exponent:
        return _Fit(values, variances, evidence)
    # The coefficient of the power is a standard normal before; where the curve rises, negative.
    mean = power[:sizes] @ solved[:, 0]
    spread = math.sqrt(max(1e-12, 1 - power[:sizes] @ solved[:, -1]))
    along = power[sizes:] - across.T @ solved[:, -1]
    below = -mean / spread
    ratio = math.exp(-0.5 * below**2 - log_ndtr(below)) / math.sqrt(2 * math.pi)
    share = along / spread**2
    values = values - share * spread * ratio
    shrunk = max(1e-6, 1 - below * ratio - ratio**2)
    variances = variances + share**2 * spread**2 * (shrunk - 1)
    return _Fit(values, variances, evidence + float(log_ndtr(below)) + math.log(2))


@dataclass(frozen=True)
class GapCurve:
    """A gap by size, in points, with its standard errors; all (sizes,).

    `largest` is the largest size that was measured; beyond it the curve is a forecast.
    """

    n: Vector
    values: Vector
    errors: Vector
    largest: float

    def interval(self, confidence: float) -> tuple[Vector, Vector]:
        """Return the ends of the interval of this confidence (0..1) at each size."""
        half = norm.ppf((1 + confidence) / 2) * self.errors
        return self.values - half, self.values + half

    def within(self, margin: float) -> Vector:
        """Return the chance that the gap is at most `margin` at each size, (sizes,)."""
        return np.asarray(ndtr((margin - self.values) / self.errors))

    def at(self, n: float) -> int:
        """Return the place of the size nearest to n."""
        return int(np.argmin(np.abs(np.log(self.n / n))))


def grid(measured: Sequence[float]) -> Vector:
    """Return the sizes at which curves are looked at, those measured and twice them among them."""
    even = np.geomspace(min(measured), REACH * max(measured), GRID)
    return np.unique(np.concatenate([even, np.asarray(measured), [2 * max(measured)]]))


def gap_curve(reference: Measured, model: Measured, row_variance: float, n: Vector) -> GapCurve:
    """Return the gap at the sizes n: the reference's own curve minus the model's.

    `row_variance` is what test rows give the gap, in points squared, at all sizes alike. Beyond
    the largest size that both have, errors are as large as those of forecasts of real curves.
    """
    curves = fit_curve(reference, n), fit_curve(model, n)
    largest = min(reference.n[-1], model.n[-1])
    smallest = max(reference.n[0], model.n[0])
    factors = widening(smallest, largest, n)
    variances = (curves[0].variances + curves[1].variances) * factors**2 + row_variance
    return GapCurve(n, curves[0].values - curves[1].values, np.sqrt(variances), float(largest))


def widening(smallest: float, largest: float, n: Vector) -> Vector:
    """Return how many times as far as they say forecasts of real curves are off at n, (sizes,).

    `smallest` and `largest` are the sizes between which curves were measured; there it is 1.
    """
    doublings = math.log2(largest / smallest)
    held = next(held for limit, held in HELD if doublings < limit)
    beyond = np.clip(np.log2(n / largest), 0.0, 1.0)
    return np.asarray(1 + beyond * (held / norm.ppf(0.975) - 1))


def staying(curve: GapCurve) -> GapCurve:
    """Return the curve with the gap taken to stay as it is at the largest measured size."""
    last = curve.values[curve.at(curve.largest)]
    values = np.where(curve.n > curve.largest, last, curve.values)
    # The interval holds what the curve would have forecast as well.
    errors = np.hypot(curve.errors, values - curve.values)
    return GapCurve(curve.n, values, errors, curve.largest)


def crossings(n: Vector, values: Vector, margin: float) -> Vector:
    """Return the size from which on each row of `values` (curves, grid) is at most `margin`.

    It is the first of `n` where a curve is never above, and infinite where it ends above.
    """
    above = values > margin
    last = len(n) - 1 - np.argmax(above[:, ::-1], axis=1)
    sizes = np.full(len(values), n[0])
    sizes[above[:, -1]] = np.inf
    between = np.flatnonzero(above.any(axis=1) & ~above[:, -1])
    left, right = values[between, last[between]], values[between, last[between] + 1]
    share = (left - margin) / (left - right)
    logs = np.log(n)
    start, end = logs[last[between]], logs[last[between] + 1]
    sizes[between] = np.exp(start + share * (end - start))
    return sizes


@dataclass(frozen=True)
class Crossing:
    """The size from which on a gap is at most the margin, with its interval; each may be infinite.

    What is as small as the smallest measured size means: there or before. The gap does not close
    before `low`.
    """

    n: float
    low: float
    high: float


def crossing(curve: GapCurve, margin: float, confidence: float) -> Crossing:
    """Return where a gap's curve, and the ends of its interval, fall to `margin` for good."""
    low, high = curve.interval(confidence)
    ends = crossings(curve.n, np.stack([low, curve.values, high]), margin)
    return Crossing(float(ends[1]), float(ends[0]), float(ends[2]))


@dataclass(frozen=True)
class Forecast:
    """What the smaller sizes said of a larger one, beside what was measured there, in points.

    `last` is the gap at the largest of the smaller sizes, which a forecast has to beat.
    """

    sizes: int
    largest: int
    n: int
    value: float
    low: float
    high: float
    last: float
    measured: float


def held_back(
    reference: Measured, model: Measured, row_variance: float, confidence: float
) -> list[Forecast]:
    """Return the forecasts of each size from all sizes below it, three at least.

    Both were measured at the same sizes. Intervals are of what would be measured there, so the
    noise of that is part of them.
    """
    forecasts = []
    gaps = reference.values - model.values
    for sizes in range(FEWEST_SIZES, len(gaps)):
        before = reference.first(sizes), model.first(sizes)
        curve = gap_curve(*before, row_variance, reference.n[sizes : sizes + 1])
        noise = reference.variances[sizes] + model.variances[sizes]
        error = math.hypot(curve.errors[0], math.sqrt(noise))
        half = float(norm.ppf((1 + confidence) / 2)) * error
        value = float(curve.values[0])
        forecasts.append(
            Forecast(
                sizes,
                int(reference.n[sizes - 1]),
                int(reference.n[sizes]),
                value,
                value - half,
                value + half,
                float(gaps[sizes - 1]),
                float(gaps[sizes]),
            )
        )
    return forecasts
