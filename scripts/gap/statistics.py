"""Accuracies and gaps with intervals, over seeds and test examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from gap.cli import UserError

Correct = Mapping[int, NDArray[np.bool_]]
# Resampled row numbers held at once: 4 MB of int64, which stays in a core's cache.
RESAMPLED_AT_ONCE = 500_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, in percent or percentage points, and the seeds it rests on."""

    value: float
    low: float
    high: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: their confidence (0..1), the number of resamples, the random seed."""

    confidence: float
    resamples: int
    seed: int


def accuracy(correct: Correct, resampling: Resampling) -> Estimate:
    """Return a model's mean accuracy in percent; `correct` is {seed: (rows,)}."""
    return _estimate(np.stack([correct[seed] for seed in sorted(correct)]), correct, resampling)


def gap(reference: Correct, model: Correct, resampling: Resampling) -> Estimate:
    """Return reference accuracy minus model accuracy in percentage points, paired.

    Both are {seed: (rows,)}; the mean is over the seeds that both have, and a resample takes the
    same seeds and test rows from both. Raises UserError where no seed is shared or the numbers of
    test rows differ.
    """
    seeds = sorted(reference.keys() & model.keys())
    if not seeds:
        raise UserError(
            f"no seed in common: the reference has {_listed(reference)}, the model has "
            f"{_listed(model)}; expected at least one shared seed; give both the same first seeds"
        )
    rows = {len(values[seed]) for values in (reference, model) for seed in seeds}
    if len(rows) > 1:
        raise UserError(
            f"test sets of different length, {sorted(rows)} rows; expected one test set per data "
            "set; run predict again for the older file"
        )
    pairs = [reference[seed].astype(np.int8) - model[seed].astype(np.int8) for seed in seeds]
    return _estimate(np.stack(pairs), seeds, resampling)


def within_margin(estimate: Estimate, margin: float) -> str:
    """Return whether a gap is at most `margin` points: by its interval "yes", "no" or "unclear"."""
    if estimate.high <= margin:
        return "yes"
    return "no" if estimate.low > margin else "unclear"


def crossed_interval(
    values: NDArray[np.integer[Any] | np.bool_], resampling: Resampling
) -> tuple[float, float]:
    """Return the percentile interval of the mean of `values`, shape (seeds, test rows).

    Crossed ("pigeonhole") bootstrap: seeds and test rows are resampled independently, and each
    pair of a drawn seed and a drawn row counts (Owen 2007, The pigeonhole bootstrap, Annals of
    Applied Statistics 1(2)). The part of single seed-row pairs is counted about twice, so the
    interval is a little wide where seeds differ little. The variance among S seeds comes out
    (S - 1) / S of its size, a half with 2: there the seed part is a rough guide and too narrow.
    Simulated with 2,000 rows, a true gap of 10 points lay within the 95 % interval for 2, 3, 5 and
    10 seeds in 96, 98, 98 and 99 % of 300 studies where the gap varied between seeds by 1 point
    (standard deviation), and in 84, 89, 91 and 90 % where it varied by 3. With 1 seed the interval
    covers test rows only: 86 and 52 %. Every call starts from `resampling.seed`: equal test sets
    meet equal draws, and one model's interval does not depend on the others in a study.
    """
    seeds, rows = values.shape
    result = bootstrap(
        (_indices(seeds), _indices(rows)),
        _crossed_mean(values),
        n_resamples=resampling.resamples,
        batch=max(1, RESAMPLED_AT_ONCE // rows),
        vectorized=True,
        confidence_level=resampling.confidence,
        method="percentile",
        rng=np.random.default_rng(resampling.seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _crossed_mean(values: NDArray[Any]) -> Callable[..., NDArray[np.float64]]:
    """Return the statistic: seed and row indices, shape (..., drawn), to means, shape (...)."""
    rows = values.shape[1]
    # Sums of small integers are exact in float32 up to 2**24, whatever order BLAS adds them in.
    dtype: type[np.floating[Any]] = np.float32 if rows < 2**24 else np.float64
    by_row = np.ascontiguousarray(values.T, dtype=dtype)

    def statistic(seed_draws: Any, row_draws: Any, axis: int = -1) -> NDArray[np.float64]:
        draws = row_draws.reshape(-1, row_draws.shape[axis])
        offsets = rows * np.arange(len(draws))[:, None]
        counts = np.bincount((draws + offsets).ravel(), minlength=rows * len(draws))
        sums = counts.reshape(len(draws), rows).astype(dtype) @ by_row
        drawn = np.take_along_axis(sums, seed_draws.reshape(len(draws), -1), axis=1)
        means = drawn.mean(axis=1, dtype=np.float64) / draws.shape[1]
        return np.asarray(means.reshape(row_draws.shape[:-1]))

    return statistic


def _indices(count: int) -> NDArray[np.int64]:
    # scipy refuses a sample of one; the same index twice gives what one would: nothing to resample.
    return np.arange(count) if count > 1 else np.zeros(2, dtype=np.int64)


def _estimate(values: NDArray[Any], seeds: Any, resampling: Resampling) -> Estimate:
    low, high = crossed_interval(values, resampling)
    return Estimate(100 * float(values.mean()), 100 * low, 100 * high, tuple(sorted(seeds)))


def _listed(seeds: Correct) -> str:
    return "seeds " + ", ".join(map(str, sorted(seeds))) if seeds else "no seed"
