"""Gather the scores of all runs in one CSV table, one row per data set, model, size and seed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gap.cli import UserError, read_json, run
from gap.tables import study_order, write_table

COLUMNS = (
    *("dataset", "model", "size", "n", "seed", "rows"),
    *("accuracy", "macro_f1", "log_loss", "calibration_error"),
)


def gather(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Return the scores of all files, data sets and models in the order given, then by n and seed.

    Raises UserError where a run stands in two files, or there is none.
    """
    if not paths:
        raise UserError("no scores to read, as no run is finished; run at least one")
    runs: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for path in paths:
        for scores in read_json(path):
            key = (scores["dataset"], scores["model"], scores["size"], scores["seed"])
            if key in runs:
                raise UserError(
                    f"{path}: data set {key[0]}, model {key[1]}, size {key[2]}, seed {key[3]} was "
                    "read before; expected each run once; name each file once"
                )
            runs[key] = scores
    return study_order(runs.values())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--table", required=True, help="CSV file to write")
    parser.add_argument("scores", nargs="*", help="files of score.py, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    write_table(arguments.table, COLUMNS, gather(arguments.scores), decimals=6)


if __name__ == "__main__":
    run(main)
