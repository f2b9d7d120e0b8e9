"""Trials: the combinations of the values that a recipe lists, and how one of them is chosen.

A recipe may list several values where it tunes: of the model itself (dropout) or of its
optimisation (lr). Each combination is a trial, and a run has its trials in the order of their
numbers. The best on the validation rows goes on; the test set is not looked at.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Recipe = Mapping[str, Any]
# Of a trial, or of an evaluation within one.
Report = TypeVar("Report", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Trial:
    """One combination: its place in the grid, from 1, its values, the recipe with just those."""

    number: int
    settings: dict[str, Any]
    recipe: dict[str, Any]


def by_gradient_descent(recipe: Recipe) -> bool:
    """Return whether a model's weights are found by gradient descent, which depends on settings.

    The others are logistic regressions: of each trial the one solution is found.
    """
    return recipe["family"] != "linear" and not recipe.get("frozen")


def tuned_values(recipe: Recipe) -> dict[str, list[Any]]:
    """Return the values to try of each key that has several: the model's own keys come first."""
    return {
        key: part[key]
        for part in (recipe, recipe["optimisation"])
        for key in sorted(part)
        # Those of a model in the config; a recipe has none.
        if isinstance(part[key], list) and key != "seeds"
    }


def grid_size(recipe: Recipe) -> int:
    """Return how many combinations there are of the values that a recipe lists."""
    return math.prod(len(values) for values in tuned_values(recipe).values())


def trial(recipe: Recipe, number: int) -> Trial:
    """Return a trial of the recipe's grid, of which the last key's values come first in turn."""
    settings: dict[str, Any] = {}
    place = number - 1
    for key, values in reversed(tuned_values(recipe).items()):
        place, own = divmod(place, len(values))
        settings[key] = values[own]
    settings = dict(reversed(settings.items()))
    return Trial(number, settings, with_settings(recipe, settings) | {"trials": 1})


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe with these values, wherever their keys stand in it."""
    own, optimisation = (
        {key: settings.get(key, value) for key, value in part.items()}
        for part in (recipe, recipe["optimisation"])
    )
    return own | {"optimisation": optimisation}


def trials_of(recipe: Recipe, seed: int) -> list[Trial]:
    """Return the trials of a run, in the order of their numbers.

    They are the recipe's whole grid; or, where its number of `trials` is smaller, as many
    combinations, drawn without replacement (random search; Bergstra and Bengio 2012, JMLR
    13:281-305). Random: which ones, from `seed`; those of a larger number include those of a
    smaller one.
    """
    size, count = grid_size(recipe), recipe["trials"]
    if count == size:
        return [trial(recipe, number) for number in range(1, size + 1)]
    generator = random.Random(seed)
    drawn: set[int] = set()
    while len(drawn) < count:
        # Of Python's generator, only this method stays the same in all versions.
        drawn.add(1 + int(generator.random() * size))
    return [trial(recipe, number) for number in sorted(drawn)]


def choose(reports: Iterable[Report]) -> Report:
    """Return the report with the lowest validation loss; of equal ones, the first.

    A loss of None, of a training that diverged, is the highest.
    """
    return min(reports, key=lambda one: math.inf if one["loss"] is None else one["loss"])


def best_evaluation(evaluations: Iterable[Report], metric: str) -> Report:
    """Return the evaluation whose weights a training keeps: the first that is best by `metric`."""
    if metric == "loss":
        return choose(evaluations)
    return max(evaluations, key=lambda one: one["accuracy"])
