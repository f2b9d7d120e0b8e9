"""A real pretraining, killed at random moments, goes on to the bytes of an unbroken one."""

import random
import signal
import subprocess
import sys
import time

import pytest
from gap.models.hardware import fast_bf16
from gap.run.json import read_json
from killing import ended_before
from tiny_pretraining import RECIPE, collect, pretraining_arguments, sentences, weights

pytestmark = pytest.mark.system

KILLS = 5
STEPS = RECIPE["optimisation"] | {"passes": 12, "evaluations": 8, "patience": 8}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    collect(folder, {"films": sentences(150)}, {"films": sentences(5, start=150)})
    return folder


def start(corpus, folder, processes=1, **options):
    """Start scripts/pretrain.py."""
    recipe = RECIPE | {"optimisation": STEPS}
    arguments = pretraining_arguments(corpus, recipe, folder, processes=processes)
    command = [sys.executable, "scripts/pretrain.py", *arguments]
    return subprocess.Popen(command, stderr=subprocess.STDOUT, text=True, **options)


def finish(corpus, folder, processes=1):
    """Pretrain to the end, and return the bytes of the weights."""
    assert start(corpus, folder, processes).wait() == 0
    return weights(folder)


def test_killed_at_random_moments(corpus, tmp_path):
    begin = time.monotonic()
    whole = finish(corpus, tmp_path / "whole")
    seconds = time.monotonic() - begin
    moments = random.Random(1)
    kills = attempt = 0
    while kills < KILLS:
        folder = tmp_path / f"broken-{attempt}"
        process = start(corpus, folder)
        if ended_before(process, moments.uniform(seconds / 3, seconds)):
            assert weights(folder) == whole
            attempt += 1
        else:
            kills += 1
    assert finish(corpus, tmp_path / f"broken-{attempt}") == whole


def test_asked_to_stop(corpus, tmp_path):
    process = start(corpus, tmp_path / "asked", stdout=subprocess.PIPE)
    next(line for line in process.stdout if line.startswith("step ") and "/" in line)
    process.send_signal(signal.SIGTERM)
    last = process.communicate()[0].splitlines()[-1]
    assert process.returncode == 75
    assert last.startswith("stopped: seed 1, step ")
    assert finish(corpus, tmp_path / "asked") == finish(corpus, tmp_path / "whole")


def test_two_processes_learn_what_one_does(corpus, tmp_path):
    finish(corpus, tmp_path / "one")
    finish(corpus, tmp_path / "two", processes=2)
    one, two = (
        read_json(tmp_path / name / "origin.json")["pretraining"] for name in ("one", "two")
    )
    assert (one["processes"], two["processes"]) == (1, 2)
    losses = [[each["loss"] for each in record["evaluations"]] for record in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05 if fast_bf16() else 1e-3)
