"""Where the core-seconds of the default study go: work, start-up, Snakemake, waiting."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import PAGE, ROOT, machine, verdict, write_section
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run

GOAL = 0.20
CLOCK = Path(__file__).resolve().parent / "clock"
# What a study needs of the repository is the rest.
LEFT_OUT = {"results", "logs", "benchmarks", "tests"}

Record = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A study that has run: seconds of the clock, CPU seconds of all its processes, records."""

    cores: int
    wall_seconds: float
    cpu_seconds: float
    snakemake: Record
    programs: list[Record]


def copy_repository(folder: Path, results: Path) -> None:
    """Copy the workflow into `folder`, and of `results` the sources, if there are any."""

    def ignore(parent: str, names: list[str]) -> set[str]:
        # Only at the top: a room of the code is called results, too.
        left_out = LEFT_OUT if Path(parent) == ROOT else set()
        return {name for name in names if name.startswith(".") or name in left_out}

    shutil.copytree(ROOT, folder, ignore=ignore, dirs_exist_ok=True)
    if (results / "sources").is_dir():
        shutil.copytree(results / "sources", folder / "results" / "sources", dirs_exist_ok=True)


def run_timed(command: list[str], folder: Path, records: Path, cores: int) -> Study:
    """Run a study's command in `folder`, with the clock in each of its Python processes.

    Raises UserError if it fails.
    """
    records.mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": str(CLOCK), "STUDY_CLOCK": str(records)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment)
    if process.wait() != 0:
        raise UserError(f"{' '.join(command)}: exit status {process.returncode}, see above")
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = [read_json(path) for path in sorted(records.glob("*.json"))]
    snakemake = next(record for record in found if record["pid"] == process.pid)
    programs = [record for record in found if record is not snakemake]
    return Study(cores, wall, cpu, snakemake, programs)


def divide(study: Study) -> dict[str, float]:
    """Return the study's core-seconds (cores x clock) by what they went to."""
    recorded = sum(record["cpu"] for record in [study.snakemake, *study.programs])
    return {
        "work in the programs": sum(one["cpu"] - one["imports"] for one in study.programs),
        "start-up of the programs: interpreter, imports": sum(
            one["imports"] for one in study.programs
        ),
        "Snakemake": study.snakemake["cpu"],
        "shells, ends of processes": study.cpu_seconds - recorded,
        "waiting": study.cores * study.wall_seconds - study.cpu_seconds,
    }


def side_by_side(study: Study) -> dict[int, float]:
    """Return for how many seconds 0, 1, 2... programs ran at once."""
    events = [(one["begin"], 1) for one in study.programs]
    events += [(one["end"], -1) for one in study.programs]
    seconds: dict[int, float] = defaultdict(float)
    running, last = 0, study.snakemake["begin"]
    for moment, change in [*sorted(events), (study.snakemake["end"], 0)]:
        seconds[running] += moment - last
        running, last = running + change, moment
    return dict(sorted(seconds.items()))


def describe(study: Study) -> str:
    """Return the section for the page of results."""
    parts = divide(study)
    total = study.cores * study.wall_seconds
    overhead = 1 - parts["work in the programs"] / total
    seconds = side_by_side(study)
    together = ", ".join(f"{count}: {held:.0f} s" for count, held in seconds.items())
    empty = sum(max(0, study.cores - count) * held for count, held in seconds.items())
    return "\n".join(
        [
            f"A study from scratch, its sources fetched before: {study.wall_seconds:.0f} s on "
            f"{study.cores} cores. All but work is {overhead:.1%} of the core-seconds; goal "
            f"≤ {GOAL:.0%}: {verdict(overhead <= GOAL)}.",
            "",
            "| | core-seconds | share |",
            "|---|---|---|",
            *(f"| {name} | {held:.1f} | {held / total:.1%} |" for name, held in parts.items()),
            f"| all | {total:.1f} | |",
            "",
            f"Programs running at once, and for how long: {together}; so cores had none for "
            f"{empty / total:.1%} of the core-seconds. Other waiting is for disks, or for whatever "
            "else the machine does.",
            "",
            "| program | processes | start-up, CPU s | work, CPU s |",
            "|---|---|---|---|",
            *_rows_of_programs(study.programs),
        ]
    )


def _rows_of_programs(programs: list[Record]) -> list[str]:
    """Return a table row per program, the most work first."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in programs:
        groups[record["program"]].append(record)
    rows = []
    for name, records in groups.items():
        imports = sum(record["imports"] for record in records)
        work = sum(record["cpu"] for record in records) - imports
        rows.append((work, f"| {name} | {len(records)} | {imports:.1f} | {work:.1f} |"))
    return [row for _, row in sorted(rows, reverse=True)]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="for Snakemake")
    parser.add_argument("--configfile", type=Path, help="another study than the default one")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="to take sources from"
    )
    parser.add_argument("--folder", type=Path, help="new folder to run in and to keep")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    if given.folder and given.folder.exists():
        raise UserError(f"--folder {given.folder}: exists already; name a new folder")
    command = [sys.executable, "-m", "snakemake", "--cores", str(given.cores)]
    if given.configfile:
        command += ["--configfile", str(given.configfile.resolve())]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.folder or Path(scratch) / "study").resolve()
        copy_repository(folder, given.results)
        if subprocess.run([*command, "--until", "download"], cwd=folder).returncode != 0:
            raise UserError("the study's sources could not be fetched, see above")
        study = run_timed(command, folder, Path(scratch) / "records", given.cores)
    write_section(given.page, "Study", f"{describe(study)}\n\nMachine: {machine(threads=None)}.")


if __name__ == "__main__":
    run(main)
