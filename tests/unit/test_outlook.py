"""What more seeds and test rows would tell of a gap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gap.results.outlook import Outlook, chance_to_tell
from gap.results.predictions import Cell
from gap.results.run_scores import RunScores
from gap.results.statistics import differences
from gap.results.study_errors import StudyErrors
from hypothesis import assume, given, settings
from hypothesis import strategies as st

MARGIN = 1.0


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-8, 8), st.floats(0.05, 3), st.floats(0.05, 2), st.integers(2, 6), st.floats(1.5, 4)
)
def test_errors_fall_with_what_they_come_from(
    value: float, of_seeds: float, of_rows: float, seeds: int, reach: float
) -> None:
    outlook = Outlook(value, of_seeds, of_rows, seeds, 2000, reach)
    assert outlook.error(seeds, 2000) == pytest.approx(math.hypot(of_seeds, of_rows))
    assert outlook.error(4 * seeds, 8000) == pytest.approx(math.hypot(of_seeds, of_rows) / 2)
    # Without anything new, what is known stays as it is.
    assume(abs(abs(abs(value) - MARGIN) - reach * outlook.error(seeds, 2000)) > 1e-6)
    told = abs(abs(value) - MARGIN) > reach * outlook.error(seeds, 2000)
    assert outlook.chance_to_decide(MARGIN, seeds, 2000) == pytest.approx(float(told), abs=1e-6)
    # With all that could be known, nothing stays open.
    assert outlook.chance_to_decide(MARGIN, 1e12, 1e15) > 0.99
    assert 0 <= outlook.chance_to_decide(MARGIN, 10, 4000) <= 1


@pytest.mark.parametrize(("value", "spread", "half"), [(0.3, 0.5, 0.2), (-4, 2, 1), (2, 1, 3)])
def test_the_chance_is_that_of_draws(value: float, spread: float, half: float) -> None:
    draws = np.random.default_rng(3).normal(value, spread, 400_000)
    told = np.abs(np.abs(draws) - MARGIN) > half
    assert chance_to_tell(value, spread, MARGIN, half) == pytest.approx(told.mean(), abs=0.004)


def test_the_smallest_gap_is_told_by_four_of_five_studies() -> None:
    outlook = Outlook(0.0, 1.2, 0.9, 3, 2000, 2.2)
    rng = np.random.default_rng(4)
    estimates = outlook.smallest_told(MARGIN) + 1.5 * rng.standard_normal(200_000)
    assert np.mean(estimates - MARGIN > 2.2 * 1.5) == pytest.approx(0.8, abs=0.005)
    assert outlook.chance_to_tell_none(MARGIN) == 0
    precise = Outlook(0.0, 0.12, 0.09, 3, 2000, 2.2)
    estimates = 0.15 * rng.standard_normal(200_000)
    expected = np.mean(np.abs(estimates) < MARGIN - 2.2 * 0.15)
    assert precise.chance_to_tell_none(MARGIN) == pytest.approx(expected, abs=0.005)


def study(rng: np.random.Generator, gap: float, seeds: int) -> RunScores:
    """Return made-up runs of two models on 1,000 test rows, with a true gap in points."""
    hardness = rng.normal(0, 1, 1000)
    cells, numbers, values = [], [], []
    for model, mean in (("big", 80.0), ("small", 80.0 - gap)):
        for n in (100, 400, 1600):
            for seed in range(seeds):
                share = (mean + rng.normal(0, 1.5)) / 100
                cut = np.quantile(hardness, min(0.99, share))
                right = hardness + rng.normal(0, 0.5, 1000) < cut
                cells.append(Cell("films", model, str(n), n))
                numbers.append(seed + (100 if model == "small" else 0))
                values.append(np.float32(100) * right)
    return RunScores(cells, numbers, np.stack(values), None, 100.0)


def first_seeds(scores: RunScores, seeds: int) -> RunScores:
    """Return the runs of the first seeds."""
    runs = [place for place, seed in enumerate(scores.seeds) if seed % 100 < seeds]
    cells, numbers = [scores.cells[run] for run in runs], [scores.seeds[run] for run in runs]
    return RunScores(cells, numbers, scores.values[runs], None, 100.0)


def test_chances_are_as_often_right_as_they_say() -> None:
    rng = np.random.default_rng(7)
    chances, told = [], []
    for gap in np.linspace(-1, 7, 60):
        scores = study(rng, gap, 12)
        before, after = (StudyErrors(first_seeds(scores, k), "big") for k in (3, 12))
        cell = Cell("films", "small", "400", 400)
        today, later = before.gap(cell), after.gap(cell)
        errors = math.sqrt(today.seed_variances.mean()), math.sqrt(today.row_variance)
        reach = today.half_width(0.95) / math.hypot(*errors)
        if differences([today], MARGIN, 0.95) != ["unclear"]:
            continue
        outlook = Outlook(today.value, *errors, 3, 1000, reach)
        chances.append(outlook.chance_to_decide(MARGIN, 12, 1000))
        told.append(differences([later], MARGIN, 0.95) != ["unclear"])
    assert len(told) > 25
    # Some 40 studies: the share that is told has a standard error of 0.07.
    assert np.mean(told) == pytest.approx(np.mean(chances), abs=0.15)
