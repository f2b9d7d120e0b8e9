"""Accuracies, gaps and their intervals."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import estimate_gap
import numpy as np
import pytest
from gap.cli import UserError
from gap.predictions import write_predictions
from gap.statistics import Estimate, Resampling, accuracy, crossed_interval, gap, within_margin
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = Resampling(confidence=0.95, resamples=200, seed=0)
RECIPE = {"reference": "big", "margin": 1.0, "confidence": 0.95, "resamples": 200, "seed": 0}


def coin(seeds: list[int], rows: int, share: float, draw: int = 0) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(draw)
    return {seed: rng.random(rows) < share for seed in seeds}


correctness = st.builds(
    coin,
    st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True),
    st.just(30),
    st.floats(0.1, 0.9),
    st.integers(0, 99),
)


def test_accuracy_by_hand() -> None:
    found = accuracy({2: np.array([1, 1, 0, 0], bool), 1: np.array([1, 0, 0, 0], bool)}, QUICK)
    assert (found.value, found.seeds) == (37.5, (1, 2))


def test_gap_takes_shared_seeds_only() -> None:
    reference = {1: np.array([1, 1, 1, 0], bool), 2: np.array([0, 0, 0, 0], bool)}
    model = {1: np.array([1, 0, 0, 0], bool), 3: np.array([1, 1, 1, 1], bool)}
    found = gap(reference, model, QUICK)
    assert (found.value, found.seeds) == (50.0, (1,))


@settings(max_examples=40, deadline=None)
@given(correctness, correctness)
def test_gap_is_antisymmetric(one, other) -> None:
    if not one.keys() & other.keys():
        return
    forth, back = gap(one, other, QUICK), gap(other, one, QUICK)
    assert forth.value == pytest.approx(-back.value)
    # Equal draws: the interval is the other's mirror image.
    assert forth.low == pytest.approx(-back.high, abs=1e-9)
    assert forth.low - 1e-9 <= forth.value <= forth.high + 1e-9


@settings(max_examples=25, deadline=None)
@given(correctness, st.randoms())
def test_order_of_rows_changes_the_random_part_only(correct, random) -> None:
    order = list(range(30))
    random.shuffle(order)
    shuffled = {seed: correct[seed][order] for seed in reversed(correct)}
    one, other = accuracy(correct, QUICK), accuracy(shuffled, QUICK)
    assert one.value == pytest.approx(other.value)
    width = one.high - one.low
    assert abs(one.low - other.low) <= 0.5 * width + 1e-9


def test_order_of_seeds_changes_nothing() -> None:
    correct = coin([3, 1, 2], 40, 0.7)
    assert accuracy(correct, QUICK) == accuracy(dict(sorted(correct.items())), QUICK)


def test_a_model_against_itself_has_no_gap() -> None:
    correct = coin([1, 2], 50, 0.6)
    assert gap(correct, correct, QUICK) == Estimate(0.0, 0.0, 0.0, (1, 2))


def test_interval_of_one_seed_is_the_bootstrap_of_rows() -> None:
    values = coin([1], 400, 0.8)[1]
    low, high = crossed_interval(values[None, :], Resampling(0.95, 4000, 1))
    # The normal approximation of a share, Wald's interval.
    half = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.006)


def test_interval_draws_seeds_and_rows_crosswise() -> None:
    """A 2 x 2 table has few resamples, so the exact distribution can be listed."""
    values = np.array([[3, 0], [1, -2]])
    pairs = list(itertools.product([0, 1], repeat=2))
    means = [values[np.ix_(seeds, rows)].mean() for seeds in pairs for rows in pairs]
    low, high = crossed_interval(values, Resampling(0.8, 4000, 0))
    assert low == pytest.approx(np.quantile(means, 0.1, method="inverted_cdf"))
    assert high == pytest.approx(np.quantile(means, 0.9, method="inverted_cdf"))


def test_seeds_that_differ_widen_the_interval() -> None:
    rows = np.arange(1000) % 2 == 0
    alike = {1: rows, 2: rows, 3: rows}
    apart = {1: rows, 2: np.ones(1000, bool), 3: np.zeros(1000, bool)}
    widths = [found.high - found.low for found in (accuracy(alike, QUICK), accuracy(apart, QUICK))]
    assert widths[0] < 10 < 60 < widths[1]


def test_same_seed_same_interval_and_another_seed_another() -> None:
    correct = coin([1, 2], 200, 0.7)
    again = accuracy(correct, QUICK)
    assert accuracy(correct, QUICK) == again
    assert accuracy(correct, Resampling(0.95, 200, 1)) != again


def test_more_confidence_wider_interval() -> None:
    correct = coin([1, 2], 200, 0.7)
    narrow, wide = (accuracy(correct, Resampling(level, 500, 0)) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_no_shared_seed_is_an_error() -> None:
    with pytest.raises(UserError, match="the reference has seeds 1, 2, the model has seeds 3;"):
        gap(coin([1, 2], 5, 0.5), coin([3], 5, 0.5), QUICK)


def test_test_sets_of_different_length_are_an_error() -> None:
    with pytest.raises(UserError, match=r"different length, \[5, 6\] rows"):
        gap(coin([1], 5, 0.5), coin([1], 6, 0.5), QUICK)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-3, 1, "yes"), (0.5, 1.1, "unclear"), (1, 2, "unclear"), (1.1, 2, "no"), (-9, -8, "yes")],
)
def test_within_margin(low: float, high: float, expected: str) -> None:
    assert within_margin(Estimate((low + high) / 2, low, high, (1,)), 1.0) == expected


def write_cell(
    tmp_path: Path, model: str, n: int, share: float, seeds: list[int], rows: int = 100
) -> str:
    """Write predictions of a two-label task with the first `share` of the rows right."""
    path = tmp_path / f"{model}-{n}-{seeds[0]}.parquet"
    right = np.arange(rows) < share * rows
    scores = np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]))
    cell = {"dataset": "films", "model": model, "size": str(n), "n": n}
    write_predictions(path, cell, dict.fromkeys(seeds, scores), np.zeros(rows, int))
    return str(path)


def tables(tmp_path: Path, paths: list[str], **changes: object) -> list[list[dict[str, str]]]:
    outputs = [tmp_path / "accuracies.csv", tmp_path / "gaps.csv"]
    recipe = json.dumps(RECIPE | changes)
    options = ["--accuracies", str(outputs[0]), "--gaps", str(outputs[1])]
    estimate_gap.main(["--recipe", recipe, *options, *paths])
    found = []
    for output in outputs:
        with open(output, encoding="utf-8", newline="") as file:
            found.append(list(csv.DictReader(file)))
    return found


def test_estimate_gap_writes_both_tables(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "small", 1000, 0.75, [1, 2]),
        write_cell(tmp_path, "small", 1000, 0.75, [3]),
        write_cell(tmp_path, "small", 250, 0.6, [1]),
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "big", 1000, 0.75, [2, 3, 4]),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    assert [(row["model"], row["n"], row["accuracy"], row["seed_list"]) for row in accuracies] == [
        ("small", "250", "60.0000", "1"),
        ("small", "1000", "75.0000", "1 2 3"),
        ("big", "250", "80.0000", "1 2"),
        ("big", "1000", "75.0000", "2 3 4"),
    ]
    assert [(row["n"], row["gap"], row["seeds"], row["seed_list"]) for row in gaps] == [
        ("250", "20.0000", "1", "1"),
        ("1000", "0.0000", "2", "2 3"),
    ]
    assert float(gaps[0]["gap_low"]) < 20 < float(gaps[0]["gap_high"])
    assert [row["within_margin"] for row in gaps] == ["no", "yes"]


def test_estimate_gap_gives_equal_bytes_whatever_else_is_in_the_study(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "small", 250, 0.6, [1, 2]),
    ]
    tables(tmp_path, paths)
    before = (tmp_path / "gaps.csv").read_bytes()
    _, more = tables(tmp_path, [*paths, write_cell(tmp_path, "other", 250, 0.5, [1, 2])])
    tables(tmp_path, paths)
    assert (tmp_path / "gaps.csv").read_bytes() == before
    assert before.decode().splitlines()[1] == ",".join(more[0].values())


def test_estimate_gap_leaves_out_what_has_no_partner(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "big", 4000, 0.9, [1]),
        write_cell(tmp_path, "small", 250, 0.6, [2]),
        write_cell(tmp_path, "small", 1000, 0.7, [1]),  # no reference at this size
        write_cell(tmp_path, "small", 4000, 0.8, [3]),  # no seed in common
        write_cell(tmp_path, "tiny", 250, 0.5, [1]),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    assert [(row["model"], row["n"]) for row in accuracies] == [
        *(("big", "250"), ("big", "4000")),
        *(("small", "250"), ("small", "1000"), ("small", "4000"), ("tiny", "250")),
    ]
    assert [(row["model"], row["n"], row["seed_list"]) for row in gaps] == [
        ("small", "250", "2"),
        ("tiny", "250", "1"),
    ]


@pytest.mark.parametrize("reference", ["big", "huge"], ids=["no shared seed", "never run"])
def test_estimate_gap_of_nothing_to_compare_is_an_error(tmp_path: Path, reference: str) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "small", 250, 0.6, [3]),
    ]
    expected = rf"nothing can be compared: no run of the reference {reference} .*small"
    with pytest.raises(UserError, match=expected):
        tables(tmp_path, paths, reference=reference)
    assert not (tmp_path / "gaps.csv").exists()


def test_estimate_gap_of_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run is finished"):
        tables(tmp_path, [])


def test_estimate_gap_says_where_test_sets_differ(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1], rows=100),
        write_cell(tmp_path, "small", 250, 0.6, [1], rows=90),
    ]
    with pytest.raises(UserError, match="films, size 250, big and small: test sets of different"):
        tables(tmp_path, paths)


def test_estimate_gap_of_the_reference_alone_has_no_gaps(tmp_path: Path) -> None:
    accuracies, gaps = tables(tmp_path, [write_cell(tmp_path, "big", 250, 0.8, [1])])
    assert (len(accuracies), gaps) == (1, [])
