"""The transformers Trainer with this project's batches: of texts of like length, and divided."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import safe_globals

from gap.models.batching import (
    Batch,
    Division,
    Examples,
    LengthGroupedSampler,
    Part,
    Parts,
    PartSampler,
)
from gap.models.dropout import DividedDropout
from gap.models.retention import LayerDecay, Retention, Review
from gap.run.processes import is_first, rank_and_count, total

# The file of the random generators' states, by the name that the Trainer has for one process.
GENERATORS = "rng_state.pth"

Item = TypeVar("Item")


class TrainerOptions(TypedDict, total=False):
    """What is handed on to the Trainer of transformers."""

    model: PreTrainedModel
    args: TrainingArguments
    eval_dataset: Examples[Any]
    data_collator: Callable[[list[Any]], Batch]
    callbacks: list[TrainerCallback]


def make_trainer(
    division: Division,
    retention: Retention,
    sampler: LengthGroupedSampler,
    train_dataset: Examples[Any],
    **options: Unpack[TrainerOptions],
) -> GroupedTrainer:
    """Return a trainer for batches that are divided so, which retains what it is told to.

    It is a GroupedTrainer where nothing is divided.
    """
    trainer: GroupedTrainer
    if retention.review is not None:
        trainer = ReviewingTrainer(retention.review, division, sampler, train_dataset, **options)
    elif division.parts == 1:
        trainer = GroupedTrainer(sampler, train_dataset, **options)
    else:
        trainer = DividedTrainer(division, sampler, train_dataset, **options)
    trainer.layer_decay = retention.layer_decay
    return trainer


class GroupedTrainer(Trainer):
    """The transformers Trainer with batches of texts of like length."""

    layer_decay: LayerDecay | None = None

    def __init__(
        self,
        sampler: LengthGroupedSampler,
        train_dataset: Examples[Any],
        **options: Unpack[TrainerOptions],
    ) -> None:
        self.sampler = sampler
        super().__init__(train_dataset=train_dataset, **options)

    def _get_train_sampler(self, train_dataset: object = None) -> LengthGroupedSampler:
        return self.sampler

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Return AdamW, with a learning rate for each layer where they differ."""
        optimizer = super().create_optimizer(model)
        if self.layer_decay is not None:
            optimizer.param_groups = self.layer_decay.split(optimizer.param_groups)
        return optimizer

    def floating_point_ops(self, inputs: object) -> int:
        """Return 0: nothing reads it, and counting goes through all of the model at each step."""
        return 0

    def _issue_warnings_after_load(self, load_result: NamedTuple) -> None:
        """Raise RuntimeError unless a saved state had all weights; the Trainer would only warn."""
        missing, unexpected = load_result
        assert isinstance(self.model, PreTrainedModel)
        missing = sorted(set(missing) - self.model.all_tied_weights_keys.keys())
        if missing or unexpected:
            raise RuntimeError(
                f"a saved state does not fit the model: missing {missing[:1]}, "
                f"unexpected {unexpected[:1]}"
            )

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Return loss and accuracy on the validation examples, the same on each process.

        Each process is given its share of them.
        """
        examples, model = self.eval_dataset, self.model
        assert isinstance(examples, Examples)
        assert isinstance(model, PreTrainedModel)
        process, processes = rank_and_count()
        share = np.arange(process, len(examples), processes)
        # torch's loader draws a number when it starts. Dropout in later steps depends on it, so one
        # is drawn here, too.
        torch.empty((), dtype=torch.int64).random_()
        sums = [0.0, 0.0, 0.0]
        if len(share):
            sums = [*examples.judge(model, share), float(len(share) * examples.targets)]
        loss, right, count = total(sums)
        metrics = {"eval_loss": loss / count, "eval_accuracy": right / count}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class DividedTrainer(GroupedTrainer):
    """A GroupedTrainer whose batches are divided over processes, or into parts done in turn.

    Its steps are those of the undivided training up to rounding: the same examples, padding and
    dropout masks (see DividedDropout for what is not), and the gradient of the mean over the batch.
    """

    def __init__(
        self,
        division: Division,
        sampler: LengthGroupedSampler,
        train_dataset: Examples[Any],
        **options: Unpack[TrainerOptions],
    ) -> None:
        self.division = division
        self.parts: Parts[Any] = Parts(train_dataset)
        self.dropout = DividedDropout()
        super().__init__(sampler, train_dataset, **options)

    def get_train_dataloader(self) -> DataLoader[dict[str, object]]:
        """Return this process's parts; as for one process, or accelerate would share them out."""
        loader = DataLoader(
            self.parts,
            batch_size=1,
            sampler=PartSampler(self.sampler, self.division),
            collate_fn=_only,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return prepare_data_loader(loader, self.args.device, num_processes=1, process_index=0)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, object],
        return_outputs: bool = False,
        num_items_in_batch: object = None,
    ) -> torch.Tensor:
        """Return the part's share of the mean loss over the targets of the batch.

        Times the number of processes, over which their gradients are averaged.
        """
        part, labels = inputs.pop("part"), inputs.pop("labels")
        assert isinstance(part, Part)
        assert isinstance(labels, torch.Tensor)
        with self.dropout.of(part):
            logits = model(**inputs).logits.flatten(0, -2)
        losses = functional.cross_entropy(logits.float(), labels, reduction="sum")
        whole = part.whole * self.parts.examples.targets
        return losses * (0 if part.idle else self.division.processes / whole)

    def _save_rng_state(self, output_dir: str) -> None:
        """Save the generators' states once, as they are in step on all processes."""
        states = {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "cpu": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        if is_first():
            torch.save(states, Path(output_dir) / GENERATORS)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load what one process saved, also where it trained alone."""
        if checkpoint is None:
            return
        with safe_globals():
            states = torch.load(Path(checkpoint) / GENERATORS, weights_only=True)
        random.setstate(states["python"])
        np.random.set_state(states["numpy"])
        torch.set_rng_state(states["cpu"])
        if torch.cuda.is_available() and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"])


class ReviewingTrainer(DividedTrainer):
    """A DividedTrainer in whose steps blocks of a corpus go along with the texts.

    Their loss is added, with its weight, to that of the texts.
    """

    def __init__(
        self,
        review: Review,
        division: Division,
        sampler: LengthGroupedSampler,
        train_dataset: Examples[Any],
        **options: Unpack[TrainerOptions],
    ) -> None:
        self.review = review
        self.review_dropout = DividedDropout()
        super().__init__(division, sampler, train_dataset, **options)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, object],
        return_outputs: bool = False,
        num_items_in_batch: object = None,
    ) -> torch.Tensor:
        """Return the part's share of both losses of the step."""
        part = inputs["part"]
        assert isinstance(part, Part)
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        blocks = self.review.part(part, self.division.parts, self.state.global_step)
        if blocks is None:
            return loss
        with self.review_dropout.of(blocks):
            share = self.review.loss(blocks)
        return loss + share * (0 if blocks.idle else self.division.processes)


def _only(items: list[Item]) -> Item:
    """Return the one item of a batch that is collated already."""
    (item,) = items
    return item
