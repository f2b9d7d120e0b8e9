"""Real trainings, killed at random moments, go on to the bytes of an unbroken one."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import ended_before
from tiny_training import (
    make_data,
    make_recipes,
    run_prediction,
    training_arguments,
)

pytestmark = pytest.mark.system

KILLS = 5
STRENGTHS = [2.0 ** (power / 8) for power in range(-20, 20)]


@pytest.fixture(scope="module")
def recipes():
    """Recipes whose training takes some seconds after its start."""
    recipes = make_recipes(max_epochs=8, min_steps=200, evaluations=6, patience=6)
    recipes["fine-tuned"]["optimisation"]["lr"] = 0.001
    recipes["lstm"]["optimisation"] |= {"min_steps": 250, "lr": [0.001, 0.02]}
    recipes["lstm"]["trials"] = 2
    recipes["states-lstm"]["optimisation"] |= {"lr": 0.002}
    for name in ("frozen", "tfidf"):
        recipes[name]["optimisation"]["inverse_regularisation"] = STRENGTHS
        recipes[name]["trials"] = len(STRENGTHS)
    return recipes


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert, pool=400, size=300)


def start(data, recipe, folder, **options):
    """Start scripts/train.py."""
    command = [sys.executable, "scripts/train.py", *training_arguments(data, recipe, folder)]
    return subprocess.Popen(command, stderr=subprocess.STDOUT, text=True, **options)


def finish(data, recipe, folder):
    """Train to the end, and return the bytes of the predictions."""
    assert start(data, recipe, folder).wait() == 0
    return run_prediction(data, recipe, folder)


def what_is_kept(folder):
    """Return the names of the checkpoints and finished seeds in the state of a training."""
    state = [path for path in folder.glob(".state/train/*/*") if path.suffix != ".partial"]
    found = [*state, *(inner for path in state for inner in path.glob("checkpoint-*"))]
    return sorted(str(Path(*path.parts[-2:])) for path in found)


@pytest.mark.parametrize("name", ["fine-tuned", "frozen", "lstm", "states-lstm", "tfidf"])
def test_killed_at_random_moments(data, recipes, name, tmp_path):
    recipe = recipes[name]
    begin = time.monotonic()
    whole = finish(data, recipe, tmp_path / "whole")
    seconds = time.monotonic() - begin

    moments = random.Random(name)
    kills = attempt = 0
    while kills < KILLS:
        folder = tmp_path / f"broken-{attempt}"
        moment = moments.uniform(0, seconds)
        if ended_before(start(data, recipe, folder), moment):
            # What the calls before had done was kept; the next training starts from nothing.
            assert run_prediction(data, recipe, folder) == whole
            attempt += 1
        else:
            kills += 1
            print(f"killed after {moment:.1f} of {seconds:.1f} s:", *what_is_kept(folder))
    assert finish(data, recipe, tmp_path / f"broken-{attempt}") == whole


def test_asked_to_stop(data, recipes, tmp_path):
    recipe = recipes["fine-tuned"]
    process = start(data, recipe, tmp_path / "asked", stdout=subprocess.PIPE)
    # The first evaluation is said to be done: it is training.
    next(line for line in process.stdout if line.startswith("step "))
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0].splitlines()[-1]
    assert process.returncode == 75
    assert said.startswith("stopped: seed 1, step ")
    step = said.split()[4]
    checkpoints = tmp_path.glob(
        f"asked/.state/train/*/1/trial-1/checkpoints/checkpoint-{step}/whole"
    )
    assert len(list(checkpoints)) == 1
    assert finish(data, recipe, tmp_path / "asked") == finish(data, recipe, tmp_path / "whole")
