"""What a config may say of checkpoints that the workflow pretrains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from gap.run.errors import UserError
from gap.study.datasets import VocabularyRecipe
from gap.study.fields import Block, Omittable, Unit
from gap.study.recipes import Architecture, GradientDescent
from gap.study.sources import CheckpointOrigin
from gap.study.spellings import Name, Names

# How near two tokens are that count as neighbours.
WINDOW = 5
# Widths of the layers between those of attention; their gates are as wide again.
GATED_WIDTHS = 2


Embeddings = Annotated[
    Literal["vectors", "random"],
    Field(description="What its embeddings begin as: what objective `static` has, or random."),
]


class EncoderSize(Block):
    """The size of a transformer that begins with random weights (ModernBERT's kind)."""

    example: ClassVar[str] = "layers: 4\nwidth: 256\nheads: 4\nembeddings: random\n"

    layers: Annotated[int, Unit("layers")] = Field(2, ge=1, le=100, description="Layers.")
    width: Annotated[int, Unit("numbers")] = Field(
        256,
        ge=8,
        le=8192,
        description="Width of its states; the layers between are twice as wide, and gated.",
    )
    heads: Annotated[int, Unit("heads")] = Field(
        4, ge=1, le=128, description="Heads of attention, which share the width."
    )
    embeddings: Embeddings = "vectors"


class LstmSize(Block):
    """The size of an LSTM that begins with random weights; an LSTM classifier takes it over."""

    example: ClassVar[str] = (
        "embedding_size: 64\nlayers: 1\nwidth: 256\nbidirectional: true\nembeddings: random\n"
    )

    embedding_size: Annotated[int, Unit("numbers")] = Field(
        128, ge=1, le=8192, description="Width of its embeddings."
    )
    layers: Annotated[int, Unit("layers")] = Field(1, ge=1, le=100, description="LSTM layers.")
    width: Annotated[int, Unit("units")] = Field(
        128, ge=1, le=8192, description="Hidden units per direction."
    )
    bidirectional: bool = Field(
        True, description="Read backwards too, each direction without seeing what it is to tell."
    )
    embeddings: Embeddings = "vectors"


class TokenizerRecipe(VocabularyRecipe):
    """A tokenizer that is fitted on the corpus: a SentencePiece model with special tokens."""

    example: ClassVar[str] = """\
algorithm: unigram
size: 4000
character_coverage: 0.999
sample_texts: 100000
"""

    algorithm: Literal["unigram", "char"] = Field(
        "unigram", description="How pieces are found; by char, each character is one."
    )


class Pretraining(Block):
    """How weights are pretrained by AdamW."""

    example: ClassVar[str] = """\
passes: 20
lr: 5.0e-4
lr_schedule: cosine
warmup: 0.1
weight_decay: 0.1
max_grad_norm: 0.5
batch_size: 64
device_batch_size: 16
evaluations: 20
patience: 5
"""

    passes: Annotated[float, Unit("passes")] = Field(
        5.0, gt=0, le=100_000, description="Passes through the corpus at most: the budget."
    )
    lr: float = Field(1.0e-3, gt=0, le=1, description="Peak learning rate.")
    lr_schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="Course of the learning rate after the warm-up."
    )
    warmup: Annotated[float, Unit("share")] = Field(
        0.06, ge=0, le=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Norm to which gradients are clipped.")
    batch_size: Annotated[int, Unit("blocks")] = Field(32, ge=1, description="Blocks per step.")
    device_batch_size: Annotated[Omittable[int], Unit("blocks")] = Field(
        None,
        ge=1,
        description="Blocks that a device takes at once; left out, its whole share of batch_size.",
    )
    evaluations: int = Field(
        10, ge=1, description="Evaluations on the held-out texts over the budget."
    )
    patience: Annotated[int, Unit("evaluations")] = Field(
        3, ge=1, description="Pretraining stops after so many evaluations without a better loss."
    )

    @property
    def descent(self) -> GradientDescent:
        """The settings, as those of any training have them; the held-out loss decides."""
        shared = self.model_dump(exclude={"passes"}, exclude_none=True)
        return GradientDescent(max_epochs=self.passes, min_steps=1, metric="loss", **shared)


Corpus = Annotated[
    Names,
    # Their order decides nothing.
    AfterValidator(sorted),
    Field(
        min_length=1,
        description=(
            "Names in dataset_zoo of the data sets whose pools are read, without their labels, and "
            "names in text_zoo. No text of a test set of the study is read."
        ),
    ),
]
BlockSize = Annotated[
    int,
    Unit("tokens"),
    Field(
        ge=8,
        le=8192,
        description="Tokens that are read at once; texts stand one behind the other in blocks.",
    ),
]
HeldOut = Annotated[
    float,
    Unit("share"),
    Field(
        gt=0,
        le=0.5,
        description="Share of the texts that are held out; the loss on them ends the pretraining.",
    ),
]
Seed = Annotated[int, Field(ge=0, le=999_999, description="What random numbers are drawn by.")]


class PretrainedCheckpoint(Block):
    """What every checkpoint has that the workflow pretrains."""

    architecture: ClassVar[Architecture] = "encoder"

    kind: Literal["pretrained"] = Field(description="The kind of checkpoint.")
    corpus: Corpus
    objective: str
    tokenizer: Omittable[TokenizerRecipe] = Field(
        None,
        description=(
            "The tokenizer that is fitted on the corpus; left out, one of the defaults, or that of "
            "the checkpoint which is pretrained further."
        ),
    )
    held_out: HeldOut = 0.01
    seed: Seed = 1
    origin: CheckpointOrigin = None

    @property
    def continued(self) -> str | None:
        """The checkpoint, by its name, that is pretrained further; None for random weights."""
        return None

    @property
    def fitted_tokenizer(self) -> TokenizerRecipe:
        """The tokenizer that is fitted on the corpus."""
        assert self.tokenizer is not None
        return self.tokenizer

    def check(self, where: str) -> None:
        """Raise UserError, which begins with `where`, for keys that do not go together."""

    @model_validator(mode="before")
    @classmethod
    def _give_tokenizer(cls, given: object) -> object:
        # That of a checkpoint that is pretrained further is its own.
        if isinstance(given, dict) and not isinstance(given.get("start"), str):
            return {"tokenizer": {}} | given
        return given


def _name_or_size(given: object) -> str:
    return "name" if isinstance(given, str) else "size"


class MaskedLm(PretrainedCheckpoint):
    """A transformer that learns to tell masked tokens from those around them."""

    example: ClassVar[str] = """\
kind: pretrained
corpus: [tickets]
objective: masked_lm
start: {layers: 4, width: 256, heads: 4}
tokenizer: {algorithm: unigram, size: 4000}
masked: 0.3
block: 256
held_out: 0.05
seed: 7
optimisation: {passes: 20}
origin: Pretrained on our own tickets
"""

    objective: Literal["masked_lm"] = Field("masked_lm", description="What is learned.")
    start: Annotated[
        Annotated[Name, Tag("name")] | Annotated[EncoderSize, Tag("size")],
        Discriminator(_name_or_size),
    ] = Field(
        {},
        validate_default=True,
        description=(
            "The size of a transformer that begins with random weights, or the name in "
            "checkpoint_zoo of another checkpoint, which is pretrained further."
        ),
    )
    masked: Annotated[float, Unit("share")] = Field(
        0.15, gt=0, le=0.9, description="Share of the tokens that are masked."
    )
    block: BlockSize = 128
    optimisation: Pretraining = Field(
        {}, validate_default=True, description="How the weights are pretrained."
    )

    @property
    def continued(self) -> str | None:
        """See PretrainedCheckpoint.continued."""
        return self.start if isinstance(self.start, str) else None

    @property
    def size(self) -> EncoderSize:
        """The size of a transformer of random weights."""
        assert isinstance(self.start, EncoderSize)
        return self.start

    def check(self, where: str) -> None:
        """See PretrainedCheckpoint.check."""
        if isinstance(self.start, str):
            if self.tokenizer is not None:
                raise UserError(
                    f"{where}.tokenizer: {self.start} has its own, which is kept; leave it out, or "
                    "give a size as `start`"
                )
        elif self.start.width % self.start.heads:
            raise UserError(
                f"{where}.start: a width of {self.start.width} cannot be shared by "
                f"{self.start.heads} heads; choose a multiple"
            )


class LanguageModel(PretrainedCheckpoint):
    """An LSTM that learns to tell the next token, and backwards the one before."""

    example: ClassVar[str] = """\
kind: pretrained
corpus: [tickets]
objective: language_model
start: {width: 256}
tokenizer: {algorithm: unigram, size: 4000}
predicted: 0.5
dropout: 0.1
block: 64
held_out: 0.05
seed: 7
optimisation: {passes: 10}
origin: A language model of our own tickets
"""

    architecture: ClassVar[Architecture] = "lstm"

    objective: Literal["language_model"] = Field(description="What is learned.")
    start: LstmSize = Field(
        {},
        validate_default=True,
        description="The size of an LSTM that begins with random weights.",
    )
    predicted: Annotated[float, Unit("share")] = Field(
        0.25,
        gt=0,
        le=1,
        description=(
            "Share of the tokens that each direction has to tell in a pass; they are drawn anew in "
            "each, as to tell one takes longer than to read it."
        ),
    )
    dropout: Annotated[float, Unit("share")] = Field(
        0.1, ge=0, lt=1, description="Share dropped of the embeddings and of each layer's output."
    )
    block: BlockSize = 128
    optimisation: Pretraining = Field(
        {}, validate_default=True, description="How the weights are pretrained."
    )

    def check(self, where: str) -> None:
        """See PretrainedCheckpoint.check."""
        if self.start.bidirectional and self.start.layers > 1:
            raise UserError(
                f"{where}.start: {self.start.layers} layers that read in both directions; above "
                "the first one each direction would see what it is to tell: choose layers: 1, or "
                "bidirectional: false"
            )


class WordVectors(PretrainedCheckpoint):
    """A vector for each token, of the tokens that stand near it; it takes seconds.

    The vectors are those of a singular value decomposition of pointwise mutual information.
    """

    example: ClassVar[str] = """\
kind: pretrained
corpus: [tickets]
objective: static
size: 64
window: 8
tokenizer: {algorithm: unigram, size: 4000}
held_out: 0.05
seed: 7
origin: Vectors of the words of our own tickets
"""

    architecture: ClassVar[Architecture] = "vectors"

    objective: Literal["static"] = Field(description="What is learned.")
    size: Annotated[int, Unit("numbers")] = Field(
        128, ge=1, le=1024, description="Width of the vectors."
    )
    window: Annotated[int, Unit("tokens")] = Field(
        WINDOW, ge=1, le=100, description="How near two tokens are that count as neighbours."
    )


# In the folder of a corpus's ids: the recipe by which a checkpoint was pretrained on them.
RECIPE = "recipe.json"

OwnCheckpoint = MaskedLm | LanguageModel | WordVectors


def own_class(given: Mapping[str, object]) -> type[OwnCheckpoint]:
    """Return the class of a checkpoint that is made, by what is learned."""
    others: dict[object, type[OwnCheckpoint]] = {
        "language_model": LanguageModel,
        "static": WordVectors,
    }
    return others.get(str(given.get("objective")), MaskedLm)


def load_own(text: str) -> OwnCheckpoint:
    """Return the recipe that a command line gives as JSON; raise UserError for any other text."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    return (own_class(given) if isinstance(given, dict) else MaskedLm).from_json(text)
