"""Blocks of tokens some of which are to be told: what language models are trained on."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from gap.models.batching import Batch, Examples
from gap.models.hardware import autocast, device

Numbers = npt.NDArray[np.int64]

# Of ten masked tokens, eight become the mask, one any token, one stays (Devlin et al. 2019, BERT,
# section 3.1).
AS_MASK, AS_ANY = 0.8, 0.1
# Blocks that are judged at a time.
JUDGED_BLOCKS = 32


class Block(TypedDict):
    """Ids of a block, (block,), and the places where ids are to be told, and which, (targets,).

    Of a model of two directions, places and ids of the second one follow those of the first.
    """

    input_ids: Numbers
    places: Numbers
    labels: Numbers


@dataclass(frozen=True)
class Signs:
    """The special ids of a tokenizer: those around a block, the mask, and all of them."""

    before: list[int]
    behind: list[int]
    mask: int
    special: list[int]
    vocabulary_size: int


class Blocks(Examples[Block]):
    """Blocks of `size` tokens out of a stream of ids, (tokens,).

    A block begins and ends with the special ids of the tokenizer. What is left of the stream, less
    than a block, is not used. In each block the same number of tokens is to be told. Random: which,
    by seed, epoch and block: neither the order of blocks nor the number of processes matters.
    """

    def __init__(
        self, stream: npt.NDArray[np.uint16 | np.uint32], signs: Signs, size: int, seed: int
    ) -> None:
        self.stream, self.signs, self.seed = stream, signs, seed
        self.room = size - len(signs.before) - len(signs.behind)
        self.lengths = np.full(len(stream) // self.room, size)
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """See Examples.set_epoch: each epoch has its own draw."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> Block:
        """Return one block."""
        random = np.random.default_rng([self.seed, self.epoch, index])
        inner = self.stream[index * self.room : (index + 1) * self.room]
        before, behind = self.signs.before, self.signs.behind
        return self.ask(np.concatenate([before, inner, behind]).astype(np.int64), random)

    @abstractmethod
    def ask(self, ids: Numbers, random: np.random.Generator) -> Block:
        """Return the block of these ids, (block,), with what is to be told in it."""

    @abstractmethod
    def stack(self, places: Numbers) -> Numbers:
        """Return the places of all blocks of a batch, (batch, targets), as the model takes them."""

    def collate(self, items: list[Block], tokens: int = 0) -> Batch:
        """See Examples.collate: also `input_ids` and `attention_mask` (batch, tokens), `places`.

        Places count all tokens of the batch.
        """
        ids = torch.from_numpy(np.stack([item["input_ids"] for item in items]))
        starts = np.arange(len(items))[:, None] * ids.shape[1]
        labels = np.stack([item["labels"] for item in items])
        places = np.stack([item["places"] for item in items]) + starts
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "places": torch.from_numpy(self.stack(places)),
            "labels": torch.from_numpy(self.stack(labels).ravel()),
        }

    def judge(self, model: PreTrainedModel, indices: Numbers) -> tuple[float, float]:
        """See Examples.judge: the draw is that of the block's first epoch."""
        model.eval().to(device())
        loss = right = 0.0
        for start in range(0, len(indices), JUDGED_BLOCKS):
            items = [self[index] for index in indices[start : start + JUDGED_BLOCKS]]
            batch = {name: value.to(device()) for name, value in self.collate(items).items()}
            labels = batch.pop("labels")
            with torch.no_grad(), autocast():
                logits = model(**batch).logits.float().flatten(0, -2)
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            right += float((logits.argmax(-1) == labels).sum())
        return loss, right


class MaskedBlocks(Blocks):
    """Blocks of which some tokens are masked, and are to be told; no special ones.

    Random, beside what is drawn of all blocks: what stands in the place of a masked token.
    """

    def __init__(
        self,
        stream: npt.NDArray[np.uint16 | np.uint32],
        signs: Signs,
        size: int,
        masked: float,
        seed: int,
    ) -> None:
        super().__init__(stream, signs, size, seed)
        self.targets = max(1, round(masked * self.room))

    def ask(self, ids: Numbers, random: np.random.Generator) -> Block:
        """See Blocks.ask."""
        ranks = random.random(len(ids)) + np.isin(ids, self.signs.special)
        places = np.sort(np.argpartition(ranks, self.targets - 1)[: self.targets])
        labels = ids[places]
        fate = random.random(self.targets)
        anything = random.integers(self.signs.vocabulary_size, size=self.targets)
        changed = np.where(fate < AS_MASK + AS_ANY, anything, labels)
        ids[places] = np.where(fate < AS_MASK, self.signs.mask, changed)
        return {"input_ids": ids, "places": places, "labels": labels}

    def stack(self, places: Numbers) -> Numbers:
        """See Blocks.stack: (batch * targets,)."""
        return places.ravel()


class NeighbourBlocks(Blocks):
    """Blocks in which tokens are to be told from all before them and, backwards, from all behind.

    A place is that of the state which tells, before or behind the token.
    """

    def __init__(
        self,
        stream: npt.NDArray[np.uint16 | np.uint32],
        signs: Signs,
        size: int,
        predicted: float,
        directions: int,
        seed: int,
    ) -> None:
        super().__init__(stream, signs, size, seed)
        self.steps = range(1, 1 - 2 * directions, -2)
        self.targets = directions * max(1, round(predicted * (size - 1)))

    def ask(self, ids: Numbers, random: np.random.Generator) -> Block:
        """See Blocks.ask."""
        count = self.targets // len(self.steps)
        drawn = [np.sort(random.permutation(len(ids) - 1)[:count]) for _ in self.steps]
        # Forwards the token at place 1 is told at 0, backwards the one at 0 is told at 1.
        places = [row + (step < 0) for row, step in zip(drawn, self.steps, strict=True)]
        labels = [ids[row + step] for row, step in zip(places, self.steps, strict=True)]
        told, answers = np.concatenate(places), np.concatenate(labels)
        return {"input_ids": ids, "places": told, "labels": answers}

    def stack(self, places: Numbers) -> Numbers:
        """See Blocks.stack: (directions, batch * targets of each)."""
        by_direction = places.reshape(len(places), len(self.steps), -1)
        return by_direction.transpose(1, 0, 2).reshape(len(self.steps), -1)
