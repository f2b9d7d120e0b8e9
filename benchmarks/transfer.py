"""Whether gains of starts on other data sets can be foretold: made-up tasks of known likeness."""

from __future__ import annotations

import argparse
import csv
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import permutations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from common import PAGE, machine, verdict, write_section
from gap.results.tables import read_rows
from gap.results.transfer import ChoiceRow, TransferRow
from gap.run.errors import UserError
from gap.run.program import run
from scipy import stats
from study_overhead import copy_repository

GOAL = 0.5
# Words of a language, and of a text.
WORDS, LONG = 300, 24
# Each word has a place on a plane, drawn at random. A task asks on which side of a line through its
# middle the words of a text lie, taken together. Tasks of one language differ in the line's angle:
# the nearer their angles, the more alike they are. Tasks of two languages share no word.
LANGUAGES, ANGLES = 2, (0, 15, 45, 90)
# Texts this near to the line, in standard deviations, belong to neither label.
NEAR = 0.5
STEPS = {"max_epochs": 5, "min_steps": 120, "lr": 3.0e-3}


class Task(NamedTuple):
    """A made-up task: the number of its language, and the angle of its line in degrees."""

    language: int
    angle: int

    @property
    def name(self) -> str:
        """The name of its data set."""
        return f"language{self.language}-{self.angle}"


TASKS = tuple(Task(*pair) for pair in product(range(LANGUAGES), ANGLES))


def relation(first: Task, second: Task) -> str:
    """Return in words how alike two tasks are."""
    if first.language != second.language:
        return "no word in common"
    return f"lines {abs(first.angle - second.angle)} degrees apart"


def write_task(path: Path, task: Task, rows: int) -> None:
    """Write a task's rows as a CSV file; random by its language, and by the task."""
    places = np.random.default_rng(task.language).normal(size=(WORDS, 2))
    names = spell_words(task.language)
    # As many texts lie on either side.
    scores = (places - places.mean(axis=0)) @ [
        math.cos(math.radians(task.angle)),
        math.sin(math.radians(task.angle)),
    ]
    draw = np.random.default_rng([task.language, task.angle])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        while rows:
            words = draw.integers(WORDS, size=LONG)
            side = scores[words].sum() / math.sqrt(LONG)
            if abs(side) > NEAR:
                text = " ".join(names[word] for word in words)
                writer.writerow([text, "above" if side > 0 else "below"])
                rows -= 1


def spell_words(language: int) -> list[str]:
    """Return the words of a language, whose letters no other language has."""
    letters = ("abcde", "vwxyz")[language]
    spelled = ["".join(word) for word in product(letters, repeat=4)]
    return random.Random(language).sample(spelled, WORDS)


def study(size: int, source_size: int) -> dict[str, Any]:
    """Return the config of a study in which each task is a start for each other one."""
    names = [task.name for task in TASKS]
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
    for task in TASKS:
        write_task(folder / f"{task.name}.csv", task, given.source_size + 600)
    config = study(given.size, given.source_size)
    (folder / "tasks.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", str(given.cores)]
    command += ["results/transfer.csv", "--configfile", "tasks.yaml"]
    if subprocess.run(command, cwd=folder).returncode != 0:
        raise UserError(f"{' '.join(command)}: it failed, see above")
    return folder / "results"


def describe(pairs: Sequence[TransferRow], choices: Sequence[ChoiceRow]) -> str:
    """Return what was measured and foretold, by how alike two tasks are."""
    relations = {
        (first.name, second.name): relation(first, second)
        for first, second in permutations(TASKS, 2)
    }
    lines = ["| the two tasks | pairs | gain, points | foretold |", "|---|---|---|---|"]
    for words in dict.fromkeys(relations[row.dataset, row.source] for row in pairs):
        rows = [row for row in pairs if relations[row.dataset, row.source] == words]
        gain = sum(row.gain for row in rows) / len(rows)
        foretold = sum(row.foretold or 0.0 for row in rows) / len(rows)
        lines.append(f"| {words} | {len(rows)} | {gain:.1f} | {foretold:.1f} |")
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
        f"{len(TASKS)} made-up tasks of two labels: words lie on a plane, and a text belongs to "
        f"the side of a line on which its {LONG} words lie together. Lines have {len(ANGLES)} "
        f"angles, in each of {LANGUAGES} languages. An LSTM with {given.size} labels that begins "
        f"with what it was trained to on {given.source_size:,} of another task, beside one from "
        "random weights; 3 seeds."
    )
    body = [text, describe(pairs, choices), f"Machine: {machine(None)}."]
    write_section(given.page, "Made-up tasks", "\n\n".join(body))


if __name__ == "__main__":
    run(main)
