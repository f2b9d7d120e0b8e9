"""A pretrained checkpoint with a new classification head, all of its weights trained."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gap.study.fields import Completed, Name
from gap.study.recipes import GradientDescent, ModelRecipe

DEFAULTS = Completed(lr=5.0e-5, warmup=0.1, max_epochs=3, min_steps=100, evaluations=4, patience=4)


class Recipe(ModelRecipe):
    """A pretrained checkpoint with a new classification head, all weights trained."""

    example: ClassVar[str] = """\
family: transformer
title: MiniLM fine-tuned
seeds: [1-3]
checkpoint: minilm
optimisation: {lr: 2.0e-5}
"""

    family: Literal["transformer"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    frozen: Literal[False] = Field(
        False,
        exclude=True,
        description="Whether the encoder stays as it is; true is read as family: frozen.",
    )
    optimisation: Annotated[GradientDescent, DEFAULTS] = Field(
        {}, validate_default=True, description="How the weights are trained."
    )
