"""Accuracies, gaps and their intervals."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import estimate_gap
import numpy as np
import pytest
import scipy.stats
from gap.results.predictions import Cell, read_groups, write_predictions
from gap.results.run_scores import RunScores, read_scores, scores_of
from gap.results.statistics import Estimate, Tally, differences
from gap.results.study_errors import StudyErrors
from gap.run.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

RECIPE = {"reference": "big", "margin": 1.0, "confidence": 0.95}
Correct = Mapping[int, np.ndarray]


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


def study(**models: Correct) -> StudyErrors:
    """A data set with these models at one size, compared with `big`."""
    cells = {Cell("films", name, "250", 250): dict(runs) for name, runs in models.items()}
    return StudyErrors(scores_of(cells), "big")


def cell(errors: StudyErrors, model: str, size: str = "250") -> Cell:
    return next(each for each in errors.cells if (each.model, each.size) == (model, size))


def gap(reference: Correct, model: Correct) -> Estimate:
    errors = study(big=reference, small=model)
    return errors.gap(cell(errors, "small"))


def accuracy(correct: Correct) -> Estimate:
    errors = study(big=correct)
    return errors.mean(cell(errors, "big"))


def width(estimate: Estimate, confidence: float = 0.95) -> float:
    low, high = estimate.interval(confidence)
    return high - low


def test_accuracy_by_hand() -> None:
    correct = {2: np.array([1, 1, 0, 0], bool), 1: np.array([1, 0, 0, 0], bool)}
    assert accuracy(correct).value == 37.5


def test_a_gap_takes_all_seeds_of_both() -> None:
    reference = {1: np.array([1, 1, 1, 0], bool), 2: np.array([0, 0, 0, 0], bool)}
    model = {1: np.array([1, 0, 0, 0], bool), 3: np.array([1, 1, 1, 1], bool)}
    assert gap(reference, model).value == 37.5 - 62.5
    # As the accuracies have it.
    assert gap(reference, model).value == accuracy(reference).value - accuracy(model).value


@settings(max_examples=40, deadline=None)
@given(correctness, correctness)
def test_gap_is_antisymmetric(one, other) -> None:
    forth, back = gap(one, other), gap(other, one)
    assert forth.value == pytest.approx(-back.value, abs=1e-9)
    assert forth.half_width(0.9) == pytest.approx(back.half_width(0.9))


@settings(max_examples=40, deadline=None)
@given(correctness, st.randoms())
def test_orders_of_rows_and_seeds_change_nothing(correct, random) -> None:
    order = list(range(30))
    random.shuffle(order)
    shuffled = {seed: correct[seed][order] for seed in reversed(correct)}
    first, second = accuracy(correct), accuracy(shuffled)
    assert first.value == pytest.approx(second.value)
    assert first.interval(0.9) == pytest.approx(second.interval(0.9), abs=1e-4)


def test_parts_are_those_of_the_analysis_of_variance() -> None:
    """By the definitions of the mean squares of a two-way layout with one value in a cell."""
    values = 100 * np.array([[1, 0, 1, 1, 0], [1, 0, 0, 1, 0], [1, 1, 1, 0, 0]])
    errors = study(big=dict(enumerate(values > 0)))
    own = cell(errors, "big")
    fitted = values.mean(axis=1)[:, None] + values.mean(axis=0) - values.mean()
    left = np.square(values - fitted).sum() / (2 * 4)
    assert errors.chances == pytest.approx([left / 5])
    of_rows = np.var(values.mean(axis=0), ddof=1) - left / 3
    assert errors.mean(own).row_variance == pytest.approx(max(1e-4, of_rows / 5), rel=1e-4)


def test_chance_is_the_floor_of_what_seeds_do() -> None:
    errors = study(big=coin([1, 2, 3, 4], 500, 0.7), small=coin([1, 2], 500, 0.6, 1))
    assert (errors.variances.points(13) > errors.chances[:, None]).all()
    # A mean of four seeds has at least a quarter of one seed's.
    assert errors.mean(cell(errors, "big")).seed_variances.min() > errors.chances[0] / 4


def test_a_cell_borrows_from_the_others() -> None:
    rows = np.arange(1000)

    def seeds(*shares: float) -> dict[int, np.ndarray]:
        return {seed: rows < 1000 * share for seed, share in enumerate(shares)}

    calm = study(big=seeds(0.80, 0.80), small=seeds(0.7, 0.7), more=seeds(0.6, 0.6))
    wild = study(big=seeds(0.80, 0.80), small=seeds(0.7, 0.75), more=seeds(0.6, 0.66))
    assert calm.variances.mean[0] < wild.variances.mean[0] / 2
    # What a cell's own seeds say weighs most there.
    assert wild.variances.mean[0] < wild.variances.mean[1]


def test_seeds_in_common_make_a_gap_narrower_where_they_go_together() -> None:
    rng = np.random.default_rng(1)
    shares = 0.6 + rng.normal(0, 0.04, 8)
    rows = rng.random((2, 4000))
    together = study(
        big={seed: rows[0] < share + 0.1 for seed, share in enumerate(shares)},
        small={seed: rows[1] < share for seed, share in enumerate(shares)},
    )
    apart = study(
        big={seed: rows[0] < share + 0.1 for seed, share in enumerate(shares)},
        small={100 + seed: rows[1] < share for seed, share in enumerate(shares)},
    )
    assert together.correlations["small"] > 0.3
    gaps = [errors.gap(cell(errors, "small")) for errors in (together, apart)]
    assert width(gaps[0]) < 0.9 * width(gaps[1])


def test_each_model_goes_together_with_the_reference_in_its_own_way() -> None:
    rng = np.random.default_rng(2)
    shares = {size: 0.6 + rng.normal(0, 0.04, 6) for size in (100, 1000, 10000)}

    def seeds(n: int, like: bool) -> dict[int, NDArray[np.bool_]]:
        own = shares[n] if like else 0.6 + rng.normal(0, 0.04, 6)
        return {seed: rng.random(4000) < share for seed, share in enumerate(own)}

    runs = {
        Cell("films", model, str(n), n): seeds(n, model != "other")
        for model in ("big", "alike", "other")
        for n in shares
    }
    errors = StudyErrors(scores_of(runs), "big")
    assert errors.correlations["alike"] > errors.correlations["other"] + 0.3
    widths = {model: width(errors.gap(cell(errors, model, "1000"))) for model in ("alike", "other")}
    assert widths["alike"] < 0.8 * widths["other"]


def test_models_that_err_on_the_same_rows_by_chance_are_compared_more_closely() -> None:
    rng = np.random.default_rng(3)

    def chance(seed: int) -> NDArray[np.float64]:
        return np.random.default_rng(100 + seed).random(1000)

    same = study(
        big={seed: chance(seed) < 0.80 for seed in range(4)},
        small={seed: chance(seed) < 0.78 for seed in range(4)},
    )
    apart = study(
        big={seed: chance(seed) < 0.80 for seed in range(4)},
        small={seed: rng.random(1000) < 0.78 for seed in range(4)},
    )
    assert width(same.gap(cell(same, "small"))) < 0.7 * width(apart.gap(cell(apart, "small")))


def test_one_seed_everywhere_is_an_interval_over_rows() -> None:
    values = coin([1], 400, 0.8)[1]
    errors = study(big={1: values}, small=coin([1], 400, 0.6, 3))
    assert not errors.several_seeds
    low, high = scipy.stats.ttest_1samp(100.0 * values, 0).confidence_interval(0.9)
    half = errors.mean(cell(errors, "big")).half_width(0.9)
    assert half == pytest.approx((high - low) / 2, rel=0.01)


def test_one_seed_beside_several_borrows_from_them() -> None:
    errors = study(big=coin([1, 2, 3], 400, 0.8), small=coin([1], 400, 0.6, 3))
    assert errors.own_seed_error(cell(errors, "small")) is None
    assert errors.gap(cell(errors, "small")).seed_variances.min() > 0


def test_models_that_never_differ_have_an_exact_interval() -> None:
    rows = np.arange(80) % 2 == 0
    found = gap({1: rows, 2: rows}, {1: rows, 2: rows})
    low, high = found.interval(0.95)
    exact = 100 * scipy.stats.binomtest(0, 80).proportion_ci(0.95, "exact").high
    assert high >= exact - 1e-9 and low <= 1e-9 - exact
    assert found.value == 0


@pytest.mark.parametrize("rows", [4, 20, 50, 80, 100, 250])
def test_none_is_not_said_for_lack_of_test_rows(rows: int) -> None:
    right = np.ones(rows, bool)
    seeds = {1: right, 2: right, 3: right}
    assert differences([gap(seeds, seeds)], 1.0, 0.95) == ["unclear"]


@pytest.mark.parametrize("rows", [3, 4, 5])
def test_few_rows_that_all_lift_a_gap_do_not_make_it_clear(rows: int) -> None:
    right = np.ones(rows, bool)
    found = gap(dict.fromkeys((1, 2, 3), right), dict.fromkeys((1, 2, 3), ~right))
    assert found.value == pytest.approx(100)
    assert differences([found], 1.0, 0.95) == ["unclear"]


def test_models_that_agree_with_different_numbers_of_seeds_differ_in_no_row() -> None:
    rows = np.arange(4) < 3
    found = gap(dict.fromkeys(range(3), rows), dict.fromkeys(range(5), rows))
    assert (found.tally.lifting, found.tally.lowering) == (0, 0)
    assert found.interval(0.95)[1] > 60
    # And where one seed of many differs in one row, others may differ in all seeds.
    reference = dict.fromkeys(range(3), np.ones(80, bool))
    model = dict.fromkeys(range(4), np.ones(80, bool)) | {4: np.arange(80) > 0}
    assert gap(reference, model).interval(0.95)[1] > 4.5


def test_tallies_are_exact() -> None:
    share = scipy.stats.binomtest(7, 60).proportion_ci(0.9, "exact")
    down, up = Tally(7, None, 100.0, 60).reach(0.9)
    assert (7 / 60 - down / 100, 7 / 60 + up / 100) == pytest.approx((share.low, share.high))
    # Of a difference, distances add up in squares.
    other = scipy.stats.binomtest(3, 60).proportion_ci(0.9, "exact")
    down, up = Tally(7, 3, 50.0, 60).reach(0.9)
    assert down >= 50 * np.hypot(7 / 60 - share.low, other.high - 3 / 60)
    assert up >= 50 * np.hypot(share.high - 7 / 60, 3 / 60 - other.low)
    assert down < 1.2 * 50 * np.hypot(7 / 60 - share.low, other.high - 3 / 60)


def test_a_seed_far_below_the_others_has_diverged() -> None:
    reference = coin([1, 2, 3], 2000, 0.9)
    model = coin([1, 2], 2000, 0.8, 1) | {3: np.random.default_rng(2).random(2000) < 0.5}
    calm = {name: coin([1, 2, 3], 2000, 0.8, draw) for name, draw in (("a", 5), ("b", 6), ("c", 7))}
    errors = study(big=reference, small=model, **calm)
    small = cell(errors, "small")
    assert errors.diverged[small] == [3]
    assert sum(map(len, errors.diverged.values())) == 1
    every, ordinary = errors.gap(small), errors.gap(small, ordinary=True)
    assert ordinary.value == pytest.approx(10, abs=2)
    assert every.value == pytest.approx(20, abs=2)
    # Seeds of all cells may diverge, so that intervals are wider.
    assert every.half_width(0.95) > 2 * ordinary.half_width(0.95)
    # The others borrow from ordinary seeds only.
    assert errors.variances.mean.max() < 10


def test_groups_of_rows_count_as_one() -> None:
    rng = np.random.default_rng(3)
    of_groups = rng.random((2, 100))
    rows = {
        name: dict.fromkeys((1, 2, 3), np.repeat(of_groups[place] < share, 10))
        for place, (name, share) in enumerate((("big", 0.8), ("small", 0.6)))
    }
    cells = {Cell("films", name, "250", 250): runs for name, runs in rows.items()}
    scores = scores_of(cells)
    grouped = scores.grouped(np.repeat(np.arange(100), 10))
    assert grouped.rows == 100
    assert grouped.means == pytest.approx(scores.means)
    alone, together = (StudyErrors(each, "big") for each in (scores, grouped))
    small = cell(alone, "small")
    assert together.gap(small).value == pytest.approx(alone.gap(small).value)
    ratio = together.gap(small).row_variance / alone.gap(small).row_variance
    assert ratio == pytest.approx(10, rel=0.25)


def test_groups_of_many_sizes_leave_the_mean_and_widen_its_interval() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), rng.integers(1, 40, 60))
    cells = [Cell("films", "big", "250", 250)] * 400

    def means(alike: float) -> tuple[float, float]:
        """Return the spread of a mean over draws, and the standard error that groups give it."""
        easy = rng.random((400, 60)) < 0.8
        right = np.where(
            rng.random((400, len(groups))) < alike,
            easy[:, groups],
            rng.random((400, len(groups))) < 0.8,
        )
        scores = RunScores(cells, list(range(400)), np.float32(100) * right).grouped(groups)
        assert scores.means == pytest.approx(100 * right.mean(axis=1), abs=1e-3)
        errors = np.sqrt(np.diag(scores.covariance) / scores.rows)
        return float(scores.means.std(ddof=1)), float(errors.mean())

    for alike in (0.0, 0.9):
        spread, error = means(alike)
        # 400 draws tell a standard deviation to 3.5 %.
        assert error == pytest.approx(spread, rel=0.12)


def test_groups_that_never_disagree_are_as_few_as_they_are() -> None:
    right = np.ones(80, dtype=bool)
    cells = {Cell("films", name, "250", 250): {1: right} for name in ("big", "small")}
    errors = StudyErrors(scores_of(cells).grouped(np.repeat(np.arange(8), 10)), "big")
    low, high = errors.gap(cell(errors, "small")).interval(0.95)
    # 0 of 8 is a share of at most 36.9 %; 0 of 80 is one of at most 4.5 %.
    assert -low == pytest.approx(high) and 36.9 < high < 50


# Sizes of the groups of homologous proteins in a test set: many of one, few large ones.
UNEQUAL = np.array([139, 55, 43, 35, 28, 27, 20, 19, *[6] * 30, *[2] * 150, *[1] * 900])


@pytest.mark.parametrize(
    ("count", "differing", "rows", "ahead"),
    [(200, 0.01, 1.0, 1.0), (1000, 0.01, 1.0, 1.0), (1000, 0.05, 0.3, 0.7), (1000, 0.3, 0.3, 0.6)],
)
def test_intervals_over_groups_of_unequal_sizes_hold(
    count: int, differing: float, rows: float, ahead: float
) -> None:
    """A share of groups differs, in so many of its rows; the reference is ahead in most of them."""
    rng = np.random.default_rng(4)
    truth, held, widths = 100 * differing * rows * (2 * ahead - 1), 0, []
    for _ in range(100):
        sizes = rng.choice(UNEQUAL, count)
        differ = rng.binomial(sizes, rows) * (rng.random(count) < differing)
        lifts = rng.random(count) < ahead
        groups = np.repeat(np.arange(count), sizes)
        place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        changed = place < differ[groups]
        right = {"big": ~(changed & ~lifts[groups]), "small": ~(changed & lifts[groups])}
        cells = {Cell("films", name, "250", 250): {1: value} for name, value in right.items()}
        errors = StudyErrors(scores_of(cells).grouped(groups), "big")
        low, high = errors.gap(cell(errors, "small")).interval(0.95)
        held += low <= truth <= high
        widths.append(high - low)
    # By chance alone, 100 draws hold 90 or more of intervals that hold 95 %.
    assert held >= 90
    # One large group does not hide what all others tell.
    assert np.median(widths) < 10


def test_groups_come_from_the_predictions(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels, groups = np.zeros(200, dtype=np.int32), np.repeat(np.arange(50), 4)
    right = {name: np.repeat(rng.random(50) < 0.7, 4) for name in ("big", "small")}
    paths = {}
    for name, correct in right.items():
        logs = np.log(np.where(correct[:, None], [0.9, 0.1], [0.1, 0.9])).astype(np.float32)
        cell = Cell("films", name, "250", 250)
        paths[cell] = [str(tmp_path / name)]
        write_predictions(tmp_path / name, vars(cell), {1: logs, 2: logs}, labels, groups)
    (scores,) = read_scores(paths, "accuracy")
    assert scores.rows == 50
    assert scores.levels is not None
    values = scores.values[0] + scores.levels[0]
    assert values == pytest.approx(100.0 * right["big"][::4], abs=1e-3)
    write_predictions(tmp_path / "big", vars(cell), {1: np.log([[0.9, 0.1]] * 200)}, labels)
    assert read_groups(tmp_path / "big") is None


def test_covariances_are_those_of_all_rows_at_once() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((4, 20_000)).astype(np.float32)
    cells = [Cell("films", "big", "250", 250)] * 4
    scores = RunScores(cells, [1, 2, 3, 4], values)
    assert scores.covariance == pytest.approx(np.cov(values), rel=1e-3, abs=1e-6)


def test_more_confidence_wider_interval() -> None:
    estimate = accuracy(coin([1, 2], 200, 0.7))
    assert width(estimate, 0.5) < width(estimate, 0.99)


@settings(max_examples=40, deadline=None)
@given(correctness, correctness, st.floats(0.01, 0.99))
def test_chance_of_an_intervals_end_is_what_it_leaves_out(one, other, confidence) -> None:
    estimate = gap(one, other)
    for end in estimate.interval(confidence):
        assert estimate.chance(end) == pytest.approx(1 - confidence, abs=1e-5)
    assert estimate.chance(estimate.value) == 1.0


@settings(max_examples=40, deadline=None)
@given(correctness, correctness, st.floats(0, 9))
def test_chances_are_those_of_all_that_may_be(one, other, margin) -> None:
    forth, back = gap(one, other).chances(margin), gap(other, one).chances(margin)
    assert sum(forth) == pytest.approx(1)
    assert forth == pytest.approx(tuple(reversed(back)), abs=1e-6)


def test_test_sets_of_different_length_are_an_error() -> None:
    with pytest.raises(UserError, match=r"different length, \[5, 6\] rows"):
        gap(coin([1], 5, 0.5), coin([1], 6, 0.5))


def plain(value: float, half: float) -> Estimate:
    """Return an estimate whose 95 % interval is `half` to each side."""
    error = half / scipy.stats.norm.ppf(0.975)
    return Estimate(value, np.zeros(1), error**2, Tally(0, 0, 0.0, 1000, 0.0))


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
    about = {"dataset": "films", "model": model, "size": str(n), "n": n}
    write_predictions(path, about, dict.fromkeys(seeds, scores), np.zeros(rows, int))
    return str(path)


def tables(
    tmp_path: Path,
    paths: list[str],
    names: tuple[str, ...] = ("accuracies", "gaps"),
    **changes: object,
) -> list[list[dict[str, str]]]:
    options = [f"--{name}={tmp_path / name}.csv" for name in ("accuracies", "gaps", "metrics")]
    outputs = [tmp_path / f"{name}.csv" for name in names]
    estimate_gap.main(["--recipe", json.dumps(RECIPE | changes), *options, *paths])
    read = []
    for output in outputs:
        with open(output, encoding="utf-8", newline="") as file:
            read.append(list(csv.DictReader(file)))
    return read


def test_estimate_gap_writes_both_tables(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "small", 1000, 0.75, [1, 2]),
        write_cell(tmp_path, "small", 1000, 0.75, [3]),
        write_cell(tmp_path, "small", 250, 0.4, [1]),
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "big", 1000, 0.75, [2, 3, 4]),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    assert [(row["model"], row["n"], row["accuracy"], row["seed_list"]) for row in accuracies] == [
        ("small", "250", "40.0000", "1"),
        ("small", "1000", "75.0000", "1 2 3"),
        ("big", "250", "80.0000", "1 2"),
        ("big", "1000", "75.0000", "2 3 4"),
    ]
    columns = ("n", "gap", "reference_seeds", "seeds", "seed_list", "diverged", "rows")
    assert [tuple(row[name] for name in columns) for row in gaps] == [
        ("250", "40.0000", "2", "1", "1", "0", "100"),
        ("1000", "0.0000", "3", "3", "1 2 3", "0", "100"),
    ]
    assert float(gaps[0]["gap_low"]) < 40 < float(gaps[0]["gap_high"])
    # A hundred rows are too few to say "none".
    assert [row["difference"] for row in gaps] == ["clear", "unclear"]
    assert float(gaps[0]["ahead"]) > 0.99 and gaps[0]["ordinary_gap"] == ""
    assert sum(float(gaps[1][name]) for name in ("ahead", "within", "behind")) == pytest.approx(
        1, abs=1e-3
    )


def test_estimate_gap_writes_what_its_intervals_are_made_of(tmp_path: Path) -> None:
    paths = [
        *(write_cell(tmp_path, "big", 250, share, [seed]) for seed, share in ((1, 0.8), (2, 0.84))),
        write_cell(tmp_path, "small", 250, 0.6, [1, 2]),
        write_cell(tmp_path, "tiny", 250, 0.5, [1]),
    ]
    _, (small, tiny) = tables(tmp_path, paths)
    # The reference's seeds are 80 and 84 %, the model's are alike.
    assert small["own_seed_error"] == "2.0000"
    assert 0 < float(small["chance_error"]) < float(small["seed_error"])
    assert tiny["own_seed_error"] == "" and float(tiny["seed_error"]) > 0


def test_estimate_gap_of_one_seed_each_says_nothing_of_seeds(tmp_path: Path) -> None:
    paths = [write_cell(tmp_path, name, 250, 0.6, [1]) for name in ("big", "small")]
    accuracies, gaps = tables(tmp_path, paths)
    assert {row["seed_error"] for row in [*accuracies, *gaps]} == {""}


def test_estimate_gap_flags_what_has_diverged(tmp_path: Path) -> None:
    paths = [write_cell(tmp_path, "big", 250, 0.9, [1, 2, 3], rows=400)]
    paths += [write_cell(tmp_path, "small", 250, 0.8, [1, 2], rows=400)]
    paths += [write_cell(tmp_path, "small", 250, 0.5, [3], rows=400)]
    paths += [write_cell(tmp_path, "more", 250, 0.7, [1, 2, 3], rows=400)]
    accuracies, gaps = tables(tmp_path, paths)
    assert {row["model"]: row["diverged"] for row in accuracies} == {
        "big": "0",
        "small": "1",
        "more": "0",
    }
    small, more = gaps
    assert (small["gap"], small["ordinary_gap"], small["diverged"]) == ("20.0000", "10.0000", "1")
    assert (more["ordinary_gap"], more["diverged"]) == ("", "0")


def test_estimate_gap_leaves_out_what_has_no_partner(tmp_path: Path) -> None:
    paths = [
        write_cell(tmp_path, "big", 250, 0.8, [1, 2]),
        write_cell(tmp_path, "big", 4000, 0.9, [1]),
        write_cell(tmp_path, "small", 250, 0.6, [2]),
        write_cell(tmp_path, "small", 1000, 0.7, [1]),  # no reference at this size
        write_cell(tmp_path, "small", 4000, 0.8, [3]),  # no seed in common, which it does not take
        write_cell(tmp_path, "tiny", 250, 0.5, [1]),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    assert [(row["model"], row["n"]) for row in accuracies] == [
        *(("big", "250"), ("big", "4000")),
        *(("small", "250"), ("small", "1000"), ("small", "4000"), ("tiny", "250")),
    ]
    assert [(row["model"], row["n"], row["seed_list"]) for row in gaps] == [
        ("small", "250", "2"),
        ("small", "4000", "3"),
        ("tiny", "250", "1"),
    ]


@pytest.mark.parametrize("reference", ["big", "huge"], ids=["another size", "never run"])
def test_estimate_gap_of_nothing_to_compare_is_an_error(tmp_path: Path, reference: str) -> None:
    paths = [
        write_cell(tmp_path, "big", 1000, 0.8, [1, 2]),
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
        *(write_cell(tmp_path, "big", 250, share, [seed], 4) for seed, share in ((1, 1), (2, 0))),
        *(write_cell(tmp_path, "small", 250, share, [seed], 4) for seed, share in ((1, 0), (2, 0))),
    ]
    accuracies, gaps = tables(tmp_path, paths)
    ends = [accuracies[0][f"accuracy_{end}"] for end in ("low", "high")]
    assert ends == ["0.0000", "100.0000"]
    assert gaps[0]["gap_high"] == "100.0000"
