"""An LSTM classifier on the states of a pretrained encoder that stays as it is."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_optimisation, spell_values
from gap.models.family import Folders
from gap.models.lstm_work import (
    ASSUMPTION,
    KEPT_NUMBERS,
    SPEED_UP,
    gate_biases,
    gate_products,
    steps_rate,
)
from gap.models.network import WEIGHT_BYTES, Network, NetworkRecipe
from gap.models.workload import ID_BYTES, Assumption, Memory, ParameterCount, Workload
from gap.study.fields import Completed, Tuned, Unit
from gap.study.recipes import Architecture, GradientDescent, Weights
from gap.study.spellings import Name
from gap.study.tuning import values_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
    from gap.models.frozen_encoder import FrozenEncoder
    from gap.models.serving import ServedModel, TextReader
    from gap.models.states_network import StatesLstmForSequenceClassification

    Matrix = npt.NDArray[np.float32]

# Tokens of a batch where states are computed, as in gap.models.kept_states, which imports torch.
INFERENCE_TOKENS = 4096
# Bytes of a state's number on disk, in bf16; and where it is trained on, in fp32, too, and mixed.
STATE_BYTES, READ_BYTES = 2, 2 + 4 + 4

DEFAULTS = Completed(
    lr=1.0e-3, warmup=0.05, max_epochs=5, min_steps=150, evaluations=10, patience=5
)


class Recipe(NetworkRecipe):
    """An LSTM classifier on the states of a pretrained encoder that stays as it is."""

    example: ClassVar[str] = """\
family: frozen_lstm
title: LSTM on MiniLM
seeds: [1-3]
datasets: [tickets]
sizes: [250]
checkpoint: minilm
weights: pretrained
layers: mix
lstm_layers: 1
width: 64
bidirectional: true
dropout: [0.3, 0.5]
pooling: max
optimisation: {max_epochs: 3}
"""

    begins_with: ClassVar[frozenset[Architecture]] = frozenset({"encoder", "lstm", "vectors"})
    also_spelled: ClassVar[dict[str, object]] = {"family": "frozen", "head": "lstm"}

    family: Literal["frozen_lstm"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    weights: Weights = None
    layers: Literal["last", "mix"] = Field(
        "last",
        description=(
            "The encoder's layers that are read: the last; or a weighted sum of all, from the "
            "embeddings on, whose weights are trained."
        ),
    )
    lstm_layers: Annotated[int, Unit("layers")] = Field(1, ge=1, description="LSTM layers.")
    width: Annotated[int, Unit("units")] = Field(
        128, ge=1, description="Hidden units per direction."
    )
    bidirectional: bool = Field(True, description="Read the text backwards too.")
    dropout: Annotated[float, Tuned(), Unit("share")] = Field(
        0.5, ge=0, lt=1, description="Share dropped of the states and of each LSTM layer's output."
    )
    pooling: Literal["mean", "max"] = Field(
        "mean", description="How a text becomes one vector, by mean or max over its tokens."
    )
    optimisation: Annotated[GradientDescent, DEFAULTS] = Field(
        {}, validate_default=True, description="How the LSTM is trained."
    )

    @property
    def pretrained(self) -> str | None:
        """See ModelRecipe.pretrained."""
        return None if self.weights == "random" else self.checkpoint

    @property
    def extracts(self) -> bool:
        """See ModelRecipe.extracts."""
        return True


class Model(Network[Recipe]):
    """See Family: an LSTM on an encoder's states, which are computed once and kept on disk."""

    # Each process would compute the states.
    divisible = False

    @functools.cached_property
    def _encoder(self) -> FrozenEncoder:
        from gap.models.frozen_encoder import FrozenEncoder

        assert self.job.checkpoint is not None
        return FrozenEncoder(self.job.checkpoint, self._drawn)

    @property
    def _drawn(self) -> bool:
        return self.recipe.weights == "random"

    @property
    def _every_layer(self) -> bool:
        return self.recipe.layers == "mix"

    def training_texts(self, subsample: Subsample, folders: Folders) -> EncodedTexts:
        """See Network.training_texts: those of the subsample, with their states."""
        import numpy as np

        from gap.models.kept_states import keep_states

        texts = self.job.encoded("pool", subsample.seed)
        rows = np.sort(np.concatenate([subsample.training_rows, subsample.validation_rows]))
        encoder = self._encoder.load_for(texts, subsample.seed)
        self._encoder.write_draw(folders.weights, subsample.seed)
        return keep_states(encoder, texts, rows, self._every_layer, folders.shared)

    def build(self, recipe: Recipe, texts: EncodedTexts, seed: int) -> PreTrainedModel:
        """See Network.build."""
        from gap.models.kept_states import TextsWithStates
        from gap.models.states_network import StatesLstmConfig, StatesLstmForSequenceClassification

        assert isinstance(texts, TextsWithStates)
        layers, size = texts.shape
        config = StatesLstmConfig(
            mixed_layers=layers,
            embedding_size=size,
            layers=recipe.lstm_layers,
            width=recipe.width,
            bidirectional=recipe.bidirectional,
            dropout=recipe.dropout,
            pooling=recipe.pooling,
            num_labels=len(self.job.labels),
        )
        model = StatesLstmForSequenceClassification(config)
        model.states_of = texts.states
        return model

    def load(self, weights: Path) -> StatesLstmForSequenceClassification:
        """See Network.load. It computes the states of what it reads."""
        from gap.models.hardware import device
        from gap.models.kept_states import token_states
        from gap.models.states_network import StatesLstmConfig, StatesLstmForSequenceClassification
        from gap.models.weights import load_trained

        config = StatesLstmConfig.from_pretrained(weights)
        model = load_trained(StatesLstmForSequenceClassification, weights, config)
        assert isinstance(model, StatesLstmForSequenceClassification)
        encoder = self._encoder.load(self._encoder.seed_of(weights))
        model.states_of = token_states(encoder.eval().to(device()), self._every_layer)
        return model

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        texts = self.job.encoded("test", seed)
        self._encoder.load_for(texts, self._encoder.seed_of(weights))
        return super().log_scores(weights, seed)

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.encoder import fit_to_vocabulary
        from gap.models.hardware import device
        from gap.models.inference import class_scores, compute
        from gap.models.serving import ServedModel, count_numbers

        assert reader is not None
        pad_id, encoder = reader.pad_id, self._encoder.load(self._encoder.seed_of(weights))
        fit_to_vocabulary(encoder, pad_id, reader.vocabulary.size, reader.pair_separator)
        network = self.load(weights).eval()
        network.to(device())
        scores, trained = class_scores(network), count_numbers(network)
        return ServedModel(
            reader,
            lambda ids: compute(scores, ids, pad_id),
            count_numbers(encoder) + trained,
            trained,
        )

    def describe(self) -> str:
        """See Family.describe."""
        recipe = self.recipe
        sides = "bidirectional " if recipe.bidirectional else ""
        layers = "1 layer" if recipe.lstm_layers == 1 else f"{recipe.lstm_layers} layers"
        states = "a weighted sum of all layers of" if self._every_layer else "the states of"
        shape = "the architecture of " if self._drawn else ""
        weights = " with random weights" if self._drawn else ""
        trained = spell_optimisation(recipe.optimisation)
        return (
            f"{sides}LSTM, {layers} of {spell_values(recipe.width)} units, on {states} {shape}"
            f"{recipe.checkpoint}{weights}, which is not trained ({trained})"
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

    def _layers(self, workload: Workload) -> int:
        """Return how many layers' states are read of each token."""
        return workload.encoder.num_hidden_layers + 1 if self._every_layer else 1

    def _state_numbers(self, workload: Workload) -> int:
        """Return the numbers of a token's states."""
        return self._layers(workload) * workload.encoder.hidden_size

    def _head(self, workload: Workload) -> ParameterCount:
        """Return the parameters of all that is trained."""
        recipe, directions = self.recipe, self._directions
        width, layers = recipe.width, recipe.lstm_layers
        gates = gate_products(workload.encoder.hidden_size, layers, width, directions)
        others = gate_biases(layers, width, directions) + self._layers(workload) + 1
        classifier = (directions * width + 1) * workload.labels
        return ParameterCount(gates + others + classifier, gates + self._state_numbers(workload))

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        encoder, head = workload.encoder, self._head(workload)
        return ParameterCount(
            encoder.parameters + head.everything, encoder.products + head.products
        )

    def forward_operations(self, workload: Workload) -> float:
        """See Network.forward_operations: from the kept states on."""
        return 2.0 * self._head(workload).products * workload.tokens

    def shared_operations(self, workload: Workload) -> float:
        """See Family.shared_operations."""
        texts = workload.rows + workload.validation
        return workload.encoder.forward_operations(workload.tokens) * texts

    def prediction_operations(self, workload: Workload) -> float:
        """See Family.prediction_operations."""
        encoder = workload.encoder.forward_operations(workload.tokens)
        return (encoder + self.forward_operations(workload)) * workload.rows

    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """See Network.step_bytes."""
        units = self.recipe.lstm_layers * self._directions * self.recipe.width
        numbers = READ_BYTES * self._state_numbers(workload) + 4.0 * KEPT_NUMBERS * units
        return numbers * texts * workload.longest

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory: the states stay on disk."""
        encoder, head = workload.encoder, self._head(workload).everything
        computed = encoder.layer_bytes(workload.longest, on_gpu=gpus > 0)
        computed += READ_BYTES * self._state_numbers(workload)
        tokens = max(INFERENCE_TOKENS, workload.longest)
        step = self.step_bytes(workload, self._texts_at_once(gpus), gpus)
        return Memory(
            # Where each text begins, and the number of each token.
            data=ID_BYTES * workload.rows * workload.tokens,
            ids=workload.id_bytes,
            # While they are read, the encoder's weights are there twice.
            model=(4 if gpus else 8) * encoder.parameters + WEIGHT_BYTES * head,
            batch=max(step, computed * tokens),
            saved=max(4 * encoder.parameters, WEIGHT_BYTES * head),
        )

    def gpu_rate(self, workload: Workload, full: float, assumed: float | None = None) -> float:
        """See Family.gpu_rate. Where a recipe lists several batch sizes the smallest counts."""
        texts = min(values_of(self.recipe.optimisation.batch_size))
        products = self._head(workload).products
        return steps_rate(full, products, self.recipe.lstm_layers, self._directions, texts, assumed)

    def weight_bytes(self, workload: Workload) -> float:
        """See Family.weight_bytes: those of what is trained."""
        return 4.0 * self._head(workload).everything

    def work_bytes(self, workload: Workload) -> float:
        """See Family.work_bytes: those of the states of all tokens."""
        texts = workload.rows + workload.validation
        return float(STATE_BYTES * self._state_numbers(workload) * workload.tokens * texts)

    @property
    def weight_files(self) -> int:
        """See Family.weight_files."""
        return super().weight_files + self._drawn
