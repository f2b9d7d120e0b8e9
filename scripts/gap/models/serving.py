"""Trained models as they are put to use: loaded once, from raw texts to class scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gap.data.encoding import Encoder, flatten
from gap.data.vocabulary import Vocabulary
from gap.models.old_families import Family, Frozen, Network, Tfidf, load_regression

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ServedModel:
    """A trained model, loaded, in two steps.

    `tokenise` makes of texts what the model reads, `score` makes of that the log-probability of
    each label, (texts, labels). `parameters` counts all numbers that the model consists of,
    `trained_parameters` those of them that were fitted by gradient descent or by the solver.
    """

    tokenise: Callable[[list[str]], Any]
    score: Callable[[Any], Matrix]
    parameters: int
    trained_parameters: int

    def __call__(self, texts: list[str]) -> Matrix:
        """Return the log-probability of each label for each text, (texts, labels)."""
        return self.score(self.tokenise(texts))


def serve(
    family: Family, weights: Path, vocabulary: Vocabulary | None, max_tokens: int, keep: str
) -> ServedModel:
    """Return the trained model of a family; `vocabulary` is None for models that read words."""
    if isinstance(family, Tfidf):
        return _serve_tfidf(family, weights)
    assert vocabulary is not None

    encoder = Encoder(vocabulary, max_tokens, keep)

    def tokenise(texts: list[str]) -> list[npt.NDArray[np.int64]]:
        # As a service does, without what `encode` remembers of the words of other texts.
        ids, lengths = encoder.complete(*flatten(vocabulary.encode(texts)))
        return np.split(ids.astype(np.int64), np.cumsum(lengths)[:-1])

    if isinstance(family, Frozen):
        return _serve_frozen(family, weights, tokenise, vocabulary.pad_id)
    assert isinstance(family, Network)
    return _serve_network(family, weights, tokenise, vocabulary.pad_id)


def _serve_network(
    family: Network, weights: Path, tokenise: Callable[[list[str]], Any], pad_id: int
) -> ServedModel:
    from gap.models.hardware import device
    from gap.models.inference import class_scores, compute

    model = family.load(weights).eval().to(device())
    function, count = class_scores(model), _count(model)
    # A loaded model no longer knows what was left as it is; its config does.
    learned = getattr(model.config, "train_embeddings", True)
    return ServedModel(
        tokenise,
        lambda ids: compute(function, ids, pad_id),
        count,
        count if learned else count - _count(model.get_input_embeddings()),
    )


def _serve_frozen(
    family: Frozen, weights: Path, tokenise: Callable[[list[str]], Any], pad_id: int
) -> ServedModel:
    from gap.models.hardware import device
    from gap.models.inference import compute, pooled_states

    encoder = family.encoder.eval().to(device())
    states = pooled_states(encoder, family.job.recipe["pooling"])
    classify, size = load_regression(weights), _regression_size(weights)
    return ServedModel(
        tokenise,
        lambda ids: classify(compute(states, ids, pad_id)),
        _count(encoder) + size,
        size,
    )


def _serve_tfidf(family: Tfidf, weights: Path) -> ServedModel:
    vectorizer, size = family.load(weights), _regression_size(weights)
    # A weight of each phrase is counted, not trained.
    return ServedModel(
        vectorizer.transform, load_regression(weights), size + len(vectorizer.idf_), size
    )


def _count(module: Any) -> int:
    return sum(one.numel() for one in module.parameters())


def _regression_size(weights: Path) -> int:
    from safetensors.numpy import load_file

    return sum(tensor.size for tensor in load_file(weights / "model.safetensors").values())
