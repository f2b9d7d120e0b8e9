"""A study that fills its disk says so in a line, and goes on to the same bytes when there is room.

The disk is a small one in memory, which only root may mount.
"""

import copy
import re
import shutil
import subprocess
from typing import Any

import pytest
from tiny_study import TINY_STUDY, new_study

pytestmark = pytest.mark.system

MB = 1_000_000
MADE_WITH_RESULTS = ("predictions.parquet", "pool.parquet", "test.parquet", "gaps.csv")


@pytest.fixture
def disk(tmp_path):
    """An empty disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={16 * MB}", "tmpfs", str(folder)]
    called = subprocess.run(mount, capture_output=True, text=True)
    if called.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {called.stderr.strip()}")
    yield folder
    # Lazily: a program that was stopped may still hold it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def config():
    """A study of two training jobs, two seeds each."""
    smaller = {"sizes": [40], "models": ["bert", "lstm"]}
    config: dict[str, Any] = copy.deepcopy(TINY_STUDY) | smaller
    config["model_zoo"]["bert"]["seeds"] = ["1-2"]
    return config


@pytest.fixture(scope="module")
def unhindered(tmp_path_factory, tiny_bert, config):
    """The bytes of a study's results, by their paths, that always had room."""
    study = new_study(tmp_path_factory.mktemp("unhindered") / "study", tiny_bert)
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    return content(study.folder / "results")


def content(results):
    """Return the bytes of results that no clock is in, by their paths."""
    paths = [path for name in MADE_WITH_RESULTS for path in results.rglob(name)]
    declared = (path for path in paths if ".state" not in path.parts)
    return {str(path.relative_to(results)): path.read_bytes() for path in declared}


def fill(disk, room):
    """Write a file that leaves so many bytes of room, and return it."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - room))
    return filler


def failed_rules(call):
    return set(re.findall(r"^Error in rule (\w+):", call.output, re.MULTILINE))


def test_results_on_a_full_disk(disk, tmp_path, tiny_bert, config, unhindered):
    study = new_study(tmp_path / "study", tiny_bert)
    results = disk / "results"
    config = config | {"pathvars": {"results": str(results)}}

    def fill_after(rules, room, expected):
        """Run these rules, then all the others on a disk with little room: one of these fails."""
        call = study.snakemake("--cores", "2", "--until", *rules, config=config)
        assert call.rc == 0, call.output
        filler = fill(disk, room)
        call = study.snakemake("--cores", "2", config=config)
        assert call.rc == 1, call.output
        assert failed_rules(call) & expected, call.output
        assert call.errors, call.output
        for line in call.errors:
            assert line.startswith(f"error: no space left on the device of {disk}"), line
            assert "make room there, then the same command goes on" in line
        assert "Traceback" not in call.output
        found = content(results)
        assert found == {path: unhindered[path] for path in found}
        filler.unlink()

    fill_after(["download"], 16_000, {"prepare"})
    # The weights of a checkpoint, then its optimiser's state.
    fill_after(["encode", "encode_subsample"], 100_000, {"train"})
    fill_after(["encode", "encode_subsample"], 300_000, {"train"})
    fill_after(["train"], 0, {"predict"})
    fill_after(["score"], 0, {"estimate_gap", "gather"})
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    assert content(results) == unhindered


def test_the_whole_study_on_a_full_disk(disk, tiny_bert, config, unhindered):
    study = new_study(disk / "study", tiny_bert)
    call = study.snakemake("--cores", "2", "--until", "encode", "encode_subsample", config=config)
    assert call.rc == 0, call.output
    filler = fill(disk, 400_000)
    call = study.snakemake("--cores", "2", "--configfile", "study.yaml")
    assert call.rc == 1, call.output
    # Snakemake, too, has no room for its records, and says so in words of its own.
    assert "o space left on" in call.output
    for log in study.folder.glob("logs/**/*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8"), log
    filler.unlink()
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    assert content(study.folder / "results") == unhindered
