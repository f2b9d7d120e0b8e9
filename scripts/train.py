"""Train one model on the subsamples of one size, for each seed of a block."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gap.cli import read_json, run, sha256_file, write_json
from gap.durable import flush
from gap.families import Family, Job, family_of
from gap.pretrained import checkpoint_folder
from gap.runstate import keep, link, restore, state_folder
from gap.sampling import Subsample, read_subsamples
from gap.stopping import stop_at_once


def train_seed(family: Family, one: Subsample, state: Path) -> dict[str, Any]:
    """Train one seed, unless an earlier, broken job finished it, and return what is known of it."""
    report, weights = state / f"{one.seed}.json", state / "weights" / str(one.seed)
    checkpoints = state / f"{one.seed}.checkpoints"
    if report.exists():
        result: dict[str, Any] = read_json(report)
        if weights.is_dir() and result["sha256"] == digests(weights):
            return result
        # Its checkpoints may be gone in part.
        shutil.rmtree(checkpoints, ignore_errors=True)
        report.unlink()
    shutil.rmtree(weights, ignore_errors=True)
    start = time.monotonic()
    history = family.train(one, checkpoints, weights)
    flush(weights)
    result = {
        "training_rows": len(one.training_rows),
        "validation_rows": len(one.validation_rows),
        "evaluations": history,
        "seconds": round(time.monotonic() - start, 1),
        "sha256": digests(weights),
    }
    write_json(report, result)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def made_with(recipe: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """Return what besides recipe and data the weights came from: code, packages, hardware."""
    from gap.hardware import describe_hardware
    from gap.provenance import installed_packages

    hardware = describe_hardware(network=recipe["family"] != "linear")
    return {"packages": installed_packages(), "hardware": hardware, "provenance": provenance}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=json.loads, required=True, help="JSON: the model's")
    parser.add_argument("--provenance", type=json.loads, required=True, help="JSON: code, packages")
    parser.add_argument("--manifest", type=Path, required=True, help="pool.json, for the labels")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file of the block")
    parser.add_argument("--ids", type=Path, help="folder of encoded texts")
    parser.add_argument("--texts", type=Path, help="pool.parquet, for models that read words")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--state", type=Path, required=True, help="folder for unfinished work")
    parser.add_argument("--weights", type=Path, required=True, help="folder to write")
    parser.add_argument("--training", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    with stop_at_once():
        train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train all seeds of the block, those that are not finished, and put the outputs in place."""
    made_from = [arguments.manifest, arguments.subsample]
    made_from += filter(None, [arguments.checkpoint])
    if arguments.ids:
        # The manifests of the encoded texts, one or one per seed.
        made_from += sorted(arguments.ids.rglob("pool.json"))
    facts = [arguments.recipe, arguments.provenance]
    state = state_folder(arguments.state, "train", facts, made_from)
    outputs = [arguments.weights, arguments.training]
    if restore(state, outputs):
        return
    checkpoint = arguments.checkpoint and checkpoint_folder(arguments.checkpoint)
    labels = read_json(arguments.manifest)["labels"]
    family = family_of(Job(arguments.recipe, labels, arguments.ids, arguments.texts, checkpoint))
    seeds = {}
    for one in read_subsamples(arguments.subsample):
        print(f"seed {one.seed}: {len(one.training_rows):,} texts to train on", flush=True)
        seeds[str(one.seed)] = train_seed(family, one, state)
    link(state / "weights", arguments.weights)
    made = made_with(arguments.recipe, arguments.provenance)
    write_json(arguments.training, {"n": len(one.rows), "seeds": seeds, "made_with": made})
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
