"""The predictions file, the scores made from it, and their table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gather
import numpy as np
import pyarrow.parquet as pq
import pytest
import score
from gap.results import predictions
from gap.results.predictions import (
    Cell,
    read_cell,
    read_correct,
    read_predictions,
    write_predictions,
)
from gap.run.errors import UserError
from gap.run.json import write_json
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

CELL = {"dataset": "films", "model": "lstm", "size": "10%", "n": 120}


def made_up(rows: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities (rows, labels) and true labels (rows,)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, labels))
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return scores.astype(np.float32), rng.integers(0, labels, rows)


def test_predictions_come_back_as_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(predictions, "BLOCK_ROWS", 4)
    path = tmp_path / "runs" / "predictions.parquet"
    (first, labels), (second, _) = made_up(10, 3, 1), made_up(10, 3, 2)
    write_predictions(path, CELL, {7: second, 2: first}, labels)
    assert read_cell(path) == Cell("films", "lstm", "10%", 120)
    blocks = list(read_predictions(path))
    assert [block.seed for block in blocks] == [2, 2, 2, 7, 7, 7]
    assert max(len(block.labels) for block in blocks) == 4
    assert np.array_equal(np.concatenate([b.scores for b in blocks]), np.vstack([first, second]))
    assert np.array_equal(np.concatenate([b.labels for b in blocks]), np.tile(labels, 2))
    right = read_correct([path])
    assert np.array_equal(right[7], second.argmax(axis=1) == labels)


def test_predictions_have_the_columns_that_others_rely_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(predictions, "BLOCK_ROWS", 2)
    path = tmp_path / "predictions.parquet"
    scores, labels = made_up(3, 2)
    write_predictions(path, CELL, iter([(1, scores), (2, scores)]), labels)
    table = pq.read_table(path)
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "seed": "int32",
        "row": "int64",
        "label": "int32",
        "scores": "fixed_size_list<element: float>[2]",
    }
    assert table["row"].to_pylist() == [0, 1, 2, 0, 1, 2]
    assert table.schema.metadata[b"n"] == b"120"


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.log(np.full((3, 2), 0.5)), np.array([0, 1])),
        (np.log(np.full((2, 2), 0.5)), np.array([0, 2])),
        (np.zeros((2, 2)), np.array([0, 1])),
    ],
    ids=["other length", "label out of range", "no distribution"],
)
def test_impossible_predictions_are_refused(tmp_path: Path, scores, labels) -> None:
    with pytest.raises(ValueError, match="seed 1"):
        write_predictions(tmp_path / "p.parquet", CELL, {1: scores}, labels)


def test_a_seed_in_two_files_is_an_error(tmp_path: Path) -> None:
    scores, labels = made_up(3, 2)
    paths = [tmp_path / "1-2.parquet", tmp_path / "2.parquet"]
    write_predictions(paths[0], CELL, {1: scores, 2: scores}, labels)
    write_predictions(paths[1], CELL, {2: scores}, labels)
    with pytest.raises(UserError, match="seed 2 stands in another file"):
        read_correct(paths)


def test_another_parquet_file_is_an_error(tmp_path: Path) -> None:
    scores, labels = made_up(3, 2)
    write_predictions(tmp_path / "p.parquet", CELL, {1: scores}, labels)
    bare = pq.read_table(tmp_path / "p.parquet").replace_schema_metadata(None)
    pq.write_table(bare, tmp_path / "bare.parquet")
    with pytest.raises(UserError, match=r"bare\.parquet: no dataset in the metadata"):
        read_cell(tmp_path / "bare.parquet")


def scored(
    tmp_path: Path, scores: dict[int, np.ndarray], labels: np.ndarray
) -> list[dict[str, Any]]:
    write_predictions(tmp_path / "p.parquet", CELL, scores, labels)
    paths = [str(tmp_path / "p.parquet"), str(tmp_path / "scores.json")]
    score.main(["--predictions", paths[0], "--scores", paths[1]])
    return json.loads(Path(paths[1]).read_text(encoding="utf-8"))


def test_scores_by_hand(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.35, 0.65]])
    (found,) = scored(tmp_path, {3: np.log(probabilities)}, np.array([0, 1, 1, 1]))
    assert {key: found[key] for key in (*CELL, "seed", "rows")} == CELL | {"seed": 3, "rows": 4}
    assert found["accuracy"] == 0.75
    # F1 of label 0: 2 * 1 / (2 + 1); of label 1: 2 * 2 / (2 + 3).
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.65]).mean(), rel=1e-6)
    # Each confidence has a bin to itself but 0.7 and 0.65, which lie apart at 2/3.
    assert found["calibration_error"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.35) / 4, rel=1e-5)


def test_calibration_error_takes_a_bin_as_one(tmp_path: Path) -> None:
    probabilities = np.tile([0.75, 0.25], (4, 1))
    (found,) = scored(tmp_path, {1: np.log(probabilities)}, np.array([0, 0, 0, 1]))
    assert found["calibration_error"] == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 60), labels=st.integers(2, 6), seed=st.integers(0, 999))
def test_scores_agree_with_scikit_learn(tmp_path_factory, rows, labels, seed) -> None:
    scores, truth = made_up(rows, labels, seed)
    (found,) = scored(tmp_path_factory.mktemp("scores"), {seed: scores}, truth)
    predicted = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx((predicted == truth).mean())
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    probabilities = np.exp(scores.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = log_loss(truth, probabilities, labels=list(range(labels)))
    assert found["log_loss"] == pytest.approx(expected, rel=1e-5)


def test_scores_do_not_depend_on_the_blocks(tmp_path: Path, monkeypatch) -> None:
    scores, labels = made_up(50, 3)
    whole = scored(tmp_path, {1: scores, 2: scores[::-1]}, labels)
    monkeypatch.setattr(predictions, "BLOCK_ROWS", 7)
    parts = scored(tmp_path, {1: scores, 2: scores[::-1]}, labels)
    for one, other in zip(whole, parts, strict=True):
        assert one.pop("confusion") == other.pop("confusion")
        bins, in_parts = one.pop("bins"), other.pop("bins")
        assert all(bins[name] == pytest.approx(in_parts[name]) for name in bins)
        assert one == pytest.approx(other)


def test_a_probability_of_nought_costs_much_and_not_infinity(tmp_path: Path) -> None:
    with np.errstate(divide="ignore"):
        (found,) = scored(tmp_path, {1: np.log([[1.0, 0.0]])}, np.array([1]))
    assert found["log_loss"] == pytest.approx(87.3, abs=0.1)


def test_scores_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seed 1: .*NaN.*lower the model's lr"):
        scored(tmp_path, {1: np.full((1, 2), np.nan)}, np.array([1]))


def run_scores(tmp_path: Path, name: str, **values: object) -> str:
    base = {"dataset": "films", "model": "lstm", "size": "250", "n": 250, "seed": 1, "rows": 9}
    base |= {"accuracy": 0.5, "macro_f1": 1 / 3, "log_loss": 0.7, "calibration_error": 0.1}
    base |= {"confusion": [[3, 1, 0], [2, 3, 0], [0, 0, 0]]}
    base |= {"bins": {"rows": [0, 4, 5], "confidence": [0.0, 2.0, 4.5], "correct": [0, 2, 4]}}
    path, run = tmp_path / name / "scores.json", base | values
    write_json(path, [run])
    trials = [
        {"trial": 2, "settings": {"lr": 2e-5, "lr_schedule": "linear"}, "loss": 0.5}
        | {"accuracy": 0.75, "seconds": 1.5}
        | {"evaluations": [{"step": 7, "loss": 0.5, "accuracy": 0.75}]},
        {"trial": 4, "settings": {"lr": 1e-4, "lr_schedule": "cosine"}, "loss": None}
        | {"accuracy": 0.5, "seconds": 2.0, "evaluations": []},
    ]
    if run["model"] == "ant":
        trials = [trials[0] | {"trial": 1, "settings": {}}]
    seeds = {str(run["seed"]): {"trials": trials, "chosen": trials[0]["trial"]}}
    cell = {key: run[key] for key in ("dataset", "model", "size", "n")}
    write_json(path.with_name("training.json"), cell | {"seeds": seeds})
    return str(path)


def gathered(tmp_path: Path, *scores: str) -> list[list[dict[str, str]]]:
    """Return the rows of all tables: scores, trials, histories, calibration, labels."""
    names = ("table", "trials", "histories", "calibration", "labels")
    tables = [tmp_path / f"{name}.csv" for name in names]
    options = [
        x for name, path in zip(names, tables, strict=True) for x in (f"--{name}", str(path))
    ]
    cards = []
    for dataset in ("films", "apples"):
        cards.append(str(tmp_path / f"{dataset}.json"))
        write_json(cards[-1], {"dataset": dataset, "labels": ["bad", "fair", "good"]})
    trainings = sorted(map(str, tmp_path.glob("*/training.json")))
    listed = ["--trainings", *trainings] if trainings else []
    gather.main([*options, "--cards", *cards, *listed, "--", *scores])
    return [list(csv.DictReader(table.open(encoding="utf-8", newline=""))) for table in tables]


def test_gather_orders_as_given_then_by_n_and_seed(tmp_path: Path) -> None:
    paths = [
        run_scores(tmp_path, "a", model="zebra", size="10%", n=1000),
        run_scores(tmp_path, "b", model="zebra", seed=10),
        run_scores(tmp_path, "c", model="zebra", seed=9),
        run_scores(tmp_path, "d", model="ant"),
        run_scores(tmp_path, "e", dataset="apples", model="ant"),
    ]
    (tmp_path / "list").write_text("\n".join(paths), encoding="utf-8")
    rows, *_ = gathered(tmp_path, f"@{tmp_path / 'list'}")
    assert [(r["dataset"], r["model"], r["n"], r["seed"]) for r in rows] == [
        ("films", "zebra", "250", "9"),
        ("films", "zebra", "250", "10"),
        ("films", "zebra", "1000", "1"),
        ("films", "ant", "250", "1"),
        ("apples", "ant", "250", "1"),
    ]
    assert rows[0]["macro_f1"] == "0.333333"


def test_gather_refuses_a_run_given_twice(tmp_path: Path) -> None:
    paths = [run_scores(tmp_path, name) for name in ("a", "b")]
    with pytest.raises(
        UserError, match=r"b/scores\.json: data set films, model lstm, size 250, seed 1"
    ):
        gathered(tmp_path, *paths)


def test_gather_of_a_run_whose_training_is_not_named_is_an_error(tmp_path: Path) -> None:
    path = run_scores(tmp_path, "a")
    run_scores(tmp_path, "b", seed=2)
    (tmp_path / "a" / "training.json").unlink()
    with pytest.raises(UserError, match=r"seed 1 has no training; .*--trainings"):
        gathered(tmp_path, path)


def test_gather_of_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run is finished"):
        gathered(tmp_path)


def test_gather_lists_the_trials_of_each_run(tmp_path: Path) -> None:
    paths = [
        run_scores(tmp_path, "b", seed=3),
        run_scores(tmp_path, "a", size="10%", n=100),
        run_scores(tmp_path, "c", model="ant"),
    ]
    _, rows, *_ = gathered(tmp_path, *paths)
    assert ",".join(rows[0]) == (
        "dataset,model,size,n,seed,trial,lr,lr_schedule,"
        "validation_loss,validation_accuracy,seconds,chosen"
    )
    assert [",".join(row.values()) for row in rows] == [
        "films,lstm,10%,100,1,2,2e-05,linear,0.500000,0.750000,1.5,yes",
        "films,lstm,10%,100,1,4,0.0001,cosine,,0.500000,2.0,no",
        "films,lstm,250,250,3,2,2e-05,linear,0.500000,0.750000,1.5,yes",
        "films,lstm,250,250,3,4,0.0001,cosine,,0.500000,2.0,no",
        "films,ant,250,250,1,1,,,0.500000,0.750000,1.5,yes",
    ]


def test_gather_lists_the_history_of_the_chosen_trial(tmp_path: Path) -> None:
    _, _, rows, *_ = gathered(tmp_path, run_scores(tmp_path, "a", seed=2))
    assert [",".join(row.values()) for row in rows] == ["films,lstm,250,250,2,7,0.500000,0.750000"]


def test_gather_counts_calibration_and_labels_over_seeds(tmp_path: Path) -> None:
    other = {"rows": [1, 0, 8], "confidence": [0.2, 0.0, 7.2], "correct": [0, 0, 6]}
    paths = [
        run_scores(tmp_path, "a"),
        run_scores(tmp_path, "b", seed=2, bins=other, confusion=[[4, 0, 0], [2, 3, 0], [0, 0, 0]]),
    ]
    *_, calibration, labels = gathered(tmp_path, *paths)
    assert [list(row.values())[4:] for row in calibration] == [
        ["0.000000", "0.333333", "1", "0.200000", "0.000000"],
        ["0.333333", "0.666667", "4", "0.500000", "0.500000"],
        ["0.666667", "1.000000", "13", "0.900000", "0.769231"],
    ]
    # 7 of the 8 "bad" rows are predicted "bad", as are 4 others; no row is "good".
    assert [list(row.values())[4:] for row in labels] == [
        ["bad", "4", "0.875000", "0.636364", "0.736842"],
        ["fair", "5", "0.600000", "0.857143", "0.705882"],
    ]


@given(st.integers(2, 5), st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_counts_behind_scores_add_up(labels: int, rows: int, seed: int) -> None:
    scores, truth = made_up(rows, labels, seed)
    tally = score.Tally(np.zeros((labels, labels), dtype=np.int64))
    tally.add(predictions.Block(1, truth.astype(np.int32), scores))
    found = tally.scores()
    bins = {name: np.array(values) for name, values in found["bins"].items()}
    assert bins["rows"].sum() == rows
    assert bins["correct"].sum() == np.trace(found["confusion"])
    full = bins["rows"] > 0
    mean = bins["confidence"][full] / bins["rows"][full]
    edges = np.arange(score.BINS + 1) / score.BINS
    assert (mean >= edges[:-1][full] - 1e-6).all()
    assert (mean <= edges[1:][full] + 1e-6).all()
