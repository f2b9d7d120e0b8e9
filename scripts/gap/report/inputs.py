"""The files that the summary and the report are made of, as options of a program."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gap.data.manifests import IdsManifest
from gap.results.bridges import BridgeRow
from gap.results.findings import Encoding, Findings
from gap.results.forgetting import ForgettingRow, LayerRow, PlaneRow
from gap.results.pretrainings import read_pretrainings
from gap.results.probes import ProbeRow
from gap.results.reading import NamingRecipe, ReadingRecipe
from gap.results.rows import (
    AccuracyRow,
    AgreementRow,
    CalibrationRow,
    CrossingRow,
    CurveRow,
    ExampleRow,
    ForecastRow,
    GapRow,
    HistoryRow,
    LabelRow,
    LatencyRow,
    LengthRow,
    MetricRow,
    Row,
    ScoreRow,
    TrialRow,
)
from gap.results.tables import read_rows, study_order
from gap.results.targets import TargetRow
from gap.results.transfer import ChoiceRow, TransferRow
from gap.run.json import read_json

# By the fields of Findings: what the summary is made of, and what the report needs beside that.
SUMMARISED = (
    *("scores", "accuracies", "gaps", "metrics", "trials", "latencies", "crossings", "forecasts"),
)
REPORTED = (
    *SUMMARISED,
    *("curves", "calibration", "labels", "lengths", "agreements", "examples", "histories"),
)
# Those of gather_forgetting.py, where forgetting is measured.
FORGOTTEN = ("forgetting", "layers", "plane")
# Those of foretell_transfer.py, where starts on other data sets are compared.
TRANSFERRED = ("transfer", "choices")
KEYS = (
    "JSON: reference, metric (names, the first decides), margin (points), confidence (0..1), and "
    "optionally datasets and models, lists of names in order, titles {name: text}, compared, the "
    "model that the first sentence is about, missing, a list of {dataset, model, size, seeds}: the "
    "runs that are not done, published, a list of {dataset, model, size, accuracy, source, note}, "
    "seeds {model: its blocks of seeds}, scratch, the models without pretrained weights, and "
    "extractions {model with features of a checkpoint: the one that fine-tunes it}"
)
TableRow = TypeVar("TableRow", bound=Row)


def add_options(parser: argparse.ArgumentParser, tables: Sequence[str]) -> None:
    """Add the options of the recipe, of the tables and of the cards."""
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=KEYS)
    for name in tables:
        parser.add_argument(f"--{name}", required=True, help="CSV table of the study")
    for name in FORGOTTEN:
        parser.add_argument(f"--{name}", help="CSV table of gather_forgetting.py, if there is one")
    parser.add_argument("--bridges", help="CSV table of gather.py, if there is one")
    for name in TRANSFERRED:
        parser.add_argument(f"--{name}", help="CSV table of foretell_transfer.py, if there is one")
    parser.add_argument("--targets", help="CSV table of price_target.py, if there is one")
    parser.add_argument("--probes", help="CSV table of chart_layers.py, if there is one")
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    parser.add_argument("--encoded", nargs="*", default=[], help="JSON of encode.py, of test sets")
    parser.add_argument("--pretraining", help="CSV table of what the study pretrained itself")
    names = "DATASET/MODEL of each of these, in their order"
    parser.add_argument("--encoded-for", nargs="*", default=[], help=names)


def read_summarised(options: argparse.Namespace) -> Findings:
    """Return what the summary is made of.

    Raises UserError where a file is not a table of its kind.
    """
    recipe: ReadingRecipe = options.recipe
    return Findings(
        recipe=recipe,
        scores=read_in_order(options.scores, ScoreRow, recipe),
        accuracies=read_in_order(options.accuracies, AccuracyRow, recipe),
        gaps=read_in_order(options.gaps, GapRow, recipe),
        metrics=read_in_order(options.metrics, MetricRow, recipe),
        trials=read_in_order(options.trials, TrialRow, recipe),
        latencies=read_in_order(options.latencies, LatencyRow, recipe),
        crossings=read_in_order(options.crossings, CrossingRow, recipe),
        forecasts=read_in_order(options.forecasts, ForecastRow, recipe),
        forgetting=read_if_given(options.forgetting, ForgettingRow, recipe),
        probes=read_if_given(options.probes, ProbeRow, recipe),
        transfer=read_if_given(options.transfer, TransferRow, recipe),
        choices=read_rows(options.choices, ChoiceRow) if options.choices else [],
        targets=read_if_given(options.targets, TargetRow, recipe),
        cards=[read_json(path) for path in options.cards],
        bridges=read_rows(options.bridges, BridgeRow) if options.bridges else [],
        pretrainings=read_pretrainings(options.pretraining),
        encodings=read_encodings(options.encoded_for, options.encoded),
    )


def read_encodings(names: Sequence[str], files: Sequence[str]) -> list[Encoding]:
    """Return what each model could not read, the largest shares of all of its files.

    `names` are DATASET/MODEL, one for each of `files`; a file is a manifest, or one for each seed.
    """
    manifests: dict[str, list[IdsManifest]] = {}
    for name, path in zip(names, files, strict=True):
        content = read_json(path)
        several = [content] if "rows" in content else list(content.values())
        manifests.setdefault(name, []).extend(several)
    return [
        Encoding(
            name.partition("/")[0],
            name.partition("/")[2],
            max(manifest["unknown_share"] for manifest in each),
            max(manifest["collapsed_share"] for manifest in each),
            max(manifest["shortened"] / manifest["rows"] for manifest in each),
        )
        for name, each in manifests.items()
    ]


def read_reported(options: argparse.Namespace) -> Findings:
    """Return what the report is made of: all of the summary's tables, and more.

    Raises UserError where a file is not a table of its kind.
    """
    recipe: ReadingRecipe = options.recipe
    return replace(
        read_summarised(options),
        curves=read_in_order(options.curves, CurveRow, recipe),
        calibration=read_in_order(options.calibration, CalibrationRow, recipe),
        labels=read_in_order(options.labels, LabelRow, recipe),
        lengths=read_in_order(options.lengths, LengthRow, recipe),
        agreements=read_in_order(options.agreements, AgreementRow, recipe),
        examples=read_in_order(options.examples, ExampleRow, recipe),
        histories=read_in_order(options.histories, HistoryRow, recipe),
        layers=read_if_given(options.layers, LayerRow, recipe),
        plane=read_if_given(options.plane, PlaneRow, recipe),
        record=read_json(options.provenance),
        references=Path(options.references).read_text(encoding="utf-8"),
    )


def read_in_order(path: str, row_class: type[TableRow], recipe: NamingRecipe) -> list[TableRow]:
    """Return the rows of a table in the study's order."""
    return study_order(read_rows(path, row_class), recipe)


def read_if_given(
    path: str | None, row_class: type[TableRow], recipe: NamingRecipe
) -> list[TableRow]:
    """Return the rows of a table in the study's order; none where there is no table."""
    return read_in_order(path, row_class, recipe) if path else []


def write_text(path: str, text: str) -> None:
    """Write a file; its folder is made where it is not there."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
