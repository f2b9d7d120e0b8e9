"""Gather what fine-tuning forgot in CSV tables: by model and size, by layer, in a plane."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.results.forgetting import (
    ForgettingRow,
    LayerRow,
    PlaneRow,
    forgetting_row,
    gather_runs,
    layer_rows,
    plane_rows,
)
from gap.results.reading import NamingRecipe
from gap.results.tables import study_order, write_rows
from gap.run.json import read_json
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = "JSON: reference, confidence (0..1), and optionally datasets and models, in order"
    parser.add_argument("--recipe", required=True, type=NamingRecipe.from_json, help=keys)
    for name in ("forgetting", "layers", "plane"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("measured", nargs="+", help="files of measure_forgetting.py")
    arguments = parser.parse_args(argv)
    runs = gather_runs([read_json(path) for path in arguments.measured])
    recipe = arguments.recipe
    rows = [forgetting_row(measured, recipe.confidence) for measured in runs]
    write_rows(arguments.forgetting, ForgettingRow, study_order(rows, recipe))
    layers = [row for measured in runs for row in layer_rows(measured)]
    write_rows(arguments.layers, LayerRow, study_order(layers, recipe))
    plane = [row for measured in runs for row in plane_rows(measured)]
    write_rows(arguments.plane, PlaneRow, study_order(plane, recipe))


if __name__ == "__main__":
    run(main)
