"""A study of what the hub has: killed in the middle of a file, then run without the hub."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml
from gap.data.http import CHUNK
from gap.run.json import read_json
from hub_server import Fault, HubServer
from tiny_study import STEPS, TINY_STUDY, Study, copy_workflow, write_tickets

pytestmark = pytest.mark.workflow
WEIGHTS = "model.safetensors"
TRAINING = "results/runs/tickets/bert/40/{}/training.json"


def push(hub, folder, tiny_bert):
    """Put tickets, in three Parquet files, and the tiny BERT on the hub; return its commit."""
    rows = pd.read_csv(write_tickets(folder / "all.csv"))
    parts = {"train-00000-of-00002": rows[:150], "train-00001-of-00002": rows[150:300]}
    parts["test-00000-of-00001"] = rows[300:]
    files = {f"data/{name}.parquet": part.to_parquet(index=False) for name, part in parts.items()}
    hub.push("datasets/me/tickets", files)
    return hub.push("models/me/tiny-bert", tiny_bert)


def hub_study(commit):
    """A study of the pushed data set, at its branch, and checkpoint, at its commit."""
    tickets = {"kind": "hub", "id": "me/tickets", "revision": "main"}
    test = {**tickets, "split": "test"}
    entry = {"source": tickets, "test": test, "text": "body", "label": "queue"}
    return TINY_STUDY | {
        "models": ["bert", "tfidf"],
        "sizes": [40],
        "seeds": [1],
        "dataset_zoo": {"tickets": entry},
        "checkpoint_zoo": {"tiny": {"kind": "hub", "id": "me/tiny-bert", "revision": commit}},
        "model_zoo": {
            "bert": {"family": "transformer", "checkpoint": "tiny", "optimisation": STEPS},
            "tfidf": {"family": "linear"},
        },
    }


def kill_while(study, config, partial):
    """Run the study, and kill all of its processes as soon as a part of a file is there."""
    (study.folder / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "study.yaml"],
        cwd=study.folder,
        env={**os.environ, **study.environment},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (partial.exists() and partial.stat().st_size == CHUNK):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_in_the_middle_of_a_file_then_without_the_hub(tmp_path, tiny_bert):
    folder = copy_workflow(tmp_path / "study").folder
    source = folder / "results" / "sources" / "checkpoint-tiny"
    with HubServer() as hub:
        commit = push(hub, tmp_path, tiny_bert)
        config = hub_study(commit)
        study = Study(folder, hub.environment(tmp_path / "home"))
        hub.faults = [Fault(WEIGHTS, CHUNK + 100, hold=True)]
        kill_while(study, config, source / ".state" / "download" / f"{WEIGHTS}.partial")
        assert study.snakemake("--unlock", config=config).rc == 0
        call = study.snakemake("--cores", "2", TRAINING.format(1), config=config)
        assert call.rc == 0, call.output
        # What had come before was not fetched again.
        assert hub.asked(WEIGHTS)[-1] == f"bytes={CHUNK}-"
        rest = [one.sent for one in hub.requests if one.path.endswith(f"/{WEIGHTS}")][-1]
        assert rest == (tiny_bert / WEIGHTS).stat().st_size - CHUNK
        assert read_json(source / "origin.json")["commit"] == commit
        # As they are on the hub: not unpacked, joined or written again.
        shards = list(folder.glob("results/sources/*/files/data/*.parquet"))
        assert len(shards) == 3
        assert hub.sent("train-00000-of-00002.parquet") == min(
            path.stat().st_size for path in shards if "train-00000" in path.name
        )
    card = read_json(folder / "results" / "datasets" / "tickets" / "card.json")
    assert (card["rows_read"]["pool"], card["test"]["rows"]) == (300, 100)

    # The hub is gone. Plans, downloads that Snakemake runs again, and what is new need none.
    offline = Study(folder, {**study.environment, "HF_HUB_OFFLINE": "1"})
    call = offline.snakemake("-n", TRAINING.format(1), config=config)
    assert "Nothing to be done" in call.output
    arguments = ("--forcerun", "download", "--cores", "2", TRAINING.format(2))
    call = offline.snakemake(*arguments, config=config | {"seeds": [1, 2]})
    assert call.rc == 0, call.output
    assert (folder / TRAINING.format(2)).exists()
