"""An LSTM classifier trained from scratch, with a vocabulary or a checkpoint."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_optimisation, spell_values
from gap.models.network import Network, NetworkRecipe
from gap.models.workload import Assumption, ParameterCount, SpeedClaim, Workload
from gap.run.errors import UserError
from gap.study.fields import Completed, Omittable, Tuned, Unit
from gap.study.recipes import GradientDescent
from gap.study.spellings import Name
from gap.study.tuning import values_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from gap.data.vocabulary import EncodedTexts

# Numbers that an LSTM keeps per token, direction and unit of width: four gates before and after
# their functions, cell and hidden state, input and output, their flipped copies and masks.
KEPT_NUMBERS = 24
# Seconds that a GPU takes, forward, for one position of a batch's texts in one layer and direction:
# a few kernels of 5 to 10 microseconds, each of which waits for the one before it.
STEP_SECONDS = 40e-6


def gate_products(embedding_size: int, layers: int, width: int, directions: int) -> int:
    """Return how many weights of all gates multiply each token."""
    inputs = embedding_size + (layers - 1) * directions * width
    return directions * 4 * width * (inputs + layers * width)


DEFAULTS = Completed(
    lr=1.0e-3, warmup=0.05, max_epochs=5, min_steps=150, evaluations=10, patience=5
)


class Recipe(NetworkRecipe):
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

    begins_with: ClassVar[frozenset[str]] = frozenset({"masked_lm", "language_model", "static"})

    family: Literal["lstm"] = Field(description="The kind of model.")
    vocabulary: Omittable[Name] = Field(
        None, description="Name in vocabulary_zoo; its embeddings are learned."
    )
    checkpoint: Omittable[Name] = Field(
        None,
        description=(
            "Name in checkpoint_zoo; its tokenizer and, unless learned, its embeddings; of a "
            "language model that the workflow made its layers, too."
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

    def check(self, where: str) -> None:
        """Raise UserError unless the model has either a vocabulary or a checkpoint, and fits it."""
        if (self.vocabulary is None) == (self.checkpoint is None):
            number = "neither" if self.vocabulary is None else "both"
            raise UserError(
                f"{where}: found {number} of vocabulary and checkpoint; give it one of them"
            )
        if self.vocabulary is not None and self.embeddings == "frozen":
            raise UserError(
                f"{where}.embeddings: found 'frozen', but a vocabulary's embeddings are learned; "
                "leave it out, or give a checkpoint in place of the vocabulary"
            )


class Model(Network[Recipe]):
    """See Family: an LSTM on embeddings that it learns or that are a checkpoint's."""

    def build(self, recipe: Recipe, texts: EncodedTexts) -> PreTrainedModel:
        """See Network.build."""
        from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
        from gap.models.own_networks import take_layers

        table, rows = self.embeddings, texts.vocabulary_size
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

    @functools.cached_property
    def embeddings(self) -> torch.Tensor | None:
        """The checkpoint's token embeddings, (vocabulary, width); None where it learns new ones."""
        from gap.models.encoder import token_embeddings

        if self._learns_embeddings:
            return None
        assert self.job.checkpoint is not None
        return token_embeddings(self.job.checkpoint)

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
        tokens = (
            f"tokens of {recipe.checkpoint}, embeddings {recipe.embeddings}"
            if recipe.checkpoint
            else f"a SentencePiece vocabulary ({recipe.vocabulary}) fitted on its own examples"
        )
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
        """See Family.speed_up.

        Fewer texts each shorten little of a step, whose tokens come one after the other.
        """
        return 0.4

    def assumption(self) -> Assumption:
        """See Family.assumption."""
        return Assumption(
            value="lstm_step",
            slower=2.0,
            models="LSTMs",
            origin="assumed step",
            text=(
                "An LSTM is assumed to take `lstm_step` for a position of its texts in a layer and "
                "direction, twice that on the way back: its products are too small for a GPU, "
                "though not for a core."
            ),
        )

    @property
    def _directions(self) -> int:
        return 2 if self.recipe.bidirectional else 1

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters. Gates are torch.nn.LSTM's, with two vectors of biases."""
        recipe, directions = self.recipe, self._directions
        rows = workload.encoder.vocab_size if recipe.checkpoint else workload.pieces
        columns = recipe.embedding_size if self._learns_embeddings else workload.encoder.hidden_size
        width, layers = recipe.width, recipe.layers
        products = gate_products(columns, layers, width, directions)
        biases = directions * 4 * width * 2 * layers
        head = (directions * width + 1) * workload.labels
        return ParameterCount(rows * columns + products + biases + head, products)

    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """See Network.step_bytes."""
        units = self.recipe.layers * self._directions * self.recipe.width
        return 4.0 * KEPT_NUMBERS * units * texts * workload.longest

    def gpu_rate(self, workload: Workload, full: float, assumed: float | None = None) -> float:
        """See Family.gpu_rate. A text's positions wait for each other.

        Going forward, a position of all texts of a batch takes the assumed seconds in each layer
        and direction, whatever their width, and going backward twice that. Where a recipe lists
        several sizes of a batch the smallest counts.
        """
        texts = min(values_of(self.recipe.optimisation.batch_size))
        seconds = (assumed or STEP_SECONDS) * self.recipe.layers * self._directions
        return min(full, 2.0 * self.count_parameters(workload).products * texts / seconds)
