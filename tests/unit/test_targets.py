"""With how many labels a target is reached, at what price, and what to buy first."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import price_target
import pytest
from gap.report.markdown import part_as_markdown
from gap.report.targets import decide, targets
from gap.results.curves import Measured
from gap.results.findings import Findings
from gap.results.predictions import write_predictions
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, LatencyRow, TrialRow
from gap.results.tables import write_rows
from gap.results.targets import (
    LARGEST_STEP,
    LAST_STEP,
    Attainment,
    TargetRow,
    attainment,
    next_labels,
    seconds_with,
)
from gap.results.trials import training_seconds
from table_rows import card_of, row_of

SIZES = np.array([100.0, 200, 400, 800, 1600])


def measured(values: list[float], error: float = 0.2) -> Measured:
    return Measured(SIZES, np.array(values), np.full(len(values), error**2))


RISING = measured([60.0, 66.0, 71.0, 75.0, 78.0])


# ---------------------------------------------------------------- chances


def test_a_target_between_two_sizes_is_reached_between_them():
    told = attainment(RISING, 0.0, 73.0)
    even, sure = told.first(0.5), told.first(0.9)
    assert 400 < even < sure < 800
    assert told.at(400) < 0.05
    assert told.at(800) > 0.95


def test_a_higher_target_and_less_risk_take_more_labels():
    even = [attainment(RISING, 0.0, target).first(0.5) for target in (70.0, 74.0, 79.0, 81.0)]
    assert even == sorted(even)
    assert len(set(even)) == 4
    told = attainment(RISING, 0.5, 77.0)
    assert told.first(0.5) < told.first(0.8) < told.first(0.95)


def test_few_test_rows_make_it_less_sure():
    many, few = (attainment(RISING, variance, 77.0) for variance in (0.1, 4.0))
    assert few.first(0.9) > many.first(0.9)
    assert few.at(1600) < many.at(1600)


def test_what_no_curve_reaches_is_not_told():
    told = attainment(RISING, 0.1, 99.0)
    assert math.isinf(told.first(0.5))
    assert next_labels(told, 1600, 0.1) is None


def test_what_the_smallest_size_reaches_takes_no_more():
    told = attainment(RISING, 0.1, 40.0)
    assert told.first(0.9) == 100
    assert next_labels(told, 1600, 0.1) == 1600


def test_between_two_sizes_chances_lie_on_a_line_over_the_logarithm():
    told = Attainment(np.array([100.0, 400.0]), np.array([0.2, 0.8]))
    assert told.first(0.5) == pytest.approx(200)
    assert told.at(200) == pytest.approx(0.5)


# ---------------------------------------------------------------- what to buy first


def test_it_is_bought_to_an_even_chance_then_in_small_steps():
    n = np.array([100.0, 120.0, 200.0, 400.0])
    # Far away: a large step.
    assert (
        next_labels(Attainment(n, np.array([0.0, 0.0, 0.1, 0.7])), 100, 0.1) == 100 * LARGEST_STEP
    )
    # Near: to an even chance.
    near = Attainment(n, np.array([0.1, 0.5, 0.8, 0.95]))
    assert next_labels(near, 100, 0.1) == 120
    # As likely reached as not: a small step, though no size is safe.
    likely = Attainment(n, np.array([0.6, 0.62, 0.7, 0.8]))
    assert next_labels(likely, 100, 0.1) == math.ceil(100 * LAST_STEP)


def test_what_was_measured_is_not_bought_again_where_a_curve_falls():
    n = np.array([100.0, 200.0, 400.0])
    fallen = Attainment(n, np.array([0.95, 0.3, 0.6]))
    assert next_labels(fallen, 200, 0.1) == 200 * LARGEST_STEP


# ---------------------------------------------------------------- prices


def test_a_training_takes_as_long_as_its_neighbours():
    seconds = {100: 10.0, 400: 40.0}
    assert seconds_with(seconds, 200) == pytest.approx(20)
    assert seconds_with(seconds, 50) == pytest.approx(10)
    assert seconds_with(seconds, 4000) == pytest.approx(400)
    assert seconds_with({}, 200) is None
    assert seconds_with({100: 0.0, 400: 0.0}, 200) == pytest.approx(0, abs=1e-5)


def test_seconds_are_of_all_trials_of_a_seed():
    trials = [
        row_of(TrialRow, dataset="films", model="big", size="100", seed=seed, seconds=seconds)
        for seed, seconds in ((1, 3.0), (1, 5.0), (2, 4.0))
    ]
    assert training_seconds(trials) == {("films", "big", "100"): 6.0}


# ---------------------------------------------------------------- the program


@pytest.fixture
def study(tmp_path: Path) -> list[str]:
    """The arguments that name the files of a study of two models on 400 test rows."""
    paths = []
    shares = {"big": [0.7, 0.75, 0.8, 0.84], "small": [0.5, 0.6, 0.68, 0.75]}
    for model, right in shares.items():
        for n, share in zip((100, 200, 400, 800), right, strict=True):
            path = tmp_path / f"{model}-{n}.parquet"
            hits = np.arange(400) < share * 400
            scores = np.log(np.where(hits[:, None], [0.9, 0.1], [0.1, 0.9]))
            cell = {"dataset": "films", "model": model, "size": str(n), "n": n}
            write_predictions(path, cell, {1: scores, 2: scores}, np.zeros(400, int))
            paths.append(str(path))
    trials = [
        row_of(TrialRow, dataset="films", model=model, size=str(n), n=n, seed=1, seconds=n * factor)
        for model, factor in (("big", 3.6), ("small", 0.36))
        for n in (100, 800)
    ]
    write_rows(tmp_path / "trials.csv", TrialRow, trials)
    latencies = [
        row_of(LatencyRow, dataset="films", model=model, milliseconds=milliseconds)
        for model, milliseconds in (("big", 8.0), ("small", 2.0))
    ]
    write_rows(tmp_path / "latencies.csv", LatencyRow, latencies)
    (tmp_path / "card.json").write_text(json.dumps(card_of("films", 1000, 400)))
    named = [f"--{name}={tmp_path / name}.csv" for name in ("trials", "latencies", "targets")]
    return [*named, f"--cards={tmp_path / 'card.json'}", *paths]


def priced(study: list[str], target: float, **prices: float) -> dict[str, dict[str, str]]:
    recipe = {"reference": "big", "metric": "accuracy", "target": target, "risk": 0.1}
    recipe |= {"label": 0.5, "training_hour": 2.0, "thousand_texts": 0.04} | prices
    price_target.main(["--recipe", json.dumps(recipe), *study])
    table = next(word for word in study if word.startswith("--targets="))
    with Path(table.removeprefix("--targets=")).open(newline="") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def test_it_prices_missing_labels_training_and_answers(study):
    rows = priced(study, 86.0)
    big = rows["big"]
    sure = float(big["sure"])
    assert sure > 1000
    assert float(big["labels_price"]) == pytest.approx((sure - 1000) * 0.5, rel=1e-4)
    # 3.6 seconds for each label, 2.0 an hour.
    assert float(big["training_price"]) == pytest.approx(sure * 0.002, rel=1e-3)
    assert float(big["texts_price"]) == 0.04
    assert float(rows["small"]["texts_price"]) == 0.01
    assert int(big["pool"]) == 1000
    assert 800 < int(big["next"]) <= 1200


def test_labels_that_are_there_cost_nothing(study):
    rows = priced(study, 78.0)
    assert float(rows["big"]["sure"]) < 1000
    assert float(rows["big"]["labels_price"]) == 0


def test_a_price_of_zero_is_a_price(study):
    big = priced(study, 86.0, label=0.0, training_hour=0.0, thousand_texts=0.0)["big"]
    prices = [big[f"{name}_price"] for name in ("labels", "next", "training", "texts")]
    assert [float(price) for price in prices] == [0.0] * 4


def test_a_target_that_no_curve_reaches_has_no_price(study):
    for row in priced(study, 99.9).values():
        assert [row[name] for name in ("even", "sure", "next", "labels_price")] == [""] * 4


# ---------------------------------------------------------------- what is said of it


def findings(*rows: TargetRow) -> Findings:
    recipe = {"reference": "big", "margin": 1.0, "confidence": 0.95}
    recipe |= {"titles": {"big": "Big one", "small": "Small one"}}
    accuracies = [row_of(AccuracyRow, dataset="films", model="big", size="800", n=800)]
    return Findings(ReadingRecipe.model_validate(recipe), accuracies, targets=rows)


def row(model: str, **values: Any) -> TargetRow:
    kept = {"dataset": "films", "model": model, "metric": "accuracy", "target": 85.0, "risk": 0.1}
    return row_of(TargetRow, **kept | {"largest": 800, "pool": 1000} | values)


def said(*rows: TargetRow) -> str:
    section = targets(findings(*rows))
    assert section
    return " ".join("\n".join(map(part_as_markdown, section.parts)).split())


def test_the_cheapest_model_that_gets_there_is_named_and_what_to_buy_first():
    big = row("big", sure=1500.0, labels_price=250.0, training_price=3.0, next=1200)
    big_first = {"next_reached": 0.5, "next_price": 100.0, "even": 1200.0, "reached": 0.1}
    small = row("small", sure=2900.0, labels_price=950.0, training_price=0.1, next=1200)
    text = said(row_of(TargetRow, **vars(big) | big_first), small)
    assert (
        "Big one reaches an accuracy of 85 with 1,500 labels at a risk of 10 %, 500 more than the "
        "data have, for 253.00; buy 200 labels first and add a size of 1,200 (100.00): Big one is "
        "at the target there with a chance of 50 %"
    ) in text


def test_what_the_data_have_is_not_bought():
    reached = row("small", sure=700.0, labels_price=0.0, training_price=0.0, reached=0.97, next=800)
    assert decide(findings(reached), [reached]) == (
        "Small one reaches an accuracy of 85 with 700 labels at a risk of 10 %, which the data have"
    )
    later = row("small", next=950, next_reached=0.4, even=960.0)
    assert "add a size of 950 first, which the data have" in decide(findings(later), [later])


def test_where_curves_cannot_tell_it_says_so():
    text = said(row("big"), row("small"))
    assert "No curve reaches an accuracy of 85 within 4 times the largest size" in text
    assert "> 3,200" in text
    open_end = row("big", next=1200, next_reached=0.5, even=1200.0, next_price=40.0)
    assert "is not told within 4 times the largest size; buy 200 labels first" in said(open_end)


def test_a_study_without_a_target_has_no_section():
    assert targets(findings()) is None
