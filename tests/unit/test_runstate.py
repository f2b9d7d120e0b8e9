"""What a job has done is found again by the same job, whole, and by no other."""

import os
import subprocess
import sys

import pytest
from gap.run.folders import link
from gap.run.json import write_json
from gap.run.runstate import keep, restore, state_folder


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "pool.parquet"
    path.write_bytes(b"rows")
    return path


def test_a_state_is_found_again_by_the_same_job_only(tmp_path, source):
    def state(lr, rule="train"):
        return state_folder(tmp_path / "run", rule, {"lr": lr}, [source])

    first = state(1.0)
    (first / "checkpoint").touch()
    assert state(1.0) == first
    assert (first / "checkpoint").exists()
    state(1.0, rule="predict")
    assert first.exists()
    other = state(2.0)
    assert other != first
    assert not first.exists()
    source.write_bytes(b"other rows")
    assert state(2.0) != other


def test_only_the_files_that_are_named_decide(tmp_path, source):
    manifest = source.with_suffix(".json")

    def state(path):
        return state_folder(tmp_path / "run", "train", {}, [path])

    write_json(manifest, {"sha256": "1"})
    by_file, by_manifest = state(source), state(manifest)
    source.write_bytes(b"not looked at")
    assert state(manifest) == by_manifest
    assert state(source) != by_file
    by_file = state(source)
    write_json(manifest, {"sha256": "2"})
    assert state(manifest) != by_manifest
    assert state(source) == by_file


def test_each_file_of_a_folder_decides(tmp_path):
    folder = tmp_path / "vocabulary"
    folder.mkdir()

    def state():
        return state_folder(tmp_path / "run", "encode", {}, [folder])

    states = [state()]
    for name, content in (("1.model", "a"), ("2.model", "a"), ("2.model", "b")):
        (folder / name).write_text(content)
        states.append(state())
    (folder / "2.model").rename(folder / "3.model")
    states.append(state())
    assert len(set(states)) == len(states)


@pytest.fixture
def outputs(tmp_path):
    (tmp_path / "out" / "weights" / "1").mkdir(parents=True)
    (tmp_path / "out" / "weights" / "1" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "out" / "training.json").write_text("{}")
    return [tmp_path / "out" / "weights", tmp_path / "out" / "training.json"]


def delete(outputs):
    """As Snakemake does before it runs a job."""
    (outputs[0] / "1" / "model.safetensors").unlink()
    (outputs[0] / "1").rmdir()
    outputs[0].rmdir()
    outputs[1].unlink()


def test_deleted_outputs_come_back_at_no_cost_in_disk(tmp_path, outputs):
    state = state_folder(tmp_path / "run", "train", {}, [])
    assert not restore(state, outputs)
    keep(state, outputs)
    assert (outputs[0] / "1" / "model.safetensors").stat().st_nlink == 2
    delete(outputs)
    assert restore(state, outputs)
    assert (outputs[0] / "1" / "model.safetensors").read_bytes() == b"weights"
    assert outputs[1].read_text() == "{}"


@pytest.mark.parametrize("damage", [b"weight", b"WEIGHTS", None])
def test_damaged_work_does_not_come_back(tmp_path, outputs, damage):
    state = state_folder(tmp_path / "run", "train", {}, [])
    keep(state, outputs)
    # The kept file and the output are one file: damage to the one is damage to the other.
    file = outputs[0] / "1" / "model.safetensors"
    if damage is None:
        (state / "finished" / "weights" / "1" / "model.safetensors").unlink()
    else:
        file.write_bytes(damage)
    delete(outputs)
    assert not restore(state, outputs)
    assert not outputs[1].exists()


def test_a_job_killed_after_it_found_damage_starts_anew(tmp_path, outputs):
    state = state_folder(tmp_path / "run", "train", {}, [])
    keep(state, outputs)
    (outputs[0] / "1" / "model.safetensors").write_bytes(b"WEIGHTS")
    assert not restore(state, outputs)
    # It is killed here, before it could keep anything; so is the next one, and the next ends.
    assert not restore(state, outputs)
    keep(state, outputs)
    assert restore(state, outputs)


def test_work_that_was_not_kept_to_the_end_does_not_come_back(tmp_path, outputs, monkeypatch):
    state = state_folder(tmp_path / "run", "train", {}, [])
    monkeypatch.setattr("gap.run.runstate.write_json", lambda path, content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keep(state, outputs)
    delete(outputs)
    assert not restore(state, outputs)


def test_where_there_are_no_hard_links_files_are_copied(tmp_path, outputs, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    link(outputs[0], tmp_path / "copy")
    assert (tmp_path / "copy" / "1" / "model.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "copy" / "1" / "model.safetensors").stat().st_nlink == 1


TWIN = """
import sys
from pathlib import Path
from gap.run.runstate import state_folder
state_folder(Path(sys.argv[1]), "train", {}, [])
print("mine", flush=True)
sys.stdin.read()
"""


def test_a_second_job_waits_until_the_first_has_ended(tmp_path):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", TWIN, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": "scripts"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with start() as first, start() as second:
        said = {first: first.stdout.readline(), second: second.stdout.readline()}
        assert set(said.values()) == {
            "mine\n",
            "another process does the same work: waiting for it\n",
        }
        owner, other = sorted((first, second), key=lambda process: said[process] != "mine\n")
        owner.kill()
        assert other.stdout.readline() == "mine\n"
        other.stdin.close()
