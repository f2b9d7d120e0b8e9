"""A study whose snakemake is killed with all its jobs goes on to the bytes of an unbroken one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from tiny_study import STEPS, TICKETS, TINY_STUDY, new_study

pytestmark = pytest.mark.system

KILLS = 5
ON_TICKETS = {"datasets": ["tickets"]}
ZOO = TINY_STUDY["model_zoo"]
# One size, and a model that begins with a run on another data set.
STUDY: dict[str, Any] = TINY_STUDY | {
    "datasets": ["tickets", "notes"],
    "models": ["lstm", "bert", "tfidf", "started"],
    "reference": "lstm",
    "sizes": [40],
    "transfer": ["started"],
    "dataset_zoo": {
        name: TICKETS | {"source": {"kind": "file", "path": f"{name}.csv"}}
        for name in ("tickets", "notes")
    },
    "checkpoint_zoo": {
        **TINY_STUDY["checkpoint_zoo"],
        "on-notes": {"kind": "trained", "dataset": "notes", "model": "lstm", "size": 40},
    },
    "model_zoo": {
        "lstm": ZOO["lstm"],
        "bert": ZOO["bert"] | ON_TICKETS,
        "tfidf": ZOO["tfidf"] | ON_TICKETS,
        "started": ON_TICKETS
        | {"family": "lstm", "checkpoint": "on-notes", "width": 16, "optimisation": STEPS},
    },
}


def ended_before(study, seconds):
    """Run the study, kill all of its processes after so many seconds; return whether it ended."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "study.yaml"]
    process = subprocess.Popen(
        command, cwd=study.folder, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True


def results(study):
    """Return the predictions of all runs, and tables: their bytes, by their paths."""
    folder = study.folder / "results"
    paths = [*folder.glob("runs/*/*/*/*/predictions.parquet")]
    paths += [path for name in ("gaps", "transfer") for path in folder.glob(f"{name}.csv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_killed_at_random_moments(tmp_path, tiny_bert):
    whole, broken = (new_study(tmp_path / name, tiny_bert) for name in ("whole", "broken"))
    begin = time.monotonic()
    call = whole.snakemake("--cores", "2", config=STUDY)
    seconds = time.monotonic() - begin
    assert call.rc == 0, call.output

    assert broken.snakemake("--dry-run", config=STUDY).rc == 0
    moments = random.Random(1)
    kills = 0
    while kills < KILLS:
        # Later than snakemake is up; it has less to do with each call.
        moment = moments.uniform(0.1, 0.4) * seconds
        if ended_before(broken, moment):
            assert results(broken) == results(whole)
            shutil.rmtree(broken.folder / "results")
        else:
            kills += 1
            print(f"killed after {moment:.1f} of {seconds:.1f} s: {len(results(broken))} results")
            assert broken.snakemake("--unlock", config=STUDY).rc == 0
    call = broken.snakemake("--cores", "2", config=STUDY)
    assert call.rc == 0, call.output
    # Two runs of BERT and of the one that begins elsewhere, two of the LSTM, one of words; tables.
    assert len(results(whole)) == 2 + 2 + 2 + 1 + 2
    assert results(broken) == results(whole)
    assert not list(broken.folder.glob("results/runs/**/checkpoints"))
