"""Scores and features of encoded texts, sorted by length so that little is padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from gap.batching import batches_by_tokens, pad
from gap.cli import progress
from gap.hardware import autocast, device
from gap.models.lstm import pool
from gap.vocabulary import EncodedTexts

BATCH_TOKENS = 4096

Matrix = npt.NDArray[np.float32]
Batch = dict[str, torch.Tensor]


def log_scores(model: PreTrainedModel, texts: EncodedTexts, rows: npt.NDArray[np.int64]) -> Matrix:
    """Return the log-probability of each label for the texts at `rows`, (rows, labels)."""

    def scores(batch: Batch) -> torch.Tensor:
        return torch.log_softmax(model(**batch).logits.float(), dim=-1)

    return _map_batches(model, scores, texts, rows)


def features(
    encoder: PreTrainedModel, texts: EncodedTexts, rows: npt.NDArray[np.int64], pooling: str
) -> Matrix:
    """Return the encoder's pooled last states for the texts at `rows`, (rows, width)."""

    def states(batch: Batch) -> torch.Tensor:
        hidden = encoder(**batch).last_hidden_state
        return pool(hidden.float(), batch["attention_mask"], pooling)

    return _map_batches(encoder, states, texts, rows)


def _map_batches(
    model: PreTrainedModel,
    function: Callable[[Batch], torch.Tensor],
    texts: EncodedTexts,
    rows: npt.NDArray[np.int64],
) -> Matrix:
    """Apply `function` to padded batches of the texts at `rows`; results in the order of `rows`."""
    model.eval().to(device())
    result: Matrix | None = None
    batches = list(batches_by_tokens(texts.lengths[rows], BATCH_TOKENS))
    for batch in progress(batches, "batches"):
        inputs = pad([texts[row] for row in rows[batch]], texts.pad_id)
        inputs = {name: tensor.to(device()) for name, tensor in inputs.items()}
        with torch.inference_mode(), autocast():
            values = function(inputs).float().cpu().numpy()
        if result is None:
            result = np.empty((len(rows), values.shape[1]), dtype=np.float32)
        result[batch] = values
    assert result is not None, "no rows to compute on"
    return result
