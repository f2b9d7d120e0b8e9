"""Means with intervals, over seeds and test rows, and what gaps tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtr
from scipy.stats import chi2, false_discovery_control

Vector = NDArray[np.float64]
# What can be said of a gap, see `differences`.
Claim = Literal["clear", "none", "unclear"]
# A smaller chance counts as zero; no gap needs to be told apart from one so small.
SMALLEST_CHANCE = 1e-12
# With more test rows the variance that rows give is as good as known.
MANY_ROWS = 200
# Equally probable values of a variance that is not known.
POINTS = 13


@dataclass(frozen=True)
class Tally:
    """How many test rows lift a mean and how many lower it, by `step` points each, of `rows`.

    Counts may be fractions. `lowering` is None where a mean is a share: rows lift it or do not. No
    row changes it by more than `largest` points.
    """

    lifting: float
    lowering: float | None
    step: float
    rows: int
    largest: float = 100.0

    def reach(self, confidence: float) -> tuple[float, float]:
        """Return how far the mean may be off downwards and upwards, in points, by rows alone.

        Each share has its exact interval (Clopper and Pearson 1934, Biometrika 26). The interval of
        a difference adds distances in squares (Zou and Donner 2008, Statistics in Medicine 27),
        those of the two shares, or those of the share of rows that differ and of the side that they
        take, whichever is wider. Rows that change the mean by the largest step may be among those
        that are not seen, so that rows which never differ have an interval, too.
        """
        down, up = _distances(self.lifting, self.rows, confidence)
        if self.lowering is not None:
            below, above = _distances(self.lowering, self.rows, confidence)
            one, other = self._by_sides(confidence)
            down, up = max(math.hypot(down, above), one), max(math.hypot(up, below), other)
            unseen = self.largest * _distances(0, self.rows, confidence)[1]
            return max(self.step * down, unseen), max(self.step * up, unseen)
        return self.step * down, self.step * up

    def _by_sides(self, confidence: float) -> tuple[float, float]:
        """Return how far a difference may be off: the share that differs, times its balance."""
        differing = self.lifting + (self.lowering or 0.0)
        if not differing:
            return 0.0, 0.0
        share, balance = differing / self.rows, 2 * self.lifting / differing - 1
        fewer, more = _distances(differing, self.rows, confidence)
        down, up = (2 * share * side for side in _distances(self.lifting, differing, confidence))
        if balance < 0:
            fewer, more = more, fewer
        return math.hypot(down, balance * fewer), math.hypot(up, balance * more)


def _distances(count: float, number: float, confidence: float) -> tuple[float, float]:
    """Return how far the share count / number is from the ends of its exact interval."""
    tail, share = (1 - confidence) / 2, count / number
    low = betaincinv(count, number - count + 1, tail) if count > 0 else 0.0
    high = betaincinv(count + 1, number - count, 1 - tail) if count < number else 1.0
    return share - float(low), float(high) - share


@dataclass(frozen=True)
class Estimate:
    """A mean in points, and how far it may be off.

    `seed_variances` (values,) are equally probable values of the variance that seeds give it;
    `row_variance` is that of test rows, in points squared, estimated of `tally.rows` rows.
    """

    value: float
    seed_variances: Vector
    row_variance: float
    tally: Tally

    def variances(self) -> Vector:
        """Return equally probable values of the mean's variance, in points squared."""
        freedom = self.tally.rows - 1
        if freedom >= MANY_ROWS:
            return self.seed_variances + self.row_variance
        shares = (np.arange(POINTS) + 0.5) / POINTS
        # What the estimate says of the variance, as Student's t has it.
        rows = self.row_variance * max(1, freedom) / chi2.ppf(shares, max(1, freedom))
        return np.asarray(self.seed_variances[:, None] + rows).ravel()

    def half_width(self, confidence: float) -> float:
        """Return half the width of the interval by the variances alone, in points."""
        errors = np.sqrt(self.variances())
        if not errors.any():
            return 0.0
        furthest = 40 * float(errors.max())
        tail = 1 - confidence
        return float(brentq(lambda half: _tails(half, errors) - tail, 0.0, furthest, xtol=1e-10))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the ends of the interval of this confidence (0..1).

        It is never narrower than exact bounds on the shares of rows that differ.
        """
        half = self.half_width(confidence)
        down, up = self.tally.reach(confidence)
        return self.value - max(half, down), self.value + max(half, up)

    def chance(self, limit: float) -> float:
        """Return the two-sided p value of `limit`: 1 - confidence of the interval ending there."""
        distance = abs(self.value - limit)
        if distance == 0:
            return 1.0
        errors = np.sqrt(self.variances())
        by_variance = _tails(distance, errors[errors > 0]) if errors.any() else 0.0
        return max(by_variance, self._chance_by_rows(distance, downwards=limit < self.value))

    def _chance_by_rows(self, distance: float, downwards: bool) -> float:
        def beyond(chance: float) -> float:
            return self.tally.reach(1 - chance)[0 if downwards else 1] - distance

        if beyond(SMALLEST_CHANCE) <= 0:
            return 0.0
        if beyond(1.0) >= 0:
            return 1.0
        return float(brentq(beyond, SMALLEST_CHANCE, 1.0, xtol=1e-9))

    def chances(self, margin: float) -> tuple[float, float, float]:
        """Return the chances that the true mean is above `margin`, within it, and below -margin."""
        errors = np.sqrt(self.variances())
        half = self.half_width(0.95)
        # As wide as the interval is, which exact bounds may widen.
        reach = max(half, sum(self.tally.reach(0.95)) / 2)
        errors = np.maximum(errors * (reach / half if half else 1.0), 1e-9)
        above = float(ndtr((self.value - margin) / errors).mean())
        below = float(ndtr((-margin - self.value) / errors).mean())
        return above, max(0.0, 1 - above - below), below


def _tails(distance: float, errors: Vector) -> float:
    """Return the chance of being off by more than `distance`, of equally probable errors."""
    return float(2 * ndtr(-distance / np.maximum(errors, 1e-300)).mean())


def differences(gaps: Iterable[Estimate], margin: float, confidence: float) -> list[Claim]:
    """Return what can be said of each gap: "clear", "none" or "unclear".

    "clear": whichever model is ahead, the gap is larger than `margin` points; "none": it is smaller
    (equivalence, by two one-sided tests: Schuirmann 1987, Journal of Pharmacokinetics and
    Biopharmaceutics 15). Alone, a gap is clear where its interval lies outside of the margin, and
    none where it lies within. Of many gaps some would be told so by chance; so what is said is
    held to a false discovery rate over all of `gaps` (Benjamini and Hochberg 1995, Journal of the
    Royal Statistical Society B 57(1)): of all claims at most half of 1 - `confidence` are expected
    to be wrong, as each claim also names a side (Benjamini and Yekutieli 2005, Journal of the
    American Statistical Association 100).
    """
    gaps = list(gaps)
    if not gaps:
        return []
    claims: list[Claim] = ["none" if abs(gap.value) <= margin else "clear" for gap in gaps]
    # The nearer end of the margin is the one that decides.
    chances = [gap.chance(math.copysign(margin, gap.value)) for gap in gaps]
    adjusted = false_discovery_control(chances, method="bh")
    return [
        claim if chance <= 1 - confidence else "unclear"
        for claim, chance in zip(claims, adjusted, strict=True)
    ]


def confidence_to_tell(claims: Sequence[str], confidence: float) -> float:
    """Return the confidence (0..1) at which one more gap would be told apart from the margin.

    An interval of this confidence that leaves out the margin adds one claim. `claims` are the words
    of `differences`; those of all other gaps stay as they are. Where k of m gaps are told apart,
    the next may have a chance of at most (1 - confidence) (k + 1) / m: step k + 1 of the procedure
    of Benjamini and Hochberg.
    """
    claimed = sum(claim != "unclear" for claim in claims)
    return 1 - (1 - confidence) * (claimed + 1) / len(claims)
