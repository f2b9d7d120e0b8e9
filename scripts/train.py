"""Train one model on the subsamples of one size, for each seed of a block."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gap.cli import read_json, run, sha256_file, write_json
from gap.families import Family, Job, family_of
from gap.pretrained import checkpoint_folder
from gap.runstate import state_folder
from gap.sampling import Subsample, read_subsamples


def train_seed(family: Family, one: Subsample, state: Path) -> dict[str, Any]:
    """Train one seed, unless an earlier, broken job finished it, and return what is known of it."""
    report = state / f"{one.seed}.json"
    if report.exists():
        return read_json(report)
    start = time.monotonic()
    weights = state / "weights" / str(one.seed)
    history = family.train(one, state / f"{one.seed}.checkpoints", weights)
    result = {
        "training_rows": len(one.training_rows),
        "validation_rows": len(one.validation_rows),
        "evaluations": history,
        "seconds": round(time.monotonic() - start, 1),
        "sha256": {path.name: sha256_file(path) for path in sorted(weights.iterdir())},
    }
    shutil.rmtree(state / f"{one.seed}.checkpoints", ignore_errors=True)
    write_json(report, result)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=json.loads, required=True, help="JSON: the model's")
    parser.add_argument("--manifest", type=Path, required=True, help="pool.json, for the labels")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file of the block")
    parser.add_argument("--ids", type=Path, help="folder of encoded texts")
    parser.add_argument("--texts", type=Path, help="pool.parquet, for models that read words")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--state", type=Path, required=True, help="folder for unfinished work")
    parser.add_argument("--weights", type=Path, required=True, help="folder to write")
    parser.add_argument("--training", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    checkpoint = arguments.checkpoint and checkpoint_folder(arguments.checkpoint)
    labels = read_json(arguments.manifest)["labels"]
    family = family_of(Job(arguments.recipe, labels, arguments.ids, arguments.texts, checkpoint))
    made_from = [arguments.manifest, arguments.subsample, arguments.checkpoint]
    state = state_folder(
        arguments.state, "train.py", arguments.recipe, [path for path in made_from if path]
    )
    seeds = {}
    for one in read_subsamples(arguments.subsample):
        print(f"seed {one.seed}: {len(one.training_rows):,} texts to train on", flush=True)
        seeds[str(one.seed)] = train_seed(family, one, state)
    shutil.rmtree(arguments.weights, ignore_errors=True)
    os.replace(state / "weights", arguments.weights)
    write_json(arguments.training, {"n": len(one.rows), "seeds": seeds})
    shutil.rmtree(state)


if __name__ == "__main__":
    run(main)
