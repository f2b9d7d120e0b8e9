"""Texts with their labels: what classifiers are trained and judged on."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from gap.data.vocabulary import EncodedTexts
from gap.models.batching import Batch, Examples, pad
from gap.models.inference import log_scores


class Example(TypedDict):
    """A text to train on: its ids, (tokens,), and the index of its label."""

    input_ids: npt.NDArray[np.int64]
    labels: int


class LabelledTexts(Examples[Example]):
    """The texts at `rows` of an encoded file, with their labels; ids are read when asked for."""

    def __init__(
        self, texts: EncodedTexts, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int32]
    ) -> None:
        self.texts = texts
        self.rows = rows
        self.labels = labels
        self.lengths = texts.lengths[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        """Return one example: `input_ids` (tokens,) and `labels`, a label's index."""
        return {"input_ids": self.texts[self.rows[index]], "labels": int(self.labels[index])}

    def collate(self, items: list[Example], tokens: int = 0) -> Batch:
        """See Examples.collate: also `input_ids` and `attention_mask` (batch, tokens)."""
        batch = pad([item["input_ids"] for item in items], self.texts.pad_id, tokens)
        batch["labels"] = torch.tensor([item["labels"] for item in items])
        return batch

    def judge(self, model: PreTrainedModel, indices: npt.NDArray[np.int64]) -> tuple[float, float]:
        """See Examples.judge. They are scored as prediction scores the test texts."""
        labels = self.labels[indices]
        scores = log_scores(model, self.texts, self.rows[indices], silent=True)
        loss = -scores[np.arange(len(labels)), labels].sum(dtype=np.float64)
        return float(loss), float((scores.argmax(1) == labels).sum())
