"""A pretrained checkpoint with a new classification head, all of its weights trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gap.study.recipes import Completed, GradientDescent, ModelRecipe, Name

DEFAULTS = Completed(lr=5.0e-5, warmup=0.1, max_epochs=3, min_steps=100, evaluations=4, patience=4)


class Recipe(ModelRecipe):
    """A pretrained checkpoint with a new classification head, all weights trained."""

    family: Literal["transformer"]
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    optimisation: Annotated[GradientDescent, DEFAULTS] = Field(
        {}, validate_default=True, description="How the weights are trained."
    )
