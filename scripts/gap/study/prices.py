"""What a model has to reach, and what labels, training and answers cost."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gap.study.fields import Block, Omittable, Unit
from gap.study.metrics import MetricName

# Shares, which some would write, are below 1.
Percent = Annotated[Omittable[float], Field(gt=1, lt=100), Unit("percent")]


class Target(Block):
    """What a model has to reach: one metric, told times 100."""

    example: ClassVar[str] = """\
macro_f1: 72.5
risk: 0.2
"""

    accuracy: Percent = Field(None, description="The accuracy to reach.")
    macro_f1: Percent = Field(None, description="The macro-F1 to reach.")
    balanced_accuracy: Percent = Field(None, description="The balanced accuracy to reach.")
    mcc: Percent = Field(None, description="The Matthews correlation to reach, times 100.")
    auroc: Percent = Field(None, description="The area under the ROC curve to reach.")
    risk: Annotated[float, Unit("share")] = Field(
        0.1, gt=0, lt=0.5, description="The chance of missing the target that is taken."
    )

    @property
    def aims(self) -> dict[MetricName, float]:
        """The metrics that are named, with what is to be reached."""
        named: dict[MetricName, float | None] = {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "balanced_accuracy": self.balanced_accuracy,
            "mcc": self.mcc,
            "auroc": self.auroc,
        }
        return {metric: value for metric, value in named.items() if value is not None}


class Costs(Block):
    """Prices, all in the same money."""

    example: ClassVar[str] = """\
label: 0.20
training_hour: 1.10
thousand_texts: 0.01
"""

    label: float = Field(0.0, ge=0, description="Price of a labelled example.")
    training_hour: float = Field(0.0, ge=0, description="Price of an hour of training.")
    thousand_texts: float = Field(
        0.0,
        ge=0,
        description=(
            "Price of answers for a thousand texts by the reference; those of other models cost "
            "as much more or less as they take more or less time."
        ),
    )
