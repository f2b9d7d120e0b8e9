"""Made-up texts, tiny recipes of each family, and calls of the programs that train and predict."""

import contextlib
import json
from unittest import mock

import encode
import fit_vocabulary
import numpy as np
import predict
import pyarrow as pa
import pyarrow.parquet as pq
import subsample
import torch
import train
from gap.config import check as study
from gap.data.checkpoints import checkpoint_folder
from gap.data.sampling import read_subsamples
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.models.trainers import GroupedTrainer
from gap.models.training import division_of
from gap.run.json import write_json
from gap.run.processes import rank_and_count, total
from gap.study.tuning import trial

WORDS = {"pos": ["good", "great", "fine"], "neg": ["bad", "poor", "dull"]}
FILLER = ["a", "the", "is", "was", "film", "book", "plot"]
PROVENANCE = {"code": "0123456789abcdef", "packages": {"torch": "2.13"}}
STEPS = {"batch_size": 8, "max_epochs": 2, "min_steps": 24, "evaluations": 4, "patience": 4}

CELL = {"dataset": "made-up", "model": "model", "size": "80"}


def make_recipes(**optimisation):
    """Return tiny recipes of each family, with the schema's defaults filled in."""
    steps = STEPS | optimisation
    source = {"kind": "file", "path": "unused"}
    config: dict[str, object] = {
        "datasets": ["made-up"],
        "models": ["lstm", "tfidf"],
        "reference": "lstm",
        "sizes": [40],
        "seeds": [1],
        "dataset_zoo": {"made-up": {"source": source, "text": "text", "label": "label"}},
        "model_zoo": {
            "fine-tuned": {
                "family": "transformer",
                "checkpoint": "tiny",
                "optimisation": steps | {"lr": 0.005},
            },
            "frozen": {"family": "transformer", "checkpoint": "tiny", "frozen": True},
            "mix": {"family": "frozen", "checkpoint": "tiny", "layers": "mix"},
            "each": {"family": "frozen", "checkpoint": "tiny", "layers": "each"},
            "states-lstm": {
                "family": "frozen",
                "checkpoint": "tiny",
                "layers": "mix",
                "head": "lstm",
                "width": 16,
                "optimisation": steps | {"lr": 0.02},
            },
            "lstm": {
                "family": "lstm",
                "vocabulary": "pieces",
                "width": 16,
                "optimisation": steps | {"lr": 0.02},
            },
            "lstm-tiny": {
                "family": "lstm",
                "checkpoint": "tiny",
                "width": 16,
                "optimisation": steps | {"lr": 0.02},
            },
            "tfidf": {"family": "linear"},
            "composition": {"family": "composition"},
        },
    }
    study.complete(config)
    return config["model_zoo"]


def write_texts(path, rows, seed):
    """Write made-up texts whose label shows in two of their words."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int32) % 2
    texts = [
        " ".join(random.permutation([*random.choice(FILLER, random.integers(2, 12)), *signs]))
        for signs in (random.choice(WORDS["pos" if label else "neg"], 2) for label in labels)
    ]
    numbers = np.arange(rows)
    columns = {"row": numbers, "text": texts, "label": labels, "source_row": numbers}
    pq.write_table(pa.table(columns), path)
    write_json(path.with_suffix(".json"), {"labels": ["neg", "pos"], "rows": rows, "sha256": ""})


def make_data(folder, tiny_bert, pool=200, size=80, seeds="1-2"):
    """Write everything that training and prediction read, for a block of seeds."""
    write_texts(folder / "pool.parquet", pool, seed=1)
    write_texts(folder / "test.parquet", 60, seed=2)
    files = [{"path": str(path)} for path in tiny_bert.iterdir()]
    write_json(folder / "tiny.json", {"files": files})
    validation = {"share": 0.25, "min": 4, "max": 50}
    call(
        subsample.main,
        recipe={"size": str(size), "validation": validation},
        seeds=seeds,
        pool=folder / "pool.parquet",
        subsample=folder / "subsample.parquet",
        manifest=folder / "subsample.json",
    )
    vocabulary = {"algorithm": "unigram", "size": 100, "character_coverage": 1.0}
    call(
        fit_vocabulary.main,
        recipe=vocabulary | {"sample_texts": 1000},
        provenance=PROVENANCE,
        pool=folder / "pool.parquet",
        pool_manifest=folder / "pool.json",
        subsample=folder / "subsample.parquet",
        vocabulary=folder / "vocabulary",
        manifest=folder / "vocabulary.json",
    )
    fitted = {"vocabulary": folder / "vocabulary", "subsample": folder / "subsample.parquet"}
    for name, source in (("fitted", fitted), ("tiny", {"checkpoint": folder / "tiny.json"})):
        call(
            encode.main,
            recipe={"max_tokens": 32, "keep": "head"},
            provenance=PROVENANCE,
            pool=folder / "pool.parquet",
            pool_manifest=folder / "pool.json",
            test=folder / "test.parquet",
            test_manifest=folder / "test.json",
            ids=folder / name / "texts",
            encoded_pool=folder / name / "pool.json",
            encoded_test=folder / name / "test.json",
            **source,
        )
    return folder


def as_arguments(**options):
    """Return the options as the shell would pass them."""
    arguments = []
    for name, value in options.items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        arguments += [f"--{name.replace('_', '-')}", text]
    return arguments


def call(main, **options):
    """Call a program as the shell would."""
    main(as_arguments(**options))


def model_options(data, recipe, part):
    """Return the options for the texts and the checkpoint that a recipe's model reads."""
    if "vocabulary" in recipe:
        ids = {"ids": data / "fitted" / "texts"}
        if "bridge" not in recipe:
            return ids
        checkpoint = {"checkpoint": data / "tiny.json"}
        if part != "pool":
            return ids | checkpoint
        generator = {"bridge": data / "bridge" / "generator.safetensors"}
        bridge = generator if recipe["bridge"] == "generator" else {}
        return ids | checkpoint | {"vocabulary": data / "vocabulary"} | bridge
    if "checkpoint" in recipe:
        return {"ids": data / "tiny" / "texts", "checkpoint": data / "tiny.json"}
    return {"texts": data / f"{part}.parquet"}


def training_arguments(data, recipe, folder):
    """Return what train.py is called with to write weights/ and training.json into a folder."""
    return as_arguments(
        recipe=recipe,
        provenance=PROVENANCE,
        cell=CELL,
        manifest=data / "pool.json",
        subsample=data / "subsample.parquet",
        state=folder,
        weights=folder / "weights",
        training=folder / "training.json",
        **model_options(data, recipe, "pool"),
    )


def run_training(data, recipe, folder):
    train.main(training_arguments(data, recipe, folder))


def run_prediction(data, recipe, folder):
    """Return the bytes of the predictions of what `run_training` trained."""
    call(
        predict.main,
        recipe=recipe,
        provenance=PROVENANCE,
        cell=CELL,
        manifest=data / "test.json",
        test=data / "test.parquet",
        training=folder / "training.json",
        weights=folder / "weights",
        predictions=folder / "predictions.parquet",
        predictions_manifest=folder / "predictions.json",
        **model_options(data, recipe, "test"),
    )
    return (folder / "predictions.parquet").read_bytes()


@contextlib.contextmanager
def fp32_only():
    """Compute in fp32 also where bf16, which rounds 65,000 times as coarsely, is native."""
    with (
        mock.patch("gap.models.hardware.fast_bf16", return_value=False),
        mock.patch("gap.models.training.fast_bf16", return_value=False),
    ):
        yield


def train_recording(data, recipe, state, seed=1):
    """Train one seed, alone or as one of several processes.

    Return the loss of each step, which is the mean over its batch, what validation said, and the
    path of the weights.
    """
    losses = []
    family = family_for(data, recipe)
    parts = division_of(family.recipe.optimisation).turns
    one_pass = GroupedTrainer.training_step

    def recorded(self, *arguments, **options):
        loss = one_pass(self, *arguments, **options)
        losses.append(loss.item())
        return loss

    subsample = next(s for s in read_subsamples(data / "subsample.parquet") if s.seed == seed)
    folders = folders_at(state)
    with mock.patch.object(GroupedTrainer, "training_step", recorded), fp32_only():
        history = family.train(trial(family.recipe, 1).recipe, subsample, folders)
    # Each process's loss is times their number, for the average that DDP takes.
    sums = total([sum(step) for step in np.reshape(losses, (-1, parts))])
    return np.array(sums) / rank_and_count()[1], history, folders.weights / "model.safetensors"


def folders_at(state):
    """Return the folders of a training that keeps its checkpoints in `state`."""
    shared, weights = (state.with_name(f"{state.name}-{name}") for name in ("shared", "weights"))
    return Folders(shared, state, weights)


def train_all_recording(data, recipes, folder):
    """Return what `train_recording` returns for each of the recipes."""
    return {name: train_recording(data, recipe, folder / name) for name, recipe in recipes.items()}


def family_for(data, recipe, part="pool"):
    """Return what trains on the data of `make_data`, or predicts on its "test"."""
    options = model_options(data, recipe, part)
    checkpoint = checkpoint_folder(options["checkpoint"]) if "checkpoint" in options else None
    job = Job(["neg", "pos"], options.get("ids"), options.get("texts"), checkpoint)
    return family_of(load_recipe(recipe), job)


def spread(model):
    """Return the model with random weights so large that texts differ in what comes out."""
    torch.manual_seed(2)
    for weights in model.parameters():
        if weights.dim() > 1:
            torch.nn.init.normal_(weights, std=0.3)
    return model
