"""What fewer trials would have come to, against all subsets written out."""

import itertools
from statistics import fmean

import pytest
from gap.results.trials import budgets, expected_best
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(VALUES, st.data())
def test_it_is_the_mean_over_all_subsets_of_the_one_that_comes_first(values, data):
    budget = data.draw(st.integers(1, len(values)))
    subsets = itertools.combinations(range(len(values)), budget)
    expected = fmean(values[min(subset)] for subset in subsets)
    assert expected_best(values, budget) == pytest.approx(expected)


@given(VALUES)
def test_ordered_values_get_better_with_the_budget_from_their_mean_to_the_best(values):
    ordered = sorted(values, reverse=True)
    expected = [expected_best(ordered, budget) for budget in range(1, len(values) + 1)]
    assert expected[0] == pytest.approx(fmean(values))
    assert expected[-1] == ordered[0]
    assert all(few <= more + 1e-12 for few, more in itertools.pairwise(expected))


def test_many_trials_are_no_trouble():
    values = [1 - place / 5000 for place in range(5000)]
    assert expected_best(values, 2500) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("trials", "told"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (5, [1, 2, 4, 5]), (12, [1, 2, 4, 8, 12])],
)
def test_budgets_double_up_to_all(trials, told):
    assert budgets(trials) == told
