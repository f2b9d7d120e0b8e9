"""What more seeds or test rows would tell of a gap, and how small a gap a study can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

# A gap counts as one that a study can tell where so many studies of its kind tell it.
POWER = 0.8
NORMAL = NormalDist()


def quantile(confidence: float) -> float:
    """Return half the width of a normal interval of this confidence (0..1), in standard errors."""
    return NORMAL.inv_cdf((1 + confidence) / 2)


@dataclass(frozen=True)
class Outlook:
    """What the estimate of a gap is expected to come to with other seeds and test rows.

    The gap is `value` points; `seeds` seeds and `rows` test rows give it the standard errors
    (points) `seed_error` and `row_error`. It is told apart from a margin when it is further from it
    than `reach` standard errors.
    """

    value: float
    seed_error: float
    row_error: float
    seeds: float
    rows: int
    reach: float

    def error(self, seeds: float, rows: float) -> float:
        """Return the standard error with so many seeds and test rows, in points.

        Each part of the variance falls with the number of what it comes from.
        """
        of_seeds = self.seed_error * math.sqrt(self.seeds / seeds)
        return math.hypot(of_seeds, self.row_error * math.sqrt(self.rows / rows))

    def chance_to_decide(self, margin: float, seeds: float, rows: float) -> float:
        """Return the chance (0..1) that the gap is told apart from `margin` with so many of both.

        The later estimate is expected where today's is, with the variance that the new seeds and
        rows take away (the predictive distribution under a flat prior: Spiegelhalter and Freedman
        1986, Statistics in Medicine 5).
        """
        before, after = self.error(self.seeds, self.rows), self.error(seeds, rows)
        spread = math.sqrt(max(0.0, before**2 - after**2))
        return chance_to_tell(self.value, spread, margin, self.reach * after)

    def smallest_told(self, margin: float) -> float:
        """Return the smallest true gap in points that is told to be larger than `margin`.

        By POWER of the studies with these seeds and test rows.
        """
        error = self.error(self.seeds, self.rows)
        return margin + (self.reach + NORMAL.inv_cdf(POWER)) * error

    def chance_to_tell_none(self, margin: float) -> float:
        """Return the chance (0..1) that a true gap of zero is told to be within `margin`."""
        error = self.error(self.seeds, self.rows)
        room = margin - self.reach * error
        return 2 * NORMAL.cdf(room / error) - 1 if room > 0 else 0.0


def chance_to_tell(value: float, spread: float, margin: float, half: float) -> float:
    """Return the chance that a normal estimate is further from both ends of a margin than `half`.

    Its mean is `value`, its standard deviation `spread`, all in points.
    """
    estimate = NormalDist(value, max(spread, 1e-9))
    clear = 1 - estimate.cdf(margin + half) + estimate.cdf(-margin - half)
    room = margin - half
    none = estimate.cdf(room) - estimate.cdf(-room) if room > 0 else 0.0
    return clear + none
