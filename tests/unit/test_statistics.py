"""Accuracies, gaps and their intervals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import estimate_gap
import numpy as np
import pytest
import scipy.stats
from gap.results.predictions import write_predictions
from gap.results.statistics import Component, Estimate, accuracy, differences, estimate, gap
from gap.run.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

RECIPE = {"reference": "big", "margin": 1.0, "confidence": 0.95}


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


def width(found: Estimate, confidence: float = 0.95) -> float:
    return 2 * found.half_width(confidence)


def test_accuracy_by_hand() -> None:
    found = accuracy({2: np.array([1, 1, 0, 0], bool), 1: np.array([1, 0, 0, 0], bool)})
    assert (found.value, found.seeds) == (37.5, (1, 2))


def test_gap_takes_shared_seeds_only() -> None:
    reference = {1: np.array([1, 1, 1, 0], bool), 2: np.array([0, 0, 0, 0], bool)}
    model = {1: np.array([1, 0, 0, 0], bool), 3: np.array([1, 1, 1, 1], bool)}
    found = gap(reference, model)
    assert (found.value, found.seeds) == (50.0, (1,))


@settings(max_examples=40, deadline=None)
@given(correctness, correctness)
def test_gap_is_antisymmetric(one, other) -> None:
    if not one.keys() & other.keys():
        return
    forth, back = gap(one, other), gap(other, one)
    assert forth.value == pytest.approx(-back.value)
    assert forth.half_width(0.9) == pytest.approx(back.half_width(0.9))


@settings(max_examples=40, deadline=None)
@given(correctness, st.randoms())
def test_orders_of_rows_and_seeds_change_nothing(correct, random) -> None:
    order = list(range(30))
    random.shuffle(order)
    shuffled = {seed: correct[seed][order] for seed in reversed(correct)}
    one, other = accuracy(correct), accuracy(shuffled)
    assert one.value == pytest.approx(other.value)
    assert one.half_width(0.9) == pytest.approx(other.half_width(0.9), abs=1e-9)


def test_a_model_against_itself_has_no_gap() -> None:
    correct = coin([1, 2], 50, 0.6)
    assert gap(correct, correct).interval(0.95) == (0.0, 0.0)


def test_interval_of_one_seed_is_that_of_a_mean() -> None:
    values = coin([1], 400, 0.8)[1]
    low, high = scipy.stats.ttest_1samp(100.0 * values, 0).confidence_interval(0.9)
    assert estimate(values[None, :], [1]).interval(0.9) == pytest.approx((low, high))


def test_parts_are_those_of_the_analysis_of_variance() -> None:
    """By the definitions of the mean squares of a two-way layout with one value in a cell."""
    values = np.array([[3, 0, 1, 2], [1, -2, 0, 2], [2, 2, 1, 2]])
    of_seeds = 4 * np.var(values.mean(axis=1), ddof=1)
    of_rows = 3 * np.var(values.mean(axis=0), ddof=1)
    fitted = values.mean(axis=1)[:, None] + values.mean(axis=0) - values.mean()
    left = np.square(values - fitted).sum() / (2 * 3)
    found = estimate(values, [1, 2, 3])
    assert [part.freedom for part in found.components] == [2, 3]
    variances = [100**2 * of_seeds / 12, 100**2 * (of_rows - left) / 12]
    assert [part.variance for part in found.components] == pytest.approx(variances)


def test_half_widths_add_up_in_squares() -> None:
    found = Estimate(0.0, (1, 2), (Component(4.0, 1), Component(9.0, 10)))
    wide, narrow = 2 * 12.706, 3 * 2.228  # Student's t at 0.975, of tables
    assert found.half_width(0.95) == pytest.approx(np.hypot(wide, narrow), rel=1e-3)


def test_rows_that_differ_by_chance_alone_have_no_negative_variance() -> None:
    found = estimate(np.array([[1, 0], [0, 1]]), [1, 2])
    assert [part.variance for part in found.components] == [0.0, 0.0]


def test_seeds_that_differ_widen_the_interval() -> None:
    rows = np.arange(1000) % 2 == 0
    alike = {1: rows, 2: rows, 3: rows}
    apart = {1: rows, 2: np.ones(1000, bool), 3: np.zeros(1000, bool)}
    assert width(accuracy(alike)) < 10 < 60 < width(accuracy(apart))


def test_more_confidence_wider_interval() -> None:
    found = accuracy(coin([1, 2], 200, 0.7))
    assert width(found, 0.5) < width(found, 0.99)


@settings(max_examples=40, deadline=None)
@given(correctness, st.floats(0.01, 0.99))
def test_chance_of_an_intervals_end_is_what_it_leaves_out(correct, confidence) -> None:
    found = accuracy(correct)
    low, high = found.interval(confidence)
    if high > low:
        assert found.chance(low) == pytest.approx(1 - confidence, abs=1e-6)
        assert found.chance(high) == pytest.approx(1 - confidence, abs=1e-6)
    assert found.chance(found.value) == 1.0


@pytest.mark.parametrize(("seeds", "spread"), [(2, 0.1), (3, 0.0), (3, 0.1), (5, 0.0), (5, 0.1)])
def test_intervals_cover_at_least_as_often_as_they_say(seeds: int, spread: float) -> None:
    """The values are normal with known effects; in 300 studies, 4 standard errors are 5 points."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        effects = rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.5, (1, 200))
        values = np.rint(1000 * (effects + rng.normal(0, 1, (seeds, 200)))).astype(int)
        low, high = estimate(values, range(seeds)).interval(0.95)
        covered += low <= 0 <= high
    assert 270 <= covered <= 299


def test_no_shared_seed_is_an_error() -> None:
    with pytest.raises(UserError, match="the reference has seeds 1, 2, the model has seeds 3;"):
        gap(coin([1, 2], 5, 0.5), coin([3], 5, 0.5))


def test_test_sets_of_different_length_are_an_error() -> None:
    with pytest.raises(UserError, match=r"different length, \[5, 6\] rows"):
        gap(coin([1], 5, 0.5), coin([1], 6, 0.5))


def plain(value: float, half: float) -> Estimate:
    """Return an estimate whose 95 % interval is `half` to each side."""
    error = half / scipy.stats.t.ppf(0.975, 1000)
    return Estimate(value, (1,), (Component(error**2, 1000),))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        *((1.1, 9, "clear"), (-9, -1.1, "clear"), (0.9, 9, "unclear"), (-9, -0.9, "unclear")),
        *((-0.9, 0.9, "none"), (0.1, 0.9, "none"), (-1.1, 0.9, "unclear"), (-0.9, 1.1, "unclear")),
        *((1.1, 1.2, "clear"), (-5, 5, "unclear")),
    ],
)
def test_a_gap_alone_is_judged_by_its_interval(low: float, high: float, expected: str) -> None:
    assert differences([plain((low + high) / 2, (high - low) / 2)], 1.0, 0.95) == [expected]


def test_of_many_gaps_none_is_clear_by_chance() -> None:
    barely, far = plain(3.1, 2.0), plain(8.0, 2.0)
    assert differences([barely], 1.0, 0.95) == ["clear"]
    unclear = [plain(1.0, 2.0)] * 9
    assert differences([barely, *unclear], 1.0, 0.95)[0] == "unclear"
    assert differences([far, *unclear], 1.0, 0.95)[0] == "clear"
    # Where most are far from chance, one that is near it need not be doubted.
    assert differences([barely, *[far] * 9], 1.0, 0.95)[0] == "clear"
    assert differences([], 1.0, 0.95) == []


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
    assert [row["difference"] for row in gaps] == ["clear", "none"]


def test_estimate_gap_writes_what_its_intervals_are_made_of(tmp_path: Path) -> None:
    paths = [
        *(write_cell(tmp_path, "big", 250, share, [seed]) for seed, share in ((1, 0.8), (2, 0.9))),
        write_cell(tmp_path, "small", 250, 0.6, [1, 2]),
        write_cell(tmp_path, "tiny", 250, 0.5, [1]),
    ]
    accuracies, (small, tiny) = tables(tmp_path, paths)
    # By seed, gaps of 20 and 30 points.
    assert small["seed_error"] == "5.0000"
    t_seeds, t_rows = scipy.stats.t.ppf(0.975, [1, 99])
    for name, row in (("gap", small), ("accuracy", accuracies[0])):
        value, low, *errors = (
            float(row[key]) for key in (name, f"{name}_low", "seed_error", "row_error")
        )
        half = np.hypot(t_seeds * errors[0], t_rows * errors[1])
        assert value - low == pytest.approx(half, abs=1e-2)
    low, error = float(tiny["gap_low"]), float(tiny["row_error"])
    assert 30 - low == pytest.approx(t_rows * error, abs=1e-3)
    assert tiny["seed_error"] == ""


def test_an_interval_is_the_same_whatever_else_is_in_the_study(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "small", 250, 0.6, [1, 2]),
    ]
    tables(tmp_path, paths)
    before = (tmp_path / "gaps.csv").read_bytes()
    _, more = tables(tmp_path, [*paths, write_cell(tmp_path, "other", 250, 0.5, [1, 2])])
    tables(tmp_path, paths)
    assert (tmp_path / "gaps.csv").read_bytes() == before
    # All but the last column, which is told for all gaps together.
    assert before.decode().splitlines()[1].rpartition(",")[0] == ",".join(
        list(more[0].values())[:-1]
    )


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


def test_estimate_gap_keeps_intervals_to_what_can_be(tmp_path: Path) -> None:
    paths = [
        *(write_cell(tmp_path, "big", 250, share, [seed]) for seed, share in ((1, 0.5), (2, 0.99))),
        *(write_cell(tmp_path, "small", 250, share, [seed]) for seed, share in ((3, 0.5),)),
        write_cell(tmp_path, "small", 250, 0.5, [2]),
        write_cell(tmp_path, "small", 250, 0.9, [1]),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    ends = [row[f"accuracy_{end}"] for row in accuracies[:1] for end in ("low", "high")]
    assert ends == ["0.0000", "100.0000"]
    assert [gaps[0]["gap_low"], gaps[0]["gap_high"]] == ["-100.0000", "100.0000"]
