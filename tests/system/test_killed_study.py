"""A study whose snakemake is killed with all its jobs goes on to the bytes of an unbroken one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tiny_study import TINY_STUDY, new_study

pytestmark = pytest.mark.system

KILLS = 5
ONE_SIZE = TINY_STUDY | {"sizes": [40]}


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
    """Return the predictions of all runs, and the gaps: their bytes, by their paths."""
    folder = study.folder / "results"
    paths = [*folder.glob("runs/*/*/*/*/predictions.parquet"), *folder.glob("gaps.csv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_killed_at_random_moments(tmp_path, tiny_bert):
    whole, broken = (new_study(tmp_path / name, tiny_bert) for name in ("whole", "broken"))
    begin = time.monotonic()
    call = whole.snakemake("--cores", "2", config=ONE_SIZE)
    seconds = time.monotonic() - begin
    assert call.rc == 0, call.output

    assert broken.snakemake("--dry-run", config=ONE_SIZE).rc == 0
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
            assert broken.snakemake("--unlock", config=ONE_SIZE).rc == 0
    call = broken.snakemake("--cores", "2", config=ONE_SIZE)
    assert call.rc == 0, call.output
    assert len(results(whole)) == 5
    assert results(broken) == results(whole)
    assert not list(broken.folder.glob("results/runs/**/checkpoints"))
