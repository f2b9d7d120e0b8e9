"""The metrics that gaps may be of, and how gaps are judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from gap.study.fields import Block, Listed, Unit

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


class Gap(Block):
    """How gaps are judged."""

    example: ClassVar[str] = """\
metric: [macro_f1, accuracy]
margin: 0.5
confidence: 0.9
"""

    metric: Annotated[list[MetricName], Field(min_length=1), Listed()] = Field(
        ["accuracy"],
        description=(
            "What gaps, charts, verdict and forecasts are of, told times 100 and so that more is "
            "better. Of several, the first decides, and the report shows the others."
        ),
    )
    margin: Annotated[float, Unit("percentage points")] = Field(
        1.0,
        gt=0,
        le=100,
        description="Percentage points under which a gap, whichever way, counts as none.",
    )
    confidence: Annotated[float, Unit("share")] = Field(
        0.95, gt=0, lt=1, description="Coverage of the intervals, a share."
    )
