"""What of a config decides the results of the steps that come before training: their recipes."""

from __future__ import annotations

from pydantic import Field

from gap.study.fields import Block, Name
from gap.study.recipes import Keep, MaxTokens, Rows, Validation


class PrepareRecipe(Rows):
    """What decides the rows of a data set; where they come from is an input."""

    name: Name = Field(description="Name of the data set, for messages.")
    test: str | None = Field(
        None, description='Rows of the test set to draw ("5000" or "10%"); none for a given one.'
    )


class SubsampleRecipe(Block):
    """How many rows of the pool a run may see, and how many of them are for validation."""

    size: str = Field(description='Rows, or a share of the pool ("250" or "10%").')
    validation: Validation


class EncodeRecipe(Block):
    """How many tokens of each text a model may see, and which."""

    max_tokens: MaxTokens
    keep: Keep
