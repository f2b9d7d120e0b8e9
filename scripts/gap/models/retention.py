"""What keeps a network near the weights that it begins with while it is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from gap.models.batching import Part, divide
from gap.models.hardware import device
from gap.study import recipes
from gap.study.schedule import per_epoch

if TYPE_CHECKING:
    from gap.models.pretraining.blocks import Blocks, Numbers


class StayNear(TrainerCallback):
    """Draws parameters towards what they are now, after each step.

    This is weight decay, decoupled from the gradient as in AdamW, with the start in the place of
    zero. (Li et al. 2018, Explicit Inductive Bias for Transfer Learning with Convolutional
    Networks, have it as a part of the loss.)
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], strength: float) -> None:
        self.parameters = parameters
        self.start = [parameter.detach().clone() for parameter in parameters]
        self.strength = strength

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Move the start to where the parameters are."""
        places = [parameter.device for parameter in self.parameters]
        self.start = [start.to(place) for start, place in zip(self.start, places, strict=True)]

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **_: object,
    ) -> None:
        """Do it, by the learning rate that each has in the step."""
        rates = {
            parameter: group["lr"]
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        with torch.no_grad():
            for parameter, start in zip(self.parameters, self.start, strict=True):
                parameter.lerp_(start, min(1.0, rates[parameter] * self.strength))


@dataclass(frozen=True)
class LayerDecay:
    """Learning rates that fall from layer to layer, from a network's head to its embeddings.

    A parameter d layers below the head has `share` to the power of d of the head's rate. (Howard
    and Ruder 2018, Universal Language Model Fine-tuning for Text Classification, section 3.2; by
    one share for all layers, Clark et al. 2020, ELECTRA, appendix B.)
    """

    share: float
    depths: dict[torch.nn.Parameter, int]

    def split(self, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the groups of an optimiser, each divided by depth, with the layers' rates."""
        divided: list[dict[str, Any]] = []
        for group in groups:
            layers: dict[int, list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                layers.setdefault(self.depths[parameter], []).append(parameter)
            divided += [
                group | {"params": layer, "lr": group["lr"] * self.share**depth}
                for depth, layer in sorted(layers.items())
            ]
        return divided


class GradualUnfreezing(TrainerCallback):
    """Trains a network's head only at first, then one layer more after the other, down to all.

    The lowest depth begins after `share` of the steps, those between evenly before. (Howard and
    Ruder 2018, section 3.3, who begin a layer with each epoch; here few texts may have many epochs,
    and many texts one.)
    """

    def __init__(self, share: float, depths: dict[torch.nn.Parameter, int]) -> None:
        self.share = share
        self.depths = {weight: depth for weight, depth in depths.items() if weight.requires_grad}

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Let what is not trained yet have no gradient, so that AdamW leaves it alone."""
        lowest = max(self.depths.values())
        for parameter, depth in self.depths.items():
            begin = self.share * state.max_steps * depth / lowest
            parameter.requires_grad_(state.global_step >= begin)


def depths_of(model: PreTrainedModel) -> dict[torch.nn.Parameter, int]:
    """Return how many layers below its head each parameter of a classifier is.

    The last layer is one below, the embeddings are one below the first. What is defined behind a
    layer, such as a last normalisation, goes with it.
    """
    body = model.base_model
    layers = _layers_of(body)
    depths = {
        parameter: len(layers) - place
        for place, layer in enumerate(layers)
        for parameter in layer.parameters()
    }
    depth = len(layers) + 1
    for parameter in body.parameters():
        depth = depths.setdefault(parameter, depth)
    return dict.fromkeys(model.parameters(), 0) | depths


def _layers_of(module: torch.nn.Module) -> list[torch.nn.Module]:
    """Return what the lists in a module hold, in their order; lists inside of others are not."""
    layers: list[torch.nn.Module] = []
    for child in module.children():
        layers += child if isinstance(child, torch.nn.ModuleList) else _layers_of(child)
    return layers


@dataclass(frozen=True)
class Pace:
    """How many blocks go along with how many examples, and in how many steps an epoch is done."""

    settings: recipes.Review
    examples: int
    steps: int

    @classmethod
    def of(cls, settings: recipes.FineTuning, examples: int) -> Pace:
        """Return the pace of a fine-tuning on so many examples."""
        assert settings.mix is not None
        return cls(settings.mix, examples, per_epoch(examples, settings))

    def blocks(self, epoch: int) -> int:
        """Return how many blocks come to an epoch, counted from 0."""
        return self.settings.blocks(epoch, self.examples)


class Review:
    """Blocks of the corpus of a checkpoint that go through its body beside the texts of a step.

    To epoch e, from 0, come ratio * decay^e blocks for each training example, shared out evenly
    over the epoch's steps (He et al. 2021, who count epochs from 1). Random: which blocks, and
    which of their tokens are masked, by seed and epoch; within an epoch no block comes again before
    all have come.
    """

    def __init__(self, model: PreTrainedModel, blocks: Blocks, pace: Pace, seed: int) -> None:
        self.model, self.blocks, self.pace, self.seed = model, blocks, pace, seed
        self.epoch, self.order = -1, np.empty(0, dtype=np.int64)
        self.model.train().to(device())

    def order_of(self, epoch: int) -> Numbers:
        """Return the indices of an epoch's blocks, in their order."""
        count = self.pace.blocks(epoch)
        random = np.random.default_rng([self.seed, epoch])
        rounds = -(-count // len(self.blocks))
        orders = [random.permutation(len(self.blocks)) for _ in range(rounds)]
        return np.concatenate([np.empty(0, dtype=np.int64), *orders])[:count]

    def part(self, part: Part, parts: int, step: int) -> Part | None:
        """Return the blocks that go along with one of the parts of a step; None without any.

        Steps count from the first one of the training.
        """
        epoch, place = divmod(step, self.pace.steps)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self.order_of(epoch)
            self.blocks.set_epoch(epoch)
        first, behind = (len(self.order) * end // self.pace.steps for end in (place, place + 1))
        chosen = self.order[first:behind].tolist()
        if not chosen:
            return None
        places = divide(len(chosen), parts)[part.number]
        taken = places or range(1)
        return Part(
            rows=tuple(chosen[place] for place in taken),
            first=taken.start,
            whole=len(chosen),
            tokens=int(self.blocks.lengths[0]),
            number=part.number,
            in_turn=part.in_turn,
            idle=not places,
        )

    def loss(self, part: Part) -> torch.Tensor:
        """Return the part's share of the weighted mean loss over the targets of a step's blocks."""
        items = [self.blocks[index] for index in part.rows]
        batch = {name: value.to(device()) for name, value in self.blocks.collate(items).items()}
        labels = batch.pop("labels")
        logits = self.model(**batch).logits.float().flatten(0, -2)
        losses = functional.cross_entropy(logits, labels, reduction="sum")
        return losses * (self.pace.settings.weight / (part.whole * self.blocks.targets))


@dataclass(frozen=True)
class Retention:
    """What keeps a network near the weights that it begins with."""

    review: Review | None = None
    stay: StayNear | None = None
    layer_decay: LayerDecay | None = None
    unfreezing: GradualUnfreezing | None = None

    @property
    def callbacks(self) -> list[TrainerCallback]:
        """Those of them that act at each step."""
        return [callback for callback in (self.stay, self.unfreezing) if callback]
