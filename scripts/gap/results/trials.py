"""What tuning is worth: how good the chosen one of fewer trials would have been."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gap.results.rows import TrialRow


def expected_best(values: Sequence[float], budget: int) -> float:
    """Return the value that the best of `budget` trials is expected to have, 1 to all of them.

    `values` are those of all trials, from the best trial to the worst. It is the mean over all
    subsets of so many trials: the one with i better ones is the best of C(n - 1 - i, budget - 1) of
    the C(n, budget). That is the expected validation performance of Dodge et al. 2019 (Show Your
    Work: Improved Reporting of Experimental Results, EMNLP) in the unbiased form of Tang et al.
    2020 (Showing Your Work Doesn't Always Work, ACL): a trial is not drawn twice, as in the search
    itself, so that all of the trials come to the best of them. Drawn with replacement, as in the
    former, they are expected to come to less.
    """
    rest = len(values) - 1
    subsets = math.comb(len(values), budget)
    shares = (math.comb(rest - place, budget - 1) / subsets for place in range(len(values)))
    return math.fsum(share * value for share, value in zip(shares, values, strict=True))


def training_seconds(trials: Iterable[TrialRow]) -> dict[tuple[str, str, str], float]:
    """Return the seconds of one seed's training with all of its trials, the mean over seeds.

    By data set, model and size.
    """
    seconds: dict[tuple[str, str, str], float] = defaultdict(float)
    seeds: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for row in trials:
        seconds[row.dataset, row.model, row.size] += row.seconds
        seeds[row.dataset, row.model, row.size].add(row.seed)
    return {cell: total / len(seeds[cell]) for cell, total in seconds.items()}


def budgets(trials: int) -> list[int]:
    """Return the numbers of trials to tell of: 1, 2, 4 and so on, and all."""
    return [*(1 << power for power in range((trials - 1).bit_length())), trials]
