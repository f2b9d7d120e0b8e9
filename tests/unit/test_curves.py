"""Curves through gaps, where they cross the margin, and forecasts of what was held back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import forecast_gap
import numpy as np
import pytest
from gap.results.curves import (
    DRAWS,
    FORMS,
    REACH,
    Measured,
    crossing,
    crossings,
    curves,
    fit,
    held_back,
    measured,
)
from gap.results.predictions import write_predictions
from gap.run.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = np.array([250.0, 500, 1000, 2000, 4000, 8000])
EXACT = {
    "power law with offset": lambda n: 90 * n**-0.5 + 0.1,
    "power law": lambda n: 60 * n**-0.45,
    "exponential with offset": lambda n: 12 * np.exp(-n / 1500) + 0.2,
    "logarithmic": lambda n: 20 - 2 * np.log(n),
}


def known(values: np.ndarray, error: float = 0.001, sizes: np.ndarray = SIZES) -> Measured:
    """Return what was measured without seeds' part, all errors alike and independent."""
    count = len(values)
    return Measured(sizes[:count], values, np.eye(count) * error**2, np.zeros(count), 0)


def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("name", EXACT)
def test_each_form_fits_its_own_curves(name: str) -> None:
    form = next(form for form in FORMS if form.name == name)
    values = EXACT[name](SIZES)
    fitted = fit(form, SIZES, np.stack([values, 2 * values]), np.ones(len(SIZES)))
    assert fitted.at(SIZES)[0] == pytest.approx(values, abs=0.1)
    # The parts that are linear are found exactly.
    assert fitted.at(SIZES)[1] == pytest.approx(2 * fitted.at(SIZES)[0])


def test_weights_say_which_value_a_curve_keeps_to() -> None:
    logarithmic = FORMS[-1]
    values = np.array([[10.0, 8.0, 0.0]])
    last_known_well = fit(logarithmic, SIZES[:3], values, np.array([1.0, 1.0, 1e6]))
    last_hardly_known = fit(logarithmic, SIZES[:3], values, np.array([1.0, 1.0, 1e-6]))
    assert last_known_well.at(SIZES[2:3])[0, 0] == pytest.approx(0.0, abs=0.01)
    assert last_hardly_known.at(SIZES[2:3])[0, 0] == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize("name", EXACT)
def test_the_crossing_of_an_exact_curve_is_found(name: str) -> None:
    found = curves(known(EXACT[name](SIZES)), random(), 100)
    grid = np.geomspace(SIZES[0], REACH * SIZES[-1], 100_000)
    truth = grid[np.argmax(EXACT[name](grid) <= 1.0)]
    where = crossing(found, 1.0, 0.95)
    assert where.n == pytest.approx(truth, rel=0.1)
    assert where.low <= 1.02 * where.n and where.high >= 0.98 * where.n
    assert where.within_reach == 1.0


def test_the_form_is_that_which_forecasts_the_largest_size_best() -> None:
    values = EXACT["logarithmic"](SIZES)
    assert curves(known(values), random(), 10).form == "logarithmic"
    assert curves(known(EXACT["exponential with offset"](SIZES)), random(), 10).form.startswith(
        "exponential"
    )
    # With three sizes, just forms of two parameters can be asked.
    for form in FORMS:
        before = np.array([[9.0, 7.0]])
        third = fit(form, SIZES[:2], before, np.ones(2)).at(SIZES[2:3])[0]
        values = np.concatenate([before[0], third])
        assert curves(known(values), random(), 10).form in ("power law", "logarithmic")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([9.0, 8.5, 8.0, 7.5], np.inf),
        ([5.0, 5.5, 6.0, 6.5], np.inf),
        ([0.5, 0.4, 0.3, 0.2], 250.0),
        ([-3.0, -3.2, -3.4, -3.6], 250.0),
    ],
)
def test_what_never_crosses_or_always_has(values: list[float], expected: float) -> None:
    found = crossing(curves(known(np.array(values)), random(), 100), 1.0, 0.95)
    assert (found.n, found.low, found.high) == (expected, expected, expected)
    assert found.within_reach == float(np.isfinite(expected))


def test_what_is_hardly_known_has_a_wide_interval() -> None:
    values = EXACT["power law"](SIZES)
    near = crossing(curves(known(values, 0.05), random()), 1.0, 0.95)
    far = crossing(curves(known(values, 1.0), random()), 1.0, 0.95)
    assert near.low < near.n < near.high
    assert far.low < near.low < near.high < far.high
    assert far.within_reach < near.within_reach == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-3, 6), min_size=5, max_size=5), min_size=1, max_size=4))
def test_a_crossing_is_where_the_rest_of_the_curve_is_under_the_margin(rows) -> None:
    n, values = np.array([1.0, 2, 4, 8, 16]), np.array(rows, dtype=float)
    for place, found in enumerate(crossings(n, values, 1.5)):
        fine = np.geomspace(1, 16, 4001)
        curve = np.interp(np.log(fine), np.log(n), values[place])
        above = np.flatnonzero(curve > 1.5)
        if len(above) == 0:
            assert found == 1.0
        elif above[-1] == 4000:
            assert found == np.inf
        else:
            assert found == pytest.approx(fine[above[-1]], rel=1e-3)


def test_forecasts_hold_back_each_size_in_turn() -> None:
    values = EXACT["power law"](SIZES)
    found = held_back(known(values, 0.01), 0.95, random(), 200)
    assert [(one.sizes, one.largest, one.n) for one in found] == [
        *((3, 1000, 2000), (4, 2000, 4000), (5, 4000, 8000))
    ]
    assert [one.measured for one in found] == pytest.approx(values[3:])
    for one in found:
        assert one.low < one.value < one.high
        assert one.value == pytest.approx(one.measured, abs=0.5)
    # What comes later has no part in a forecast.
    changed = values.copy()
    changed[-1] = 50.0
    again = held_back(known(changed, 0.01), 0.95, random(), 200)
    assert [(one.value, one.low) for one in again[:2]] == [
        (one.value, one.low) for one in found[:2]
    ]
    assert again[2].value == found[2].value and again[2].measured == 50.0


def test_too_few_sizes_have_no_curve() -> None:
    with pytest.raises(ValueError, match="2 sizes"):
        curves(known(np.array([9.0, 5.0])), random())
    assert held_back(known(np.array([9.0, 5.0, 3.0])), 0.95, random()) == []


def test_parts_of_what_was_measured_by_definition() -> None:
    one = np.array([[1, 0, 0, 1], [1, 1, 0, -1]])
    other = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]])
    found = measured([10, 20], [one, other])
    assert found.values == pytest.approx([37.5, 100 * 5 / 12])
    assert found.freedom == 3
    squares = np.var([50, 25]) * 2 + np.var([75, 25, 25]) * 3
    assert found.seeds == pytest.approx([squares / 3 / 2, squares / 3 / 3])
    by_row = 100 * np.stack([one.mean(axis=0), other.mean(axis=0)])
    assert found.rows == pytest.approx(np.cov(by_row) / 4)
    assert measured([10, 20], [one[:1], other[:1]]).freedom == 0


def test_draws_scatter_as_what_was_measured_does() -> None:
    rows = np.array([[1.0, 0.8], [0.8, 1.0]])
    known = Measured(SIZES[:2], np.array([5.0, 3.0]), rows, np.array([4.0, 2.0]), 1000)
    drawn = known.draw(40_000, random())
    assert drawn.mean(axis=0) == pytest.approx([5.0, 3.0], abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(rows + np.diag([4.0, 2.0]), abs=0.12)


def write_cells(folder: Path, models: dict[str, list[float]], rows: int = 200) -> list[str]:
    """Write predictions of models that are right on the given shares of the rows, size by size."""
    paths = []
    for model, shares in models.items():
        for n, share in zip((100, 200, 400, 800), shares, strict=False):
            path = folder / f"{model}-{n}.parquet"
            right = np.arange(rows) < share * rows
            scores = np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]))
            cell = {"dataset": "films", "model": model, "size": str(n), "n": n}
            write_predictions(path, cell, {1: scores, 2: scores}, np.zeros(rows, int))
            paths.append(str(path))
    return paths


def tables(folder: Path, paths: list[str]) -> dict[str, list[dict[str, str]]]:
    names = ("crossings", "forecasts", "curves")
    recipe = json.dumps({"reference": "big", "margin": 1.0, "confidence": 0.95})
    options = [f"--{name}={folder / name}.csv" for name in names]
    forecast_gap.main(["--recipe", recipe, *options, *paths])
    found = {}
    for name in names:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found[name] = list(csv.DictReader(file))
    return found


def test_forecast_gap_writes_its_tables(tmp_path: Path) -> None:
    models = {
        "small": [0.5, 0.6, 0.7, 0.8],
        "big": [0.9, 0.9, 0.9, 0.9],
        "late": [0.6, 0.7],  # too few sizes
    }
    found = tables(tmp_path, write_cells(tmp_path, models))
    (crossed,) = found["crossings"]
    assert [crossed[key] for key in ("dataset", "model", "reference", "sizes", "largest")] == [
        *("films", "small", "big", "4", "800")
    ]
    assert float(crossed["n_low"]) <= float(crossed["n"]) <= float(crossed["n_high"])
    # 40, 30, 20 and 10 points: a straight line over the logarithm, which ends at 1,600.
    assert crossed["form"] == "logarithmic"
    assert float(crossed["n"]) == pytest.approx(800 * 2**0.9, rel=0.02)
    (forecast,) = found["forecasts"]
    assert (forecast["largest"], forecast["n"]) == ("400", "800")
    assert float(forecast["measured"]) == pytest.approx(10)
    assert {row["model"] for row in found["curves"]} == {"small"}
    assert float(found["curves"][0]["n"]) == 100
    gaps = [float(row["gap"]) for row in found["curves"]]
    assert gaps == sorted(gaps, reverse=True) and len(gaps) > 20


def test_a_forecast_is_the_same_whatever_else_is_in_the_study(tmp_path: Path) -> None:
    models = {"big": [0.9] * 4, "small": [0.5, 0.6, 0.7, 0.8]}
    before = tables(tmp_path, write_cells(tmp_path, models))
    more = {"other": [0.55, 0.6, 0.65, 0.7]} | models
    after = tables(tmp_path, write_cells(tmp_path, more))
    assert before["crossings"][0] in after["crossings"]
    assert before["forecasts"][0] in after["forecasts"]


def test_forecast_gap_of_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run is finished"):
        tables(tmp_path, [])


def test_forecast_gap_of_the_reference_alone_has_empty_tables(tmp_path: Path) -> None:
    found = tables(tmp_path, write_cells(tmp_path, {"big": [0.9] * 4}))
    assert found == {"crossings": [], "forecasts": [], "curves": []}
    assert DRAWS >= 1000


def test_forecast_gap_says_where_test_sets_differ(tmp_path: Path) -> None:
    paths = write_cells(tmp_path, {"big": [0.9] * 4})
    paths += write_cells(tmp_path, {"small": [0.5, 0.6, 0.7, 0.8]}, rows=150)
    with pytest.raises(UserError, match=r"test sets of different length, \[150, 200\] rows"):
        tables(tmp_path, paths)
