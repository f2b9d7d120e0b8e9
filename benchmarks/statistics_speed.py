"""How long all statistics of a study take, beside intervals of each gap alone.

They are what estimate_gap and forecast_gap do, from the files of predictions to their tables.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import PAGE, ROOT, machine, spread, verdict, write_section
from gap.results.predictions import write_predictions
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run
from numpy.typing import NDArray
from scipy.special import log_expit
from study_overhead import CLOCK

REFERENCE = "model-0"
RECIPE = {"reference": REFERENCE, "margin": 1.0, "confidence": 0.95}
# The tables that each program writes.
PROGRAMS = {
    "estimate_gap": ("accuracies", "gaps", "metrics"),
    "forecast_gap": ("crossings", "forecasts", "curves"),
}
PEER = "each gap alone"
SMALLEST = 250  # labelled examples; each size is twice the one before


@dataclass(frozen=True)
class Shape:
    """How many of each a study has, and what its statistics may take: seconds and MiB."""

    models: int
    sizes: int
    datasets: int
    seeds: int
    rows: int
    seconds: float
    memory: float | None = None

    def __str__(self) -> str:
        datasets = f" x {self.datasets} data sets" if self.datasets > 1 else ""
        return (
            f"{self.models} models x {self.sizes} sizes{datasets}, {self.seeds} seeds, "
            f"{self.rows:,} test rows"
        )


SHAPES = (Shape(5, 4, 1, 3, 2000, 3.0), Shape(36, 7, 3, 3, 50_000, 120.0, 2048))


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, CPU seconds (all, and of them start-up and imports), peak MiB."""

    wall: float
    cpu: float
    imports: float
    memory: float

    @property
    def work(self) -> float:
        """The CPU seconds of what is not start-up."""
        return self.cpu - self.imports

    def then(self, other: Cost) -> Cost:
        """Return what this program and another, run after it, take together."""
        return Cost(
            self.wall + other.wall,
            self.cpu + other.cpu,
            self.imports + other.imports,
            max(self.memory, other.memory),
        )


def write_study(folder: Path, shape: Shape, seed: int) -> list[str]:
    """Write the predictions of a made-up study with two labels, drawn with `seed`.

    Return the files, one for each data set, model and size.
    """
    paths = []
    for dataset in range(shape.datasets):
        rng = np.random.default_rng([seed, dataset])
        labels = rng.integers(0, 2, shape.rows).astype(np.int32)
        hard = rng.standard_normal(shape.rows).astype(np.float32)
        for model in range(shape.models):
            of_model = hard + rng.standard_normal(shape.rows).astype(np.float32) / 2
            for size in range(shape.sizes):
                n = SMALLEST * 2**size
                path = folder / f"texts-{dataset}-model-{model}-{n}.parquet"
                cell = {"dataset": f"texts-{dataset}", "model": f"model-{model}"}
                # Curves that flatten, on the scale of `hard`; the reference is ahead.
                level = np.float32(1.5 - (0.4 + model / shape.models) * 2 ** (-size / 2))
                ease = level + of_model
                scores = {run: _scores(rng, ease, labels) for run in range(1, shape.seeds + 1)}
                write_predictions(path, cell | {"size": str(n), "n": n}, scores, labels)
                paths.append(str(path))
    return paths


def _scores(
    rng: np.random.Generator, ease: NDArray[Any], labels: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the log-probabilities of a run, (rows, 2): right where ease and chance outweigh."""
    lead = ease + rng.normal(0, 0.1) + rng.standard_normal(len(ease)).astype(np.float32)
    signed = np.where(labels == 1, lead, -lead)
    return np.stack([log_expit(-signed), log_expit(signed)], axis=1).astype(np.float32)


def commands(folder: Path, predictions: Sequence[str]) -> dict[str, list[str]]:
    """Return the commands of this project's programs and of the peer."""
    files = folder / "predictions.txt"
    files.write_text("\n".join(predictions), encoding="utf-8")
    recipe = f"--recipe={json.dumps(RECIPE)}"
    programs = {name: ROOT / "scripts" / f"{name}.py" for name in PROGRAMS}
    programs[PEER] = ROOT / "benchmarks" / "student_intervals.py"
    tables = {**PROGRAMS, PEER: ("alone",)}
    return {
        name: [
            sys.executable,
            str(program),
            recipe,
            *(f"--{table}={folder / table}.csv" for table in tables[name]),
            f"@{files}",
        ]
        for name, program in programs.items()
    }


def measure(command: Sequence[str]) -> Cost:
    """Run a program on one thread to its end, and return its cost. Raises UserError if it fails."""
    with tempfile.TemporaryDirectory() as records:
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        clock = {"PYTHONPATH": str(CLOCK), "STUDY_CLOCK": records}
        start = time.perf_counter()
        process = subprocess.run(command, env=os.environ | threads | clock)
        wall = time.perf_counter() - start
        if process.returncode:
            raise UserError(f"{command[1]}: exit status {process.returncode}; see above")
        (record,) = map(read_json, Path(records).glob("*.json"))
    return Cost(wall, record["cpu"], record["imports"], record["memory"])


def compare(shape: Shape, options: argparse.Namespace) -> dict[str, list[Cost]]:
    """Return what each program took in each round; every other round goes backwards."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        programs = commands(folder, write_study(folder, shape, options.seed))
        costs: dict[str, list[Cost]] = {name: [] for name in programs}
        for number in range(options.rounds):
            for name in list(programs)[:: -1 if number % 2 else 1]:
                costs[name].append(measure(programs[name]))
                print(f"{shape}, round {number + 1}, {name}: {costs[name][-1]}", flush=True)
    return costs


def report(results: dict[Shape, dict[str, list[Cost]]], rounds: int) -> str:
    """Return the section of the page."""
    lines = [
        f"Made-up predictions, two labels; whole programs on one thread, {rounds} rounds. Start-up "
        "is that of the interpreter and imports. The peer reads the same files, and has an "
        "interval of each gap and no curves.",
    ]
    for shape, costs in results.items():
        both = [
            first.then(second)
            for first, second in zip(*(costs[name] for name in PROGRAMS), strict=True)
        ]
        rows = costs | {"all statistics": both}
        peer = costs[PEER]
        lines += ["", f"**{shape}**", "", *TITLES]
        lines += [_row(name, cost, None if name == PEER else peer) for name, cost in rows.items()]
        lines += ["", *_goals(shape, both)]
    return "\n".join([*lines, "", f"Machine: {machine(threads=None)}."])


TITLES = (
    "| | s | start-up, CPU s | work, CPU s | peak MiB | work to the peer's |",
    "|---|---|---|---|---|---|",
)


def _row(name: str, costs: Sequence[Cost], peer: Sequence[Cost] | None) -> str:
    pairs = zip(costs, peer or costs, strict=True)
    cells = [
        name,
        *(spread(getattr(cost, key) for cost in costs) for key in ("wall", "imports", "work")),
        f"{max(cost.memory for cost in costs):,.0f}",
        spread(cost.work / other.work for cost, other in pairs) if peer else "",
    ]
    return f"| {' | '.join(cells)} |"


def _goals(shape: Shape, costs: Sequence[Cost]) -> list[str]:
    seconds = median(cost.work for cost in costs)
    goals = [
        f"- {seconds:.2f} CPU s of all statistics, start-up left out; goal ≤ {shape.seconds:g}: "
        f"{verdict(seconds <= shape.seconds)}"
    ]
    if shape.memory:
        memory = max(cost.memory for cost in costs)
        goals.append(
            f"- peak memory {memory:,.0f} MiB; goal ≤ {shape.memory:,.0f}: "
            f"{verdict(memory <= shape.memory)}"
        )
    return goals


def main(argv: Sequence[str] | None = None, shapes: Sequence[Shape] = SHAPES) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each study")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up predictions")
    parser.add_argument("--scratch", type=Path, help="folder for 1.5 GB of predictions")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    options = parser.parse_args(argv)
    results = {shape: compare(shape, options) for shape in shapes}
    write_section(options.page, "Speed of the statistics", report(results, options.rounds))


if __name__ == "__main__":
    run(main)
