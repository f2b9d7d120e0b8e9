"""Trained models as they are put to use: loaded once, from raw texts to class scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gap.data.encoding import Encoder
from gap.data.pairs import split_pair
from gap.data.vocabulary import Vocabulary
from gap.data.word_encoding import flatten

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

Matrix = npt.NDArray[np.float32]
# Ids of a text, (tokens,).
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ServedModel:
    """A trained model, loaded, in two steps.

    `tokenise` makes of texts what the model reads, `score` makes of that the log-probability of
    each label, (texts, labels). `parameters` counts all numbers that the model consists of,
    `trained_parameters` those of them that were fitted by gradient descent or by the solver.
    """

    # The first makes what the second reads; each model has its own type for that.
    tokenise: Callable[[list[str]], Any]
    score: Callable[[Any], Matrix]
    parameters: int
    trained_parameters: int

    def __call__(self, texts: list[str]) -> Matrix:
        """Return the log-probability of each label for each text, (texts, labels)."""
        return self.score(self.tokenise(texts))


class TextReader:
    """Makes ids of texts, as `encode` does for whole data sets."""

    def __init__(
        self, vocabulary: Vocabulary, max_tokens: int, keep: str, pair: bool = False
    ) -> None:
        self.vocabulary = vocabulary
        self.encoder = Encoder(vocabulary, max_tokens, keep, pair)

    @property
    def pad_id(self) -> int:
        """The id that fills the shorter texts of a batch."""
        return self.vocabulary.pad_id

    @property
    def pair_separator(self) -> int | None:
        """The id behind which tokens are of the second type; None where there is one type only."""
        return self.encoder.pair_separator

    def __call__(self, texts: list[str]) -> list[Ids]:
        """Return the ids of each text."""
        # A service has no memory of the words of other texts, as `encode` has.
        parts = [texts]
        if self.encoder.separator is not None:
            pairs = list(map(split_pair, texts))
            parts = [[pair[place] for pair in pairs] for place in (0, 1)]
        encoded = [flatten(self.vocabulary.encode(part)) for part in parts]
        ids, lengths = self.encoder.complete(*encoded)
        return np.split(ids.astype(np.int64), np.cumsum(lengths)[:-1])


def serve_network(model: PreTrainedModel, reader: TextReader) -> ServedModel:
    """Return a trained network that reads ids. All of its parameters were trained or fixed.

    The embeddings are fixed where its config says so with `train_embeddings`.
    """
    from gap.models.hardware import device
    from gap.models.inference import class_scores, compute

    network = model.eval()
    network.to(device())
    function, count = class_scores(network), count_numbers(network)
    # A loaded model does not know which weights were never trained. Its config does.
    learned = getattr(network.config, "train_embeddings", True)
    fixed = 0 if learned else count_numbers(network.get_input_embeddings())
    return ServedModel(
        reader, lambda ids: compute(function, ids, reader.pad_id), count, count - fixed
    )


def count_numbers(module: nn.Module) -> int:
    """Return how many numbers the parameters of a module hold."""
    return sum(weights.numel() for weights in module.parameters())
