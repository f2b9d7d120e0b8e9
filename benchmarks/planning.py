"""How long `snakemake -n` takes on a finished study, beside the same graph of plain touch rules."""

from __future__ import annotations

import argparse
import ast
import csv
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from common import PAGE, machine, spread, verdict, write_section
from gap.run.errors import UserError
from gap.run.json import write_json
from gap.run.program import run
from gap.study import paths
from study_overhead import copy_repository

GOAL = 1.5
OURS, PEER = "this project", "plain touch rules"
OPTIONS = {OURS: ["--configfile", "study.yaml"], PEER: []}
MODELS: dict[str, dict[str, Any]] = {
    "fine-tuned": {"family": "transformer", "checkpoint": "encoder"},
    "words": {"family": "linear", "longest_phrase": 1},
    "lstm": {"family": "lstm", "vocabulary": "pieces"},
    "frozen": {"family": "transformer", "checkpoint": "encoder", "frozen": True},
    "phrases": {"family": "linear"},
    "lstm-wide": {"family": "lstm", "vocabulary": "pieces", "width": 300},
    "lstm-encoder": {"family": "lstm", "checkpoint": "encoder", "embeddings": "tuned"},
    "frequent-words": {"family": "linear", "min_texts": 5},
}
ROWS = 2000
# Snakemake, whose --touch gives files the records of a run, without its pause of 0.1 s a job.
TOUCH = """\
from snakemake.executors.touch import Executor
Executor.SLEEPING_TIME = 0
from snakemake.cli import main
main()
"""


@dataclass(frozen=True)
class Seconds:
    """What a call took: CPU time of its processes, and the clock."""

    cpu: float
    wall: float


# ---------------------------------------------------------------- the studies


def write_study(folder: Path, data_sets: int, models: int, sizes: int, seeds: int) -> None:
    """Write study.yaml, a study of so many of each, one job per seed, and the files it reads."""
    names = [f"texts-{number}" for number in range(data_sets)]
    zoo = dict(list(MODELS.items())[:models])
    config = {
        "datasets": names,
        "models": list(zoo),
        "reference": next(iter(zoo)),
        "sizes": [100 * number for number in range(1, sizes + 1)],
        "seeds": list(range(1, seeds + 1)),
        "dataset_zoo": {
            name: {
                "source": {"kind": "file", "path": f"{name}.csv"},
                "text": "text",
                "label": "label",
            }
            for name in names
        },
        "checkpoint_zoo": {"encoder": {"kind": "file", "path": "encoder"}},
        "vocabulary_zoo": {"pieces": {"algorithm": "unigram", "size": 100}},
        "model_zoo": zoo,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    for name in names:
        rows = [f"text {row} of {name},{'no' if row % 2 else 'yes'}" for row in range(ROWS)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (folder / "encoder").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / "encoder" / name).write_text("{}", encoding="utf-8")


def files_of_study(folder: Path, options: list[str]) -> dict[str, list[str]]:
    """Return the outputs of all jobs, and for each the inputs, where the study is finished."""
    table = snakemake(folder, "--detailed-summary", *options).splitlines()
    rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["output_file"]: row["input-file(s)"].split(",") for row in rows}


def make_outputs(folder: Path, paths: Sequence[str]) -> None:
    """Write small files and folders at these paths; a folder is what has no extension."""
    for path in map(folder.joinpath, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text("{}", encoding="utf-8")
        else:
            path.mkdir(exist_ok=True)


def _spell_path(name: re.Match[str]) -> str:
    """Return what a name or a call of gap.study.paths stands for, as a text.

    What is no path stays.
    """
    function, _, arguments = name[1].rstrip(")").partition("(")
    value = attrgetter(function)(paths)
    if arguments:
        value = value(*ast.literal_eval(f"({arguments},)"))
    return json.dumps(value) if isinstance(value, str) else name[0]


def write_peer(folder: Path, inputs: dict[str, list[str]]) -> None:
    """Write a Snakefile with this project's rules and files, where each rule only touches.

    A look-up names a job's inputs, so nothing is computed; there are no params, nothing is checked.
    """
    write_json(folder / "inputs.json", inputs)
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("rules/*.smk")))
    text = re.sub(r'paths\.([A-Z_]+\b(?:\.\w+)?|(?:table|chart)\("[^)]+\))', _spell_path, text)
    text = text.replace("<results>", "results")
    # Outputs of studies with checkpoints of their own, which this one has not.
    text = re.sub(r"^ +\*\*[A-Z_]+,\n", "", text, flags=re.MULTILINE)
    constraints = re.search(r"^wildcard_constraints:\n(    .*\n)+", text, re.MULTILINE)
    assert constraints
    last = [path for path in inputs if f'"{path}"' in text]
    parts = ['import json\n\nINPUTS = json.load(open("inputs.json"))\n', constraints[0]]
    parts.append(f"rule all:\n    input: {last}\n")
    for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE):
        output = re.search(r"^    output:\n((?:        .*\n)+)", body, re.MULTILINE)
        assert output
        first = re.search(r'"[^"]+"', output[1])
        assert first
        # Rules behind a target of their own make no file of the study.
        if not any(map(re.compile(re.sub(r"{\w+}", ".+", first[0][1:-1])).fullmatch, inputs)):
            continue
        parts.append(
            f"rule {name}:\n"
            f"    input: lambda wildcards: INPUTS[{first[0]}.format(**wildcards)]\n"
            f'{output[0]}    shell: "touch {{output}}"\n'
        )
    (folder / "Snakefile").write_text("\n\n".join(parts), encoding="utf-8")


def finish(folder: Path, options: list[str]) -> int:
    """Let Snakemake record that all outputs were made as they are, and return how many jobs."""
    arguments = ["--touch", "--forceall", "--cores", "all", "--quiet", "rules", *options]
    jobs = re.findall(r"^(\d+) of \1 steps", snakemake(folder, *arguments, code=TOUCH), re.M)
    if not jobs:
        raise UserError(f"{folder}: snakemake --touch tells no number of jobs")
    return int(jobs[-1])


def snakemake(folder: Path, *arguments: str, code: str = "") -> str:
    """Call snakemake in a folder and return what it says.

    Raises UserError, with its last lines, if it fails.
    """
    command = [sys.executable, *(["-c", code] if code else ["-m", "snakemake"]), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"snakemake {' '.join(arguments)} failed: {done.stderr[-2000:]}")
    # What is said of a table, not in it, goes to stderr.
    return done.stdout if "--detailed-summary" in arguments else done.stdout + done.stderr


# ---------------------------------------------------------------- the measurement


def plan(folder: Path, options: list[str]) -> Seconds:
    """Time one `snakemake -n`. Raises UserError where the study is not finished."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = snakemake(folder, "-n", *options)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if "Nothing to be done" not in said:
        raise UserError(f"{folder}: snakemake -n finds something to do: {said[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(cpu, wall)


def measure(folders: dict[str, Path], rounds: int) -> dict[str, list[Seconds]]:
    """Time all in every round, in turns; a first round warms up and does not count."""
    seconds: dict[str, list[Seconds]] = {name: [] for name in folders}
    for number in range(rounds + 1):
        for name in list(folders)[:: -1 if number % 2 else 1]:
            one = plan(folders[name], OPTIONS[name])
            print(
                f"round {number}, {name}: {one.cpu:.2f} s of CPU time, {one.wall:.2f} s",
                flush=True,
            )
            if number > 0:
                seconds[name].append(one)
    return seconds


def describe(grid: list[int], jobs: int, files: int, seconds: dict[str, list[Seconds]]) -> str:
    """Return the section for the page of results."""
    pairs = list(zip(seconds[OURS], seconds[PEER], strict=True))
    cpu = [ours.cpu / peer.cpu for ours, peer in pairs]
    wall = [ours.wall / peer.wall for ours, peer in pairs]
    rows = [
        f"| {name} | {spread(one.cpu for one in measured)} | "
        f"{spread(one.wall for one in measured)} |"
        for name, measured in seconds.items()
    ]
    axes = zip(grid, ("data sets", "models", "sizes", "seeds"), strict=True)
    return "\n".join(
        [
            f"`snakemake -n` on a finished study of {' x '.join(f'{n} {axis}' for n, axis in axes)}"
            f": {jobs:,} jobs, {files:,} files. {len(cpu)} rounds.",
            "",
            "| | CPU s | s |",
            "|---|---|---|",
            *rows,
            f"| ratio | {spread(cpu)} | {spread(wall)} |",
            "",
            f"Goal ≤ {GOAL}, by CPU time: {verdict(median(cpu) <= GOAL)}.",
        ]
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    axes = ("DATA_SETS", "MODELS", "SIZES", "SEEDS")
    parser.add_argument("--grid", type=int, nargs=4, default=[3, 8, 7, 5], metavar=axes)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--folder", type=Path, help="new folder to work in and to keep")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    if given.folder and given.folder.exists():
        raise UserError(f"--folder {given.folder}: exists already; name a new folder")
    with tempfile.TemporaryDirectory() as scratch:
        parent = given.folder or Path(scratch)
        folders = {OURS: parent / "ours", PEER: parent / "peer"}
        copy_repository(folders[OURS], Path("nothing"))
        write_study(folders[OURS], *given.grid)
        make_outputs(folders[OURS], list(files_of_study(folders[OURS], OPTIONS[OURS])))
        jobs = finish(folders[OURS], OPTIONS[OURS])
        inputs = files_of_study(folders[OURS], OPTIONS[OURS])
        shutil.copytree(folders[OURS], folders[PEER], ignore=shutil.ignore_patterns(".snakemake"))
        write_peer(folders[PEER], inputs)
        if (others := finish(folders[PEER], OPTIONS[PEER])) != jobs:
            raise UserError(f"the graphs differ: {jobs} jobs here, {others} of plain rules")
        body = describe(given.grid, jobs, len(inputs), measure(folders, given.rounds))
    write_section(given.page, "Planning", f"{body}\n\nMachine: {machine(threads=None)}.")


if __name__ == "__main__":
    run(main)
