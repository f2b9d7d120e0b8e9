"""What the gaps on several data sets say together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Vector = NDArray[np.float64]
# Standard deviations of true gaps between data sets that are thought of, in points. Their prior is
# half of Student's t with so many degrees of freedom and this scale: data sets differ by some
# points, and sometimes by many.
SPREADS = np.concatenate([[0.0], np.geomspace(0.05, 50.0, 80)])
TYPICAL_SPREAD, FREEDOM = 5.0, 4


@dataclass(frozen=True)
class JointGap:
    """The mean gap over data sets such as these, with its interval, in points.

    `spread` is the expected standard deviation of true gaps between data sets; `ahead`, `within`
    and `behind` are the chances (0..1) that the mean is above the margin, within it, and below.
    """

    value: float
    low: float
    high: float
    spread: float
    ahead: float
    within: float
    behind: float


def joint_gap(gaps: Vector, errors: Vector, margin: float, confidence: float) -> JointGap:
    """Return what gaps with these standard errors, both (data sets,), say together.

    True gaps are normal around the mean, whose prior is flat, and estimates are normal around them;
    sums are over a grid of spreads (Rubin 1981, Journal of Educational Statistics 6; the prior of
    the spread as in Gelman 2006, Bayesian Analysis 1).
    """
    variances = np.square(errors)[:, None] + np.square(SPREADS)
    precisions = 1 / np.maximum(variances, 1e-9)
    total = precisions.sum(axis=0)
    means = (precisions * gaps[:, None]).sum(axis=0) / total
    logs = -0.5 * (np.log(variances).sum(axis=0) + np.log(total))
    logs -= 0.5 * (precisions * (gaps[:, None] - means) ** 2).sum(axis=0)
    logs -= (FREEDOM + 1) / 2 * np.log1p(np.square(SPREADS / TYPICAL_SPREAD) / FREEDOM)
    shares = np.exp(logs - logs.max()) * np.gradient(SPREADS)
    shares /= shares.sum()
    deviations = np.sqrt(1 / total)

    def below(limit: float) -> float:
        return float(shares @ ndtr((limit - means) / deviations))

    tail = (1 - confidence) / 2
    reach = float(ndtri(1 - tail / 100)) * float(deviations.max())
    ends = float(means.min()) - reach, float(means.max()) + reach
    low, high = (brentq(lambda x, t=t: below(x) - t, *ends) for t in (tail, 1 - tail))
    over, under = 1 - below(margin), below(-margin)
    return JointGap(
        float(shares @ means),
        float(low),
        float(high),
        float(shares @ SPREADS),
        over,
        max(0.0, 1 - over - under),
        under,
    )
