"""What a fine-tuned network still knows of what it was pretrained to tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from gap.models.batching import Batch
from gap.models.encoder import load_classifier, load_trained_classifier
from gap.models.hardware import autocast, device
from gap.models.measurements import Forgetting, Recall
from gap.models.pretraining.blocks import JUDGED_BLOCKS, Blocks, Numbers
from gap.models.pretraining.masked_lm import masked_lm_over
from gap.models.pretraining.networks import open_blocks

Matrix = npt.NDArray[np.float32]

# Held-out blocks that a network is asked about, at most, and those that its states are drawn of.
MOST_BLOCKS, DRAWN_BLOCKS = 256, 100
# Share of the tokens that are hidden where a network is asked what it makes of fewer.
DROPPED = 0.3
# What random numbers of the disturbances are drawn by, beside the block's number.
DISTURBANCE_SEED = 20


def measure(checkpoint: Path, corpus: Path, weights: dict[str, Path]) -> Forgetting:
    """Return what the networks in folders of weights, by seed, forgot of a checkpoint's corpus.

    `corpus` is the folder of the ids that the checkpoint was pretrained on; it is asked about those
    that were held out.
    """
    blocks = open_blocks(checkpoint, corpus, "held-out")
    indices = np.arange(min(len(blocks), MOST_BLOCKS))
    start = masked_lm_over(load_classifier(checkpoint, ["0", "1"]), checkpoint)
    before = recall(start, blocks, indices)
    after: dict[str, Recall] = {}
    layers: dict[str, list[float]] = {}
    points: list[list[float]] = []
    for seed, folder in weights.items():
        network = masked_lm_over(load_trained_classifier(folder), checkpoint)
        after[seed] = recall(network, blocks, indices)
        layers[seed] = likeness(start, network, blocks, indices)
        if not points:
            drawn = indices[:DRAWN_BLOCKS]
            pair = [mean_states(model, blocks, drawn) for model in (start, network)]
            points = project(pair[0], pair[1]).tolist()
    return {
        "blocks": len(indices),
        "targets": blocks.targets,
        "before": before,
        "after": after,
        "layers": layers,
        "points": points,
    }


def recall(model: PreTrainedModel, blocks: Blocks, indices: Numbers) -> Recall:
    """Return how well a masked language model tells the masked tokens of each block.

    Also where a share of the other tokens is hidden, and where these stand in another order.
    Random: which tokens, by the block's number.
    """
    model.eval().to(device())
    answers: Recall = {"loss": [], "right": [], "dropped": [], "shuffled": []}
    for numbers, batch in batches_of(blocks, indices):
        losses, right = ask(model, batch)
        answers["loss"] += losses
        answers["right"] += right
        context = is_context(batch, blocks)
        answers["dropped"] += ask(model, drop(batch, context, numbers))[0]
        answers["shuffled"] += ask(model, shuffle(batch, context, numbers))[0]
    return answers


def batches_of(blocks: Blocks, indices: Numbers) -> Iterator[tuple[Numbers, Batch]]:
    """Yield the numbers of some blocks and their batch, on the device."""
    for first in range(0, len(indices), JUDGED_BLOCKS):
        numbers = indices[first : first + JUDGED_BLOCKS]
        batch = blocks.collate([blocks[number] for number in numbers])
        yield numbers, {name: value.to(device()) for name, value in batch.items()}


def ask(model: PreTrainedModel, batch: Batch) -> tuple[list[float], list[float]]:
    """Return the mean loss (nats) and the share of right answers of each block of a batch."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    labels, rows = batch["labels"], len(batch["input_ids"])
    with torch.no_grad(), autocast():
        logits = model(**inputs).logits.float().flatten(0, -2)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    right = (logits.argmax(-1) == labels).float()
    return losses.view(rows, -1).mean(1).tolist(), right.view(rows, -1).mean(1).tolist()


def is_context(batch: Batch, blocks: Blocks) -> torch.Tensor:
    """Return which tokens are neither to be told nor special, (batch, tokens)."""
    special = torch.tensor(blocks.signs.special, device=batch["input_ids"].device)
    context = ~torch.isin(batch["input_ids"], special)
    context.view(-1)[batch["places"]] = False
    return context


def drop(batch: Batch, context: torch.Tensor, numbers: Numbers) -> Batch:
    """Return the batch with a share of the context of each block hidden from attention."""
    ranks = _draw(numbers, context.shape[1], context.device)
    hidden = context & (ranks < DROPPED)
    return {**batch, "attention_mask": batch["attention_mask"].masked_fill(hidden, 0)}


def shuffle(batch: Batch, context: torch.Tensor, numbers: Numbers) -> Batch:
    """Return the batch with the context of each block in another order."""
    ranks = _draw(numbers, context.shape[1], context.device)
    ids = batch["input_ids"].clone()
    for row, chosen in enumerate(context):
        places = chosen.nonzero().flatten()
        ids[row, places] = ids[row, places[ranks[row, places].argsort()]]
    return {**batch, "input_ids": ids}


def _draw(numbers: Numbers, tokens: int, place: torch.device) -> torch.Tensor:
    """Return a number from 0 to 1 for each token, (blocks, tokens), by the blocks' numbers."""
    rows = [np.random.default_rng([DISTURBANCE_SEED, number]).random(tokens) for number in numbers]
    return torch.from_numpy(np.stack(rows)).to(place)


# ---------------------------------------------------------------- states


def states_of(model: PreTrainedModel, batch: Batch) -> list[torch.Tensor]:
    """Return the states of embeddings and of each layer, each (batch, tokens, width)."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad(), autocast():
        output = model.base_model(**inputs, output_hidden_states=True)
    return [states.float() for states in output.hidden_states]


@dataclass
class Moments:
    """Sums over tokens of the states of two networks, and of their products."""

    count: int
    sums: list[torch.Tensor]
    products: list[torch.Tensor]

    @classmethod
    def of(cls, first: torch.Tensor, second: torch.Tensor) -> Moments:
        """Return those of the states of a batch, each (batch, tokens, width)."""
        x, y = (states.flatten(0, 1).double() for states in (first, second))
        return cls(len(x), [x.sum(0), y.sum(0)], [x.T @ x, y.T @ y, x.T @ y])

    def add(self, other: Moments) -> None:
        """Add those of another batch."""
        self.count += other.count
        for sums, parts in ((self.sums, other.sums), (self.products, other.products)):
            for tensor, part in zip(sums, parts, strict=True):
                tensor.add_(part)

    def likeness(self) -> float:
        """Return the linear centred kernel alignment, 0 to 1.

        (Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3.)
        """
        pairs = ((0, 0), (1, 1), (0, 1))
        own, others, both = (
            torch.linalg.matrix_norm(product - torch.outer(self.sums[a], self.sums[b]) / self.count)
            for product, (a, b) in zip(self.products, pairs, strict=True)
        )
        return float(both**2 / (own * others))


def likeness(
    start: PreTrainedModel, network: PreTrainedModel, blocks: Blocks, indices: Numbers
) -> list[float]:
    """Return how alike the states of two networks are, of embeddings and of each layer."""
    moments: list[Moments] = []
    for model in (start, network):
        model.eval().to(device())
    for _, batch in batches_of(blocks, indices):
        pairs = zip(states_of(start, batch), states_of(network, batch), strict=True)
        fresh = [Moments.of(*pair) for pair in pairs]
        for total, part in zip(moments, fresh, strict=False):
            total.add(part)
        moments = moments or fresh
    return [moment.likeness() for moment in moments]


def mean_states(model: PreTrainedModel, blocks: Blocks, indices: Numbers) -> Matrix:
    """Return the mean over the tokens of each block of the last layer's states, (blocks, width)."""
    model.eval().to(device())
    means = [states_of(model, batch)[-1].mean(1) for _, batch in batches_of(blocks, indices)]
    return torch.cat(means).cpu().numpy()


def project(before: Matrix, after: Matrix) -> npt.NDArray[np.float64]:
    """Return where blocks stand before and after, (blocks, 4): x, y before, x, y after.

    The axes are the two principal components of all of them.
    """
    together = np.concatenate([before, after]).astype(np.float64)
    centred = together - together.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    places = centred @ axes[:2].T
    # The sign of an axis is arbitrary: its largest place is positive.
    largest = places[np.abs(places).argmax(0), np.arange(places.shape[1])]
    places *= np.where(largest < 0, -1.0, 1.0)
    return np.concatenate(np.split(places, 2), axis=1)
