"""Write what a study was made from: config, code, packages, data, weights, hardware, per run."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gap
from gap.data.cards import read_card
from gap.results.predictions import read_cell, read_predictions
from gap.results.records import (
    DatasetRecord,
    Environment,
    RunRecord,
    SourceRecord,
    StudyRecord,
    Training,
)
from gap.run.errors import UserError
from gap.run.json import canonical_json, read_json, write_json
from gap.run.program import run

if TYPE_CHECKING:
    from hashlib import _Hash


def describe_source(manifest: Path, origin: Path) -> SourceRecord:
    """Return a source's spec, the commit of a hub's, and the sha256 of its files.

    These go by their names below the source's folder.
    """
    folder = manifest.parent / "files"
    files = {}
    for file in read_json(manifest)["files"]:
        inside = Path(file["path"]).is_relative_to(folder)
        name = Path(file["path"]).relative_to(folder).as_posix() if inside else file["path"]
        files[name] = file["sha256"]
    record: SourceRecord = read_json(origin) | {"files": files}
    return record


def describe_datasets(cards: Sequence[Path]) -> dict[str, DatasetRecord]:
    """Return rows and sha256 of pool and test of each data set."""
    return {
        card["dataset"]: {
            "pool": {"rows": card["pool"]["rows"], "sha256": card["pool"]["sha256"]},
            "test": {"rows": card["test"]["rows"], "sha256": card["test"]["sha256"]},
        }
        for card in map(read_card, cards)
    }


def read_training(path: Path) -> Training:
    """Return what a training tells; raises UserError where that is not what it was made with."""
    training: Training = read_json(path)
    if "made_with" not in training:
        raise UserError(f"{path}: no made_with; expected a file of train.py as it is; train again")
    return training


def environment_of(training: Training) -> Environment:
    """Return what trained a block of seeds."""
    made_with = training["made_with"]
    # The packages of the provenance are a part of those installed.
    return {
        "code": made_with["provenance"]["code"],
        "hardware": made_with["hardware"],
        "packages": made_with["packages"],
    }


def number_environments(trainings: Sequence[Training]) -> dict[str, str]:
    """Return the number of each environment, by its canonical JSON."""
    spelled = sorted({canonical_json(environment_of(training)) for training in trainings})
    return {environment: str(number) for number, environment in enumerate(spelled, start=1)}


def describe_runs(
    trainings: Sequence[Training], numbers: Mapping[str, str], predictions: Mapping[str, str]
) -> dict[str, RunRecord]:
    """Return the runs of all trainings by "dataset/model/size/seed".

    `numbers` are those of the environments, `predictions` the digests of each run's predictions;
    raises UserError where a run has none.
    """
    runs: dict[str, RunRecord] = {}
    for training in trainings:
        number = numbers[canonical_json(environment_of(training))]
        for seed, report in training["seeds"].items():
            name = run_name(training["dataset"], training["model"], training["size"], seed)
            if name not in predictions:
                raise UserError(
                    f"{name}: no predictions; expected a file of predict.py for each training; "
                    "name it with --predictions"
                )
            runs[name] = {
                "n": training["n"],
                "training_rows": report["training_rows"],
                "validation_rows": report["validation_rows"],
                "weights": report["sha256"],
                "environment": number,
                "predictions": predictions[name],
            }
    return runs


def digest_predictions(path: Path) -> dict[str, str]:
    """Return the sha256 of the scores of each run in a file of predictions.

    That of the file would change with the library that writes it.
    """
    cell = read_cell(path)
    digests: dict[int, _Hash] = defaultdict(hashlib.sha256)
    for block in read_predictions(path):
        digests[block.seed].update(block.scores.tobytes())
    return {
        run_name(cell.dataset, cell.model, cell.size, seed): digest.hexdigest()
        for seed, digest in digests.items()
    }


def run_name(dataset: str, model: str, size: str, seed: int | str) -> str:
    """Return what a run is called in the record."""
    return f"{dataset}/{model}/{size}/{seed}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the study's")
    rules = "JSON: {rule: {code: digest, packages: {name: version}}}"
    parser.add_argument("--rules", required=True, type=json.loads, help=rules)
    names = "names of the sources (dataset-, test-, table-, text-, checkpoint-NAME), or @FILE"
    parser.add_argument("--names", nargs="+", required=True, help=names)
    add_files = partial(parser.add_argument, required=True, nargs="+", type=Path)
    add_files("--sources", help="manifests of download.py, as named, or @FILE")
    add_files("--origins", help="origins of download.py, as named, or @FILE")
    add_files("--cards", help="cards of prepare.py, or @FILE")
    add_files("--trainings", help="training.json of each training, or @FILE")
    add_files("--predictions", help="Parquet files of predict.py, or @FILE")
    parser.add_argument("--record", required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    trainings = [read_training(path) for path in arguments.trainings]
    digests: dict[str, str] = {}
    for path in arguments.predictions:
        digests |= digest_predictions(path)
    numbers = number_environments(trainings)
    sources = zip(arguments.names, arguments.sources, arguments.origins, strict=True)
    record: StudyRecord = {
        "version": gap.__version__,
        "config": arguments.config,
        "rules": arguments.rules,
        "sources": {name: describe_source(manifest, origin) for name, manifest, origin in sources},
        "datasets": describe_datasets(arguments.cards),
        "environments": {number: json.loads(text) for text, number in numbers.items()},
        "runs": describe_runs(trainings, numbers, digests),
    }
    write_json(arguments.record, record)


if __name__ == "__main__":
    run(main)
