"""Scores and features of encoded texts, sorted by length so that little is padding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from gap.data.vocabulary import EncodedTexts
from gap.models.batching import batches_by_tokens, pad
from gap.models.hardware import autocast, device
from gap.models.layer_states import Function, pooled_states
from gap.run.progress import progress

BATCH_TOKENS = 4096

Matrix = npt.NDArray[np.float32]


def log_scores(
    model: PreTrainedModel,
    texts: EncodedTexts,
    rows: npt.NDArray[np.int64],
    silent: bool = False,
) -> Matrix:
    """Return the log-probability of each label for the texts at `rows`, (rows, labels)."""
    return map_batches(model, class_scores(model), texts, rows, silent)


def class_scores(model: PreTrainedModel) -> Function:
    """Return the function from a padded batch to log-probabilities, (batch, labels)."""
    return lambda batch: torch.log_softmax(model(**batch).logits.float(), dim=-1)


def features(
    encoder: PreTrainedModel,
    texts: EncodedTexts,
    rows: npt.NDArray[np.int64],
    pooling: str,
    every_layer: bool = False,
) -> Matrix:
    """Return what `pooled_states` makes of the texts at `rows`, (rows, width or layers * width)."""
    states = pooled_states(encoder, pooling, every_layer)
    return map_batches(encoder, states, texts, rows, silent=False)


def compute(function: Function, texts: list[npt.NDArray[np.int64]], pad_id: int) -> Matrix:
    """Return what `function` makes of one batch of texts, each given by its ids (tokens,)."""
    inputs = {name: tensor.to(device()) for name, tensor in pad(texts, pad_id).items()}
    with torch.no_grad(), autocast():
        return function(inputs).float().cpu().numpy()


def map_batches(
    model: PreTrainedModel,
    function: Function,
    texts: EncodedTexts,
    rows: npt.NDArray[np.int64],
    silent: bool,
) -> Matrix:
    """Apply `function` to padded batches of the texts at `rows`; results in the order of `rows`.

    The model is left in evaluation mode. Without gradients, but no tensors of inference mode: the
    model may be trained on, and some keep what they computed.
    """
    model.eval().to(device())
    result: Matrix | None = None
    batches = list(batches_by_tokens(texts.lengths[rows], BATCH_TOKENS))
    for batch in batches if silent else progress(batches, "batches"):
        values = compute(function, [texts[row] for row in rows[batch]], texts.pad_id)
        if result is None:
            result = np.empty((len(rows), values.shape[1]), dtype=np.float32)
        result[batch] = values
    assert result is not None, "no rows to compute on"
    return result
