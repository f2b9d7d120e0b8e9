"""With how many labels each model reaches a target, with what risk, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from gap.results.curves import Measured, Vector, fit_curve, grid
from gap.results.rows import Row
from gap.study.metrics import MetricName

EVEN = 0.5
# How many times as many labels are bought for at most before it is measured again, which says more
# than a forecast: until the target is as likely reached as not, and from there on. Chosen on one
# half of real curves, judged on the other by benchmarks/label_buying.py.
LARGEST_STEP, LAST_STEP = 1.5, 1.1


@dataclass(frozen=True)
class TargetRow(Row):
    """With how many labels a model reaches the target of a metric, and at what price.

    `value` is the metric at the `largest` number of labels that was measured, `reached` the chance
    (0..1) that it is at the target there; both it and `target` are told times 100. With `even`
    labels that chance is a half, with `sure` labels it is 1 - `risk`; None where no forecast
    reaches so far (gap.results.curves.REACH). `next` is with how many labels to measure first,
    `largest` where it is reached already, None where no forecast tells; `next_reached` is the
    chance with so many. There are `pool` labels to train on. Prices are in the money of the config:
    of the labels that are missing to `sure` and to `next`, of a training with `sure` labels, and of
    answers for a thousand texts; None where they are not known.
    """

    metric: MetricName
    target: float
    risk: float
    largest: int
    value: float
    reached: float
    even: float | None
    sure: float | None
    pool: int
    next: int | None
    next_reached: float | None
    labels_price: float | None
    next_price: float | None
    training_price: float | None
    texts_price: float | None


def first_with(n: Vector, values: Vector, level: float) -> float:
    """Return the first n with which `values` (sizes,) are at a level; infinite where none are.

    Between two sizes they lie on a line over the logarithm of n.
    """
    there = values >= level
    if not there.any():
        return math.inf
    place = int(np.argmax(there))
    if place == 0:
        return float(n[0])
    before, after = values[place - 1 : place + 1]
    logs = np.log(n[place - 1 : place + 1])
    return float(np.exp(logs[0] + (level - before) / (after - before) * (logs[1] - logs[0])))


class Attainment(NamedTuple):
    """The chance (0..1) that a model's metric is at the target, at each of the sizes n."""

    n: Vector
    chances: Vector

    def first(self, chance: float) -> float:
        """Return the first number of labels with this chance; infinite where it is not reached."""
        return first_with(self.n, self.chances, chance)

    def at(self, n: float) -> float:
        """Return the chance with n labels."""
        return float(np.interp(np.log(n), np.log(self.n), self.chances))


def attainment(measured: Measured, row_variance: float, target: float) -> Attainment:
    """Return the chances of a model, from what was measured of it at three sizes or more.

    `row_variance` is what test rows give the metric, in points squared, at all sizes alike.
    """
    n = grid(measured.n.tolist())
    curve = fit_curve(measured, n)
    errors = np.sqrt(curve.variances + row_variance)
    return Attainment(n, np.asarray(ndtr((curve.values - target) / errors)))


def next_labels(attainable: Attainment, labels: int, risk: float) -> int | None:
    """Return with how many labels to measure a model next, of which there are `labels` now.

    With so many that the target is as likely reached as not, or, where it is already, that it is
    surely reached but for the risk; no more than a step from where it was measured. `labels` where
    that is so now; None where no forecast comes to it.
    """
    chance = attainable.at(labels)
    if chance >= 1 - risk:
        return labels
    later = Attainment(*(values[attainable.n > labels] for values in attainable))
    wanted = later.first(1 - risk if chance >= EVEN else EVEN)
    if chance < EVEN and math.isinf(wanted):
        return None
    return math.ceil(min(wanted, labels * (LAST_STEP if chance >= EVEN else LARGEST_STEP)))


def seconds_with(seconds: Mapping[int, float], n: float) -> float | None:
    """Return what a training with n labels takes, from what others of the model took, by n.

    Between two sizes it lies on a line over logarithms; beyond the largest it grows as n does.
    """
    if not seconds:
        return None
    sizes = sorted(seconds)
    if n >= sizes[-1]:
        return seconds[sizes[-1]] * n / sizes[-1]
    logs = np.log([max(seconds[size], 1e-6) for size in sizes])
    return float(np.exp(np.interp(np.log(n), np.log(sizes), logs)))
