"""Gather all runs in CSV tables: scores, trials, learning histories, calibration and labels.

What the study pretrained itself is gathered in another one, and so are bridges of embeddings.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from gap.data.cards import read_labels
from gap.results.bridges import BridgeRow, bridge_row
from gap.results.pretrainings import PretrainingRow, pretraining_row
from gap.results.records import RunScores, SeedReport, Training, TrialReport
from gap.results.rows import CalibrationRow, HistoryRow, LabelRow, ScoreRow, TrialRow
from gap.results.tables import columns, study_order, write_rows
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run

# Data set, model, size and seed of a run.
Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Run:
    """A run: its row of scores, the counts behind them, and what is known of its training."""

    row: ScoreRow
    scores: RunScores
    training: SeedReport


def read_runs(scores: Sequence[str], trainings: Sequence[str]) -> list[Run]:
    """Return all runs, data sets and models in the order given, then by n and seed.

    `scores` are files of score.py, `trainings` of train.py. Raises UserError where a run stands in
    two files of scores or in no file of trainings, or where there is none.
    """
    if not scores:
        raise UserError("no scores to read, as no run is finished; run at least one")
    reports = read_trainings(trainings)
    runs: dict[ScoreRow, Run] = {}
    keys: set[Key] = set()
    for path in scores:
        entries: list[RunScores] = read_json(path)
        for entry in entries:
            key = (entry["dataset"], entry["model"], entry["size"], entry["seed"])
            if key in keys:
                raise UserError(
                    f"{path}: {_spell_key(key)} was read before; expected each run once; name each "
                    "file once"
                )
            if key not in reports:
                raise UserError(
                    f"{path}: {_spell_key(key)} has no training; expected the training.json of "
                    "each run; name it with --trainings"
                )
            keys.add(key)
            row = ScoreRow(**{name: entry[name] for name in columns(ScoreRow)})  # type: ignore[literal-required]
            runs[row] = Run(row, entry, reports[key])
    return [runs[row] for row in study_order(runs)]


def read_trainings(paths: Sequence[str]) -> dict[Key, SeedReport]:
    """Return what is known of the training of each run."""
    trainings: list[Training] = [read_json(path) for path in paths]
    return {
        (training["dataset"], training["model"], training["size"], int(seed)): report
        for training in trainings
        for seed, report in training["seeds"].items()
    }


def _spell_key(key: Key) -> str:
    return f"data set {key[0]}, model {key[1]}, size {key[2]}, seed {key[3]}"


def trial_rows(runs: Sequence[Run]) -> list[TrialRow]:
    """Return the trials of the runs."""
    return [
        TrialRow(
            run.row.dataset,
            run.row.model,
            run.row.size,
            run.row.n,
            run.row.seed,
            trial["trial"],
            settings={key: _spell(value) for key, value in trial["settings"].items()},
            validation_loss=trial["loss"],
            validation_accuracy=trial["accuracy"],
            seconds=trial["seconds"],
            chosen=trial["trial"] == run.training["chosen"],
        )
        for run in runs
        for trial in run.training["trials"]
    ]


def _spell(value: str | float) -> str:
    # With the decimals of the table, a small lr would become 0.
    return value if isinstance(value, str) else json.dumps(value)


def history_rows(runs: Sequence[Run]) -> list[HistoryRow]:
    """Return what the chosen trial of each run came to on the validation rows, by step.

    Logistic regressions have none, as they are not looked at before they are done.
    """
    return [
        HistoryRow(
            run.row.dataset,
            run.row.model,
            run.row.size,
            run.row.n,
            run.row.seed,
            evaluation["step"],
            evaluation["loss"],
            evaluation["accuracy"],
        )
        for run in runs
        for evaluation in chosen_trial(run.training)["evaluations"]
        if "step" in evaluation
    ]


def chosen_trial(training: SeedReport) -> TrialReport:
    """Return the trial whose weights a run has."""
    return next(trial for trial in training["trials"] if trial["trial"] == training["chosen"])


def calibration_rows(runs: Sequence[Run]) -> list[CalibrationRow]:
    """Return how often each model was right, by its top label's probability, seeds together."""
    table = []
    for seeds in by_cell(runs):
        first = seeds[0].row
        rows = np.sum([run.scores["bins"]["rows"] for run in seeds], axis=0)
        confidence = np.sum([run.scores["bins"]["confidence"] for run in seeds], axis=0)
        correct = np.sum([run.scores["bins"]["correct"] for run in seeds], axis=0)
        table += [
            CalibrationRow(
                first.dataset,
                first.model,
                first.size,
                first.n,
                bin_low=place / len(rows),
                bin_high=(place + 1) / len(rows),
                rows=int(rows[place]),
                confidence=confidence[place] / rows[place],
                accuracy=correct[place] / rows[place],
            )
            for place in np.flatnonzero(rows).tolist()
        ]
    return table


def label_rows(runs: Sequence[Run], names: Mapping[str, Sequence[str]]) -> list[LabelRow]:
    """Return recall, precision and F1 of each label that the test set has, seeds together.

    `names` has the labels of each data set, in the order of the rows of a confusion matrix. A label
    that is never predicted has the precision 0, as is usual.
    """
    table = []
    for seeds in by_cell(runs):
        first = seeds[0].row
        confusion = np.sum([run.scores["confusion"] for run in seeds], axis=0)
        true, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
        table += [
            LabelRow(
                first.dataset,
                first.model,
                first.size,
                first.n,
                label=names[first.dataset][place],
                rows=int(true[place]) // len(seeds),
                recall=right[place] / true[place],
                precision=right[place] / max(1, predicted[place]),
                f1=2 * right[place] / (true[place] + predicted[place]),
            )
            for place in np.flatnonzero(true).tolist()
        ]
    return table


def pretraining_rows(origins: Sequence[str], begins: Mapping[str, str]) -> list[PretrainingRow]:
    """Return what the study pretrained, from NAME=PATH of each origin.json of pretrain.py."""
    named = (text.partition("=") for text in origins)
    return [pretraining_row(name, read_json(path), begins) for name, _, path in named]


def by_cell(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs of each data set, model and size together, in their order."""
    cells: dict[tuple[str, str, str, int], list[Run]] = defaultdict(list)
    for member in runs:
        row = member.row
        cells[row.dataset, row.model, row.size, row.n].append(member)
    return list(cells.values())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    for name in ("table", "trials", "histories", "calibration", "labels"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("--cards", nargs="+", default=[], help="JSON cards of prepare.py")
    trainings = "training.json of each training, or @FILE that lists them"
    parser.add_argument("--trainings", nargs="+", default=[], help=trainings)
    pretrained = "NAME=PATH of origin.json of each checkpoint that the study pretrained"
    parser.add_argument("--origins", nargs="+", default=[], help=pretrained)
    begins = "JSON: {model: the one of these checkpoints that it begins with}"
    parser.add_argument("--begins", type=json.loads, default={}, help=begins)
    parser.add_argument("--pretraining", help="CSV file to write of these checkpoints")
    parser.add_argument("--generators", nargs="+", default=[], help="bridge.json of fit_bridge.py")
    parser.add_argument("--bridges", help="CSV file to write of these")
    parser.add_argument("scores", nargs="*", help="files of score.py, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    runs = read_runs(arguments.scores, arguments.trainings)
    write_rows(arguments.table, ScoreRow, [run.row for run in runs])
    write_rows(arguments.trials, TrialRow, trial_rows(runs))
    write_rows(arguments.histories, HistoryRow, history_rows(runs))
    write_rows(arguments.calibration, CalibrationRow, calibration_rows(runs))
    write_rows(arguments.labels, LabelRow, label_rows(runs, read_labels(arguments.cards)))
    if arguments.pretraining:
        rows = pretraining_rows(arguments.origins, arguments.begins)
        write_rows(arguments.pretraining, PretrainingRow, rows)
    if arguments.bridges:
        generators = [bridge_row(read_json(path)) for path in arguments.generators]
        write_rows(arguments.bridges, BridgeRow, generators)


if __name__ == "__main__":
    run(main)
