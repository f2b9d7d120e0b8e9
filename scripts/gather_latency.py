"""Gather what inference costs in one CSV table, a row for each data set and model measured."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gap.results.reading import SharedRecipe
from gap.results.records import Latencies, Latency
from gap.results.rows import AccuracyRow, LatencyRow
from gap.results.tables import read_rows, study_order, write_rows
from gap.run.json import read_json
from gap.run.program import run

# In a measurement without other load, the process gets nearly all of a core, and rounds differ
# little.
LEAST_CPU_SHARE = 0.95
MOST_SPREAD = 0.1


class LatencyRecipe(SharedRecipe):
    """The model that the others' speed is compared with."""

    reference: str


# The accuracies by data set, model and size.
Accuracies = dict[tuple[str, str, str], AccuracyRow]


def read_latencies(path: str | Path, accuracies: Accuracies) -> list[LatencyRow]:
    """Return the table's rows of a file of measure_latency.py, without comparisons.

    A model counts with its accuracy at the size that was timed.
    """
    measured: Latencies = read_json(path)
    return [
        latency_row(latency, accuracies[measured["dataset"], model, latency["size"]])
        for model, latency in measured["models"].items()
    ]


def latency_row(latency: Latency, accuracy: AccuracyRow) -> LatencyRow:
    """Return the row of a model whose accuracy is given, without comparisons."""
    single, batched, hardware = latency["single"], latency["batched"], latency["hardware"]
    cpu_share = min(single["cpu_share"], batched["cpu_share"])
    spread = max(high / low - 1 for low, high in (single["range"], batched["range"]))
    return LatencyRow(
        dataset=accuracy.dataset,
        model=accuracy.model,
        family=latency["family"],
        size=accuracy.size,
        n=latency["n"],
        parameters=latency["parameters"],
        trained_parameters=latency["trained_parameters"],
        milliseconds=single["milliseconds"],
        milliseconds_95=single["milliseconds_95"],
        tokenisation=single["tokenisation"],
        examples_per_second=batched["examples_per_second"],
        batch_size=batched["batch_size"],
        speed_up=None,
        batched_speed_up=None,
        cpu_share=cpu_share,
        spread=spread,
        disturbed=cpu_share < LEAST_CPU_SHARE or spread > MOST_SPREAD,
        device=hardware["device"],
        processor=hardware["processor"],
        precision=hardware["precision"],
        threads=hardware["threads"],
        metric=accuracy.metric,
        accuracy=accuracy.accuracy,
        accuracy_low=accuracy.accuracy_low,
        accuracy_high=accuracy.accuracy_high,
        pareto=False,
    )


def compare(rows: Sequence[LatencyRow], reference: str) -> list[LatencyRow]:
    """Return the rows of a data set with what they are to each other.

    speed_up and batched_speed_up: how many times as fast as the reference, None where that was not
    measured; pareto: whether no other model is at least as fast and as accurate, and better in one
    of both.
    """
    base = next((row for row in rows if row.model == reference), None)
    table = []
    for row in rows:
        compared = replace(row, pareto=not any(dominates(other, row) for other in rows))
        if base:
            compared = replace(
                compared,
                speed_up=base.milliseconds / row.milliseconds,
                batched_speed_up=row.examples_per_second / base.examples_per_second,
            )
        table.append(compared)
    return table


def dominates(row: LatencyRow, other: LatencyRow) -> bool:
    """Return whether a model is at least as fast and as accurate as another, and not the same."""
    slower, worse = row.milliseconds > other.milliseconds, row.accuracy < other.accuracy
    same = row.milliseconds == other.milliseconds and row.accuracy == other.accuracy
    return not (slower or worse or same)


def gather(
    paths: Sequence[str], accuracies: Sequence[AccuracyRow], reference: str
) -> list[LatencyRow]:
    """Return the rows of all files in their order."""
    by_cell = {(row.dataset, row.model, row.size): row for row in accuracies}
    table: list[LatencyRow] = []
    for path in paths:
        table += compare(read_latencies(path, by_cell), reference)
    return study_order(table)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = LatencyRecipe.from_json
    parser.add_argument("--recipe", required=True, type=recipe, help="JSON: reference")
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--table", required=True, help="CSV file to write")
    parser.add_argument("latencies", nargs="*", help="files of measure_latency.py")
    arguments = parser.parse_args(argv)
    accuracies = read_rows(arguments.accuracies, AccuracyRow)
    rows = gather(arguments.latencies, accuracies, arguments.recipe.reference)
    write_rows(arguments.table, LatencyRow, rows)


if __name__ == "__main__":
    run(main)
