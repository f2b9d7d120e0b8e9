"""Draw what a start on other data sets gains, as HTML that works offline, SVG, PNG, Vega-Lite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.charts import save_chart
from gap.report.transfer import transfer_chart
from gap.results.reading import ReadingRecipe
from gap.results.tables import read_rows, study_order
from gap.results.transfer import TransferRow
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, metric, margin (points), confidence (0..1), and optionally datasets and "
        "models, lists of names in order, and titles {name: text}"
    )
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=keys)
    parser.add_argument("--transfer", required=True, help="CSV of foretell_transfer.py")
    for name in ("html", "svg", "png", "spec"):
        parser.add_argument(f"--{name}", required=True, help="file to write")
    given = parser.parse_args(argv)
    rows = study_order(read_rows(given.transfer, TransferRow), given.recipe)
    chart = transfer_chart(rows, given.recipe)
    save_chart(chart, given.html, given.svg, given.png, given.spec)


if __name__ == "__main__":
    run(main)
