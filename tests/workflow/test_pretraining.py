"""A study with checkpoints that it pretrains itself, and what its changes make run again."""

import copy
import csv
import re
import shutil
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from gap.run.json import read_json
from pages import ROOT, code
from tiny_study import STEPS, Study, copy_workflow, write_tickets

pytestmark = pytest.mark.workflow

OWN: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["tickets", "notes"],
    "tokenizer": {"size": 64},
    "held_out": 0.1,
}
PACKED: dict[str, Any] = OWN | {"block": 32, "optimisation": {"passes": 2, "batch_size": 8}}
CONFIG: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["bert", "mixed", "language", "vectors", "words"],
    "reference": "bert",
    "forgetting": ["bert", "mixed"],
    "sizes": [40],
    "seeds": [1],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "test": {"kind": "file", "path": "test.csv"},
            "text": "body",
            "label": "queue",
            "max_tokens": 32,
        },
        # Read to pretrain only.
        "notes": {
            "source": {"kind": "file", "path": "notes.csv"},
            "text": "body",
            "label": "queue",
        },
    },
    "checkpoint_zoo": {
        "encoder": PACKED | {"start": {"layers": 1, "width": 16, "heads": 2}},
        "language": PACKED
        | {"objective": "language_model", "start": {"embedding_size": 8, "width": 8}},
        "vectors": OWN | {"objective": "static", "size": 8},
    },
    "model_zoo": {
        "bert": {"family": "transformer", "checkpoint": "encoder", "optimisation": STEPS},
        "mixed": {
            "family": "transformer",
            "checkpoint": "encoder",
            "optimisation": STEPS | {"mix": {"ratio": 1.0}},
        },
        "language": {"family": "lstm", "checkpoint": "language", "width": 8, "optimisation": STEPS},
        "vectors": {"family": "frozen", "checkpoint": "vectors"},
        "words": {"family": "linear"},
    },
}
# A text of the test set that stands in a pool, too, with another case and other spaces.
PLANTED = "A  Film the BOOK was good is the plot"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write_rows(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study, to be read or copied, and what snakemake printed."""
    study = copy_workflow(tmp_path_factory.mktemp("pretraining") / "study")
    for seed, name in enumerate(("tickets", "notes", "test"), start=1):
        write_tickets(study.folder / f"{name}.csv", seed)
    test = study.folder / "test.csv"
    write_rows(test, [*rows_of(test)[:60], ["a film the book was good is the plot", "praise"]])
    notes = study.folder / "notes.csv"
    write_rows(notes, [*rows_of(notes), [PLANTED, "praise"]])
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    return study, call


@pytest.fixture
def changed(finished, tmp_path):
    """A copy of the finished study and of its config, to be changed."""
    shutil.copytree(finished[0].folder, tmp_path / "copy", symlinks=True)
    return Study(tmp_path / "copy"), copy.deepcopy(CONFIG)


def test_a_checkpoint_that_no_model_begins_with_is_not_fetched(changed):
    study, config = changed
    config["checkpoint_zoo"]["unused"] = OWN | {"objective": "static"}
    manifest = "results/sources/checkpoint-unused/manifest.json"
    call = study.snakemake(manifest, "-n", config=config)
    assert call.rc == 1
    assert f"No rule to produce {manifest}" in call.output


def planned(study, config):
    """Return how many jobs of each kind, by the first word of their message, a dry run plans."""
    call = study.snakemake("-n", config=config)
    assert call.rc == 0, call.output
    return Counter(re.findall(r"^Job \d+: (\S+)", call.output, re.MULTILINE))


def weights(study):
    folder = study.folder / "results" / "sources" / "checkpoint-encoder" / "files"
    return (folder / "model.safetensors").read_bytes()


def test_models_begin_with_what_was_pretrained(finished):
    study, _ = finished
    record = read_json(study.folder / "results" / "provenance.json")
    assert {"checkpoint-encoder", "checkpoint-language", "dataset-notes"} <= set(record["sources"])
    summary = (study.folder / "results" / "summary.md").read_text(encoding="utf-8")
    assert all(name in summary for name in CONFIG["models"])
    assert "Checkpoints of this study's own" in summary
    rows = list(csv.DictReader((study.folder / "results" / "pretraining.csv").open()))
    assert {row["checkpoint"]: row["models"] for row in rows} == {
        "encoder": "bert mixed",
        "language": "language",
        "vectors": "vectors",
    }
    assert all(float(row["core_seconds"]) > 0 for row in rows)
    chart = (study.folder / "results" / "cost.vl.json").read_text(encoding="utf-8")
    assert "Pretrained for this study, once for all runs: encoder" in chart
    log = (study.folder / "logs" / "pretrain" / "encoder.log").read_text()
    assert re.search(r"^step \d+/\d+: validation loss", log, re.MULTILINE)


def test_what_fine_tuning_forgets_is_told(finished):
    folder = finished[0].folder / "results"
    header, *rows = rows_of(folder / "forgetting.csv")
    assert [row[header.index("model")] for row in rows] == ["bert", "mixed"]
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    table = summary.partition("## What fine-tuning forgets")[2].partition("## ")[0]
    for row in rows:
        assert f"{float(row[header.index('forgotten')]):.2f}" in table
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert report.count("by what was forgotten") >= 1
    assert (folder / "forgetting.png").stat().st_size > 10_000


def test_forgetting_alone_trains_nothing(changed):
    study, config = changed
    config["forgetting"] = ["bert"]
    assert not {"Training", "Pretraining", "Asking"} & set(planned(study, config))


def test_forgetting_of_what_was_not_pretrained_here(finished):
    config = copy.deepcopy(CONFIG) | {"forgetting": ["words"]}
    assert finished[0].snakemake("-n", config=config).errors == [
        "error: config: forgetting: words is not a fine-tuned checkpoint that this study "
        "pretrains; choose models of family transformer with a checkpoint of kind pretrained and "
        "objective masked_lm"
    ]


def test_no_test_text_is_in_a_corpus(finished):
    folder = finished[0].folder / "results"
    texts = pq.read_table(folder / "corpora" / "encoder" / "texts.parquet")["text"].to_pylist()
    tests = pq.read_table(folder / "datasets" / "tickets" / "test.parquet")["text"].to_pylist()
    assert (
        PLANTED in pq.read_table(folder / "datasets" / "notes" / "pool.parquet")["text"].to_pylist()
    )
    assert not {text.lower().replace("  ", " ") for text in texts} & set(tests)
    assert read_json(folder / "corpora" / "encoder" / "texts.json")["test_texts"] >= 1


def test_nothing_to_do_afterwards(finished):
    assert planned(finished[0], CONFIG) == {}


def test_the_settings_of_a_model_pretrain_nothing(changed):
    study, config = changed
    config["model_zoo"]["bert"]["optimisation"] = STEPS | {"lr": 0.003}
    jobs = planned(study, config)
    assert jobs["Training"] == 1
    assert not {"Pretraining", "Collecting"} & set(jobs)


def test_what_a_checkpoint_is_called_pretrains_nothing(changed):
    study, config = changed
    config["checkpoint_zoo"]["encoder"]["origin"] = "Ours"
    assert not {"Pretraining", "Collecting", "Training"} & set(planned(study, config))


def test_a_larger_budget_pretrains_that_checkpoint(changed):
    study, config = changed
    config["checkpoint_zoo"]["encoder"]["optimisation"] = {"passes": 3, "batch_size": 8}
    jobs = planned(study, config)
    assert (jobs["Pretraining"], jobs["Training"], jobs["Collecting"]) == (1, 2, 0)


def test_the_order_of_a_corpus_decides_nothing(changed):
    study, config = changed
    for checkpoint in config["checkpoint_zoo"].values():
        checkpoint["corpus"] = checkpoint["corpus"][::-1]
    assert planned(study, config) == {}


def run_with(study, config, rows):
    """Run the study with other tickets; return what the pretraining of the encoder printed."""
    write_rows(study.folder / "tickets.csv", rows)
    target = "results/sources/checkpoint-encoder/manifest.json"
    call = study.snakemake("--cores", "1", target, config=config)
    assert call.rc == 0, call.output
    assert "Pretraining encoder" in call.output
    return (study.folder / "logs" / "pretrain" / "encoder.log").read_text()


def test_a_changed_label_pretrains_nothing_anew(changed):
    study, config = changed
    before = weights(study)
    rows = rows_of(study.folder / "tickets.csv")
    rows[7][1] = {"praise": "complaint", "complaint": "praise"}[rows[7][1]]
    assert "made before of the same inputs by the same code: kept" in run_with(study, config, rows)
    assert weights(study) == before


def test_a_new_text_pretrains_anew(changed):
    study, config = changed
    before = weights(study)
    rows = [*rows_of(study.folder / "tickets.csv"), ["a new film is a great book", "praise"]]
    assert "step 0: held-out loss" in run_with(study, config, rows)
    assert weights(study) != before


@pytest.mark.parametrize(
    ("checkpoint", "line"),
    [
        ({"corpus": ["ticket"]}, "checkpoint_zoo.encoder.corpus: 'ticket' is not in dataset_zoo"),
        (
            {"start": "encoder"},
            "checkpoint_zoo.encoder: it would be made from itself, by way of encoder; let one",
        ),
        ({"start": "nothing"}, "checkpoint_zoo.encoder.start: 'nothing' is not in checkpoint_zoo"),
        ({"objective": "next"}, "checkpoint_zoo.encoder.objective: found 'next'"),
        ({"optimisation": {"passes": 0}}, "optimisation.passes: found 0; expected more than 0"),
        ({"block": 4}, "checkpoint_zoo.encoder.block: found 4; expected 8 or more"),
    ],
)
def test_mistakes_in_the_entry(finished, checkpoint, line):
    config = copy.deepcopy(CONFIG)
    entry = config["checkpoint_zoo"]["encoder"] | checkpoint
    if isinstance(entry["start"], str):
        del entry["tokenizer"]
    config["checkpoint_zoo"]["encoder"] = entry
    call = finished[0].snakemake("-n", config=config)
    assert call.rc == 1
    assert len(call.errors) == 1
    assert line in call.errors[0]


def test_the_study_of_the_page(finished):
    config = yaml.safe_load(code(ROOT / "docs" / "models.md", "yaml", "Checkpoints of your own"))
    jobs = planned(finished[0], config | {"sizes": [40]})
    assert (jobs["Pretraining"], jobs["Collecting"]) == (2, 2)


def test_a_family_that_cannot_begin_with_an_objective(finished):
    config = copy.deepcopy(CONFIG)
    config["model_zoo"]["bert"]["checkpoint"] = "vectors"
    call = finished[0].snakemake("-n", config=config)
    assert call.errors == [
        "error: config: model_zoo.bert.checkpoint: vectors is word vectors, and a model of family "
        "transformer begins with an encoder; choose another checkpoint or family"
    ]
