"""An LSTM classifier trained from scratch, with a vocabulary or a checkpoint."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_optimisation, spell_values
from gap.models.lstm_work import (
    ASSUMPTION,
    KEPT_NUMBERS,
    SPEED_UP,
    gate_biases,
    gate_products,
    steps_rate,
)
from gap.models.network import Network, NetworkRecipe
from gap.models.workload import Assumption, ParameterCount, SpeedClaim, Workload
from gap.run.errors import UserError
from gap.study.fields import Completed, Omittable, Tuned, Unit
from gap.study.recipes import Architecture, GradientDescent
from gap.study.spellings import Name
from gap.study.tuning import values_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from gap.data.vocabulary import EncodedTexts
    from gap.models.bridge import Bridge, Generator

DEFAULTS = Completed(
    lr=1.0e-3, warmup=0.05, max_epochs=5, min_steps=150, evaluations=10, patience=5
)


class Recipe(NetworkRecipe):
    """An LSTM classifier trained from scratch, with a vocabulary or a checkpoint."""

    example: ClassVar[str] = """\
family: lstm
title: LSTM with two layers
seeds: [1-5]
datasets: [tickets]
sizes: [250]
vocabulary: pieces
checkpoint: minilm
bridge: mean
embeddings: tuned
embedding_size: 64
layers: 2
width: 256
bidirectional: false
dropout: [0.3, 0.5]
pooling: max
optimisation: {max_epochs: 10}
"""

    begins_with: ClassVar[frozenset[Architecture]] = frozenset({"encoder", "lstm", "vectors"})
    becomes: ClassVar[Architecture | None] = "lstm"

    family: Literal["lstm"] = Field(description="The kind of model.")
    vocabulary: Omittable[Name] = Field(
        None,
        description=(
            "Name in vocabulary_zoo; its embeddings are learned, or those of a checkpoint, by a "
            "bridge."
        ),
    )
    checkpoint: Omittable[Name] = Field(
        None,
        description=(
            "Name in checkpoint_zoo; its tokenizer, unless there is a vocabulary, and, unless "
            "learned, its embeddings; of a language model that the workflow made its layers, too."
        ),
    )
    bridge: Omittable[Literal["copy", "mean", "generator"]] = Field(
        None,
        description=(
            "How the pieces of the vocabulary get vectors of the checkpoint where both are given: "
            "those that are its tokens have theirs, the others are drawn (copy), the mean of the "
            "tokens that they are made of, or those of a generator that is trained on the "
            "checkpoint's tokens."
        ),
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

    @property
    def pretrained(self) -> str | None:
        """See ModelRecipe.pretrained."""
        return None if self.embeddings == "learned" else self.checkpoint

    @property
    def bridges(self) -> str | None:
        """See ModelRecipe.bridges."""
        return self.bridge

    def check(self, where: str) -> None:
        """Raise UserError unless the model has a vocabulary, a checkpoint, or a bridge of both."""
        if self.vocabulary is None and self.checkpoint is None:
            raise UserError(
                f"{where}: found neither of vocabulary and checkpoint; give it one of them"
            )
        both = self.vocabulary is not None and self.checkpoint is not None
        if both and self.bridge is None:
            raise UserError(
                f"{where}: found both of vocabulary and checkpoint; give it one of them, or say "
                "by bridge (copy, mean or generator) how one gets the embeddings of the other"
            )
        if self.bridge is not None and not both:
            raise UserError(
                f"{where}.bridge: found {self.bridge!r}, but a bridge leads from a checkpoint to a "
                "vocabulary; give it both, or leave it out"
            )
        if self.bridge is not None and self.embeddings == "learned":
            raise UserError(
                f"{where}.embeddings: found 'learned', but a bridge gives vectors to begin with; "
                "leave one of the two out"
            )
        if self.checkpoint is None and self.embeddings == "frozen":
            raise UserError(
                f"{where}.embeddings: found 'frozen', but a vocabulary's embeddings are learned; "
                "leave it out, or give a checkpoint in place of the vocabulary"
            )


class Model(Network[Recipe]):
    """See Family: an LSTM on embeddings that it learns or that are a checkpoint's."""

    def build(self, recipe: Recipe, texts: EncodedTexts, seed: int) -> PreTrainedModel:
        """See Network.build."""
        from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
        from gap.models.own_networks import take_layers

        table, rows = self._table(seed), texts.vocabulary_size
        if table is not None:
            # A checkpoint's table may have rows to spare, and its tokenizer tokens added later.
            rows = max(len(table), rows)
        config = LstmConfig(
            vocab_size=rows,
            embedding_size=recipe.embedding_size if table is None else table.shape[1],
            layers=recipe.layers,
            width=recipe.width,
            bidirectional=recipe.bidirectional,
            dropout=recipe.dropout,
            pooling=recipe.pooling,
            train_embeddings=table is None or recipe.embeddings == "tuned",
            num_labels=len(self.job.labels),
        )
        model = LstmForSequenceClassification(config)
        if table is not None:
            model.embeddings.weight.data[: len(table)] = table
            assert self.job.checkpoint is not None
            take_layers(model, self.job.checkpoint)
        return model

    def _table(self, seed: int) -> torch.Tensor | None:
        """Return the embeddings to begin with, (pieces, width); None where it learns new ones.

        Those of a bridge are for the vocabulary of the seed. Random: what a bridge draws.
        """
        from gap.models.bridge import bridged_table

        if self._learns_embeddings:
            return None
        if self.recipe.bridge is None:
            return self._of_checkpoint
        assert self.job.vocabulary is not None
        model = self.job.vocabulary / f"{seed}.model"
        return bridged_table(self._bridge, model, self.recipe.bridge, self._generator)

    @functools.cached_property
    def _of_checkpoint(self) -> torch.Tensor:
        """The checkpoint's token embeddings, (tokens, width)."""
        from gap.models.encoder import token_embeddings

        assert self.job.checkpoint is not None
        return token_embeddings(self.job.checkpoint)

    @functools.cached_property
    def _bridge(self) -> Bridge:
        from gap.models.bridge import Bridge

        assert self.job.checkpoint is not None
        return Bridge.of(self.job.checkpoint)

    @functools.cached_property
    def _generator(self) -> Generator | None:
        from gap.models.bridge import load_generator

        return load_generator(self.job.bridge) if self.job.bridge else None

    @property
    def _learns_embeddings(self) -> bool:
        return self.recipe.checkpoint is None or self.recipe.embeddings == "learned"

    def load(self, weights: Path) -> PreTrainedModel:
        """See Network.load."""
        from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
        from gap.models.weights import load_trained

        config = LstmConfig.from_pretrained(weights)
        return load_trained(LstmForSequenceClassification, weights, config)

    def describe(self) -> str:
        """See Family.describe."""
        recipe = self.recipe
        sides = "bidirectional " if recipe.bidirectional else ""
        layers = "1 layer" if recipe.layers == 1 else f"{recipe.layers} layers"
        fitted = f"a SentencePiece vocabulary ({recipe.vocabulary}) fitted on its own examples"
        if recipe.bridge:
            tokens = (
                f"{fitted}, embeddings from {recipe.checkpoint} by {recipe.bridge}, "
                f"{recipe.embeddings}"
            )
        elif recipe.checkpoint:
            tokens = f"tokens of {recipe.checkpoint}, embeddings {recipe.embeddings}"
        else:
            tokens = fitted
        trained = spell_optimisation(recipe.optimisation)
        return f"{sides}LSTM, {layers} of {spell_values(recipe.width)} units, {tokens} ({trained})"

    @classmethod
    def speed_claim(cls) -> SpeedClaim:
        """See Family.speed_claim."""
        return SpeedClaim(
            reference="transformer",
            text=(
                "According to a summary of their paper, Wang, Khabsa and Ma (2020) found that "
                "LSTMs are at least 20 times as fast as RoBERTa at inference. The summary names "
                "neither hardware nor batch size, and theirs are other models than those here."
            ),
        )

    # ------------------------------------------------------------ what it takes

    @property
    def speed_up(self) -> float:
        """See Family.speed_up."""
        return SPEED_UP

    def assumption(self) -> Assumption:
        """See Family.assumption."""
        return ASSUMPTION

    @property
    def _directions(self) -> int:
        return 2 if self.recipe.bidirectional else 1

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        recipe, directions = self.recipe, self._directions
        rows = workload.pieces if recipe.vocabulary else workload.encoder.vocab_size
        columns = recipe.embedding_size if self._learns_embeddings else workload.encoder.hidden_size
        width, layers = recipe.width, recipe.layers
        products = gate_products(columns, layers, width, directions)
        biases = gate_biases(layers, width, directions)
        head = (directions * width + 1) * workload.labels
        return ParameterCount(rows * columns + products + biases + head, products)

    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """See Network.step_bytes."""
        units = self.recipe.layers * self._directions * self.recipe.width
        return 4.0 * KEPT_NUMBERS * units * texts * workload.longest

    def gpu_rate(self, workload: Workload, full: float, assumed: float | None = None) -> float:
        """See Family.gpu_rate. Where a recipe lists several batch sizes the smallest counts."""
        texts = min(values_of(self.recipe.optimisation.batch_size))
        products = self.count_parameters(workload).products
        return steps_rate(full, products, self.recipe.layers, self._directions, texts, assumed)
