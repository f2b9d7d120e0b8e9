"""A program called inside a job of some launcher does what it does elsewhere."""

import os
import subprocess
import sys

import fork_server
import pytest
from gap.models.hardware import fast_bf16
from gap.run.json import read_json
from gap.run.launchers import forget_launchers
from tiny_training import make_data, make_recipes, training_arguments

LAUNCHED: dict[str, dict[str, str]] = {
    "elsewhere": {},
    "torchrun": {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_PORT": "none"},
    "a size alone": {"WORLD_SIZE": "2"},
    "Open MPI": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"},
    "MPICH": {"PMI_SIZE": "2", "PMI_RANK": "1"},
    "SLURM": {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"},
    "accelerate": {
        "ACCELERATE_MIXED_PRECISION": "fp32" if fast_bf16() else "bf16",
        "ACCELERATE_USE_FSDP": "true",
    },
}
TOGETHER = "all of them"
LAUNCHED[TOGETHER] = {name: text for own in LAUNCHED.values() for name, text in own.items()}


def test_no_other_variable_is_lost(monkeypatch):
    for variables in LAUNCHED.values():
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANKING", "kept")
    forget_launchers()
    left = {name for variables in LAUNCHED.values() for name in variables if name in os.environ}
    assert left == set(LAUNCHED["SLURM"])
    assert os.environ["RANKING"] == "kept"


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert, seeds="1")


@pytest.fixture(scope="module")
def digests(data, tmp_path_factory):
    """The digests of the weights that a training ends in, by what called it."""
    recipe, found = make_recipes(max_epochs=1, min_steps=4)["lstm"], {}
    for launcher, variables in LAUNCHED.items():
        folder = tmp_path_factory.mktemp("run")
        # Those that libraries read when they are imported are there in a process that imports them.
        imports = launcher in ("elsewhere", TOGETHER)
        command = [sys.executable if imports else fork_server.python(), "scripts/train.py"]
        command += training_arguments(data, recipe, folder)
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, (launcher, done.stderr)
        found[launcher] = read_json(folder / "training.json")["seeds"]["1"]["sha256"]
    return found


@pytest.mark.parametrize("launcher", LAUNCHED)
def test_a_training_is_the_same_inside_any_launcher(digests, launcher):
    assert digests[launcher] == digests["elsewhere"]
