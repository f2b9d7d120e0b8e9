"""Tabulate and draw what a classifier on each layer of a checkpoint comes to, by layer and size."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.charts import save_chart
from gap.report.probes import probe_chart
from gap.results.probes import ProbeRow, probe_rows
from gap.results.reading import ReadingRecipe
from gap.results.tables import study_order, write_rows
from gap.run.json import read_json
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, metric, margin (points), confidence (0..1), and optionally datasets and "
        "models, lists of names in order, and titles {name: text}"
    )
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=keys)
    parser.add_argument("--table", required=True, help="CSV file to write")
    for name in ("html", "svg", "png", "spec"):
        parser.add_argument(f"--{name}", required=True, help="file to write")
    parser.add_argument("manifests", nargs="+", help="predictions.json of models with each layer")
    arguments = parser.parse_args(argv)
    runs = [read_json(path)["layers"] for path in arguments.manifests]
    rows = study_order(probe_rows(runs), arguments.recipe)
    write_rows(arguments.table, ProbeRow, rows)
    chart = probe_chart(rows, arguments.recipe)
    save_chart(chart, arguments.html, arguments.svg, arguments.png, arguments.spec)


if __name__ == "__main__":
    run(main)
