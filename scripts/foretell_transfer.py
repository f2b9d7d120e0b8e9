"""Foretell what models gain by a start on other data sets, and compare it with what they gained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.results.choosing import choice_rows, transfer_rows
from gap.results.reading import ReadingRecipe
from gap.results.rows import GapRow
from gap.results.tables import read_rows, study_order, write_rows
from gap.results.transfer import ChoiceRow, TransferRow
from gap.run.json import read_json
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = "JSON: reference, metric, margin (points), confidence (0..1)"
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=keys)
    parser.add_argument("--gaps", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--transfer", required=True, help="CSV file to write: each pair")
    parser.add_argument("--choices", required=True, help="CSV file to write: rules that choose")
    parser.add_argument("similarities", nargs="+", help="files of measure_similarity.py")
    given = parser.parse_args(argv)
    recipe = given.recipe
    records = [read_json(path) for path in given.similarities]
    rows = transfer_rows(records, read_rows(given.gaps, GapRow), recipe.margin)
    write_rows(given.transfer, TransferRow, study_order(rows, recipe))
    choices = choice_rows(rows, recipe.margin, recipe.confidence)
    write_rows(given.choices, ChoiceRow, choices)


if __name__ == "__main__":
    run(main)
