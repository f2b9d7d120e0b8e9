"""Training of networks with the transformers Trainer."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

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
from transformers.trainer_utils import get_last_checkpoint, rotate_checkpoints

from gap.models.batching import Division, Examples, LengthGroupedSampler
from gap.models.dropout import fast_dropout
from gap.models.hardware import fast_bf16, flushed_denormals, loading_processes
from gap.models.retention import Retention
from gap.models.trainers import make_trainer
from gap.run.durable import flush
from gap.run.errors import Stopped
from gap.run.processes import is_first, largest, rank_and_count
from gap.run.stopping import StopRequest, stop_when_saved
from gap.study.recipes import GradientDescent
from gap.study.schedule import per_epoch, schedule
from gap.study.tuning import Evaluation

# What a killed training loses at most; saving a large model takes seconds.
SECONDS_BETWEEN_CHECKPOINTS = 600
# What a single process with enough memory does.
WHOLE_BATCHES = Division()
NOTHING_KEPT = Retention()
# The file in a checkpoint that says that all others are there.
WHOLE = "whole"


class ReportProgress(TrainerCallback):
    """Prints a line per evaluation: step, losses, tokens per second, time left at most.

    `tokens` is the mean number of tokens of a step. To count them at each step would wait for the
    device.
    """

    def __init__(self, tokens: float) -> None:
        self.tokens = tokens

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Start the clock."""
        self.start, self.start_step = time.monotonic(), state.global_step

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Print the line, on one process."""
        if not state.is_world_process_zero:
            return
        per_step = (time.monotonic() - self.start) / (state.global_step - self.start_step)
        left = per_step * (state.max_steps - state.global_step)
        scores = " ".join(
            f"{name.removeprefix('eval_')} {value:.4f}"
            for name, value in state.log_history[-1].items()
            if name in ("eval_loss", "eval_accuracy")
        )
        print(
            f"step {state.global_step}/{state.max_steps}: validation {scores}, "
            f"{self.tokens / per_step:,.0f} tokens/s, at most {left:.0f} s left",
            flush=True,
        )


class KeepCheckpoints(TrainerCallback):
    """Saves between evaluations, too, marks checkpoints that are whole, and removes older ones.

    When the program is asked to stop it saves after the step that is under way, and raises Stopped.
    Processes that work together do both after the same step, whichever of them was asked.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Start the clock."""
        self.saved = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Ask for a checkpoint if it is time for one."""
        # The clocks of processes differ: that of the first one decides.
        due = is_first() and time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS
        wanted = largest(2 if self.stop.made else int(due))
        if wanted == 2:
            self.stop.made = True
        control.should_save |= wanted > 0

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Make the new checkpoint count; of the older ones only the best is still of use then."""
        if is_first():
            checkpoint = checkpoint_of(Path(str(args.output_dir)), state.global_step)
            flush(checkpoint)
            (checkpoint / WHOLE).touch()
            flush(checkpoint)
            rotate_checkpoints(str(args.output_dir), 1, state.best_model_checkpoint)
        self.saved = time.monotonic()
        # The other processes wait for the first one's checkpoint here.
        if largest(int(self.stop.made)):
            raise Stopped(
                f"seed {args.seed}, step {state.global_step} of {state.max_steps}, checkpoint saved"
            )


def checkpoint_of(state: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return state / f"checkpoint-{step}"


def last_whole_checkpoint(state: Path) -> Path | None:
    """Return the last checkpoint under `state`, if there is one; those half written are removed."""
    if is_first():
        for checkpoint in state.glob("checkpoint-*"):
            if not (checkpoint / WHOLE).exists():
                shutil.rmtree(checkpoint)
    # The other processes wait for it.
    largest(0)
    last = get_last_checkpoint(str(state)) if state.is_dir() else None
    return Path(last) if last else None


def train_network(
    model: PreTrainedModel,
    training: Examples[Any],
    validation: Examples[Any],
    settings: GradientDescent,
    seed: int,
    state: Path,
    retention: Retention = NOTHING_KEPT,
) -> list[Evaluation]:
    """Train `model` in place, leave it with its best weights, and return its evaluations.

    The best weights are those of the first evaluation that is best by `metric`. Training
    goes on from the last whole checkpoint under `state`, if there is one, to the very same numbers;
    it raises Stopped after a checkpoint when asked to stop. Random: dropout and the order of
    batches, both from `seed`, and what `retention` draws.

    Processes that work together all call this alike; the first one writes the checkpoints. Their
    number, and `device_batch_size`, change the result by rounding only, and going on
    with another number of them does so, too (but see DividedDropout for GPUs).
    """
    steps, interval = schedule(len(training), settings)
    division = division_of(settings)
    with stop_when_saved() as stop, fast_dropout(), flushed_denormals():
        trainer = make_trainer(
            division,
            retention,
            sampler=LengthGroupedSampler(training.lengths, settings.batch_size, seed, training),
            model=model,
            args=training_arguments(settings, steps, interval, seed, state, division),
            train_dataset=training,
            eval_dataset=validation,
            data_collator=training.collate,
            callbacks=[
                KeepCheckpoints(stop),
                ReportProgress(training.lengths.sum() / per_epoch(len(training), settings)),
                EarlyStoppingCallback(settings.patience),
                *retention.callbacks,
            ],
        )
        # It prints the same facts as ReportProgress, as raw dictionaries.
        trainer.remove_callback(PrinterCallback)
        _train(trainer, last_whole_checkpoint(state))
    return [
        {
            "step": int(entry["step"]),
            # A training that diverges has no finite loss, and JSON has no word for that.
            "loss": entry["eval_loss"] if math.isfinite(entry["eval_loss"]) else None,
            "accuracy": entry["eval_accuracy"],
        }
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    ]


def division_of(settings: GradientDescent) -> Division:
    """Return how this process and those that it works with divide the recipe's batches.

    A step has a constant number of examples, for its noise and its learning rate go by that number;
    batches of so many tokens would have it depend on length. Memory is saved by parts of a step, of
    a number of examples, too. A budget of tokens for the parts would save turns where texts are
    short, but then turns would differ from batch to batch. Elsewhere such a budget saves padding;
    here there is little, as texts of like length share a batch. Where nothing is trained, in
    validation and prediction, batches are of so many tokens (see batches_by_tokens).
    """
    process, processes = rank_and_count()
    batch_size = settings.batch_size
    at_once = settings.device_batch_size or batch_size
    return Division(process, processes, turns=math.ceil(batch_size / (processes * at_once)))


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
    settings: GradientDescent,
    steps: int,
    interval: int,
    seed: int,
    state: Path,
    division: Division = WHOLE_BATCHES,
) -> TrainingArguments:
    """Return the Trainer's arguments for a recipe's optimisation."""
    arguments = TrainingArguments(
        output_dir=str(state),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=division.turns,
        # DividedTrainer knows the number of examples.
        average_tokens_across_devices=False,
        learning_rate=settings.lr,
        lr_scheduler_type=settings.lr_schedule,
        warmup_steps=math.ceil(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        use_cpu=not torch.cuda.is_available(),
        bf16=fast_bf16(),
        seed=seed,
        data_seed=seed,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        # KeepCheckpoints removes the older ones, once the new one is whole.
        save_total_limit=None,
        load_best_model_at_end=True,
        metric_for_best_model=settings.metric,
        greater_is_better=settings.metric != "loss",
        logging_strategy="no",
        # The filter would wait for the loss of each step, and changes logs only.
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        # Examples hold what collate needs, whatever the network's inputs are called.
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        dataloader_num_workers=loading_processes(division.processes),
    )
    # If the Trainer sees several GPUs, it multiplies the batch by their number.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
