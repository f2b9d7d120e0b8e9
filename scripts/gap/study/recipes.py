"""What a config may say: typed, with a sentence, bounds and a default for each key.

Each class is one block of a config. A family of models adds the class of its own recipe, see
`gap.models.family`. The order of keys in a class is the one in which they are checked and shown.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from gap.study.fields import Block, Omittable, Tuned, Unit
from gap.study.spellings import Names, SeedBlocks, Sizes, Text

# ---------------------------------------------------------------- models


class GradientDescent(Block):
    """Settings of AdamW; keys without a default here have one with the family."""

    example: ClassVar[str] = """\
lr: [5.0e-5, 1.0e-4]
lr_schedule: cosine
warmup: 0.06
weight_decay: 0.1
max_grad_norm: 0.5
batch_size: 16
device_batch_size: 8
max_epochs: 4
min_steps: 200
evaluations: 8
patience: 3
metric: loss
"""

    lr: Annotated[float, Tuned()] = Field(gt=0, le=1, description="Peak learning rate.")
    lr_schedule: Annotated[Literal["linear", "cosine", "constant_with_warmup"], Tuned()] = Field(
        "linear", description="Course of the learning rate after the warm-up."
    )
    warmup: Annotated[float, Tuned(), Unit("share")] = Field(
        ge=0, le=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: Annotated[float, Tuned()] = Field(0.01, ge=0, description="Weight decay.")
    max_grad_norm: Annotated[float, Tuned()] = Field(
        1.0, gt=0, description="Norm to which gradients are clipped."
    )
    batch_size: Annotated[int, Tuned(), Unit("examples")] = Field(
        32, ge=1, description="Examples per step."
    )
    device_batch_size: Annotated[Omittable[int], Unit("examples")] = Field(
        None,
        ge=1,
        description=(
            "Examples that a device takes at once; left out, its whole share of batch_size. Fewer "
            "save memory, and change results by rounding only."
        ),
    )
    max_epochs: Annotated[float, Tuned(), Unit("epochs")] = Field(
        gt=0, description="Passes through the training rows at most."
    )
    min_steps: Annotated[int, Unit("steps")] = Field(
        ge=1,
        description="Steps of the schedule at least; few rows are read more often to reach them.",
    )
    evaluations: int = Field(
        ge=1, description="Evaluations on the validation rows over the schedule."
    )
    patience: Annotated[int, Unit("evaluations")] = Field(
        ge=1, description="Training stops after so many evaluations without a better one."
    )
    metric: Literal["loss", "accuracy"] = Field(
        "accuracy",
        description=(
            "Validation metric that chooses a training's weights; its loss chooses a trial."
        ),
    )


class Review(Block):
    """Blocks of the corpus of a checkpoint that go along with the texts it is fine-tuned on.

    This is mix-review (He et al. 2021, Analyzing the Forgetting Problem in the Pretrain-Finetuning
    of Open-domain Dialogue Response Models).
    """

    example: ClassVar[str] = """\
ratio: 4.0
decay: [0.5, 0.7]
weight: 0.5
"""

    ratio: Annotated[float, Tuned(), Unit("blocks per example")] = Field(
        4.0, gt=0, le=1000, description="Blocks of the first epoch for each training example."
    )
    decay: Annotated[float, Tuned()] = Field(
        0.7, gt=0, le=1, description="Each epoch has so many times the blocks of the one before."
    )
    weight: Annotated[float, Tuned()] = Field(
        0.3, gt=0, le=100, description="What the loss on the blocks counts beside that on labels."
    )

    def blocks(self, epoch: int, examples: int) -> int:
        """Return how many blocks come to an epoch, counted from 0, of so many examples."""
        return round(self.ratio * self.decay**epoch * examples)


class FineTuning(GradientDescent):
    """Settings of AdamW for pretrained weights; keys without a default have one with the family."""

    example: ClassVar[str] = f"""\
{GradientDescent.example}layer_decay: [0.8, 1.0]
unfreezing: [0.0, 0.5]
stay: [0.0, 0.1]
mix: {{ratio: 4.0}}
"""

    layer_decay: Annotated[float, Tuned(), Unit("share")] = Field(
        1.0,
        gt=0,
        le=1,
        description=(
            "Learning rate of each layer as a share of that of the layer above it, from the head "
            "down to the embeddings; 1 for the same rate everywhere."
        ),
    )
    unfreezing: Annotated[float, Tuned(), Unit("share")] = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "Share of the steps after which all layers are trained; before, one after the other "
            "joins the head, from the last down to the embeddings; 0 for all from the first step."
        ),
    )
    stay: Annotated[float, Tuned()] = Field(
        0.0,
        ge=0,
        le=1000,
        description=(
            "Decay of the checkpoint's weights towards what they began as, decoupled as weight "
            "decay is; 0 for none."
        ),
    )
    mix: Omittable[Review] = Field(
        None,
        description=(
            "Blocks of the corpus of a checkpoint of objective masked_lm that the workflow made, "
            "which are trained on as well; left out, none."
        ),
    )

    @property
    def keeps(self) -> str | None:
        """The key that keeps weights near those of the checkpoint, if there is any."""
        return "mix" if self.mix else "stay" if self.stay else None


class LogisticRegression(Block):
    """Regularised fit; keys without a default here have one with the family."""

    example: ClassVar[str] = """\
standardise: true
inverse_regularisation: [0.01, 0.1, 1.0]
max_iterations: 2000
"""

    standardise: bool = Field(description="Scale each feature to unit spread first.")
    inverse_regularisation: Annotated[float, Tuned()] = Field(
        gt=0, description="Inverse strength of the regularisation (scikit-learn's C)."
    )
    max_iterations: Annotated[int, Unit("iterations")] = Field(
        1000, ge=1, description="Iterations of the solver at most."
    )


def _random_or_none(given: str | None) -> str | None:
    # To write the default decides no more than to leave it out.
    return None if given == "pretrained" else given


# "random", or None for a checkpoint's own weights.
Weights = Annotated[
    Omittable[Literal["pretrained", "random"]],
    AfterValidator(_random_or_none),
    Field(
        description=(
            "The weights to begin with: the checkpoint's, or random ones of the same architecture, "
            "drawn by the seed, to tell what pretraining adds; left out, the checkpoint's."
        )
    ),
]


# What a checkpoint is, of those that the workflow makes.
Architecture = Literal["encoder", "lstm", "vectors"]


class ModelRecipe(Block):
    """What every family's recipe has."""

    # Whether weights are found by gradient descent, whose result depends on settings. The other
    # models are logistic regressions, which have one solution for each trial.
    by_gradient_descent: ClassVar[bool] = True
    # The networks of checkpoints that the workflow makes with which models of the family can begin,
    # and which of them its own trained weights make, if any.
    begins_with: ClassVar[frozenset[Architecture]] = frozenset({"encoder"})
    becomes: ClassVar[Architecture | None] = None
    # Another spelling of the family, which is part of a config: {"family": ..., "frozen": true}.
    also_spelled: ClassVar[dict[str, object]] = {}

    family: str = Field(description="The kind of model.")
    title: Omittable[Text] = Field(
        None, description="Name in charts and tables; left out, the name in model_zoo."
    )
    seeds: SeedBlocks = Field(
        [], description="Blocks of seeds of this model; left out, those of the study."
    )
    datasets: Omittable[Names] = Field(
        None,
        min_length=1,
        description="Those of the study's data sets on which it is run; left out, all of them.",
    )
    sizes: Omittable[Sizes] = Field(
        None, description="Those of the study's sizes at which it is run; left out, all of them."
    )
    trials: SkipJsonSchema[int] = Field(
        1, ge=1, description="Settings that a run tries; the study gives it, never a config."
    )
    optimisation: GradientDescent | LogisticRegression

    def check(self, where: str) -> None:
        """Raise UserError, which begins with `where`, for keys that do not go together."""

    def name_in(self, zoo: Literal["checkpoint_zoo", "vocabulary_zoo"]) -> str | None:
        """Return the name of the checkpoint or vocabulary that the model uses; None without one."""
        return dict(self).get(zoo.removesuffix("_zoo"))

    @property
    def pretrained(self) -> str | None:
        """The checkpoint, by its name, whose weights the model begins with; None without any."""
        return self.name_in("checkpoint_zoo")

    @property
    def fine_tunes(self) -> bool:
        """Whether training changes all weights of a checkpoint."""
        return False

    @property
    def extracts(self) -> bool:
        """Whether a checkpoint stays as it is, and gives features of the texts."""
        return False

    @property
    def bridges(self) -> str | None:
        """How pieces of its vocabulary get vectors of its checkpoint; None where they get none."""
        return None

    @property
    def reviews(self) -> bool:
        """Whether blocks of the checkpoint's corpus are trained on beside the labelled texts."""
        return False

    def deciding(self) -> dict[str, object]:
        """Return what decides the model's results: all but where it is run, and its title."""
        elsewhere = {"seeds", "title", "datasets", "sizes"}
        return self.model_dump(mode="json", exclude_none=True, exclude=elsewhere)


# ---------------------------------------------------------------- how a study is done and judged


class Validation(Block):
    """How many rows of each size are held out to choose weights and settings."""

    example: ClassVar[str] = """\
share: 0.25
min: 10
max: 1000
"""

    share: Annotated[float, Unit("share")] = Field(
        0.2, gt=0, lt=1, description="Share of the size."
    )
    min: Annotated[int, Unit("rows")] = Field(20, ge=1, description="Rows at least.")
    max: Annotated[int, Unit("rows")] = Field(2000, ge=1, description="Rows at most.")


class Tuning(Block):
    """How many combinations are tried where a recipe lists several values."""

    example: ClassVar[str] = """\
trials: 3
"""

    trials: Annotated[Omittable[int], Unit("trials")] = Field(
        None,
        ge=1,
        description=(
            "Combinations of listed values that each model trained by gradient descent tries, "
            "drawn by the seed; left out, all of them."
        ),
    )


class Folders(Block):
    """Snakemake's key for folders, so that several studies can stand side by side."""

    example: ClassVar[str] = """\
results: results/tickets
logs: logs/tickets
"""

    results: Text = Field("results", description="Folder of all results.")
    logs: Text = Field("logs", description="Folder of all logs.")
