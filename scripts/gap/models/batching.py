"""From stored ids to padded batches, with texts of like length together."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedModel

# Batches sorted together by length: enough to leave little padding, few enough that the batches of
# an epoch stay a random draw.
POOLED_BATCHES = 50

Item = TypeVar("Item")
Batch = dict[str, torch.Tensor]


class Examples(Dataset[Item]):
    """What a network is trained on, read when asked for, and how it is judged on them.

    `lengths` are the tokens of each example, (examples,). In each the network is asked for so many
    `targets`, such as a text's label.
    """

    lengths: npt.NDArray[np.int64]
    targets: int = 1

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that examples belong to, where what is drawn of them depends on it."""

    @abstractmethod
    def collate(self, items: list[Item], tokens: int = 0) -> Batch:
        """Return the batch of examples, of the longest one's tokens and `tokens` at least.

        It has the network's inputs, and `labels` (batch * targets,).
        """

    @abstractmethod
    def judge(self, model: PreTrainedModel, indices: npt.NDArray[np.int64]) -> tuple[float, float]:
        """Return the loss on examples, in nats, and the right answers: sums over their targets."""


def pad(rows: list[npt.NDArray[np.int64]], pad_id: int, tokens: int = 0) -> dict[str, torch.Tensor]:
    """Return `input_ids` and `attention_mask` (batch, tokens), padded on the right.

    They have the tokens of the longest row, and `tokens` at least.
    """
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(tokens, lengths.max())) < lengths[:, None]
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
    run sees the same one. `examples`, where they are given, are told of the epoch, too: the loader
    tells its dataset nothing while it skips what a killed training has done.
    """

    def __init__(
        self,
        lengths: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        examples: Examples[Any] | None = None,
    ) -> None:
        self.lengths = lengths
        self.examples = examples
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration belongs to."""
        self.epoch = epoch
        if self.examples is not None:
            self.examples.set_epoch(epoch)

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


@dataclass(frozen=True)
class Division:
    """How each batch is divided: over processes, and by each process into parts done in turn."""

    process: int = 0
    processes: int = 1
    turns: int = 1

    @property
    def parts(self) -> int:
        """The number of parts."""
        return self.processes * self.turns


@dataclass(frozen=True)
class Part:
    """What one process computes at once of a batch of `whole` examples.

    `rows` are the indices of its examples, which begin at place `first` of the batch; `tokens` is
    the length of the batch's longest text, `number` the part's among all, `in_turn` that among its
    process's. Where there are fewer examples than parts, some parts are idle: they hold the first
    example, which does not count, so that their process takes part in the step all the same.
    """

    rows: tuple[int, ...]
    first: int
    whole: int
    tokens: int
    number: int
    in_turn: int
    idle: bool


def divide(count: int, parts: int) -> list[range]:
    """Return ranges that cover 0 to `count` in order, whose lengths differ by one at most."""
    bounds = [count * part // parts for part in range(parts + 1)]
    return [range(*pair) for pair in itertools.pairwise(bounds)]


class PartSampler(Sampler[Part]):
    """Yields one process's parts of each batch that a LengthGroupedSampler makes."""

    def __init__(self, batches: LengthGroupedSampler, division: Division) -> None:
        self.batches = batches
        self.division = division

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration belongs to."""
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(len(self.batches) / self.batches.batch_size) * self.division.turns

    def __iter__(self) -> Iterator[Part]:
        order = list(self.batches)
        for start in range(0, len(order), self.batches.batch_size):
            yield from self.parts_of(order[start : start + self.batches.batch_size])

    def parts_of(self, batch: list[int]) -> Iterator[Part]:
        """Yield the process's parts of one batch."""
        places = divide(len(batch), self.division.parts)
        for in_turn in range(self.division.turns):
            number = self.division.process * self.division.turns + in_turn
            taken = places[number] or range(1)
            yield Part(
                rows=tuple(batch[place] for place in taken),
                first=taken.start,
                whole=len(batch),
                tokens=int(self.batches.lengths[batch].max()),
                number=number,
                in_turn=in_turn,
                idle=not places[number],
            )


class Parts(Dataset[dict[str, object]], Generic[Item]):
    """Collated parts of batches of `examples`, by what PartSampler yields."""

    def __init__(self, examples: Examples[Item]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, part: Part) -> dict[str, object]:
        """Return the part's tensors, of as many tokens as the whole batch has, and itself."""
        items = [self.examples[row] for row in part.rows]
        return {**self.examples.collate(items, part.tokens), "part": part}


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
