"""Measure how long the trained models of a data set take, from raw text to class scores.

All models run on one core, or on one core and a GPU, in one process and in turns, so that their
times can be compared. Whoever calls this sees to it that nothing else runs beside it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gap.models.family import family_of, load_recipe
from gap.run.arguments import named_paths
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.study.recipes import ModelRecipe
from gap.study.sizes import longest_text

if TYPE_CHECKING:
    from gap.models.measurements import Times
    from gap.models.serving import ServedModel
    from gap.results.records import Latency

# Texts that each model scores one at a time in a round.
TEXTS = 100
# Texts of a batch at most; and tokens, padding included.
MOST_TEXTS = 4096
MOST_TOKENS = 65_536
# numpy's library of products reads them when it is loaded, tokenizers when it is first used.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def load_models(arguments: argparse.Namespace) -> dict[str, ServedModel]:
    """Return the models by name, each with the weights of its first seed."""
    from gap.data.checkpoints import checkpoint_folder
    from gap.data.vocabulary import FittedVocabulary, PretrainedVocabulary
    from gap.models.family import Job
    from gap.models.serving import TextReader

    labels = read_json(arguments.manifest)["labels"]
    dataset = arguments.recipe["dataset"]
    models = {}
    for name, recipe in recipes_of(arguments).items():
        seed = min(read_json(arguments.trainings[name])["seeds"], key=int)
        checkpoint: Path | None = None
        reader: TextReader | None = None
        budget = dataset["max_tokens"], dataset["keep"], dataset["pair"]
        if name in arguments.checkpoints:
            checkpoint = checkpoint_folder(arguments.checkpoints[name])
        if name in arguments.vocabularies:
            fitted = FittedVocabulary(arguments.vocabularies[name] / f"{seed}.model")
            reader = TextReader(fitted, *budget)
        elif checkpoint is not None:
            reader = TextReader(PretrainedVocabulary(checkpoint), *budget)
        family = family_of(recipe, Job(labels, checkpoint=checkpoint))
        models[name] = family.serve(arguments.weights[name] / seed, reader)
    return models


def recipes_of(arguments: argparse.Namespace) -> dict[str, ModelRecipe]:
    """Return the recipes of the models by name."""
    return {name: load_recipe(entry) for name, entry in arguments.recipe["models"].items()}


def read_texts(path: Path) -> list[str]:
    """Return the first texts of a test set."""
    from gap.data.prepared import iterate_texts

    every = (text for texts in iterate_texts(path) for text in texts)
    return list(islice(every, MOST_TEXTS))


def measure(models: dict[str, ServedModel], texts: list[str], most: int) -> dict[str, Times]:
    """Return what each model takes one text at a time, and in batches of its best size.

    `most` is the largest batch size to try.
    """
    from gap.models.latency import (
        batches_of,
        best_batch_size,
        describe_latency,
        describe_throughput,
        time_in_turns,
    )

    some = texts[:TEXTS]
    single = time_in_turns(models, {name: batches_of(some, 1, len(some)) for name in models})
    sizes = {name: best_batch_size(model, texts, most) for name, model in models.items()}
    batches = {name: batches_of(texts, size, len(some)) for name, size in sizes.items()}
    batched = time_in_turns(models, batches)
    return {
        name: {
            "parameters": model.parameters,
            "trained_parameters": model.trained_parameters,
            "single": describe_latency(single[name]),
            "batched": {"batch_size": sizes[name], **describe_throughput(batched[name])},
        }
        for name, model in models.items()
    }


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = "JSON: models {name: recipe}, dataset {words, max_tokens, keep}, cell {dataset}"
    parser.add_argument("--recipe", type=json.loads, required=True, help=recipe)
    parser.add_argument("--manifest", type=Path, required=True, help="test.json, for the labels")
    parser.add_argument("--test", type=Path, required=True, help="test.parquet")
    for name, what in {
        "trainings": "training.json of each model",
        "weights": "folder of weights of each model",
        "checkpoints": "manifest of the checkpoint of each model that has one",
        "vocabularies": "folder of the fitted vocabularies of each model that has one",
    }.items():
        parser.add_argument(f"--{name}", nargs="*", default=[], metavar="MODEL=PATH", help=what)
    parser.add_argument("--latency", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    for name in ("trainings", "weights", "checkpoints", "vocabularies"):
        setattr(arguments, name, named_paths(getattr(arguments, name)))
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    arguments = parse(argv)
    os.environ |= ONE_CORE
    import torch
    from gap.models.hardware import describe_hardware

    torch.set_num_threads(1)
    dataset = arguments.recipe["dataset"]
    most = MOST_TOKENS // longest_text(dataset["words"], dataset["max_tokens"])
    recipes = recipes_of(arguments)
    times = measure(load_models(arguments), read_texts(arguments.test), most)
    trainings = {name: read_json(path) for name, path in arguments.trainings.items()}
    latencies: dict[str, Latency] = {
        name: {
            **times[name],
            "family": recipe.family,
            "size": trainings[name]["size"],
            "n": trainings[name]["n"],
            "hardware": describe_hardware(family_of(recipe).uses_gpu),
        }
        for name, recipe in recipes.items()
    }
    write_json(arguments.latency, {**arguments.recipe["cell"], "models": latencies})


if __name__ == "__main__":
    run(main)
