"""Train one model on the subsamples of one size: all trials of each seed of a block."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gap.data.checkpoints import checkpoint_folder
from gap.data.sampling import Subsample, read_subsamples
from gap.models.family import Folders, Job, ModelFamily, family_of, load_recipe
from gap.run.digests import sha256_file
from gap.run.durable import flush
from gap.run.errors import UserError
from gap.run.folders import link
from gap.run.json import read_json, write_json
from gap.run.launchers import forget_launchers
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.run.stopping import stop_at_once
from gap.study.recipes import ModelRecipe
from gap.study.tuning import Evaluation, Trial, Value, best_evaluation, choose, trials_of

if TYPE_CHECKING:
    from gap.results.records import FinishedTrial, SeedReport, TrialReport

# In the folder of a seed: the reports of its finished trials, and work that all of them use.
REPORTS = "trials.json"
SHARED = "shared"


@dataclass(frozen=True)
class Training:
    """How each seed is trained: by whom, and in how many processes together."""

    family: ModelFamily
    processes: int = 1


def train_seed(training: Training, subsample: Subsample, folder: Path) -> tuple[SeedReport, Path]:
    """Train one seed; return its report, and the folder of its weights.

    The weights are those of the best of its trials. Finished trials of an earlier, broken job are
    not done again. At most two trials have weights at a time: the best so far, and the one under
    training.
    """
    trials = trials_of(training.family.recipe, subsample.seed)
    reports = finished_trials(folder)
    for trial in trials[len(reports) :]:
        if trial.settings:
            print(f"trial {trial.number}: {spell(trial.settings)}", flush=True)
        reports.append(train_trial(training, trial, subsample, folder))
        write_json(folder / REPORTS, reports)
        tidy(folder, reports)
    best = choose(reports)
    if best["loss"] is None:
        raise UserError(
            f"seed {subsample.seed}: the validation loss is not finite at the end of any trial: "
            "training diverges; lower lr or max_grad_norm in the recipe"
        )
    shutil.rmtree(folder / SHARED, ignore_errors=True)
    report: SeedReport = {
        "training_rows": len(subsample.training_rows),
        "validation_rows": len(subsample.validation_rows),
        "trials": [without_digests(report) for report in reports],
        "chosen": best["trial"],
        "sha256": best["sha256"],
    }
    return report, folders_of(folder, best["trial"]).weights


def without_digests(report: FinishedTrial) -> TrialReport:
    """Return what training.json says of a trial: only the weights of the chosen one are kept."""
    return {
        "trial": report["trial"],
        "settings": report["settings"],
        "loss": report["loss"],
        "accuracy": report["accuracy"],
        "evaluations": report["evaluations"],
        "seconds": report["seconds"],
    }


def train_trial(
    training: Training, trial: Trial, subsample: Subsample, folder: Path
) -> FinishedTrial:
    """Train one trial of a seed, and return what is known of it."""
    folders = folders_of(folder, trial.number)
    shutil.rmtree(folders.weights, ignore_errors=True)
    start = time.monotonic()
    evaluations = train_together(training, trial.recipe, subsample, folders)
    flush(folders.weights)
    best = best_evaluation(evaluations, training.family.chosen_by(trial.recipe))
    return {
        "trial": trial.number,
        "settings": trial.settings,
        "loss": best["loss"],
        "accuracy": best["accuracy"],
        "evaluations": evaluations,
        "seconds": round(time.monotonic() - start, 1),
        "sha256": digests(folders.weights),
    }


def finished_trials(folder: Path) -> list[FinishedTrial]:
    """Return the reports of a seed's trials that an earlier, broken job finished, in order."""
    path = folder / REPORTS
    reports: list[FinishedTrial] = read_json(path) if path.exists() else []
    if not reports:
        return []
    best = choose(reports)
    if digests(folders_of(folder, best["trial"]).weights) != best["sha256"]:
        # The weights of the other trials are gone, so all are trained again.
        shutil.rmtree(folder)
        return []
    tidy(folder, reports)
    return reports


def tidy(folder: Path, reports: list[FinishedTrial]) -> None:
    """Remove what finished trials of a seed leave behind, but the weights of the best of them."""
    best = choose(reports)
    for report in reports:
        folders = folders_of(folder, report["trial"])
        shutil.rmtree(folders.state, ignore_errors=True)
        if report is not best:
            shutil.rmtree(folders.weights, ignore_errors=True)


def folders_of(folder: Path, number: int) -> Folders:
    """Return where a trial of the seed that has the folder keeps its files."""
    parent = folder / f"trial-{number}"
    return Folders(shared=folder / SHARED, state=parent / "checkpoints", weights=parent / "weights")


def spell(settings: dict[str, Value]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def train_together(
    training: Training, recipe: ModelRecipe, subsample: Subsample, folders: Folders
) -> list[Evaluation]:
    """Train a recipe in so many processes, or in this one."""
    if training.processes == 1:
        return training.family.train(recipe, subsample, folders)
    from gap.run.processes import in_processes

    train = training.family.train
    return in_processes(training.processes, train, recipe, subsample, folders)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of a folder's files by name; none where it is missing."""
    return {path.name: sha256_file(path) for path in sorted(folder.glob("*"))}


def made_with(training: Training, provenance: dict[str, object]) -> dict[str, object]:
    """Return what besides recipe and data the weights came from: code, packages, hardware."""
    from gap.models.hardware import describe_hardware
    from gap.run.packages import installed_packages

    hardware = describe_hardware(training.family.uses_gpu, training.processes)
    return {"packages": installed_packages(), "hardware": hardware, "provenance": provenance}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--recipe", type=json.loads, required=True, help="JSON: the model's")
    parser.add_argument("--provenance", type=json.loads, required=True, help="JSON: code, packages")
    parser.add_argument("--cell", type=json.loads, required=True, help="JSON: dataset, model, size")
    parser.add_argument("--manifest", type=Path, required=True, help="pool.json, for the labels")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file of the block")
    parser.add_argument("--ids", type=Path, help="folder of encoded texts")
    parser.add_argument("--texts", type=Path, help="pool.parquet, for models that read words")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--vocabulary", type=Path, help="folder of fitted vocabularies, by seed")
    parser.add_argument("--bridge", type=Path, help="generator of fit_bridge.py")
    parser.add_argument("--corpus-ids", type=Path, help="folder of what it was pretrained on")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="GPUs, or on CPUs processes, that train one run together (default: 1); placement, no "
        "part of the recipe, and of no use to models that are not trained by gradient descent",
    )
    parser.add_argument("--state", type=Path, required=True, help="folder for unfinished work")
    parser.add_argument("--weights", type=Path, required=True, help="folder to write")
    parser.add_argument("--training", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    if arguments.processes < 1:
        parser.error(f"--processes: {arguments.processes} must be 1 or more")
    forget_launchers()
    with stop_at_once():
        train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train all seeds of the block, those that are not finished, and put the outputs in place."""
    made_from = [arguments.manifest, arguments.subsample]
    made_from += filter(None, [arguments.checkpoint, arguments.bridge])
    if arguments.vocabulary:
        made_from += sorted(arguments.vocabulary.glob("*.model"))
    if arguments.ids:
        # The manifests of the encoded texts: one for all seeds, or one for each.
        made_from += sorted(arguments.ids.rglob("pool.json"))
    specification = [arguments.recipe, arguments.provenance]
    state = state_folder(arguments.state, "train", specification, made_from)
    outputs = [arguments.weights, arguments.training]
    if restore(state, outputs):
        return
    training = training_of(arguments)
    seeds, weights = {}, {}
    for subsample in read_subsamples(arguments.subsample):
        seed = str(subsample.seed)
        print(f"seed {seed}: {len(subsample.training_rows):,} texts to train on", flush=True)
        seeds[seed], weights[seed] = train_seed(training, subsample, state / seed)
    shutil.rmtree(arguments.weights, ignore_errors=True)
    for seed, folder in weights.items():
        link(folder, arguments.weights / seed)
    made = made_with(training, arguments.provenance)
    report = {"n": len(subsample.rows), "seeds": seeds, "made_with": made}
    write_json(arguments.training, arguments.cell | report)
    keep(state, outputs)


def training_of(arguments: argparse.Namespace) -> Training:
    """Return how the command line asks for each seed to be trained."""
    checkpoint = arguments.checkpoint and checkpoint_folder(arguments.checkpoint)
    labels = read_json(arguments.manifest)["labels"]
    job = Job(
        labels,
        arguments.ids,
        arguments.texts,
        checkpoint,
        arguments.corpus_ids,
        arguments.vocabulary,
        arguments.bridge,
    )
    family = family_of(load_recipe(arguments.recipe), job)
    processes = arguments.processes if family.divisible else 1
    return Training(family, processes)


if __name__ == "__main__":
    run(main)
