"""A study with features of all layers and bridged embeddings, and what its changes make run."""

import copy
import csv
import shutil
from collections import Counter
from typing import Any

import pytest
from gap.run.json import read_json
from tiny_study import STEPS, Study, copy_workflow, write_words

pytestmark = pytest.mark.workflow

CONFIG: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["bert", "mix", "each", "states", "bridged"],
    "reference": "bert",
    "sizes": [40, 80],
    "seeds": ["1-2"],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
            "test": 60,
            "max_tokens": 32,
        },
    },
    "checkpoint_zoo": {
        "encoder": {
            "kind": "pretrained",
            "corpus": ["tickets"],
            "tokenizer": {"size": 120},
            "block": 32,
            "start": {"layers": 1, "width": 16, "heads": 2},
            "optimisation": {"passes": 1, "batch_size": 8},
        },
    },
    "vocabulary_zoo": {"pieces": {"algorithm": "bpe", "size": 40}},
    "model_zoo": {
        "bert": {"family": "transformer", "checkpoint": "encoder", "optimisation": STEPS},
        "mix": {"family": "frozen", "checkpoint": "encoder", "layers": "mix"},
        "each": {"family": "frozen", "checkpoint": "encoder", "layers": "each"},
        "states": {
            "family": "frozen",
            "checkpoint": "encoder",
            "layers": "mix",
            "head": "lstm",
            "width": 8,
            "optimisation": STEPS,
        },
        "bridged": {
            "family": "lstm",
            "vocabulary": "pieces",
            "checkpoint": "encoder",
            "bridge": "generator",
            "width": 8,
            "optimisation": STEPS,
        },
    },
}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study, to be read or copied, and what snakemake printed."""
    study = copy_workflow(tmp_path_factory.mktemp("layers") / "study")
    write_words(study.folder / "tickets.csv")
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    return study, call


@pytest.fixture
def changed(finished, tmp_path):
    """A copy of the finished study and of its config, to be changed."""
    shutil.copytree(finished[0].folder, tmp_path / "copy", symlinks=True)
    return Study(tmp_path / "copy"), copy.deepcopy(CONFIG)


def planned(study, config):
    """Return how often each rule would run."""
    call = study.snakemake("-n", "--quiet", "all", config=config)
    assert call.rc == 0, call.output
    call = study.snakemake("-n", config=config)
    lines = call.output.partition("Job stats:")[2].partition("total")[0].splitlines()
    counts = [line.split() for line in lines if len(line.split()) == 2]
    return Counter({name: int(count) for name, count in counts if count.isdigit()})


def test_the_tables_and_the_chart_of_layers(finished):
    folder = finished[0].folder / "results"
    rows = rows_of(folder / "probes.csv")
    assert [(row["model"], row["n"], row["layer"], row["seeds"]) for row in rows] == [
        ("each", size, layer, "2") for size in ("40", "80") for layer in ("0", "1")
    ]
    assert all(0 <= float(row["accuracy"]) <= 100 for row in rows)
    assert (folder / "layers.png").stat().st_size > 5000
    # What scored the test texts is one of the layers.
    manifest = read_json(folder / "runs/tickets/each/80/1-2/predictions.json")
    scores = read_json(folder / "runs/tickets/each/80/1-2/scores.json")
    for run in scores:
        assert run["accuracy"] in manifest["layers"]["accuracies"][str(run["seed"])]


def test_the_table_of_bridges(finished):
    (row,) = rows_of(finished[0].folder / "results" / "bridges.csv")
    assert row["checkpoint"] == "encoder"
    assert int(row["held_out"]) >= 2
    log = finished[0].folder / "logs/train/tickets/bridged/80/1-2.log"
    assert "have a token's vector" in log.read_text()


def test_the_report_tells_of_both(finished):
    folder = finished[0].folder / "results"
    page = (folder / "report.html").read_text()
    for words in ("Where the task lies", "Bridged embeddings", "of the checkpoint that bert fine-"):
        assert words in page
    summary = (folder / "summary.md").read_text()
    assert summary.count("takes features of the checkpoint") == 3
    assert "Peters, Ruder and Smith (2019)" in summary


def test_nothing_is_left_to_do(finished):
    assert "Nothing to be done" in finished[0].snakemake("-n", config=CONFIG).output


def test_another_layer_is_another_model(changed):
    study, config = changed
    config["model_zoo"]["mix"]["layers"] = "last"
    counts = planned(study, config)
    assert (counts["train"], counts["predict"]) == (2, 2)
    assert not {"fit_bridge", "encode", "pretrain"} & set(counts)


def test_without_each_there_is_no_chart_of_layers(changed):
    study, config = changed
    config["model_zoo"]["each"]["layers"] = "mix"
    counts = planned(study, config)
    assert counts["train"] == 2
    assert "chart_layers" not in counts


def test_another_way_over_the_bridge(changed):
    study, config = changed
    config["model_zoo"]["bridged"]["bridge"] = "mean"
    counts = planned(study, config)
    assert (counts["train"], counts["predict"]) == (2, 2)
    assert not {"fit_bridge", "encode", "encode_subsample", "fit_vocabulary"} & set(counts)


def test_a_generator_that_is_fitted_again_trains_nothing(changed):
    study, config = changed
    manifest = study.folder / "results" / "bridges" / "encoder" / "bridge.json"
    before = manifest.read_bytes()
    call = study.snakemake("--cores", "1", "-R", "fit_bridge", config=config)
    assert call.rc == 0, call.output
    assert manifest.read_bytes() == before
    for size in CONFIG["sizes"]:
        log = study.folder / f"logs/train/tickets/bridged/{size}/1-2.log"
        assert "made before of the same inputs by the same code: kept" in log.read_text()


def test_a_checkpoint_of_one_layer_has_nothing_to_mix(changed):
    study, config = changed
    config["checkpoint_zoo"]["vectors"] = {
        "kind": "pretrained",
        "objective": "static",
        "corpus": ["tickets"],
        "size": 8,
        "tokenizer": {"size": 64},
    }
    config["model_zoo"]["mix"]["checkpoint"] = "vectors"
    call = study.snakemake("--cores", "1", config=config)
    assert call.rc == 1
    assert call.errors[0].startswith("error: layers: gap-word-vectors has one layer of states, so")
