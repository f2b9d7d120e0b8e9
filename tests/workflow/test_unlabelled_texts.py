"""A study with word vectors of plain text without labels, and what its changes make run again."""

import copy
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from gap.run.json import read_json
from pages import ROOT, code
from tiny_pretraining import sentences
from tiny_study import Study, copy_workflow, write_tickets

pytestmark = pytest.mark.workflow

CONFIG: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["vectors", "words"],
    "reference": "vectors",
    "sizes": [40],
    "seeds": [1],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
        }
    },
    "text_zoo": {
        "mails": {
            "source": {"kind": "file", "path": "mails.txt"},
            "separator": "blank_line",
            "origin": "Mails until 2023",
        },
        # Nobody uses it, so it need not be there.
        "unused": {"source": {"kind": "file", "path": "nowhere.txt"}},
    },
    "checkpoint_zoo": {
        "vectors": {
            "kind": "pretrained",
            "objective": "static",
            "corpus": ["mails", "tickets"],
            "tokenizer": {"size": 64},
            "held_out": 0.1,
            "size": 8,
        }
    },
    "model_zoo": {
        "vectors": {"family": "frozen", "checkpoint": "vectors"},
        "words": {"family": "linear"},
    },
}
VECTORS = "results/sources/checkpoint-vectors/files/model.safetensors"
TARGET = "results/sources/checkpoint-vectors/manifest.json"
KEPT = "made before of the same inputs by the same code: kept"


def write_mails(folder: Path, mails: list[str]) -> None:
    (folder / "mails.txt").write_text("\n\n".join(mails), encoding="utf-8")


@pytest.fixture(scope="module")
def mails():
    return [mail.replace(" ", "\n", 1) for mail in sentences(150)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, mails):
    """A finished study, to be read or copied."""
    study = copy_workflow(tmp_path_factory.mktemp("unlabelled") / "study")
    write_tickets(study.folder / "tickets.csv", 1)
    write_mails(study.folder, mails)
    target = "results/datasets/tickets/test.parquet"
    call = study.snakemake("--cores", "2", target, config=CONFIG)
    assert call.rc == 0, call.output
    # Texts of the test set stand among the mails, too, with another case and other spaces.
    texts = pq.read_table(study.folder / target)["text"].to_pylist()
    planted = [text.upper().replace(" ", "\n") for text in texts[:3]]
    write_mails(study.folder, [*mails, *planted])
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    return study


@pytest.fixture
def changed(finished, tmp_path):
    """A copy of the finished study and of its config, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Study(tmp_path / "copy"), copy.deepcopy(CONFIG)


def ran(study, config, *options):
    """Return how many jobs of each kind, by the first words of their message, a call runs."""
    call = study.snakemake("--cores", "1", *options, config=config)
    assert call.rc == 0, call.output
    return Counter(re.findall(r"^Job \d+: (\S+ \S+)", call.output, re.MULTILINE))


def report(study):
    """Return the report, each run of spaces and line breaks as one space."""
    return " ".join((study.folder / "results" / "report.html").read_text(encoding="utf-8").split())


def test_vectors_of_texts_without_labels_are_used(finished):
    results = finished.folder / "results"
    record = read_json(results / "provenance.json")
    assert "text-mails" in record["sources"]
    assert "text-unused" not in record["sources"]
    assert list(record["config"]["text_zoo"]) == ["mails"]
    corpus = record["sources"]["checkpoint-vectors"]["corpus"]
    told = (
        "of tickets without their labels and of mails, which has no labels "
        f"({corpus['texts_of']['mails']:,} texts; Mails until 2023)"
    )
    assert told in report(finished)
    assert not (results / "sources" / "text-unused").exists()


def test_no_test_text_is_among_them(finished):
    results = finished.folder / "results"
    tests = pq.read_table(results / "datasets" / "tickets" / "test.parquet")["text"].to_pylist()
    mails = pq.read_table(results / "texts" / "mails" / "texts.parquet")["text"].to_pylist()
    texts = pq.read_table(results / "corpora" / "vectors" / "texts.parquet")["text"].to_pylist()
    forbidden = {" ".join(text.lower().split()) for text in tests}
    assert sum(" ".join(text.lower().split()) in forbidden for text in mails) == 3
    assert not {" ".join(text.lower().split()) for text in texts} & forbidden
    assert read_json(results / "corpora" / "vectors" / "texts.json")["test_texts"] == 3


def test_nothing_to_do_afterwards(finished):
    assert ran(finished, CONFIG, "-n") == {}


def test_a_new_text_makes_the_vectors_anew(changed, mails):
    study, config = changed
    before = (study.folder / VECTORS).read_bytes()
    write_mails(study.folder, [*mails, "a film that is\nbetter than the book"])
    jobs = ran(study, config, TARGET)
    assert {"Fetching text-mails", "Collecting the", "Pretraining vectors"} <= set(jobs)
    assert KEPT not in (study.folder / "logs" / "pretrain" / "vectors.log").read_text()
    assert (study.folder / VECTORS).read_bytes() != before


def test_the_order_of_texts_pretrains_nothing(changed):
    study, config = changed
    before = (study.folder / VECTORS).read_bytes()
    text = (study.folder / "mails.txt").read_text(encoding="utf-8")
    write_mails(study.folder, text.split("\n\n")[::-1])
    assert ran(study, config, TARGET)["Preparing the"] == 1
    assert KEPT in (study.folder / "logs" / "pretrain" / "vectors.log").read_text()
    assert (study.folder / VECTORS).read_bytes() == before


def test_where_texts_come_from_pretrains_nothing(changed):
    study, config = changed
    config["text_zoo"]["mails"]["origin"] = "Ours"
    assert ran(study, config)["Preparing the"] == 1
    assert KEPT in (study.folder / "logs" / "pretrain" / "vectors.log").read_text()
    assert "texts; Ours)" in report(study)


def test_an_empty_file_is_one_line(changed):
    study, config = changed
    (study.folder / "mails.txt").write_text("\n")
    call = study.snakemake("-n", config=config)
    assert call.errors == [
        "error: config: text_zoo.mails.source: mails.txt: no text in this file; expected a text a "
        "line, or leave the file out"
    ]


def test_the_study_of_the_page(changed):
    study, _ = changed
    part = code(ROOT / "docs" / "models.md", "yaml", "Texts without labels")
    page = yaml.safe_load(code(ROOT / "docs" / "models.md", "yaml", "Checkpoints of your own"))
    for zoo, entries in yaml.safe_load(part).items():
        for name, entry in entries.items():
            page.setdefault(zoo, {}).setdefault(name, {}).update(entry)
    jobs = ran(study, page | {"sizes": [40]}, "-n")
    assert (jobs["Preparing the"], jobs["Collecting the"]) == (1, 2)
