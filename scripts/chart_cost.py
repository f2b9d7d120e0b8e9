"""Draw accuracy by the cost of inference as HTML that works offline, SVG, PNG and Vega-Lite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.charts import save_chart
from gap.report.cost import cost_chart
from gap.results.pretrainings import read_pretrainings
from gap.results.reading import NamingRecipe
from gap.results.rows import LatencyRow
from gap.results.tables import read_rows, study_order
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, confidence (0..1), and optionally datasets and models, lists of names in "
        "order, titles {name: text}, and missing, a list of the runs that are not done"
    )
    parser.add_argument("--recipe", required=True, type=NamingRecipe.from_json, help=keys)
    parser.add_argument("--latencies", required=True, help="CSV of gather_latency.py")
    parser.add_argument("--pretraining", help="CSV of gather.py, of the study's own pretraining")
    for name in ("html", "svg", "png", "spec"):
        parser.add_argument(f"--{name}", required=True, help="file to write")
    arguments = parser.parse_args(argv)
    recipe = arguments.recipe
    latencies = study_order(read_rows(arguments.latencies, LatencyRow), recipe)
    chart = cost_chart(latencies, recipe, read_pretrainings(arguments.pretraining))
    save_chart(chart, arguments.html, arguments.svg, arguments.png, arguments.spec)


if __name__ == "__main__":
    run(main)
