"""Draw accuracy by what fine-tuning forgot as HTML that works offline, SVG, PNG and Vega-Lite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.charts import save_chart
from gap.report.forgetting import forgetting_chart
from gap.results.forgetting import ForgettingRow
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow
from gap.results.tables import read_rows, study_order
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, metric, margin (points), confidence (0..1), and optionally datasets and "
        "models, lists of names in order, and titles {name: text}"
    )
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=keys)
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--forgetting", required=True, help="CSV of gather_forgetting.py")
    for name in ("html", "svg", "png", "spec"):
        parser.add_argument(f"--{name}", required=True, help="file to write")
    arguments = parser.parse_args(argv)
    recipe = arguments.recipe
    rows = study_order(read_rows(arguments.forgetting, ForgettingRow), recipe)
    accuracies = study_order(read_rows(arguments.accuracies, AccuracyRow), recipe)
    chart = forgetting_chart(rows, accuracies, recipe)
    save_chart(chart, arguments.html, arguments.svg, arguments.png, arguments.spec)


if __name__ == "__main__":
    run(main)
