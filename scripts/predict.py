"""Score the test texts with the trained models of a block of seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gap.data.checkpoints import checkpoint_folder
from gap.data.prepared import load_groups, load_labels
from gap.models.family import Job, ModelFamily, family_class, family_of, load_recipe
from gap.results.predictions import write_predictions
from gap.results.records import PredictionsManifest
from gap.run.digests import sha256_file
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.run.runstate import keep, restore, shared_work, state_folder


@contextmanager
def kept_for_all_sizes(
    arguments: argparse.Namespace, specification: list[object], made_from: list[Path]
) -> Iterator[Path | None]:
    """Give the folder of what the predictions of all sizes share, if the model shares anything."""
    if not family_class(arguments.recipe["family"]).shares_prediction:
        yield None
        return
    name = f"states-{arguments.cell['model']}"
    with shared_work(arguments.ids.parent, name, specification, made_from) as folder:
        yield folder


def layers_of(
    family: ModelFamily, weights: Path, seeds: list[int], labels: npt.NDArray[np.int32]
) -> dict[str, list[float]]:
    """Return the accuracy of each layer by seed; empty for a model that does not compare them."""
    accuracies = {
        str(seed): family.layer_accuracies(weights / str(seed), seed, labels) for seed in seeds
    }
    return {seed: layers for seed, layers in accuracies.items() if layers}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--recipe", type=json.loads, required=True, help="JSON: the model's")
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--cell", type=json.loads, required=True, help="JSON: dataset, model, size")
    parser.add_argument("--manifest", type=Path, required=True, help="test.json, for the labels")
    parser.add_argument("--test", type=Path, required=True, help="test.parquet")
    parser.add_argument("--ids", type=Path, help="folder of encoded texts")
    parser.add_argument("--texts", type=Path, help="test.parquet, for models that read words")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--training", type=Path, required=True, help="JSON file of the training")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the training")
    parser.add_argument("--predictions", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--predictions-manifest", type=Path, required=True, help="JSON to write")
    arguments = parser.parse_args(argv)

    training = read_json(arguments.training)
    # Not the whole of training.json: it also tells how long the training took.
    digests = {seed: report["sha256"] for seed, report in training["seeds"].items()}
    specification = [arguments.recipe, arguments.provenance, arguments.cell, training["n"], digests]
    made_from = [arguments.manifest, *filter(None, [arguments.checkpoint])]
    if arguments.ids:
        # The manifests of the encoded texts: one for all seeds, or one for each.
        made_from += sorted(arguments.ids.rglob("test.json"))
    state = state_folder(arguments.predictions.parent, "predict", specification, made_from)
    outputs = [arguments.predictions, arguments.predictions_manifest]
    if restore(state, outputs):
        return
    checkpoint = arguments.checkpoint and checkpoint_folder(arguments.checkpoint)
    labels = read_json(arguments.manifest)["labels"]
    job = Job(labels, arguments.ids, arguments.texts, checkpoint)
    test = load_labels(arguments.test), load_groups(arguments.test)
    shared = [arguments.recipe, arguments.provenance]
    with kept_for_all_sizes(arguments, shared, made_from) as kept:
        family = family_of(load_recipe(arguments.recipe), replace(job, kept=kept))
        scores = {
            int(seed): family.log_scores(arguments.weights / seed, int(seed))
            for seed in training["seeds"]
        }
        compared = layers_of(family, arguments.weights, list(scores), test[0])
    cell = arguments.cell | {"n": training["n"]}
    write_predictions(arguments.predictions, cell, scores, *test)
    manifest: PredictionsManifest = {
        "seeds": sorted(scores),
        "sha256": sha256_file(arguments.predictions),
    }
    if compared:
        manifest["layers"] = {
            "dataset": cell["dataset"],
            "model": cell["model"],
            "size": cell["size"],
            "n": cell["n"],
            "accuracies": compared,
        }
    write_json(arguments.predictions_manifest, manifest)
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
