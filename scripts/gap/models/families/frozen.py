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
from gap.study.recipes import LogisticRegression
from gap.study.spellings import Name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
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
checkpoint: minilm
pooling: max
optimisation: {inverse_regularisation: 0.1}
"""

    also_spelled: ClassVar[dict[str, object]] = {"family": "transformer", "frozen": True}

    family: Literal["frozen"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    pooling: Literal["mean", "max", "first"] = Field(
        "mean",
        description="How a text becomes one vector: the mean or max over its tokens, or its first.",
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How the head is fitted."
    )


class Model(FeatureRegression[Recipe]):
    """See Family: a logistic regression on an encoder's pooled states."""

    uses_gpu = True

    @functools.cached_property
    def encoder(self) -> PreTrainedModel:
        """The pretrained encoder."""
        from gap.models.encoder import load_encoder

        assert self.job.checkpoint is not None
        return load_encoder(self.job.checkpoint)

    def states(self, texts: EncodedTexts, rows: npt.NDArray[np.int64]) -> Matrix:
        """Return the encoder's states for the texts of these rows, (rows, width)."""
        from gap.models.encoder import check_lengths, fit_to_vocabulary
        from gap.models.inference import features

        fit_to_vocabulary(self.encoder, texts.pad_id, texts.vocabulary_size, texts.pair_separator)
        check_lengths(self.encoder, texts)
        return features(self.encoder, texts, texts.positions(rows), self.recipe.pooling)

    def train_features(
        self, recipe: Recipe, subsample: Subsample, folders: Folders
    ) -> tuple[Matrix, Matrix]:
        """See FeatureRegression.train_features."""
        import numpy as np

        texts = self.job.encoded("pool", subsample.seed)
        rows = np.concatenate([subsample.training_rows, subsample.validation_rows])
        states = self.kept_states(texts, rows, folders.shared)
        training, validation = np.split(states, [len(subsample.training_rows)])
        return training, validation

    def kept_states(self, texts: EncodedTexts, rows: npt.NDArray[np.int64], folder: Path) -> Matrix:
        """Return what `states` returns, computed in pieces; each piece is kept in the folder."""
        import numpy as np

        from gap.run.durable import replace

        folder.mkdir(parents=True, exist_ok=True)
        pieces = []
        for start in range(0, len(rows), PIECE):
            path, partial = folder / f"{start}.npy", folder / "partial.npy"
            if not path.exists():
                np.save(partial, self.states(texts, rows[start : start + PIECE]))
                replace(partial, path)
            pieces.append(np.load(path))
        return np.concatenate(pieces)

    @functools.cached_property
    def _test_states(self) -> Matrix:
        """The encoder's states for the test texts, which are the same for every seed."""
        import numpy as np

        texts = self.job.encoded("test", seed=0)
        return self.states(texts, np.arange(len(texts)))

    def test_features(self, weights: Path, seed: int) -> Iterator[Matrix]:
        """See FeatureRegression.test_features."""
        yield self._test_states

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.encoder import fit_to_vocabulary
        from gap.models.hardware import device
        from gap.models.inference import compute, pooled_states
        from gap.models.regression import load_regression, regression_parameters
        from gap.models.serving import ServedModel, count_numbers

        assert reader is not None
        pad_id, encoder = reader.pad_id, self.encoder.eval()
        fit_to_vocabulary(encoder, pad_id, reader.vocabulary.size, reader.pair_separator)
        encoder.to(device())
        states, classify = pooled_states(encoder, self.recipe.pooling), load_regression(weights)
        trained = regression_parameters(weights)
        return ServedModel(
            reader,
            lambda ids: classify(compute(states, ids, pad_id)),
            count_numbers(encoder) + trained,
            trained,
        )

    def describe(self) -> str:
        """See Family.describe."""
        checkpoint = self.recipe.checkpoint
        return f"logistic regression on the states of {checkpoint}, which is not trained"

    # ------------------------------------------------------------ what it takes

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
        return workload.encoder.hidden_size * workload.labels

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory."""
        encoder, weights = workload.encoder, self.count_parameters(workload).everything
        layer = encoder.layer_bytes(workload.longest, on_gpu=gpus > 0)
        return Memory(
            # The states of all texts in fp32, three times: in pieces, as one, scaled.
            data=3 * 4 * encoder.hidden_size * workload.rows,
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

    def weight_bytes(self, workload: Workload) -> float:
        """See Family.weight_bytes: those of the head."""
        return 4.0 * (workload.encoder.hidden_size + 1) * workload.labels
