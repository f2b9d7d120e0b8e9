"""Each family trains and predicts through its programs; the same job twice, also when broken off,
ends in the same numbers."""

import json
import shutil

import encode
import fit_vocabulary
import numpy as np
import predict
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import subsample
import train
import yaml
from gap import config as study
from gap.cli import read_json, write_json
from gap.predictions import read_predictions
from gap.training import ReportProgress, schedule

WORDS = {"pos": ["good", "great", "fine"], "neg": ["bad", "poor", "dull"]}
FILLER = ["a", "the", "is", "was", "film", "book", "plot"]


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


@pytest.fixture(scope="module")
def recipes():
    """Tiny recipes of each family, with the schema's defaults filled in."""
    steps = {"batch_size": 8, "max_epochs": 2, "min_steps": 24, "evaluations": 4, "patience": 4}
    source = {"kind": "file", "path": "unused"}
    config = {
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
        },
    }
    study.complete(config)
    return config["model_zoo"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    """A folder with everything that training and prediction read."""
    folder = tmp_path_factory.mktemp("data")
    write_texts(folder / "pool.parquet", 200, seed=1)
    write_texts(folder / "test.parquet", 60, seed=2)
    files = [{"path": str(path)} for path in tiny_bert.iterdir()]
    write_json(folder / "tiny.json", {"files": files})
    validation = {"share": 0.25, "min": 4, "max": 50}
    call(
        subsample.main,
        recipe={"size": "80", "validation": validation},
        seeds="1-2",
        pool=folder / "pool.parquet",
        subsample=folder / "subsample.parquet",
        manifest=folder / "subsample.json",
    )
    vocabulary = {"algorithm": "unigram", "size": 100, "character_coverage": 1.0}
    call(
        fit_vocabulary.main,
        recipe=vocabulary | {"sample_texts": 1000},
        pool=folder / "pool.parquet",
        subsample=folder / "subsample.parquet",
        vocabulary=folder / "vocabulary",
        manifest=folder / "vocabulary.json",
    )
    fitted = {"vocabulary": folder / "vocabulary", "subsample": folder / "subsample.parquet"}
    for name, source in (("fitted", fitted), ("tiny", {"checkpoint": folder / "tiny.json"})):
        call(
            encode.main,
            recipe={"max_tokens": 32, "keep": "head"},
            pool=folder / "pool.parquet",
            test=folder / "test.parquet",
            ids=folder / name,
            pool_manifest=folder / f"{name}-pool.json",
            test_manifest=folder / f"{name}-test.json",
            **source,
        )
    return folder


def call(main, **options):
    """Call a program as the shell would."""
    arguments = []
    for name, value in options.items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        arguments += [f"--{name.replace('_', '-')}", text]
    main(arguments)


def model_options(data, recipe, part):
    """Return the options for the texts and the checkpoint that a recipe's model reads."""
    if recipe["family"] == "linear":
        return {"texts": data / f"{part}.parquet"}
    if "vocabulary" in recipe:
        return {"ids": data / "fitted"}
    return {"ids": data / "tiny", "checkpoint": data / "tiny.json"}


def run_training(data, recipe, folder):
    call(
        train.main,
        recipe=recipe,
        manifest=data / "pool.json",
        subsample=data / "subsample.parquet",
        state=folder,
        weights=folder / "weights",
        training=folder / "training.json",
        **model_options(data, recipe, "pool"),
    )


def run_prediction(data, recipe, folder):
    call(
        predict.main,
        recipe=recipe,
        cell={"dataset": "made-up", "model": "model", "size": "80"},
        manifest=data / "test.json",
        test=data / "test.parquet",
        training=folder / "training.json",
        weights=folder / "weights",
        predictions=folder / "predictions.parquet",
        **model_options(data, recipe, "test"),
    )
    return (folder / "predictions.parquet").read_bytes()


@pytest.mark.parametrize("name", ["fine-tuned", "frozen", "lstm", "lstm-tiny", "tfidf"])
def test_each_family_learns_and_repeats_itself(data, recipes, name, tmp_path):
    predictions = []
    for attempt in ("first", "second"):
        run_training(data, recipes[name], tmp_path / attempt)
        predictions.append(run_prediction(data, recipes[name], tmp_path / attempt))
    assert predictions[0] == predictions[1]
    blocks = list(read_predictions(tmp_path / "first" / "predictions.parquet"))
    assert [block.seed for block in blocks] == [1, 2]
    for block in blocks:
        np.testing.assert_allclose(np.exp(block.scores).sum(1), 1, atol=1e-3)
        assert block.correct.mean() > 0.75
    assert (blocks[0].scores != blocks[1].scores).any()
    training = read_json(tmp_path / "first" / "training.json")
    assert training["n"] == 80
    assert training["seeds"]["1"]["training_rows"] == 60
    assert not list((tmp_path / "first").glob("state-*"))


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_a_broken_training_goes_on_to_the_same_numbers(data, recipes, name, tmp_path, monkeypatch):
    run_training(data, recipes[name], tmp_path / "whole")
    whole = run_prediction(data, recipes[name], tmp_path / "whole")

    steps = []

    def die(self, args, state, control, **_):
        steps.append(state.global_step)
        if len(steps) == 3:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ReportProgress, "on_step_begin", lambda *_, **__: None)
        patch.setattr(ReportProgress, "on_save", die, raising=False)
        with pytest.raises(KilledError):
            run_training(data, recipes[name], tmp_path / "broken")
    assert list((tmp_path / "broken").glob("state-*/*.checkpoints/checkpoint-*"))

    counted = []
    with monkeypatch.context() as patch:
        patch.setattr(
            ReportProgress, "on_step_end", lambda self, *_, **__: counted.append(1), raising=False
        )
        run_training(data, recipes[name], tmp_path / "broken")
    # Of seed 1, the steps since its last checkpoint; of seed 2, all.
    assert 24 < len(counted) < 48
    assert run_prediction(data, recipes[name], tmp_path / "broken") == whole


def test_a_state_of_another_recipe_is_not_used(data, recipes, tmp_path):
    run_training(data, recipes["lstm"], tmp_path / "run")
    first = run_prediction(data, recipes["lstm"], tmp_path / "run")
    stale = tmp_path / "other" / "state-0123456789abcdef"
    shutil.copytree(tmp_path / "run" / "weights", stale / "weights")
    write_json(stale / "1.json", {"seconds": 0})
    optimisation = recipes["lstm"]["optimisation"] | {"lr": 0.005}
    run_training(data, recipes["lstm"] | {"optimisation": optimisation}, tmp_path / "other")
    assert run_prediction(data, recipes["lstm"], tmp_path / "other") != first


def test_the_schedule_is_one_rule_for_every_size():
    recipe = {"batch_size": 32, "max_epochs": 3, "min_steps": 100, "evaluations": 5}
    assert schedule(200, recipe) == (100, 20)
    assert schedule(3200, recipe) == (300, 60)
    assert schedule(320_000, recipe) == (30_000, 6_000)


def test_shipped_recipes_have_all_that_training_reads(recipes):
    with open("config.yaml", encoding="utf-8") as file:
        config = yaml.safe_load(file)
    study.complete(config)
    for name, recipe in config["model_zoo"].items():
        keys = set(recipe["optimisation"])
        kind = "frozen" if recipe.get("frozen") else recipe["family"]
        peers = {"frozen": "frozen", "lstm": "lstm", "linear": "tfidf"}
        assert keys == set(recipes[peers.get(kind, "fine-tuned")]["optimisation"]), name
