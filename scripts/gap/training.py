"""Training of networks with the transformers Trainer."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalPrediction, get_last_checkpoint, rotate_checkpoints

from gap.batching import LabelledTexts, LengthGroupedSampler, PadBatch
from gap.cli import Stopped
from gap.dropout import fast_dropout
from gap.durable import flush
from gap.hardware import native_bf16
from gap.stopping import StopRequest, stop_when_saved

History = list[dict[str, float]]

# What a killed training loses at most; saving a large model takes seconds.
SECONDS_BETWEEN_CHECKPOINTS = 600
# The file in a checkpoint that says that all others are there.
WHOLE = "whole"


def schedule(examples: int, recipe: dict[str, Any]) -> tuple[int, int]:
    """Return (optimisation steps, steps between evaluations): one rule for every size.

    Few examples are gone through more often, up to `min_steps`; the schedule always has
    `evaluations` evaluations, so neither patience nor the choice of weights favours a size.
    """
    per_epoch = math.ceil(examples / recipe["batch_size"])
    steps = max(recipe["min_steps"], math.ceil(per_epoch * recipe["max_epochs"]))
    return steps, math.ceil(steps / recipe["evaluations"])


class GroupedTrainer(Trainer):
    """The transformers Trainer with batches of texts of like length."""

    def __init__(self, sampler: LengthGroupedSampler, **options: Any) -> None:
        self.sampler = sampler
        super().__init__(**options)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        return self.sampler


class ReportProgress(TrainerCallback):
    """Prints a line per evaluation: step, losses, tokens per second, time left at most."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock."""
        self.start, self.start_step = time.monotonic(), state.global_step
        self.start_tokens = state.num_input_tokens_seen

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Print the line."""
        seconds = time.monotonic() - self.start
        left = (
            seconds / (state.global_step - self.start_step) * (state.max_steps - state.global_step)
        )
        rate = (state.num_input_tokens_seen - self.start_tokens) / seconds
        scores = " ".join(
            f"{name.removeprefix('eval_')} {value:.4f}"
            for name, value in state.log_history[-1].items()
            if name in ("eval_loss", "eval_accuracy")
        )
        print(
            f"step {state.global_step}/{state.max_steps}: validation {scores}, "
            f"{rate:,.0f} tokens/s, at most {left:.0f} s left",
            flush=True,
        )


class KeepCheckpoints(TrainerCallback):
    """Saves between evaluations, too, marks checkpoints that are whole, and removes older ones.

    When the program is asked to stop it saves after the step that is under way, and raises Stopped.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock."""
        self.saved = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a checkpoint if it is time for one."""
        if self.stop.made or time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Make the new checkpoint count; of the older ones only the best is still of use then."""
        checkpoint = checkpoint_of(Path(str(args.output_dir)), state.global_step)
        flush(checkpoint)
        (checkpoint / WHOLE).touch()
        flush(checkpoint)
        rotate_checkpoints(str(args.output_dir), 1, state.best_model_checkpoint)
        self.saved = time.monotonic()
        if self.stop.made:
            raise Stopped(
                f"seed {args.seed}, step {state.global_step} of {state.max_steps}, checkpoint saved"
            )


def checkpoint_of(state: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return state / f"checkpoint-{step}"


def last_whole_checkpoint(state: Path) -> Path | None:
    """Return the last checkpoint under `state`, if there is one; those half written are removed."""
    for checkpoint in state.glob("checkpoint-*"):
        if not (checkpoint / WHOLE).exists():
            shutil.rmtree(checkpoint)
    last = get_last_checkpoint(str(state)) if state.is_dir() else None
    return Path(last) if last else None


def train_network(
    model: PreTrainedModel,
    training: LabelledTexts,
    validation: LabelledTexts,
    recipe: dict[str, Any],
    seed: int,
    state: Path,
) -> History:
    """Train `model` in place, leave it with its best weights, and return its evaluations.

    The best weights are those of the evaluation with the best `metric` on validation. Training
    goes on from the last whole checkpoint under `state`, if there is one, to the very same numbers;
    it raises Stopped after a checkpoint when asked to stop. Random: dropout and the order of
    batches, both from `seed`.
    """
    steps, interval = schedule(len(training), recipe)
    with stop_when_saved() as stop, fast_dropout():
        trainer = GroupedTrainer(
            sampler=LengthGroupedSampler(training.lengths, recipe["batch_size"], seed),
            model=model,
            args=training_arguments(recipe, steps, interval, seed, state),
            train_dataset=training,
            eval_dataset=validation.sorted_by_length(),
            data_collator=PadBatch(training.texts.pad_id),
            compute_metrics=_validation_scores,
            callbacks=[
                KeepCheckpoints(stop),
                ReportProgress(),
                EarlyStoppingCallback(recipe["patience"]),
            ],
        )
        # It prints the same facts as ReportProgress, as raw dictionaries.
        trainer.remove_callback(PrinterCallback)
        _train(trainer, last_whole_checkpoint(state))
    return [
        {"step": entry["step"], "loss": entry["eval_loss"], "accuracy": entry["eval_accuracy"]}
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    ]


def _train(trainer: Trainer, last: Path | None) -> None:
    """Train, from a checkpoint if there is one; at one of the last step just load the best weights.

    From there the Trainer would do another step, and forget that its patience was used up.
    """
    if last is not None:
        state = TrainerState.load_from_json(str(last / TRAINER_STATE_NAME))
        control = state.stateful_callbacks["TrainerControl"]
        if control["args"]["should_training_stop"]:
            best = checkpoint_of(last.parent, state.best_global_step or state.global_step)
            state.best_model_checkpoint = str(best)
            trainer.state = state
            trainer._load_best_model()
            return
    trainer.train(resume_from_checkpoint=str(last) if last else None)


def training_arguments(
    recipe: dict[str, Any], steps: int, interval: int, seed: int, state: Path
) -> TrainingArguments:
    """Return the Trainer's arguments for a recipe's optimisation."""
    return TrainingArguments(
        output_dir=str(state),
        max_steps=steps,
        per_device_train_batch_size=recipe["batch_size"],
        per_device_eval_batch_size=4 * recipe["batch_size"],
        learning_rate=recipe["lr"],
        lr_scheduler_type=recipe["lr_schedule"],
        warmup_steps=math.ceil(recipe["warmup"] * steps),
        weight_decay=recipe["weight_decay"],
        max_grad_norm=recipe["max_grad_norm"],
        use_cpu=not torch.cuda.is_available(),
        bf16=native_bf16(),
        seed=seed,
        data_seed=seed,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        # KeepCheckpoints removes the older ones, once the new one is whole.
        save_total_limit=None,
        load_best_model_at_end=True,
        metric_for_best_model=recipe["metric"],
        greater_is_better=recipe["metric"] != "loss",
        include_num_input_tokens_seen="non_padding",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _validation_scores(prediction: EvalPrediction) -> dict[str, float]:
    labels = np.asarray(prediction.label_ids)
    return {"accuracy": float((np.asarray(prediction.predictions).argmax(-1) == labels).mean())}
