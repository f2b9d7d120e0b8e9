"""A study whose models begin with what runs on another data set were trained to."""

import copy
import csv
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from gap.run.json import read_json
from safetensors.torch import load_file
from tiny_study import STEPS, Study, copy_workflow, new_study, write_tickets

pytestmark = pytest.mark.workflow

COLUMNS = {"text": "body", "label": "queue", "test": 60, "max_tokens": 32}
CONFIG: dict[str, Any] = {
    "datasets": ["tickets", "notes", "letters"],
    "models": ["scratch", "bert", "started", "further", "from-tickets", "from-letters"],
    "reference": "scratch",
    "sizes": [40, 80],
    "seeds": ["1-2"],
    "transfer": ["started", "from-tickets", "from-letters"],
    "dataset_zoo": {
        name: {"source": {"kind": "file", "path": f"{name}.csv"}} | COLUMNS
        for name in ("tickets", "notes", "letters")
    },
    "checkpoint_zoo": {
        "tiny": {"kind": "file", "path": "tiny-bert"},
        "on-notes": {
            "kind": "trained",
            "dataset": "notes",
            "model": "scratch",
            "size": 80,
            "seed": 2,
        },
        "on-tickets": {"kind": "trained", "dataset": "tickets", "model": "scratch", "size": 80},
        "on-letters": {"kind": "trained", "dataset": "letters", "model": "scratch", "size": 80},
        "bert-on-notes": {"kind": "trained", "dataset": "notes", "model": "bert", "size": 80},
    },
    "vocabulary_zoo": {"few": {"algorithm": "unigram", "size": 40}},
    "model_zoo": {
        "scratch": {"family": "lstm", "vocabulary": "few", "width": 8, "optimisation": STEPS},
        "bert": {
            "family": "transformer",
            "checkpoint": "tiny",
            "datasets": ["tickets", "notes"],
            "sizes": [80],
            "optimisation": STEPS,
        },
        "started": {
            "family": "lstm",
            "checkpoint": "on-notes",
            "width": 8,
            "datasets": ["tickets", "letters"],
            "optimisation": STEPS,
        },
        **{
            f"from-{source}": {
                "family": "lstm",
                "checkpoint": f"on-{source}",
                "width": 8,
                "datasets": [target, "notes"],
                "sizes": [40],
                "optimisation": STEPS,
            }
            for source, target in (("tickets", "letters"), ("letters", "tickets"))
        },
        "further": {
            "family": "transformer",
            "checkpoint": "bert-on-notes",
            "datasets": ["tickets"],
            "sizes": [40],
            "optimisation": STEPS,
        },
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_bert):
    """A finished study, to be read or copied, and what snakemake printed."""
    study = new_study(tmp_path_factory.mktemp("transfer") / "study", tiny_bert)
    write_tickets(study.folder / "letters.csv", seed=3)
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    return study, call


@pytest.fixture
def changed(finished, tmp_path):
    """A copy of the finished study and of its config, to be changed."""
    shutil.copytree(finished[0].folder, tmp_path / "copy", symlinks=True)
    return Study(tmp_path / "copy"), copy.deepcopy(CONFIG)


def changed_at(config, path, value):
    """Let a config have a value at the place that the keys lead to."""
    place = config
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value


def planned(study, config):
    """Return how often each rule would run."""
    call = study.snakemake("-n", config=config)
    assert call.rc == 0, call.output
    lines = call.output.partition("Job stats:")[2].partition("total")[0].splitlines()
    counts = [line.split() for line in lines if len(line.split()) == 2]
    return Counter({name: int(count) for name, count in counts if count.isdigit()})


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(study, name):
    return study.folder / "results/sources" / f"checkpoint-{name}" / "files"


def test_a_checkpoint_has_the_weights_of_its_run(finished):
    study = finished[0]
    for name, run in (
        ("on-notes", "scratch/80/1-2/weights/2"),
        ("bert-on-notes", "bert/80/1-2/weights/1"),
    ):
        trained = load_file(study.folder / "results/runs/notes" / run / "model.safetensors")
        made = load_file(files_of(study, name) / "model.safetensors")
        assert made.keys() == trained.keys()
        assert all(torch.equal(made[key], trained[key]) for key in made)
    assert read_json(files_of(study, "bert-on-notes") / "tokenizer.json") == read_json(
        study.folder / "tiny-bert/tokenizer.json"
    )


def test_models_are_run_where_they_are_to(finished):
    folder = finished[0].folder / "results/runs"
    runs = Counter(
        path.relative_to(folder).parts[:3] for path in folder.glob("*/*/*/*/scores.json")
    )
    models = Counter(model for _, model, _ in runs)
    assert models == {
        "scratch": 6,
        "bert": 2,
        "started": 4,
        "further": 1,
        "from-tickets": 2,
        "from-letters": 2,
    }
    assert ("tickets", "further", "40") in runs
    assert ("letters", "from-tickets", "40") in runs


def test_gains_stand_beside_what_was_foretold(finished):
    folder = finished[0].folder / "results"
    gaps = {
        (row["dataset"], row["model"], row["size"]): row for row in rows_of(folder / "gaps.csv")
    }
    rows = rows_of(folder / "transfer.csv")
    pairs = [(row["dataset"], row["source"], row["size"]) for row in rows]
    assert sorted(pairs) == [
        ("letters", "notes", "40"),
        ("letters", "notes", "80"),
        ("letters", "tickets", "40"),
        ("notes", "letters", "40"),
        ("notes", "tickets", "40"),
        ("tickets", "letters", "40"),
        ("tickets", "notes", "40"),
        ("tickets", "notes", "80"),
    ]
    for row in rows:
        gap = gaps[row["dataset"], row["model"], row["size"]]
        assert float(row["gain"]) == pytest.approx(-float(gap["gap"]), abs=1e-4)
        assert float(row["gain_low"]) <= float(row["gain"]) <= float(row["gain_high"])
        # All texts are of the same words.
        assert float(row["coverage"]) == 1
        assert float(row["divergence"]) < 0.05
        assert 0 < float(row["turn"]) < 1
        assert row["foretold"]
    choices = rows_of(folder / "choices.csv")
    assert [row["rule"] for row in choices if row["size"] == "40"] == [
        "foretold",
        "largest",
        "nearest by words",
        "least turned",
        "none",
        "best",
    ]
    best = {row["rule"]: float(row["gain"]) for row in choices if row["size"] == "40"}
    assert max(best.values()) == best["best"] >= best["none"] == 0
    assert (folder / "transfer.png").stat().st_size > 5000


def test_the_summary_tells_of_starts(finished):
    text = " ".join((finished[0].folder / "results/summary.md").read_text().split())
    assert "What a neighbour's task gives" in text
    assert "gain more than 1 point" in text or "a start on" in text


def test_methods_say_what_was_trained_to_what(finished):
    text = " ".join((finished[0].folder / "results/report.html").read_text().split())
    assert (
        "Checkpoint on-notes is what scratch was trained to on notes with 80 labels (seed 2); its "
        "head was not taken over." in text
    )


# ---------------------------------------------------------------- what changes make run


@pytest.mark.parametrize(
    ("path", "value", "trained"),
    [
        # Of the source's run, all that is made from it; of a run elsewhere, only that.
        (["model_zoo", "scratch", "dropout"], 0.1, 6 + 4 + 2 + 2),
        (["checkpoint_zoo", "on-notes", "seed"], 1, 4),
        (["model_zoo", "started", "dropout"], 0.1, 4),
        (["model_zoo", "started", "title"], "From notes", 0),
        (["model_zoo", "further", "sizes"], [40, 80], 1),
        (["checkpoint_zoo", "on-notes", "origin"], "Of notes", 0),
        (["gap", "margin"], 0.5, 0),
        (["transfer"], [], 0),
    ],
)
def test_a_change_trains_what_follows_from_it(changed, path, value, trained):
    study, config = changed
    changed_at(config, path, value)
    assert planned(study, config)["train"] == trained


def test_the_same_weights_are_the_same_checkpoint(changed):
    """A run that comes to the same makes nothing anew behind the checkpoint."""
    study, config = changed
    made = study.snakemake("--cores", "2", "--forcerun", "make_checkpoint", config=config)
    assert made.rc == 0, made.output
    assert (
        "made before of the same inputs"
        in (study.folder / "logs/train/tickets/started/40/1-2.log").read_text()
    )


# ---------------------------------------------------------------- bad input


def refused(study, config):
    """Return the line with which a config is refused before anything runs."""
    call = study.snakemake("-n", config=config)
    assert call.rc == 1
    assert "Traceback" not in call.output
    assert len(call.errors) == 1, call.output
    return call.errors[0]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            ["checkpoint_zoo", "on-notes", "dataset"],
            "mails",
            "on-notes.dataset: 'mails' is not in datasets",
        ),
        (
            ["checkpoint_zoo", "on-notes", "model"],
            "tfidf",
            "on-notes.model: 'tfidf' is not in models",
        ),
        (["checkpoint_zoo", "on-notes", "size"], 60, "on-notes.size: '60' is not in sizes"),
        (
            ["checkpoint_zoo", "on-notes", "seed"],
            7,
            "scratch has no run on notes at 80 with seed 7",
        ),
        (
            ["model_zoo", "started", "datasets"],
            ["notes"],
            "on-notes was trained on notes, and the model that begins with it would be run there "
            "again; give it `datasets` without notes",
        ),
        (
            ["model_zoo", "started", "datasets"],
            ["mails"],
            "started.datasets: 'mails' is not in datasets",
        ),
        (["model_zoo", "started", "sizes"], [60], "started.sizes: '60' is not in sizes"),
        (
            ["model_zoo", "scratch", "sizes"],
            [80],
            "it is run on tickets at 40, where the reference scratch is not",
        ),
        (
            ["checkpoint_zoo", "on-notes"],
            {"kind": "trained", "dataset": "letters", "model": "started", "size": 80},
            "checkpoint_zoo.on-notes: it would be made from itself, by way of on-notes",
        ),
        (
            ["model_zoo", "further", "checkpoint"],
            "on-notes",
            "further.checkpoint: on-notes is an LSTM, and a model of family transformer begins "
            "with an encoder",
        ),
        (
            ["transfer"],
            ["bert"],
            "transfer: bert does not begin with what a run of this study was trained to",
        ),
        (
            ["transfer"],
            ["further"],
            "transfer: further begins with a run of bert, which its gain is over, but the "
            "reference is scratch",
        ),
    ],
)
def test_a_checkpoint_that_no_run_makes_is_one_line(finished, path, value, line):
    config = copy.deepcopy(CONFIG)
    changed_at(config, path, value)
    assert line in refused(finished[0], config)


def test_a_family_that_makes_no_checkpoint(finished):
    config = copy.deepcopy(CONFIG)
    config["models"].append("words")
    config["model_zoo"]["words"] = {"family": "linear"}
    config["checkpoint_zoo"]["on-notes"]["model"] = "words"
    assert "words is of family linear, whose training makes no checkpoint" in refused(
        finished[0], config
    )


def test_a_source_that_has_texts_of_the_target_s_test_set(changed):
    study, config = changed
    test = pq.read_table(study.folder / "results/datasets/tickets/test.parquet")
    notes = study.folder / "notes.csv"
    # Of twenty some come into the pool, and others into the test set of the notes.
    lines = notes.read_text().splitlines()
    for place, text in enumerate(test["text"].to_pylist()[:20], start=1):
        lines[place] = f"{text},{lines[place].rpartition(',')[2]}"
    notes.write_text("\n".join(lines) + "\n")
    config["sizes"] = [40, "100%"]
    config["checkpoint_zoo"]["on-notes"]["size"] = "100%"
    config |= {"models": ["scratch", "started"], "datasets": ["tickets", "notes"], "transfer": []}
    config["model_zoo"]["started"]["datasets"] = ["tickets"]
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 1
    (line,) = call.errors
    found = re.fullmatch(
        r"error: checkpoint of scratch on notes: of the 340 texts that it was trained on, (\d+) "
        r"stand in the test set of tickets, where models begin with it; .*",
        line,
    )
    assert found, line
    assert 0 < int(found[1]) < 20


# ---------------------------------------------------------------- the page


def test_the_study_of_the_page_is_planned(tmp_path):
    page = (Path(__file__).parents[2] / "docs/models.md").read_text()
    section = page.partition("## A start on another data set")[2]
    config = yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])
    study = copy_workflow(tmp_path / "study")
    for name in config["datasets"]:
        write_tickets(study.folder / f"{name}.csv", seed=len(name))
    counts = planned(study, config)
    assert counts["make_checkpoint"] == 2
    # Each model from scratch at both sizes; the LSTM's seeds are a block.
    assert counts["train"] == 4 + 4
    assert counts["measure_similarity"] == 4
