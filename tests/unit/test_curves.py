"""Learning curves, the gaps between them, where they cross the margin, and what was held back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import forecast_gap
import numpy as np
import pytest
from gap.results.curves import (
    EXPONENTS,
    REACH,
    RISES,
    WALKS,
    GapCurve,
    Measured,
    crossing,
    crossings,
    fit_curve,
    forms,
    gap_curve,
    grid,
    held_back,
    staying,
)
from gap.results.predictions import write_predictions
from gap.run.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = np.array([250.0, 500, 1000, 2000, 4000, 8000])


def measured(values: Sequence[float] | np.ndarray, error: float = 0.05) -> Measured:
    """Return what was measured at the first of SIZES, all errors alike."""
    count = len(values)
    return Measured(SIZES[:count], np.asarray(values, float), np.full(count, error**2))


def test_forms_are_as_probable_as_it_says() -> None:
    for shares in (EXPONENTS, RISES, WALKS):
        assert sum(shares.values()) == pytest.approx(1)
    assert sum(form.probability for form in forms()) == pytest.approx(1)


@pytest.mark.parametrize(
    "truth",
    [lambda n: 90 - 200 * n**-0.5, lambda n: 75 - 90 * n**-0.3, lambda n: np.full_like(n, 80.0)],
    ids=["square root", "slow", "level"],
)
def test_a_curve_goes_on_as_it_began(truth) -> None:
    n = np.array([4000.0, 16_000, 32_000])
    curve = fit_curve(measured(truth(SIZES)), n)
    assert curve.values == pytest.approx(truth(n), abs=0.5)
    errors = np.sqrt(curve.variances)
    assert errors[0] < 0.1 < errors[1] < errors[2]
    assert (np.abs(curve.values - truth(n)) < 2 * errors).all()


def test_a_curve_only_rises_where_what_was_measured_falls() -> None:
    falling = measured([80, 79, 78, 77, 76, 75], 0.5)
    ahead = fit_curve(falling, np.array([32_000.0])).values[0]
    # The last value, and no further.
    assert 74 < ahead < 77
    assert falling.falls
    assert not measured([80, 79.9, 81, 82], 0.5).falls


def test_what_is_hardly_known_keeps_to_what_is_known_well() -> None:
    values, n = np.array([60.0, 65, 70, 90]), np.array([2000.0])
    well = Measured(SIZES[:4], values, np.array([0.1, 0.1, 0.1, 0.1]))
    hardly = Measured(SIZES[:4], values, np.array([0.1, 0.1, 0.1, 400.0]))
    assert fit_curve(well, n).values[0] == pytest.approx(90, abs=1)
    assert fit_curve(hardly, n).values[0] == pytest.approx(74, abs=4)


def test_no_metric_is_forecast_beyond_what_can_be() -> None:
    curve = fit_curve(measured([40, 60, 80, 99]), np.array([32_000.0]))
    assert curve.values[0] <= 100


def test_too_few_sizes_have_no_curve() -> None:
    with pytest.raises(ValueError, match="2 sizes"):
        fit_curve(measured([90.0, 95.0]), SIZES)
    assert held_back(measured([90, 91, 92]), measured([80, 85, 88]), 0.01, 0.95) == []


def test_the_crossing_of_two_curves_is_found() -> None:
    reference = measured(np.full(6, 90.0))
    model = measured(90 - 60 * SIZES**-0.5)
    curve = gap_curve(reference, model, 0.01, grid(SIZES.tolist()))
    closes = crossing(curve, 1.0, 0.95)
    assert closes.n == pytest.approx(3600, rel=0.05)
    assert closes.low < closes.n < closes.high
    assert curve.n[-1] == REACH * SIZES[-1]
    within = curve.within(1.0)
    assert within[0] < 0.01 and within[curve.at(8000)] > 0.95
    place = curve.at(closes.n)
    assert within[place] == pytest.approx(0.5, abs=0.2)


def test_rows_and_few_doublings_widen_a_forecast() -> None:
    def half(row_variance: float, sizes: int) -> float:
        reference, model = measured([90, 91, 92, 92][:sizes]), measured([80, 84, 87, 89][:sizes])
        curve = gap_curve(reference, model, row_variance, np.array([16_000.0]))
        return float(curve.errors[0])

    assert half(4.0, 4) ** 2 == pytest.approx(half(0.0, 4) ** 2 + 4)
    assert half(0.0, 3) > 1.5 * half(0.0, 4)


@pytest.mark.parametrize(
    ("values", "expected"), [([80.0, 81, 82, 83], np.inf), ([90.5, 90.6, 90.7, 90.8], 250.0)]
)
def test_what_never_crosses_or_always_has(values: list[float], expected: float) -> None:
    curve = gap_curve(measured([90.5] * 4), measured(values), 1e-4, SIZES[:4])
    assert crossing(curve, 1.0, 0.95).n == expected


def test_a_gap_that_is_taken_to_stay_does() -> None:
    curve = gap_curve(
        measured([90.0] * 6), measured(90 - 200 * SIZES**-0.5), 0.01, grid(SIZES.tolist())
    )
    still = staying(curve)
    inside = curve.n <= curve.largest
    assert (still.values[inside] == curve.values[inside]).all()
    assert set(still.values[~inside]) == {curve.values[curve.at(8000)]}
    # The interval still holds what the curve forecasts.
    low, _ = still.interval(0.95)
    assert (low <= curve.values).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-3, 6), min_size=5, max_size=5), min_size=1, max_size=4))
def test_a_crossing_is_where_the_rest_of_the_curve_is_under_the_margin(rows) -> None:
    n, values = np.array([1.0, 2, 4, 8, 16]), np.array(rows, dtype=float)
    for place, crossed in enumerate(crossings(n, values, 1.5)):
        fine = np.geomspace(1, 16, 4001)
        curve = np.interp(np.log(fine), np.log(n), values[place])
        above = np.flatnonzero(curve > 1.5)
        if len(above) == 0:
            assert crossed == 1.0
        elif above[-1] == 4000:
            assert crossed == np.inf
        else:
            assert crossed == pytest.approx(fine[above[-1]], rel=1e-3)


def test_intervals_are_normal() -> None:
    curve = GapCurve(np.array([1.0]), np.array([3.0]), np.array([2.0]), 1.0)
    low, high = curve.interval(0.95)
    assert (low[0], high[0]) == pytest.approx((3 - 3.92, 3 + 3.92), abs=1e-3)
    assert curve.within(3.0)[0] == 0.5


def test_forecasts_hold_back_each_size_in_turn() -> None:
    reference, model = measured(np.full(6, 90.0)), measured(90 - 60 * SIZES**-0.45)
    forecasts = held_back(reference, model, 0.01, 0.95)
    assert [(one.sizes, one.largest, one.n) for one in forecasts] == [
        *((3, 1000, 2000), (4, 2000, 4000), (5, 4000, 8000))
    ]
    gaps = reference.values - model.values
    assert [one.measured for one in forecasts] == pytest.approx(gaps[3:])
    assert [one.last for one in forecasts] == pytest.approx(gaps[2:-1])
    for forecast in forecasts:
        assert forecast.low < forecast.measured < forecast.high
        assert forecast.value == pytest.approx(forecast.measured, abs=0.5)
    # What comes later has no part in a forecast.
    changed = Measured(model.n, np.append(model.values[:-1], 20.0), model.variances)
    again = held_back(reference, changed, 0.01, 0.95)
    assert [one.value for one in again] == [one.value for one in forecasts]
    assert again[2].measured == 70.0


def test_forecasts_that_do_not_beat_the_last_gap_are_withheld() -> None:
    steady = measured([90.0] * 6, 0.3)
    good = held_back(steady, measured(90 - 60 * SIZES**-0.45, 0.3), 0.01, 0.95)
    stopped = held_back(steady, measured([60, 70, 80, 80, 80, 80], 0.3), 0.01, 0.95)
    assert not forecast_gap.is_withheld(good)
    assert forecast_gap.is_withheld(stopped)
    assert not forecast_gap.is_withheld([])


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
    read = {}
    for name in names:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            read[name] = list(csv.DictReader(file))
    return read


def test_forecast_gap_writes_its_tables(tmp_path: Path) -> None:
    models = {
        "small": [0.5, 0.6, 0.7, 0.8],
        "big": [0.9, 0.9, 0.9, 0.9],
        "late": [0.6, 0.7],  # too few sizes
    }
    read = tables(tmp_path, write_cells(tmp_path, models))
    (crossed,) = read["crossings"]
    assert [crossed[key] for key in ("dataset", "model", "reference", "sizes", "largest")] == [
        *("films", "small", "big", "4", "800")
    ]
    assert (crossed["withheld"], crossed["falls"]) == ("no", "no")
    assert float(crossed["n_low"]) <= float(crossed["n"]) <= float(crossed["n_high"])
    # 40, 30, 20 and 10 points: less at twice the largest size, and surer there than at four times.
    assert 0 < float(crossed["gap_2x"]) < 8 and float(crossed["gap_4x"]) < float(crossed["gap_2x"])
    assert 0 < float(crossed["within_2x"]) < float(crossed["within_4x"]) < 1
    (forecast,) = read["forecasts"]
    assert (forecast["largest"], forecast["n"]) == ("400", "800")
    assert (float(forecast["measured"]), float(forecast["last"])) == pytest.approx((10, 20))
    assert {row["model"] for row in read["curves"]} == {"small"}
    assert float(read["curves"][0]["n"]) == 100
    gaps = [float(row["gap"]) for row in read["curves"]]
    assert gaps == sorted(gaps, reverse=True) and len(gaps) > 20


def test_forecast_gap_of_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run is finished"):
        tables(tmp_path, [])


def test_forecast_gap_of_the_reference_alone_has_empty_tables(tmp_path: Path) -> None:
    read = tables(tmp_path, write_cells(tmp_path, {"big": [0.9] * 4}))
    assert read == {"crossings": [], "forecasts": [], "curves": []}


def test_forecast_gap_says_where_test_sets_differ(tmp_path: Path) -> None:
    paths = write_cells(tmp_path, {"big": [0.9] * 4})
    paths += write_cells(tmp_path, {"small": [0.5, 0.6, 0.7, 0.8]}, rows=150)
    with pytest.raises(UserError, match=r"test sets of different length, \[150, 200\] rows"):
        tables(tmp_path, paths)
