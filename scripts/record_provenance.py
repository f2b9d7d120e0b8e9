"""Write what a study was made from: config, code, packages, data, weights, hardware, per run."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gap.results.predictions import read_predictions
from gap.run.errors import UserError
from gap.run.json import canonical_json, read_json, write_json
from gap.run.program import run

Facts = dict[str, Any]


def describe_source(path: Path) -> Facts:
    """Return a source's spec, the commit of a hub's, and the sha256 of its files.

    These go by their names below the source's folder.
    """
    manifest, folder = read_json(path), path.parent / "files"
    files = {}
    for file in manifest["files"]:
        inside = Path(file["path"]).is_relative_to(folder)
        name = Path(file["path"]).relative_to(folder).as_posix() if inside else file["path"]
        files[name] = file["sha256"]
    return read_json(path.with_name("origin.json")) | {"files": files}


def describe_dataset(path: Path) -> Facts:
    """Return rows and sha256 of pool and test."""
    card = read_json(path)
    return {part: {key: card[part][key] for key in ("rows", "sha256")} for part in ("pool", "test")}


def describe_runs(path: Path) -> dict[str, Facts]:
    """Return the runs of a training by "dataset/model/size/seed", each with all it was made with.

    Raises UserError where the training does not tell what it was made with.
    """
    training = read_json(path)
    if "made_with" not in training:
        raise UserError(f"{path}: no made_with; expected a file of train.py as it is; train again")
    made_with = training["made_with"]
    # The packages of the provenance are a part of those installed.
    environment = {
        "code": made_with["provenance"]["code"],
        "hardware": made_with["hardware"],
        "packages": made_with["packages"],
    }
    return {
        f"{_cell(path)}/{seed}": {
            "n": training["n"],
            "training_rows": one["training_rows"],
            "validation_rows": one["validation_rows"],
            "weights": one["sha256"],
            "environment": environment,
        }
        for seed, one in training["seeds"].items()
    }


def digest_predictions(path: Path) -> dict[str, str]:
    """Return the sha256 of the scores of each run in a file of predictions.

    That of the file would change with the library that writes it.
    """
    digests: dict[str, Any] = defaultdict(hashlib.sha256)
    for block in read_predictions(path):
        digests[f"{_cell(path)}/{block.seed}"].update(block.scores.tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _cell(path: Path) -> str:
    """Return "dataset/model/size", of which the folders of a run's files tell."""
    return "/".join(path.absolute().parts[-5:-2])


def name_environments(runs: Iterable[Facts]) -> dict[str, Facts]:
    """Return the environments of all runs, each once, by number; the runs then name theirs."""
    runs = list(runs)
    spelled = sorted({canonical_json(one["environment"]) for one in runs})
    numbers = {environment: str(number) for number, environment in enumerate(spelled, start=1)}
    for one in runs:
        one["environment"] = numbers[canonical_json(one["environment"])]
    return {number: json.loads(environment) for environment, number in numbers.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the study's")
    rules = "JSON: {rule: {code: digest, packages: {name: version}}}"
    parser.add_argument("--rules", required=True, type=json.loads, help=rules)
    files: Facts = {"nargs": "+", "type": Path, "required": True}
    parser.add_argument("--sources", **files, help="manifests of download.py, or @FILE")
    parser.add_argument("--cards", **files, help="cards of prepare.py, or @FILE")
    trainings = "training.json of each training, or @FILE; predictions.parquet stands beside it"
    parser.add_argument("--trainings", **files, help=trainings)
    parser.add_argument("--record", required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    runs = {name: one for path in arguments.trainings for name, one in describe_runs(path).items()}
    for path in arguments.trainings:
        for name, digest in digest_predictions(path.with_name("predictions.parquet")).items():
            runs[name]["predictions"] = digest
    content = {
        "config": arguments.config,
        "rules": arguments.rules,
        "sources": {path.parent.name: describe_source(path) for path in arguments.sources},
        "datasets": {path.parent.name: describe_dataset(path) for path in arguments.cards},
        "environments": name_environments(runs.values()),
        "runs": runs,
    }
    write_json(arguments.record, content)


if __name__ == "__main__":
    run(main)
