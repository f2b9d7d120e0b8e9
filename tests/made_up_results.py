"""The results of a made-up study whose gaps are known, made by the project's own programs.

Nothing is trained: predictions are drawn. All that comes after them is real.
"""

import json
from itertools import product
from pathlib import Path
from typing import Any

import estimate_gap
import examine_errors
import forecast_gap
import gather
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import record_provenance
import score
import write_report
import write_summary
from gap.config import check as study
from gap.report.inputs import REPORTED
from gap.results.predictions import write_predictions
from gap.results.rows import LatencyRow
from gap.results.tables import write_rows
from gap.run.json import write_json
from table_rows import row_of

ROOT = Path(__file__).resolve().parents[1]
LABELS = ("cold", "mild", "hot & <b>spicy</b>")
SIZES = (250, 1000, 4000, 16000)
ROWS = 600
# What a model gets right at a size: the best it can, less something that shrinks as n grows.
LIMITS = {"encoder": (0.90, 0.9, 0.35), "lstm": (0.91, 4.0, 0.40), "words": (0.80, 1.2, 0.30)}
TITLES = {"encoder": "Encoder, fine-tuned", "lstm": "LSTM from scratch", "words": "Words | linear"}


def config(datasets: tuple[str, ...] = ("dishes",)) -> dict[str, Any]:
    """The config of the study, defaults filled in."""
    source = {"kind": "file", "path": "dishes.csv"}
    zoo = {"source": source, "text": "text", "label": "label", "origin": "made up"}
    given: dict[str, Any] = {
        "datasets": list(datasets),
        "models": list(LIMITS),
        "reference": "encoder",
        "sizes": list(SIZES),
        "seeds": ["1-3"],
        "gap": {"metric": ["accuracy", "macro_f1", "log_loss"]},
        "dataset_zoo": {name: dict(zoo) for name in datasets},
        "checkpoint_zoo": {"small": {"kind": "file", "path": "small"}},
        "vocabulary_zoo": {"pieces": {"algorithm": "unigram", "size": 100}},
        "model_zoo": {
            "encoder": {"family": "transformer", "checkpoint": "small", "title": TITLES["encoder"]},
            "lstm": {"family": "lstm", "vocabulary": "pieces", "title": TITLES["lstm"]},
            "words": {"family": "linear", "title": TITLES["words"]},
        },
    }
    study.complete(given)
    return given


def make_results(folder: Path, datasets: tuple[str, ...] = ("dishes",)) -> Path:
    """Write the tables, the summary and report.html, and return the path of that."""
    known = config(datasets)
    rng = np.random.default_rng(7)
    for dataset in datasets:
        _write_data(folder, dataset, rng)
    for dataset, (model, n) in product(datasets, product(LIMITS, SIZES)):
        _write_run(folder, dataset, model, n, rng)
    _write_sources(folder, known)
    _write_tables(folder, known)
    return folder / "report.html"


def _write_data(folder: Path, dataset: str, rng: np.random.Generator) -> None:
    """Write a test set whose texts differ in length, and its card."""
    path = folder / "datasets" / dataset
    path.mkdir(parents=True)
    labels = rng.integers(0, len(LABELS), ROWS).astype(np.int32)
    words = [("soup rice <i>bean</i> leaf " * 9).split()[: rng.integers(3, 30)] for _ in labels]
    texts = [" ".join(rng.permutation(one)) for one in words]
    columns = {"row": np.arange(ROWS), "text": texts, "label": labels}
    pq.write_table(pa.table(columns), path / "test.parquet")
    part = {"rows": ROWS, "sha256": "0" * 64, "label_counts": dict.fromkeys(LABELS, 200)}
    card = {"dataset": dataset, "labels": list(LABELS), "origin": "made up", "rejected": {}}
    card |= {"warnings": []}
    card |= {"pool": part | {"rows": 20_000}, "test": part}
    card |= {"text_budget": {"words": 100, "unit": "word", "called": "word", "keep": "head"}}
    write_json(path / "card.json", card)


def _write_run(folder: Path, dataset: str, model: str, n: int, rng: np.random.Generator) -> None:
    """Write the predictions and the training of a cell, three seeds."""
    path = folder / "runs" / dataset / model / str(n) / "1-3"
    labels = pq.read_table(folder / "datasets" / dataset / "test.parquet")["label"].to_numpy()
    hard = np.random.default_rng(1).normal(size=ROWS)
    limit, loss, exponent = LIMITS[model]
    scores = {}
    for seed in (1, 2, 3):
        share = limit - loss * n**-exponent + 0.004 * rng.normal()
        # Rows that are hard for one are rather hard for all.
        luck = 0.8 * hard + 0.6 * rng.normal(size=ROWS)
        right = luck <= np.quantile(luck, share)
        top = np.where(right, labels, (labels + rng.integers(1, 3, ROWS)) % len(LABELS))
        logits = rng.normal(size=(ROWS, len(LABELS))) * 0.3
        logits[np.arange(ROWS), top] += 2 + rng.random(ROWS)
        scores[seed] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    cell = {"dataset": dataset, "model": model, "size": str(n), "n": n}
    write_predictions(path / "predictions.parquet", cell, scores, labels)
    known = {key: cell[key] for key in ("dataset", "model", "size")}
    write_json(path / "training.json", known | _training(model, n, rng))
    options = ["--predictions", str(path / "predictions.parquet")]
    score.main([*options, "--scores", str(path / "scores.json")])


def _training(model: str, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """What train.py tells of a training."""
    hardware = {"processor": "a CPU", "precision": "fp32", "device": "cpu"}
    made_with = {"hardware": hardware, "packages": {"torch": "2.13.0"}}
    seeds = {}
    for seed in ("1", "2", "3"):
        losses = 1.1 * np.exp(-np.arange(1, 9) / 4) + 0.3 + 0.02 * rng.random(8)
        told = [
            {"step": 10 * step, "loss": float(loss), "accuracy": 0.7}
            for step, loss in enumerate(losses, start=1)
        ]
        if model == "words":
            told = [{"loss": 0.5, "accuracy": 0.7}]
        trial = {"trial": 1, "settings": {}, "seconds": n / 100, "loss": 0.5, "accuracy": 0.7}
        seeds[seed] = {"chosen": 1, "trials": [trial | {"evaluations": told}]}
        seeds[seed] |= {"training_rows": n - 50, "validation_rows": 50, "sha256": {"w": "0" * 64}}
    provenance = {"code": "0" * 16, "packages": {}}
    return {"n": n, "seeds": seeds, "made_with": made_with | {"provenance": provenance}}


def _write_sources(folder: Path, known: dict[str, Any]) -> None:
    for dataset in known["datasets"]:
        path = folder / "sources" / f"dataset-{dataset}"
        write_json(path / "manifest.json", {"files": [{"path": "a.csv", "sha256": "0" * 64}]})
        write_json(path / "origin.json", {"spec": known["dataset_zoo"][dataset]["source"]})


def _latencies(known: dict[str, Any]) -> list[LatencyRow]:
    return [
        row_of(
            LatencyRow,
            dataset=dataset,
            model=model,
            family=known["model_zoo"][model]["family"],
            size=str(SIZES[-1]),
            n=SIZES[-1],
            parameters=10 ** (7 - place),
            milliseconds=9.0 / 3**place,
            milliseconds_95=10.0 / 3**place,
            tokenisation=1.0,
            examples_per_second=100.0 * 3**place,
            batch_size=8,
            speed_up=3.0**place,
            batched_speed_up=2.0**place,
            cpu_share=1.0,
            spread=0.01,
            device="cpu",
            processor="a CPU",
            precision="fp32",
            accuracy=85.0 - 3 * place,
            accuracy_low=84.0 - 3 * place,
            accuracy_high=86.0 - 3 * place,
            pareto=True,
        )
        for dataset, (place, model) in product(known["datasets"], enumerate(known["models"]))
    ]


def _write_tables(folder: Path, known: dict[str, Any]) -> None:
    recipe = recipe_of(known)
    runs = [
        folder / "runs" / d / m / str(n) / "1-3"
        for d in known["datasets"]
        for m in LIMITS
        for n in SIZES
    ]
    predictions = [str(path / "predictions.parquet") for path in runs]
    cards = [str(folder / "datasets" / name / "card.json") for name in known["datasets"]]
    tests = [str(folder / "datasets" / name / "test.parquet") for name in known["datasets"]]

    def tables(*names: str, **others: str) -> list[str]:
        paths = {name: f"{name}.csv" for name in names} | others
        return [text for name, file in paths.items() for text in (f"--{name}", str(folder / file))]

    made = tables("trials", "histories", "calibration", "labels", table="scores.csv")
    trainings = [str(path / "training.json") for path in runs]
    scores = [str(path / "scores.json") for path in runs]
    gather.main([*made, "--cards", *cards, "--trainings", *trainings, "--", *scores])
    estimate_gap.main(["--recipe", recipe, *tables("accuracies", "gaps", "metrics"), *predictions])
    made = tables("crossings", "forecasts", "curves")
    forecast_gap.main(["--recipe", recipe, *made, *predictions])
    made = tables("lengths", "agreements", "examples")
    examine_errors.main(
        ["--recipe", recipe, *made, "--cards", *cards, "--tests", *tests, "--", *predictions]
    )
    write_rows(folder / "latency.csv", LatencyRow, _latencies(known))
    names = ("scores", "accuracies", "gaps", "metrics", "trials", "crossings", "forecasts")
    made = tables(*names, latencies="latency.csv", summary="summary.md")
    write_summary.main(["--recipe", recipe, *made, "--cards", *cards])
    sources = sorted((folder / "sources").iterdir())
    record_provenance.main(
        [
            *("--config", json.dumps(known), "--rules", "{}"),
            *("--names", *(path.name for path in sources)),
            *("--sources", *(str(path / "manifest.json") for path in sources)),
            *("--origins", *(str(path / "origin.json") for path in sources)),
            *("--cards", *cards, "--trainings", *trainings, "--predictions", *predictions),
            *("--record", str(folder / "provenance.json")),
        ]
    )
    datasets = tuple(known["datasets"])
    write_report.main(report_options(folder, datasets, folder / "report.html"))


def report_options(folder: Path, datasets: tuple[str, ...], report: Path) -> list[str]:
    """Return the command line that writes the report of tables that are there."""
    files = {name: f"{name}.csv" for name in REPORTED}
    files |= {"latencies": "latency.csv", "provenance": "provenance.json"}
    cards = [str(folder / "datasets" / name / "card.json") for name in datasets]
    return [
        *("--recipe", recipe_of(config(datasets))),
        *(text for name, file in files.items() for text in (f"--{name}", str(folder / file))),
        *("--template", str(ROOT / "report" / "report.html")),
        *("--references", str(ROOT / "report" / "references.bib")),
        *("--cards", *cards, "--report", str(report)),
    ]


def recipe_of(known: dict[str, Any]) -> str:
    """Return what the tables of the study are read by, as programs get it."""
    named = {key: known[key] for key in ("datasets", "models", "reference")} | known["gap"]
    return json.dumps(named | {"titles": TITLES, "examples": known["examples"]})
