"""Whether gains of starts on other data sets can be foretold: made-up tasks of known likeness."""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import yaml
from common import PAGE, machine, verdict, write_section
from gap.results.tables import read_rows
from gap.results.transfer import ChoiceRow, TransferRow
from gap.run.errors import UserError
from gap.run.program import run
from scipy import stats
from study_overhead import copy_repository

GOAL = 0.5
# Words of a text, and how many of them tell its label.
LONG, TELLING = 24, 4
# All tasks have the same other words. Their telling words are those of a part of a circle, which
# overlaps with that of the next task by half, and with no others.
FILLERS, WINDOW = 300, 24
STEPS = {"max_epochs": 5, "min_steps": 120, "lr": 3.0e-3}


def telling_words(task: int, tasks: int) -> list[list[str]]:
    """Return the words that tell each of two labels of a task."""
    half = WINDOW // 2
    places = [(half * task + place) % (half * tasks) for place in range(WINDOW)]
    return [[f"{sign}{place}" for place in places] for sign in ("yea", "nay")]


def overlap(first: int, second: int, tasks: int) -> float:
    """Return which share of the telling words of a task another one has."""
    words = [set(telling_words(task, tasks)[0]) for task in (first, second)]
    return len(words[0] & words[1]) / WINDOW


def write_task(path: Path, task: int, tasks: int, rows: int) -> None:
    """Write a task's rows as a CSV file; random by the task's number."""
    generator, telling = random.Random(task), telling_words(task, tasks)
    fillers = [f"word{number}" for number in range(FILLERS)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            words = generator.choices(telling[row % 2], k=TELLING)
            words += generator.choices(fillers, k=LONG - TELLING)
            generator.shuffle(words)
            writer.writerow([" ".join(words), ("yes", "no")[row % 2]])


def study(tasks: int, size: int, source_size: int) -> dict[str, Any]:
    """Return the config of a study in which each task is a start for each other one."""
    names = [f"task{task}" for task in range(tasks)]
    model = {"family": "lstm", "width": 32, "optimisation": STEPS}
    return {
        "datasets": names,
        "models": ["scratch", *(f"from-{name}" for name in names)],
        "reference": "scratch",
        "sizes": [size, source_size],
        "seeds": ["1-3"],
        "examples": 0,
        "transfer": [f"from-{name}" for name in names],
        "dataset_zoo": {
            name: {
                "source": {"kind": "file", "path": f"{name}.csv"},
                **{"text": "text", "label": "label", "test": 500, "words": LONG},
            }
            for name in names
        },
        "checkpoint_zoo": {
            f"on-{name}": {
                "kind": "trained",
                **{"dataset": name, "model": "scratch", "size": source_size, "seed": 1},
            }
            for name in names
        },
        "vocabulary_zoo": {"words": {"algorithm": "unigram", "size": 600}},
        "model_zoo": {
            "scratch": model | {"vocabulary": "words"},
            **{
                f"from-{name}": model
                | {"checkpoint": f"on-{name}", "sizes": [size]}
                | {"datasets": [other for other in names if other != name]}
                for name in names
            },
        },
    }


def run_study(given: argparse.Namespace, folder: Path) -> Path:
    """Run the study in a copy of the repository; return its folder of results."""
    copy_repository(folder, folder / "results")
    for task in range(given.tasks):
        rows = given.source_size + 500
        write_task(folder / f"task{task}.csv", task, given.tasks, rows)
    config = study(given.tasks, given.size, given.source_size)
    (folder / "tasks.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", str(given.cores)]
    command += ["results/transfer.csv", "--configfile", "tasks.yaml"]
    if subprocess.run(command, cwd=folder).returncode != 0:
        raise UserError(f"{' '.join(command)}: it failed, see above")
    return folder / "results"


def describe(pairs: Sequence[TransferRow], choices: Sequence[ChoiceRow], tasks: int) -> str:
    """Return what was measured and foretold, by how many telling words two tasks have in common."""
    shares = {
        (f"task{first}", f"task{second}"): overlap(first, second, tasks)
        for first, second in permutations(range(tasks), 2)
    }
    lines = ["| telling words in common | pairs | gain, points | foretold |", "|---|---|---|---|"]
    for share in sorted(set(shares.values()), reverse=True):
        rows = [row for row in pairs if shares[row.dataset, row.source] == share]
        gain = sum(row.gain for row in rows) / len(rows)
        foretold = sum(row.foretold or 0.0 for row in rows) / len(rows)
        lines.append(f"| {share:.0%} | {len(rows)} | {gain:.1f} | {foretold:.1f} |")
    correlation = stats.spearmanr(
        [row.foretold or 0.0 for row in pairs], [row.gain for row in pairs]
    ).statistic
    rules = ["| rule | gain, points | lost | order | NDCG | F1 |", "|---|---|---|---|---|---|"]
    rules += [
        f"| {row.rule} | {row.gain:.1f} | {row.lost:.1f} | {spell(row.rank_correlation)} | "
        f"{spell(row.ndcg)} | {spell(row.f1)} |"
        for row in choices
    ]
    reached = verdict(correlation >= GOAL)
    goal = f"- rank correlation over all pairs {correlation:.2f}; goal ≥ {GOAL:g}: {reached}"
    return "\n".join([*lines, "", *rules, "", goal])


def spell(value: float | None) -> str:
    """Return a value with two digits; nothing where there is none."""
    return "" if value is None else f"{value:.2f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=8, help="made-up tasks, 4 or more")
    parser.add_argument("--size", type=int, default=60, help="labels of a target")
    parser.add_argument("--source-size", type=int, default=1500, help="labels of a source")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown file to write to")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        results = run_study(given, Path(name) / "study")
        pairs = read_rows(results / "transfer.csv", TransferRow)
        choices = read_rows(results / "choices.csv", ChoiceRow)
    text = (
        f"{given.tasks} made-up tasks of two labels; each is told by {TELLING} of the {LONG} words "
        f"of a text, and has half of its telling words in common with each of two others. An LSTM "
        f"with {given.size} labels that begins with what it was trained to on "
        f"{given.source_size:,} of another task, beside one from random weights; 3 seeds."
    )
    body = [text, describe(pairs, choices, given.tasks), f"Machine: {machine(None)}."]
    write_section(given.page, "Made-up tasks", "\n\n".join(body))


if __name__ == "__main__":
    run(main)
