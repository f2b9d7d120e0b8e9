"""Grids of values, the trials that are drawn from them, and the one that is chosen."""

import itertools
from collections import Counter
from typing import Any

import pytest
from gap.models.family import load_recipe
from gap.study.tuning import (
    best_evaluation,
    choose,
    grid_size,
    largest,
    trials_of,
    tuned_values,
    with_settings,
)

ENTRY: dict[str, Any] = {
    "family": "lstm",
    "vocabulary": "pieces",
    "dropout": [0.1, 0.3],
    "width": 16,
    "optimisation": {"lr": [0.001, 0.002, 0.004], "batch_size": [8, 16], "warmup": 0.1},
}
RECIPE = load_recipe(ENTRY)


def recipe(trials=12):
    return load_recipe(ENTRY | {"trials": trials})


def test_a_grid_is_the_product_of_its_lists_the_models_own_turning_slowest():
    assert tuned_values(RECIPE) == {
        "dropout": [0.1, 0.3],
        "batch_size": [8, 16],
        "lr": [0.001, 0.002, 0.004],
    }
    assert grid_size(RECIPE) == 12
    found = trials_of(recipe(), seed=1)
    assert [trial.number for trial in found] == list(range(1, 13))
    expected = itertools.product([0.1, 0.3], [8, 16], [0.001, 0.002, 0.004])
    assert [tuple(trial.settings.values()) for trial in found] == list(expected)
    assert {tuple(trial.settings) for trial in found} == {("dropout", "batch_size", "lr")}
    last = {"lr": 0.004, "batch_size": 16, "warmup": 0.1}
    assert found[-1].recipe == load_recipe(ENTRY | {"dropout": 0.3, "optimisation": last})
    assert found[-1].recipe.trials == 1


def test_without_lists_there_is_one_trial_the_recipe_itself():
    entry = {"family": "linear", "analyser": "words"}
    single = load_recipe(entry | {"optimisation": {"inverse_regularisation": 0.5}})
    (only,) = trials_of(single, seed=3)
    assert (only.number, only.settings, only.recipe) == (1, {}, single)


def test_seeds_of_an_entry_in_the_config_are_not_tuned():
    assert grid_size(load_recipe(ENTRY | {"seeds": [1, 2]})) == 12


def test_settings_reach_their_keys_and_no_others():
    changed = with_settings(RECIPE, {"lr": 0.5, "dropout": 0.2})
    settings = ENTRY["optimisation"] | {"lr": 0.5}
    assert changed == load_recipe(ENTRY | {"dropout": 0.2, "optimisation": settings})


def test_the_largest_of_each_list():
    most = {"lr": 0.004, "batch_size": 16, "warmup": 0.1}
    assert largest(RECIPE) == load_recipe(ENTRY | {"dropout": 0.3, "optimisation": most})


def numbers(count, seed, entry=ENTRY):
    trials = trials_of(load_recipe(entry | {"trials": count}), seed)
    return [trial.number for trial in trials]


def test_trials_are_drawn_without_replacement_by_the_seed_and_larger_numbers_add_to_smaller():
    for seed in range(20):
        draws = [numbers(count, seed) for count in range(1, 13)]
        for count, drawn in enumerate(draws, start=1):
            assert drawn == sorted(set(drawn))
            assert len(drawn) == count
            assert drawn == numbers(count, seed)
        assert all(set(few) < set(more) for few, more in itertools.pairwise(draws))
    assert len({tuple(numbers(4, seed)) for seed in range(20)}) > 10


def test_each_combination_is_drawn_as_often():
    counts = Counter(number for seed in range(2000) for number in numbers(3, seed))
    # 500 each are expected, with a standard deviation of 19.
    assert set(counts) == set(range(1, 13))
    assert all(abs(count - 500) < 5 * 19 for count in counts.values())


def test_a_grid_beyond_all_bounds_is_not_written_out():
    keys = ("lr", "warmup", "weight_decay", "max_grad_norm", "batch_size", "max_epochs")
    values = [value / 100 for value in range(1, 101)]
    settings = {key: list(range(1, 101)) if key == "batch_size" else values for key in keys}
    huge = ENTRY | {"dropout": [value / 2 for value in values], "optimisation": settings}
    assert grid_size(load_recipe(huge)) == 100**7
    assert len(numbers(5, 1, huge)) == 5


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ([0.4, 0.2, 0.3], 1),
        # The first of equal ones.
        ([0.4, 0.2, 0.2], 1),
        # One that diverged loses.
        ([None, 0.9, None], 1),
        ([None, None], 0),
    ],
)
def test_the_lowest_loss_is_chosen(losses, chosen):
    reports = [{"trial": place, "loss": loss} for place, loss in enumerate(losses)]
    assert choose(reports) is reports[chosen]


def test_the_best_evaluation_is_by_the_metric():
    evaluations = [
        {"loss": loss, "accuracy": accuracy}
        for loss, accuracy in [(0.5, 0.7), (0.3, 0.8), (0.4, 0.9), (None, 0.9)]
    ]
    assert best_evaluation(evaluations, "loss") is evaluations[1]
    assert best_evaluation(evaluations, "accuracy") is evaluations[2]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"family": "lstm", "checkpoint": "tiny", "embeddings": "frozen"}, True),
        ({"family": "transformer", "checkpoint": "tiny"}, True),
        ({"family": "transformer", "checkpoint": "tiny", "frozen": False}, True),
        ({"family": "transformer", "checkpoint": "tiny", "frozen": True}, False),
        ({"family": "frozen", "checkpoint": "tiny"}, False),
        ({"family": "linear"}, False),
    ],
)
def test_only_what_is_trained_step_by_step_has_an_equal_share(entry, expected):
    assert load_recipe(entry).by_gradient_descent == expected
