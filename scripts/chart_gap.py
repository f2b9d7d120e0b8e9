"""Draw the chart of a study as HTML that works offline, SVG, PNG and Vega-Lite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.charts import save_chart
from gap.report.gap_charts import study_chart
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.tables import read_rows, study_order
from gap.run.errors import UserError
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, margin (points), confidence (0..1), and optionally datasets and models, "
        "lists of names in order, titles {name: text}, missing, a list of {dataset, model, size, "
        "seeds}: the runs that are not done, and published, a list of {dataset, model, size, "
        "accuracy, source, note}"
    )
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=keys)
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--gaps", required=True, help="CSV of estimate_gap.py")
    for name in ("html", "svg", "png", "spec"):
        parser.add_argument(f"--{name}", required=True, help="file to write")
    arguments = parser.parse_args(argv)
    recipe = arguments.recipe
    accuracies = study_order(read_rows(arguments.accuracies, AccuracyRow), recipe)
    gaps = study_order(read_rows(arguments.gaps, GapRow), recipe)
    if not accuracies:
        raise UserError(f"{arguments.accuracies}: no rows, nothing to draw; run estimate_gap again")
    chart = study_chart(accuracies, gaps, recipe)
    save_chart(chart, arguments.html, arguments.svg, arguments.png, arguments.spec)


if __name__ == "__main__":
    run(main)
