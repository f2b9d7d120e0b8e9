"""Gather all runs in CSV tables: scores, trials, learning histories, calibration and labels."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gap.results.tables import study_order, write_table
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run

COLUMNS = (
    *("dataset", "model", "size", "n", "seed", "rows"),
    *("accuracy", "macro_f1", "log_loss", "calibration_error"),
)
# Between the two stand the keys that are tuned.
RUN = ("dataset", "model", "size", "n", "seed", "trial")
OUTCOME = ("validation_loss", "validation_accuracy", "seconds", "chosen")
CELL = ("dataset", "model", "size", "n")
HISTORY_COLUMNS = (*CELL, "seed", "step", "validation_loss", "validation_accuracy")
CALIBRATION_COLUMNS = (*CELL, "bin_low", "bin_high", "rows", "confidence", "accuracy")
LABEL_COLUMNS = (*CELL, "label", "rows", "recall", "precision", "f1")

Row = dict[str, Any]
# Of a run its scores, and what is known of its training.
Trained = tuple[Row, Row]


def gather(paths: Sequence[str]) -> list[Row]:
    """Return the scores of all files, data sets and models in the order given, then by n and seed.

    Raises UserError where a run stands in two files, or there is none.
    """
    if not paths:
        raise UserError("no scores to read, as no run is finished; run at least one")
    runs: dict[tuple[str, str, str, int], Row] = {}
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


def read_trained(paths: Sequence[str]) -> list[Trained]:
    """Return the scores of each run in files of scores, and what training.json beside tells."""
    return [
        (scores, seeds[str(scores["seed"])])
        for path in paths
        for seeds in [read_json(Path(path).with_name("training.json"))["seeds"]]
        for scores in read_json(path)
    ]


def gather_trials(trained: Sequence[Trained]) -> list[Row]:
    """Return the trials of these runs."""
    return study_order(
        _trial_row(scores, known["chosen"], trial)
        for scores, known in trained
        for trial in known["trials"]
    )


def _trial_row(scores: Row, chosen: int, trial: Row) -> Row:
    # As text: a table's number of decimals is not for a small lr.
    settings = {key: _spell(value) for key, value in trial["settings"].items()}
    run = {key: scores[key] for key in RUN[:-1]} | {"trial": trial["trial"]}
    outcome = (
        trial["loss"],
        trial["accuracy"],
        _spell(trial["seconds"]),
        "yes" if trial["trial"] == chosen else "no",
    )
    return run | settings | dict(zip(OUTCOME, outcome, strict=True))


def _spell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def trial_columns(rows: Sequence[Row]) -> list[str]:
    """Return the columns of a table of trials: those of each, and those that any of them tunes."""
    tuned = {key for row in rows for key in row} - {*RUN, *OUTCOME}
    return [*RUN, *sorted(tuned), *OUTCOME]


def gather_histories(trained: Sequence[Trained]) -> list[Row]:
    """Return what the chosen trial of each run came to on the validation rows, by step.

    Logistic regressions have none, as they are not looked at before they are done.
    """
    return study_order(
        {key: scores[key] for key in (*CELL, "seed")}
        | {"step": one["step"]}
        | {"validation_loss": one["loss"], "validation_accuracy": one["accuracy"]}
        for scores, known in trained
        for trial in known["trials"]
        if trial["trial"] == known["chosen"]
        for one in trial["evaluations"]
        if "step" in one
    )


def gather_calibration(runs: Sequence[Row]) -> list[Row]:
    """Return how often each model was right, by its top label's probability, seeds together.

    `runs` are rows of `gather`. A bin holds probabilities over `bin_low`, up to `bin_high`.
    """
    rows = []
    for cell, ours in _cells(runs).items():
        sums = {
            name: np.sum([one["bins"][name] for one in ours], axis=0) for name in ours[0]["bins"]
        }
        bins = len(sums["rows"])
        for place in np.flatnonzero(sums["rows"]).tolist():
            count = sums["rows"][place]
            values = (place / bins, (place + 1) / bins, int(count))
            shares = (sums["confidence"][place] / count, sums["correct"][place] / count)
            rows.append(dict(zip(CALIBRATION_COLUMNS, (*cell, *values, *shares), strict=True)))
    return rows


def gather_labels(runs: Sequence[Row], names: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return recall, precision and F1 of each label that the test set has, seeds together.

    `runs` are rows of `gather`, `names` the labels of each data set, as the rows of a confusion
    matrix have them. A label that is never predicted has the precision 0, as is usual.
    """
    rows = []
    for cell, ours in _cells(runs).items():
        confusion = np.sum([one["confusion"] for one in ours], axis=0)
        true, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
        for place in np.flatnonzero(true).tolist():
            values = (names[cell[0]][place], int(true[place]) // len(ours))
            shares = (
                right[place] / true[place],
                right[place] / max(1, predicted[place]),
                2 * right[place] / (true[place] + predicted[place]),
            )
            rows.append(dict(zip(LABEL_COLUMNS, (*cell, *values, *shares), strict=True)))
    return rows


def _cells(runs: Sequence[Row]) -> dict[tuple[str, str, str, int], list[Row]]:
    cells: dict[tuple[str, str, str, int], list[Row]] = defaultdict(list)
    for one in runs:
        cells[one["dataset"], one["model"], one["size"], one["n"]].append(one)
    return cells


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    for name in ("table", "trials", "histories", "calibration", "labels"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("--cards", nargs="+", default=[], help="JSON cards of prepare.py")
    scores = "files of score.py, or @FILE that lists them; training.json stands beside each"
    parser.add_argument("scores", nargs="*", help=scores)
    arguments = parser.parse_args(argv)
    names = {card["dataset"]: card["labels"] for card in map(read_json, arguments.cards)}
    runs, trained = gather(arguments.scores), read_trained(arguments.scores)
    trials = gather_trials(trained)
    for path, columns, rows in (
        (arguments.table, COLUMNS, runs),
        (arguments.trials, trial_columns(trials), trials),
        (arguments.histories, HISTORY_COLUMNS, gather_histories(trained)),
        (arguments.calibration, CALIBRATION_COLUMNS, gather_calibration(runs)),
        (arguments.labels, LABEL_COLUMNS, gather_labels(runs, names)),
    ):
        write_table(path, columns, rows, decimals=6)


if __name__ == "__main__":
    run(main)
