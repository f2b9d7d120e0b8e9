"""Logistic regression on the states of a pretrained encoder that stays as it is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.family import Folders
from gap.models.feature_regression import FeatureRegression, RegressionRecipe
from gap.models.network import CORE_RATE, ENCODER_ASSUMPTION
from gap.models.workload import Assumption, Memory, ParameterCount, Workload
from gap.study.fields import Completed
from gap.study.recipes import Architecture, LogisticRegression, Weights
from gap.study.spellings import Name
from gap.study.tuning import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
    from gap.models.frozen_encoder import FrozenEncoder
    from gap.models.serving import ServedModel, TextReader

    Matrix = npt.NDArray[np.float32]

# How many texts' features are computed before they are saved: a killed job loses these at most.
PIECE = 10_000
# Tokens of a batch where nothing is trained, as in gap.models.inference, which imports torch.
INFERENCE_TOKENS = 4096

DEFAULTS = Completed(standardise=True, inverse_regularisation=[0.0001, 0.001, 0.01, 0.1, 1.0])


class Recipe(RegressionRecipe):
    """Logistic regression on the states of a pretrained encoder that stays as it is."""

    example: ClassVar[str] = """\
family: frozen
title: MiniLM as it is
seeds: [1-3]
datasets: [tickets]
sizes: [250]
checkpoint: minilm
weights: pretrained
layers: mix
head: linear
pooling: max
optimisation: {inverse_regularisation: 0.1}
"""

    begins_with: ClassVar[frozenset[Architecture]] = frozenset({"encoder", "lstm", "vectors"})
    also_spelled: ClassVar[dict[str, object]] = {"family": "transformer", "frozen": True}

    family: Literal["frozen"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    weights: Weights = None
    layers: Literal["last", "mix", "each"] = Field(
        "last",
        description=(
            "The layers whose states are features: the last; a weighted sum of all, from the "
            "embeddings on, whose weights are fitted as well; or each by itself, of which "
            "validation chooses one, and a chart tells what each came to."
        ),
    )
    head: Literal["linear"] = Field(
        "linear",
        description="What reads the states; lstm, an LSTM, is read as family: frozen_lstm.",
    )
    pooling: Literal["mean", "max", "first"] = Field(
        "mean",
        description="How a text becomes one vector: the mean or max over its tokens, or its first.",
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How the head is fitted."
    )

    @property
    def pretrained(self) -> str | None:
        """See ModelRecipe.pretrained."""
        return None if self.weights == "random" else self.checkpoint

    @property
    def extracts(self) -> bool:
        """See ModelRecipe.extracts."""
        return True


class Model(FeatureRegression[Recipe]):
    """See Family: a logistic regression on an encoder's pooled states."""

    uses_gpu = True
    shares_prediction = True

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
        return self.recipe.layers != "last"

    def states(self, texts: EncodedTexts, rows: npt.NDArray[np.int64], seed: int) -> Matrix:
        """Return the states of the seed's encoder for the texts of these rows, (rows, width).

        Where the recipe is about all layers, the states of one stand behind those of another, from
        the embeddings on, (rows, layers * width).
        """
        from gap.models.inference import features

        encoder = self._encoder.load_for(texts, seed)
        positions = texts.positions(rows)
        return features(encoder, texts, positions, self.recipe.pooling, self._every_layer)

    def fit(
        self,
        recipe: Recipe,
        features: tuple[Matrix, Matrix],
        labels: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
        subsample: Subsample,
        weights: Path,
    ) -> Evaluation:
        """See FeatureRegression.fit."""
        from gap.models.layer_regression import train_each, train_mix
        from gap.models.layer_states import count_layers

        if recipe.layers == "last":
            return super().fit(recipe, features, labels, subsample, weights)
        train = train_mix if recipe.layers == "mix" else train_each
        layers = count_layers(self._encoder.load(subsample.seed))
        return train(features, labels, recipe.optimisation, len(self.job.labels), layers, weights)

    def train_features(
        self, recipe: Recipe, subsample: Subsample, folders: Folders
    ) -> tuple[Matrix, Matrix]:
        """See FeatureRegression.train_features."""
        import numpy as np

        texts = self.job.encoded("pool", subsample.seed)
        rows = np.concatenate([subsample.training_rows, subsample.validation_rows])
        if len(rows) == len(texts) and not self._drawn:
            states = self._states_of_pool(texts, folders.shared)[texts.positions(rows)]
        else:
            states = self.kept_states(texts, rows, folders.shared, subsample.seed)
        self._encoder.write_draw(folders.weights, subsample.seed)
        training, validation = np.split(states, [len(subsample.training_rows)])
        return training, validation

    def kept_states(
        self, texts: EncodedTexts, rows: npt.NDArray[np.int64], folder: Path, seed: int
    ) -> Matrix:
        """Return what `states` returns, computed in pieces.

        Each piece is kept in the folder, which is the seed's own.
        """
        import numpy as np

        from gap.run.durable import replace

        folder.mkdir(parents=True, exist_ok=True)
        pieces = []
        for start in range(0, len(rows), PIECE):
            piece = rows[start : start + PIECE]
            path, partial = folder / f"{start}+{len(piece)}.npy", folder / "partial.npy"
            if not path.exists():
                np.save(partial, self.states(texts, piece, seed))
                replace(partial, path)
            pieces.append(np.load(path))
        return np.concatenate(pieces)

    def _states_of_pool(self, texts: EncodedTexts, folder: Path) -> Matrix:
        """Return the pretrained encoder's states for all texts, once for all seeds."""
        import numpy as np

        if "pool" not in self._kept:
            self._kept["pool"] = self.kept_states(texts, np.arange(len(texts)), folder, seed=0)
        return self._kept["pool"]

    @functools.cached_property
    def _kept(self) -> dict[str, Matrix]:
        """States that all seeds of the job share."""
        return {}

    def _states_of_test(self, seed: int) -> Matrix:
        """Return the states of the seed's encoder for the test texts, kept for all sizes."""
        import numpy as np

        texts = self.job.encoded("test", seed=0)
        rows = np.arange(len(texts))
        if self.job.kept is None:
            return self.states(texts, rows, seed)
        return self.kept_states(texts, rows, self.job.kept / str(seed), seed)

    @functools.cached_property
    def _test_states(self) -> Matrix:
        """The pretrained encoder's states for the test texts, which are the same for every seed."""
        return self._states_of_test(seed=0)

    def test_features(self, weights: Path, seed: int) -> Iterator[Matrix]:
        """See FeatureRegression.test_features."""
        seed = self._encoder.seed_of(weights)
        yield self._states_of_test(seed) if self._drawn else self._test_states

    def layer_accuracies(
        self, weights: Path, seed: int, labels: npt.NDArray[np.int32]
    ) -> list[float] | None:
        """See Family.layer_accuracies."""
        from gap.models.layer_regression import accuracies_of_layers

        if self.recipe.layers != "each":
            return None
        (states,) = self.test_features(weights, seed)
        return accuracies_of_layers(weights, states, labels)

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.encoder import fit_to_vocabulary
        from gap.models.hardware import device
        from gap.models.inference import compute
        from gap.models.layer_states import pooled_states
        from gap.models.regression import load_regression, regression_parameters
        from gap.models.serving import ServedModel, count_numbers

        assert reader is not None
        encoder = self._encoder.load(self._encoder.seed_of(weights)).eval()
        pad_id = reader.pad_id
        fit_to_vocabulary(encoder, pad_id, reader.vocabulary.size, reader.pair_separator)
        encoder.to(device())
        states = pooled_states(encoder, self.recipe.pooling, self._every_layer)
        classify = load_regression(weights)
        trained = regression_parameters(weights)
        return ServedModel(
            reader,
            lambda ids: classify(compute(states, ids, pad_id)),
            count_numbers(encoder) + trained,
            trained,
        )

    def describe(self) -> str:
        """See Family.describe."""
        states = {
            "last": "the states",
            "mix": "a weighted sum of the states of all layers, weights fitted,",
            "each": "the states of the layer that validation chose",
        }[self.recipe.layers]
        checkpoint = self.recipe.checkpoint
        if self._drawn:
            return (
                f"logistic regression on {states} of the architecture of {checkpoint} with "
                "random weights, which are not trained"
            )
        return f"logistic regression on {states} of {checkpoint}, which is not trained"

    # ------------------------------------------------------------ what it takes

    @property
    def compares_layers(self) -> bool:
        """See Family.compares_layers."""
        return self.recipe.layers == "each"

    def _features(self, workload: Workload) -> int:
        """Return the number of features of a text."""
        encoder = workload.encoder
        layers = encoder.num_hidden_layers + 1 if self._every_layer else 1
        return layers * encoder.hidden_size

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        encoder = workload.encoder
        head = encoder.head_parameters(workload.labels)
        return ParameterCount(encoder.parameters + head, encoder.products)

    def feature_operations(self, workload: Workload) -> float:
        """See FeatureRegression.feature_operations."""
        return workload.encoder.forward_operations(workload.tokens)

    def fitted_products(self, workload: Workload) -> float:
        """See FeatureRegression.fitted_products."""
        return self._features(workload) * workload.labels

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory."""
        encoder, weights = workload.encoder, self.count_parameters(workload).everything
        layer = encoder.layer_bytes(workload.longest, on_gpu=gpus > 0)
        return Memory(
            # The states of all texts in fp32, four times: in pieces, as one, of a seed, scaled.
            data=4 * 4 * self._features(workload) * workload.rows,
            ids=workload.id_bytes,
            # While they are read, the weights are there twice.
            model=(4 if gpus else 8) * weights,
            batch=layer * max(INFERENCE_TOKENS, workload.longest),
            saved=4 * weights,
        )

    def assumption(self) -> Assumption:
        """See Family.assumption."""
        return ENCODER_ASSUMPTION

    def core_rate(self, cores: int) -> float:
        """See Family.core_rate. Nearly all of the work is the encoder's."""
        return CORE_RATE * float(cores**0.5)

    @property
    def weight_files(self) -> int:
        """See Family.weight_files."""
        return super().weight_files + self._drawn + self._every_layer

    def weight_bytes(self, workload: Workload) -> float:
        """See Family.weight_bytes: those of the head, and of the heads of each layer."""
        return 4.0 * (self._features(workload) + 1) * workload.labels * (1 + self.compares_layers)

    def work_bytes(self, workload: Workload) -> float:
        """See Family.work_bytes: those of the states, in fp32."""
        return 4.0 * self._features(workload) * (workload.rows + workload.validation)
