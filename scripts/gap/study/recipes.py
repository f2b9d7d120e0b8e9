"""What a config may say: typed, with a sentence, bounds and a default for each key.

Each class is one block of a config. A family of models adds the class of its own recipe, see
`gap.models.family`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

Name = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description=(
            "A name of letters, digits, dots, hyphens and underscores, as file names have it."
        ),
    ),
]
Text = Annotated[str, Field(min_length=1)]


class Block(BaseModel):
    """A block of a config: keys that are not known are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tuned:
    """Marks a value that may be a list of values to try, each once.

    The annotation is that of a single value, which is what a trial has; before its trials are told
    apart, a recipe may hold a list (see `gap.study.tuning`).
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema of one value, or of a list of them."""
        value = handler(source)
        return core_schema.union_schema([value, core_schema.list_schema(value, min_length=1)])


class Completed:
    """Gives keys of a block that a config leaves out the values that they have in one place."""

    def __init__(self, **defaults: Any) -> None:
        self.defaults = defaults

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema of the block, of which missing keys are filled in before."""
        return core_schema.no_info_before_validator_function(self.complete, handler(source))

    def complete(self, given: Any) -> Any:
        """Return the keys that are given, and defaults for the others."""
        return self.defaults | given if isinstance(given, dict) else given


class Validation(Block):
    """How many rows of each size are held out to choose weights and settings."""

    share: float = Field(0.2, gt=0, lt=1, description="Share of the size.")
    min: int = Field(20, ge=1, description="Rows at least.")
    max: int = Field(2000, ge=1, description="Rows at most.")


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
    device_batch_size: int | None = Field(
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

    title: Text | None = Field(
        None, description="Name in charts and tables; left out, the name in model_zoo."
    )
    seeds: list[int | str] | None = Field(
        None, description="Blocks of seeds of this model; left out, those of the study."
    )
