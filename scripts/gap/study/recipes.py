"""What a config may say: typed, with a sentence, bounds and a default for each key.

Each class is one block of a config. A family of models adds the class of its own recipe, see
`gap.models.family`. The order of keys in a class is the one in which they are checked and shown.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

from gap.run.errors import UserError
from gap.study.fields import (
    Omittable,
    SeedBlocks,
    Text,
    Tuned,
)


class Block(BaseModel):
    """A block of a config: keys that are not known are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the block that a recipe on a command line gives; UserError for any other text."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise UserError(f"recipe: {' '.join(str(error).split())}") from None

    def plain(self) -> dict[str, object]:
        """Return the keys that have a value, as JSON has them: what a recipe is made from."""
        return self.model_dump(mode="json", exclude_none=True)


# ---------------------------------------------------------------- models


class GradientDescent(Block):
    """Settings of AdamW; keys without a default here have one with the family."""

    lr: Annotated[float, Tuned()] = Field(gt=0, le=1, description="Peak learning rate.")
    lr_schedule: Annotated[Literal["linear", "cosine", "constant_with_warmup"], Tuned()] = Field(
        "linear", description="Course of the learning rate after the warm-up."
    )
    warmup: Annotated[float, Tuned()] = Field(
        ge=0, le=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: Annotated[float, Tuned()] = Field(0.01, ge=0, description="Weight decay.")
    max_grad_norm: Annotated[float, Tuned()] = Field(
        1.0, gt=0, description="Norm to which gradients are clipped."
    )
    batch_size: Annotated[int, Tuned()] = Field(32, ge=1, description="Examples per step.")
    device_batch_size: Omittable[int] = Field(
        None,
        ge=1,
        description=(
            "Examples that a device takes at once; left out, all of its share of batch_size. Less "
            "saves memory, and changes results by rounding only."
        ),
    )
    max_epochs: Annotated[float, Tuned()] = Field(
        gt=0, description="Passes through the training rows at most."
    )
    min_steps: int = Field(
        ge=1,
        description="Steps of the schedule at least, for which few rows are passed more often.",
    )
    evaluations: int = Field(
        ge=1, description="Evaluations on the validation rows over the schedule."
    )
    patience: int = Field(
        ge=1, description="Evaluations without a better one after which training stops."
    )
    metric: Literal["loss", "accuracy"] = Field(
        "accuracy",
        description=(
            "Validation metric that chooses a training's weights; its loss chooses a trial."
        ),
    )


class LogisticRegression(Block):
    """Regularised fit; keys without a default here have one with the family."""

    standardise: bool = Field(description="Scale each feature to unit spread first.")
    inverse_regularisation: Annotated[float, Tuned()] = Field(
        gt=0, description="Inverse strength of the regularisation (scikit-learn's C)."
    )
    max_iterations: int = Field(1000, ge=1, description="Iterations of the solver at most.")


class ModelRecipe(Block):
    """What every family's recipe has."""

    # Whether weights are found by gradient descent, which depends on settings; the others are
    # logistic regressions, whose one solution is found for each trial.
    by_gradient_descent: ClassVar[bool] = True
    # Another spelling of the family, which is part of a config: {"family": ..., "frozen": true}.
    also_spelled: ClassVar[dict[str, object]] = {}

    family: str = Field(description="The kind of model.")
    title: Omittable[Text] = Field(
        None, description="Name in charts and tables; left out, the name in model_zoo."
    )
    seeds: SeedBlocks = Field(
        [], description="Blocks of seeds of this model; left out, those of the study."
    )
    trials: SkipJsonSchema[int] = Field(
        1, ge=1, description="Settings that a run tries; the study gives it, never a config."
    )
    optimisation: GradientDescent | LogisticRegression

    def check(self, where: str) -> None:
        """Raise UserError, which begins with `where`, for keys that do not go together."""

    def name_in(self, zoo: Literal["checkpoint_zoo", "vocabulary_zoo"]) -> str | None:
        """Return the name of the checkpoint or vocabulary that the model uses; None without one."""
        return getattr(self, zoo.removesuffix("_zoo"), None)

    def deciding(self) -> dict[str, object]:
        """Return what decides the model's results: all but its seeds and its name in charts."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"seeds", "title"})
