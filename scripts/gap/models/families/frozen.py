"""Logistic regression on the states of a pretrained encoder that stays as it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gap.study.recipes import Completed, LogisticRegression, ModelRecipe, Name

DEFAULTS = Completed(standardise=True, inverse_regularisation=[0.0001, 0.001, 0.01, 0.1, 1.0])


class Recipe(ModelRecipe):
    """Logistic regression on the states of a pretrained encoder that stays as it is."""

    family: Literal["frozen"]
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    pooling: Literal["mean", "max", "first"] = Field(
        "mean",
        description="How a text becomes one vector: the mean or max over its tokens, or its first.",
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How the head is fitted."
    )
