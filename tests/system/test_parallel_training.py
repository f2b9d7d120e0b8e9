"""Two processes that train one run, killed or asked to stop, go on as one process does."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from gap.models.hardware import fast_bf16
from gap.run.json import read_json
from safetensors.numpy import load_file
from tiny_training import make_data, make_recipes, run_training, training_arguments

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def recipe():
    """A recipe whose training takes some seconds after its start."""
    recipe = make_recipes(min_steps=120, evaluations=12, patience=12)["lstm"]
    recipe["optimisation"]["lr"] = 0.005
    return recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert, size=81, seeds="1")


def start(data, recipe, folder):
    """Start scripts/train.py with two processes, as the leader of a process group."""
    arguments = [*training_arguments(data, recipe, folder), "--processes", "2"]
    return subprocess.Popen(
        [sys.executable, "scripts/train.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start_until_it_trains(data, recipe, folder):
    """Start it, and return it and the ids of its two workers after an evaluation."""
    process = start(data, recipe, folder)
    next(line for line in process.stdout if line.startswith("step "))
    children = psutil.Process(process.pid).children()
    workers = [child.pid for child in children if "spawn_main" in "".join(child.cmdline())]
    assert len(workers) == 2
    return process, workers


def runs(number):
    """Return whether a process runs; in a container nobody may clear away those that ended."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def weights_of(folder):
    return load_file(folder / "weights" / "1" / "model.safetensors")


def assert_alike(alone, together):
    """Assert that the weights of one process and of two are the same up to rounding."""
    if fast_bf16():
        # It rounds 65,000 times as coarsely, and no bound is stated for that.
        return
    expected = weights_of(alone)
    for name, values in weights_of(together).items():
        # 120 steps of rounded numbers; another mask, order or state of the optimiser shows at 1e-2.
        np.testing.assert_allclose(expected[name], values, atol=1e-5, err_msg=name)


def test_killed_and_asked_to_stop(data, recipe, tmp_path):
    killed, workers = start_until_it_trains(data, recipe, tmp_path / "broken")
    killed.kill()
    killed.wait()
    time.sleep(2)
    # Workers that outlive it would write into the state of the next call.
    assert not any(runs(worker) for worker in workers)

    # One worker is asked, then all at once, as batch systems and terminals do.
    for ask in (lambda _, workers: os.kill(workers[1], signal.SIGTERM), ask_all):
        process, workers = start_until_it_trains(data, recipe, tmp_path / "broken")
        ask(process, workers)
        lines = process.communicate()[0].splitlines()
        assert process.returncode == 75, lines
        assert lines[-1].startswith("stopped: seed 1, step "), lines
        assert [line for line in lines if line.startswith(("stopped", "Traceback"))] == lines[-1:]
        step = lines[-1].split()[4]
        checkpoints = tmp_path.glob(
            f"broken/.state/train/*/1/trial-1/checkpoints/checkpoint-{step}/whole"
        )
        assert len(list(checkpoints)) == 1

    shutil.copytree(tmp_path / "broken", tmp_path / "alone")
    for folder in ("broken", "whole"):
        process = start(data, recipe, tmp_path / folder)
        said = process.communicate()[0]
        assert process.returncode == 0, said
    reports = [read_json(tmp_path / folder / "training.json") for folder in ("broken", "whole")]
    assert reports[0]["seeds"]["1"]["sha256"] == reports[1]["seeds"]["1"]["sha256"]
    evaluations = [report["seeds"]["1"]["trials"][0]["evaluations"] for report in reports]
    assert evaluations[0] == evaluations[1]
    assert reports[0]["made_with"]["hardware"]["processes"] == 2

    run_training(data, recipe, tmp_path / "alone")
    assert_alike(tmp_path / "alone", tmp_path / "whole")


def test_layers_that_join_late_do_so_on_two_processes(data, tmp_path):
    recipe = make_recipes(min_steps=12, evaluations=2)["fine-tuned"]
    recipe["optimisation"] |= {"unfreezing": 0.8, "layer_decay": 0.5}
    process = start(data, recipe, tmp_path / "two")
    said = process.communicate()[0]
    assert process.returncode == 0, said
    run_training(data, recipe, tmp_path / "alone")
    assert_alike(tmp_path / "alone", tmp_path / "two")


def ask_all(process, workers):
    os.killpg(process.pid, signal.SIGTERM)
