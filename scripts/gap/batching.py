"""From stored ids to padded batches, with texts of like length together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, Sampler

from gap.vocabulary import EncodedTexts

# Batches sorted together by length: enough to leave little padding, few enough that the batches of
# an epoch stay a random draw.
POOLED_BATCHES = 50


class LabelledTexts(Dataset[dict[str, Any]]):
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

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one example: `input_ids` (tokens,) and `labels`, a label's index."""
        return {"input_ids": self.texts[self.rows[index]], "labels": int(self.labels[index])}

    def sorted_by_length(self) -> LabelledTexts:
        """Return the same examples, longest first: batches in this order hold little padding."""
        order = np.argsort(-self.lengths, kind="stable")
        return LabelledTexts(self.texts, self.rows[order], self.labels[order])


class PadBatch:
    """Collates examples into tensors `input_ids`, `attention_mask` (batch, tokens), `labels`."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return the batch of these examples."""
        batch = pad([example["input_ids"] for example in examples], self.pad_id)
        batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch


def pad(rows: list[npt.NDArray[np.int64]], pad_id: int) -> dict[str, torch.Tensor]:
    """Return `input_ids` and `attention_mask` (batch, tokens), padded on the right."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate(rows)
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }


class LengthGroupedSampler(Sampler[int]):
    """Yields indices so that each `batch_size` of them in a row are of like length.

    Random per (seed, epoch): which texts meet, and the order of the batches. The sampler of the
    same name in transformers gives batches from long to short within each pool; here they are
    shuffled, and an epoch's order does not depend on what else was drawn before it, so a resumed
    run sees the same one.
    """

    def __init__(self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths))
        pool = self.batch_size * POOLED_BATCHES
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            order[start : start + pool] = part[np.argsort(self.lengths[part], kind="stable")]
        whole = len(order) // self.batch_size
        batches = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        yield from batches[random.permutation(whole)].ravel().tolist()
        yield from order[whole * self.batch_size :].tolist()


def batches_by_tokens(
    lengths: npt.NDArray[np.int64], tokens: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield index arrays that cover all texts, longest first, of at most `tokens` padded tokens.

    A text longer than `tokens` is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size
