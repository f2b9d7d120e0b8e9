"""The metrics of gap.study.metrics, each as a mean over test rows.

Each function takes the true labels (rows,) and natural-log probabilities (rows, labels) of a run.

A metric that is no mean over rows is told by its influence values: how much each row lifts or
lowers it (Hampel 1974, The influence curve and its role in robust estimation, Journal of the
American Statistical Association 69). Their mean is 0, and the variance of their mean is that of the
metric. So intervals are made in one way for all metrics. All values are in points, hundredths of
the metric's own unit, and more is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gap.results.predictions import is_right
from gap.study.metrics import MetricName

Vector = NDArray[np.float64]
Labels = NDArray[np.int32]
LogProbabilities = NDArray[np.float32]
# The log of the smallest normal float32: a probability of zero costs much, but not infinity.
LOWEST_LOG_PROBABILITY = float(np.log(np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class RowValues:
    """A run's metric: `level` plus the mean of `values` (rows,), in points.

    Without a level the metric is a share: a row adds `largest` or nothing. A row of another kind
    than those that were seen changes its own value by at most `largest`.
    """

    values: NDArray[np.float32]
    level: float | None
    largest: float

    @property
    def metric(self) -> float:
        """The metric, in points."""
        return (self.level or 0.0) + float(self.values.mean(dtype=np.float64))


def share_of(right: NDArray[np.bool_]) -> RowValues:
    """Return the values of rows of which some are right: 100 points or none."""
    return RowValues(np.float32(100) * right, None, 100.0)


def accuracy(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return which rows are right: 100 points or none."""
    return share_of(is_right(labels, scores))


def log_loss(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return minus the loss of each row, in hundredths of a nat.

    A row that was not seen is taken to differ by as much as a guess from a certain answer.
    """
    of_truth = scores[np.arange(len(labels)), labels].astype(np.float64)
    losses = 100 * np.maximum(of_truth, LOWEST_LOG_PROBABILITY)
    level = float(losses.mean())
    return RowValues(
        (losses - level).astype(np.float32), level, 100 * math.log(max(2, scores.shape[1]))
    )


def auroc(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return the area under the ROC curve: the mean of each label's against all others.

    A row's value is how often it stands on the right side of rows of the other side (DeLong, DeLong
    and Clarke-Pearson 1988, Biometrics 44). Of two labels both areas are the same. Labels that no
    row or every row has are left out; where none is left, the area is 50.
    """
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    sides = [(label, labels == label) for label in classes]
    areas = [_area(side, scores[:, label]) for label, side in sides if 0 < side.sum() < len(labels)]
    if not areas:
        return RowValues(np.zeros(len(labels), dtype=np.float32), 50.0, 100.0)
    influence = 100 * np.mean([by_row for by_row, _ in areas], axis=0)
    shares = np.bincount(labels, minlength=scores.shape[1]) / len(labels)
    rarest = min(min(share, 1 - share) for share in shares if 0 < share < 1)
    level = 100 * float(np.mean([area for _, area in areas]))
    return RowValues(influence.astype(np.float32), level, 100 / (len(areas) * rarest))


def _area(positive: NDArray[np.bool_], scores: LogProbabilities) -> tuple[Vector, float]:
    """Return the influence of each row on the area under one label's curve, and the area."""
    ranks = rankdata(scores)
    count, rest = int(positive.sum()), int((~positive).sum())
    placed = np.empty(len(scores))
    placed[positive] = (ranks[positive] - rankdata(scores[positive])) / rest
    placed[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / count
    area = float(placed[positive].mean())
    share = np.where(positive, count, rest) / len(scores)
    return (placed - area) / share, area


@dataclass(frozen=True)
class Confusion:
    """Shares of test rows by true and by top label, `table` (labels, labels)."""

    table: Vector

    @property
    def right(self) -> Vector:
        """The share of rows that have a label and get it, (labels,)."""
        return np.asarray(np.diag(self.table))

    @property
    def truth(self) -> Vector:
        """The share of rows that have a label, (labels,)."""
        return np.asarray(self.table.sum(axis=1))

    @property
    def top(self) -> Vector:
        """The share of rows that get a label, (labels,)."""
        return np.asarray(self.table.sum(axis=0))


def macro_f1(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return the plain mean of F1 over the labels that occur among truths or predictions."""

    def gradient(confusion: Confusion) -> tuple[float, Vector]:
        occurrences = confusion.truth + confusion.top
        seen = occurrences > 0
        safe = np.where(seen, occurrences, 1.0)
        f1 = 2 * confusion.right / safe
        fall = np.where(seen, f1 / safe, 0.0)
        slopes = np.diag(2 / safe) - fall[:, None] - fall[None, :]
        return float(f1[seen].mean()), slopes / seen.sum()

    return _by_confusion(labels, scores, gradient)


def balanced_accuracy(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return the plain mean of recall over the labels that test rows have."""

    def gradient(confusion: Confusion) -> tuple[float, Vector]:
        seen = confusion.truth > 0
        safe = np.where(seen, confusion.truth, 1.0)
        recall = confusion.right / safe
        slopes = (np.eye(len(safe)) - recall[:, None]) / safe[:, None]
        return float(recall[seen].mean()), np.where(seen[:, None], slopes, 0.0) / seen.sum()

    return _by_confusion(labels, scores, gradient)


def matthews(labels: Labels, scores: LogProbabilities) -> RowValues:
    """Return the Matthews correlation coefficient of any number of labels.

    Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient,
    Computational Biology and Chemistry 28. It is 0 where all rows have or get one label; its slope
    is infinite there, so slopes are those with one row more, spread evenly.
    """
    rows, count = len(labels), scores.shape[1]

    def gradient(confusion: Confusion) -> tuple[float, Vector]:
        value, _ = _correlation(confusion)
        even = np.full((count, count), 1 / count**2)
        return value, _correlation(Confusion((rows * confusion.table + even) / (rows + 1)))[1]

    return _by_confusion(labels, scores, gradient)


def _correlation(confusion: Confusion) -> tuple[float, Vector]:
    """Return the Matthews correlation and its slopes, both 0 where it has none."""
    truth, top = confusion.truth, confusion.top
    spreads = 1 - float(top @ top), 1 - float(truth @ truth)
    if min(spreads) < 1e-12:
        return 0.0, np.zeros_like(confusion.table)
    scale = math.sqrt(spreads[0] * spreads[1])
    value = (float(confusion.right.sum()) - float(truth @ top)) / scale
    slopes = (np.eye(len(truth)) - top[:, None] - truth[None, :]) / scale
    slopes += value * (top[None, :] / spreads[0] + truth[:, None] / spreads[1])
    return value, slopes


def _by_confusion(
    labels: Labels,
    scores: LogProbabilities,
    gradient: Callable[[Confusion], tuple[float, Vector]],
) -> RowValues:
    """Return the influence of rows on a function of the confusion matrix.

    `gradient` returns the metric and its slopes (labels, labels) for shares by true and top label.
    A label that no row gets has no influence seen; `largest` is what one such row would change.
    """
    count, top = scores.shape[1], scores.argmax(axis=1)
    pairs = np.bincount(labels.astype(np.int64) * count + top, minlength=count**2)
    table = pairs.reshape(count, count) / len(labels)
    value, slopes = gradient(Confusion(table))
    by_row = slopes[labels, top] - float((table * slopes).sum())
    occurring = slopes[table.sum(axis=1) > 0]
    steps = occurring.max(axis=1) - occurring.min(axis=1)
    return RowValues((100 * by_row).astype(np.float32), 100 * value, 100 * float(steps.max()))


ROW_VALUES: dict[MetricName, Callable[[Labels, LogProbabilities], RowValues]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "balanced_accuracy": balanced_accuracy,
    "mcc": matthews,
    "auroc": auroc,
    "log_loss": log_loss,
}
