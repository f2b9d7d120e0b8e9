"""The metrics that gaps may be of. gap.results.row_values computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

MetricName = Literal["accuracy", "macro_f1", "balanced_accuracy", "mcc", "auroc", "log_loss"]


@dataclass(frozen=True)
class Metric:
    """How a metric is called in a sentence and on a chart, and the ends of what it can be.

    It is told times 100, and so that more is better.
    """

    title: str
    axis: str
    lowest: float = 0.0
    highest: float = 100.0


METRICS: dict[MetricName, Metric] = {
    "accuracy": Metric("accuracy", "Accuracy (%)"),
    "macro_f1": Metric("macro-F1", "Macro-F1 (%)"),
    "balanced_accuracy": Metric("balanced accuracy", "Balanced accuracy (%)"),
    "mcc": Metric("Matthews correlation", "Matthews correlation (x 100)", -100.0),
    "auroc": Metric("area under the ROC curve", "Area under the ROC curve (%)"),
    "log_loss": Metric("negative log loss", "Negative log loss (0.01 nats)", -math.inf, 0.0),
}
assert tuple(METRICS) == get_args(MetricName)
