"""Figures that others published of a data set."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gap.study.fields import Block, Omittable, Unit
from gap.study.spellings import Name, Size, Text


class PublishedFigure(Block):
    """A published figure; no result is made from it."""

    example: ClassVar[str] = """\
- model: lstm
  size: 100%
  accuracy: 91.8
  source: "Maas et al. 2011, table 2"
  note: Read off a chart.
"""

    model: Name = Field(description="Name in model_zoo of the model that it is shown beside.")
    size: Size = Field(
        description="Label budget of the figure; a share is a share of the data behind the figure."
    )
    accuracy: Annotated[float, Unit("percent")] = Field(
        ge=0, le=100, description="Test texts that were labelled rightly, in percent."
    )
    source: Text = Field(description="Where it is published.")
    note: Omittable[Text] = Field(None, description="How it is known.")
