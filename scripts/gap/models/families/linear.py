"""Logistic regression on the TF-IDF of words and phrases."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gap.study.fields import Completed, Tuned, Unit
from gap.study.recipes import LogisticRegression, ModelRecipe

DEFAULTS = Completed(standardise=False, inverse_regularisation=[0.1, 1.0, 10.0, 100.0])


class Recipe(ModelRecipe):
    """Logistic regression on the TF-IDF of words and phrases."""

    example: ClassVar[str] = """\
family: linear
title: Words and phrases
seeds: [1-5]
longest_phrase: [1, 2, 3]
min_texts: 2
max_features: 50000
optimisation: {inverse_regularisation: [1.0, 10.0]}
"""

    by_gradient_descent: ClassVar[bool] = False

    family: Literal["linear"] = Field(description="The kind of model.")
    longest_phrase: Annotated[int, Tuned(), Unit("words")] = Field(
        2, ge=1, le=10, description="Words of the longest phrases that are counted."
    )
    min_texts: Annotated[int, Tuned(), Unit("texts")] = Field(
        1, ge=1, description="Texts at least that a phrase stands in."
    )
    max_features: Annotated[int, Tuned(), Unit("phrases")] = Field(
        200_000, ge=1, description="Phrases at most."
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How it is fitted."
    )
