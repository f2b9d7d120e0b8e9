"""Gather what inference costs in one CSV table, a row for each data set and model measured."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gap.results.tables import read_table, study_order, write_table
from gap.run.json import read_json
from gap.run.program import run

Row = dict[str, Any]

COLUMNS = (
    *("dataset", "model", "family", "size", "n", "parameters", "trained_parameters"),
    *("milliseconds", "milliseconds_95", "tokenisation"),
    *("examples_per_second", "batch_size", "speed_up", "batched_speed_up"),
    *("cpu_share", "spread", "disturbed"),
    *("device", "processor", "precision", "threads"),
    *("accuracy", "accuracy_low", "accuracy_high", "pareto"),
)
# A process that computes all the time gets nearly all of a core, and rounds differ little.
LEAST_CPU_SHARE = 0.95
MOST_SPREAD = 0.1
ACCURACY = ("accuracy", "accuracy_low", "accuracy_high")


def rows_of(path: str | Path) -> list[Row]:
    """Return the table's rows of a file of measure_latency.py, without comparisons."""
    measured = read_json(path)
    rows = []
    for model, facts in measured["models"].items():
        single, batched = facts["single"], facts["batched"]
        cpu_share = min(one["cpu_share"] for one in (single, batched))
        spread = max(one["range"][1] / one["range"][0] - 1 for one in (single, batched))
        disturbed = cpu_share < LEAST_CPU_SHARE or spread > MOST_SPREAD
        rows.append(
            {"dataset": measured["dataset"], "size": measured["size"], "model": model}
            | facts
            | facts["hardware"]
            | batched
            | single
            | {"cpu_share": cpu_share, "spread": spread, "disturbed": _word(disturbed)}
        )
    return rows


def compare(rows: Sequence[Row], reference: str) -> list[Row]:
    """Return the rows of a data set with what they are to each other.

    speed_up and batched_speed_up: how many times as fast as the reference, left out where that was
    not measured; pareto: whether no other model is at least as fast and as accurate, and better in
    one of both.
    """
    base = next((row for row in rows if row["model"] == reference), None)
    found = []
    for row in rows:
        speed_ups = (
            {
                "speed_up": base["milliseconds"] / row["milliseconds"],
                "batched_speed_up": row["examples_per_second"] / base["examples_per_second"],
            }
            if base
            else {}
        )
        best = not any(dominates(other, row) for other in rows)
        found.append({**row, **speed_ups, "pareto": _word(best)})
    return found


def dominates(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether a model is at least as fast and as accurate as another, and not the same."""
    ours, theirs = ((row["milliseconds"], -row["accuracy"]) for row in (one, other))
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def gather(paths: Sequence[str], accuracies: Sequence[Row], recipe: Mapping[str, Any]) -> list[Row]:
    """Return the rows of all files in their order.

    `accuracies` are the rows of estimate_gap's table; a model counts with its accuracy at the size
    that was measured.
    """
    known = {tuple(row[key] for key in ("dataset", "model", "size")): row for row in accuracies}
    rows = []
    for path in paths:
        ours = rows_of(path)
        for row in ours:
            accuracy = known[row["dataset"], row["model"], row["size"]]
            row |= {key: accuracy[key] for key in ACCURACY}
        rows += compare(ours, recipe["reference"])
    return study_order(rows)


def _word(truth: bool) -> str:
    return "yes" if truth else "no"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--recipe", required=True, type=json.loads, help="JSON: reference")
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--table", required=True, help="CSV file to write")
    parser.add_argument("latencies", nargs="*", help="files of measure_latency.py")
    arguments = parser.parse_args(argv)
    accuracies = read_table(arguments.accuracies)
    rows = gather(arguments.latencies, accuracies, arguments.recipe)
    write_table(arguments.table, COLUMNS, rows, decimals=4)


if __name__ == "__main__":
    run(main)
