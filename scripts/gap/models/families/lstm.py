"""An LSTM classifier trained from scratch, with a vocabulary or a checkpoint."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gap.run.errors import UserError
from gap.study.fields import Completed, Name, Omittable, Tuned, Unit
from gap.study.recipes import GradientDescent, ModelRecipe

DEFAULTS = Completed(
    lr=1.0e-3, warmup=0.05, max_epochs=5, min_steps=150, evaluations=10, patience=5
)


class Recipe(ModelRecipe):
    """An LSTM classifier trained from scratch, with a vocabulary or a checkpoint."""

    example: ClassVar[str] = """\
family: lstm
title: LSTM with two layers
seeds: [1-5]
vocabulary: pieces
embeddings: tuned
embedding_size: 64
layers: 2
width: 256
bidirectional: false
dropout: [0.3, 0.5]
pooling: max
optimisation: {max_epochs: 10}
"""

    family: Literal["lstm"] = Field(description="The kind of model.")
    vocabulary: Omittable[Name] = Field(
        None, description="Name in vocabulary_zoo; its embeddings are learned."
    )
    checkpoint: Omittable[Name] = Field(
        None,
        description="Name in checkpoint_zoo; its tokenizer and, unless learned, its embeddings.",
    )
    embeddings: Literal["tuned", "frozen", "learned"] = Field(
        "tuned",
        description="A checkpoint's embeddings are tuned, stay frozen, or new ones are learned.",
    )
    embedding_size: Annotated[int, Unit("numbers")] = Field(
        128, ge=1, description="Width of learned embeddings; a checkpoint's keep their own."
    )
    layers: Annotated[int, Unit("layers")] = Field(1, ge=1, description="LSTM layers.")
    width: Annotated[int, Unit("units")] = Field(
        128, ge=1, description="Hidden units per direction."
    )
    bidirectional: bool = Field(True, description="Read the text backwards too.")
    dropout: Annotated[float, Tuned(), Unit("share")] = Field(
        0.5, ge=0, lt=1, description="Share dropped of the embeddings and of each layer's output."
    )
    pooling: Literal["mean", "max"] = Field(
        "mean", description="How a text becomes one vector, by mean or max over its tokens."
    )
    optimisation: Annotated[GradientDescent, DEFAULTS] = Field(
        {}, validate_default=True, description="How the weights are trained."
    )

    def check(self, where: str) -> None:
        """Raise UserError unless the model has either a vocabulary or a checkpoint, and fits it."""
        if (self.vocabulary is None) == (self.checkpoint is None):
            found = "neither" if self.vocabulary is None else "both"
            raise UserError(
                f"{where}: found {found} of vocabulary and checkpoint; give it one of them"
            )
        if self.vocabulary is not None and self.embeddings == "frozen":
            raise UserError(
                f"{where}.embeddings: found 'frozen', but a vocabulary's embeddings are learned; "
                "leave it out, or give a checkpoint in place of the vocabulary"
            )
