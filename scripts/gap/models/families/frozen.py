"""Logistic regression on the states of a pretrained encoder that stays as it is."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gap.study.fields import Completed, Name
from gap.study.recipes import LogisticRegression, ModelRecipe

DEFAULTS = Completed(standardise=True, inverse_regularisation=[0.0001, 0.001, 0.01, 0.1, 1.0])


class Recipe(ModelRecipe):
    """Logistic regression on the states of a pretrained encoder that stays as it is."""

    example: ClassVar[str] = """\
family: frozen
title: MiniLM as it is
seeds: [1-3]
checkpoint: minilm
pooling: max
optimisation: {inverse_regularisation: 0.1}
"""

    by_gradient_descent: ClassVar[bool] = False
    also_spelled: ClassVar[dict[str, object]] = {"family": "transformer", "frozen": True}

    family: Literal["frozen"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    pooling: Literal["mean", "max", "first"] = Field(
        "mean",
        description="How a text becomes one vector: the mean or max over its tokens, or its first.",
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How the head is fitted."
    )
