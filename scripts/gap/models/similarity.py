"""How alike two trained models see the same texts: the rotation between their features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from gap.data.vocabulary import EncodedTexts
from gap.models.inference import map_batches
from gap.models.lstm_network import pool

Matrix = npt.NDArray[np.float32]

# Directions along which features vary less than this share of the most are rounding.
LEAST = 1e-5


class Rotation(NamedTuple):
    """What leads from one model's features to another's, see `rotation`; both from 0 to 1."""

    turn: float
    misfit: float


def head_inputs(model: PreTrainedModel, texts: EncodedTexts, rows: npt.NDArray[np.int64]) -> Matrix:
    """Return what a classifier's last layer reads of the texts at `rows`, (rows, width)."""
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    read: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))

    def features(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        read.clear()
        model(**batch)
        states = read[-1]
        # Heads of decoders look at each token.
        return states if states.ndim == 2 else pool(states, batch["attention_mask"], "mean")

    try:
        return map_batches(model, features, texts, rows, silent=True)
    finally:
        hook.remove()


def rotation(source: Matrix, target: Matrix) -> Rotation:
    """Return how far features, (texts, width), of one model must be turned to those of another.

    Both are centred, and W is the rotation that brings the one nearest to the other (orthogonal
    Procrustes, Schoenemann 1966). `turn` is the distance of W from the identity, as a share of the
    largest there is, along the directions in which both vary: with fewer texts than directions, W
    is undetermined along the others. Rotations at random have 0.71. `misfit` is what is left of the
    distance, as a share of what it could be: 0 where the features are the same but for a rotation
    and a scale. (Lange et al. 2021, To Share or not to Share, take the first as a distance.)
    """
    first, second = (features - features.mean(axis=0) for features in (source, target))
    left, strengths, right = np.linalg.svd(first.T.astype(float) @ second.astype(float))
    known = strengths > LEAST * strengths[:1]
    if not known.any():
        return Rotation(1.0, 1.0)
    kept = int(known.sum())
    # The cosine between each direction and the one that it is turned to.
    cosines = (left[:, :kept] * right[:kept].T).sum(axis=0)
    scale = np.linalg.norm(first) * np.linalg.norm(second)
    return Rotation(
        float(np.sqrt(max(0.0, (1 - cosines.mean()) / 2))),
        float(max(0.0, 1 - strengths.sum() / scale)),
    )
