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
from typing import Any, NotRequired, TypedDict, TypeVar

from gap.study.fields import Tuned
from gap.study.recipes import Block, ModelRecipe

# A value that may be tuned: a number, or a word.
Value = float | int | str
# The report on a trial, or an evaluation within a trial.
Report = TypeVar("Report", bound=Mapping[str, Any])
B = TypeVar("B", bound=Block)
V = TypeVar("V")


class Evaluation(TypedDict):
    """What validation said, of networks at a step.

    `loss` is the mean negative log-probability of the true label in nats, None if it is not finite;
    `accuracy` is the share of texts that were right.
    """

    step: NotRequired[int]
    loss: float | None
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """One combination: its place in the grid, from 1, its values, the recipe with just those."""

    number: int
    settings: dict[str, Value]
    recipe: ModelRecipe


def values_of(setting: V) -> list[V]:
    """Return the values of a setting that a recipe may list: one, or all that are listed."""
    return setting if isinstance(setting, list) else [setting]


def tuned_values(block: Block) -> dict[str, list[Value]]:
    """Return the values to try of each key that has several: a model's own keys come first."""
    settings = dict(block)
    tuned = {key: settings[key] for key in tunable(block) if isinstance(settings[key], list)}
    for inner in settings.values():
        if isinstance(inner, Block):
            tuned |= tuned_values(inner)
    return tuned


def tunable(block: Block) -> list[str]:
    """Return the keys of a block that may list values, without the keys of blocks inside it."""
    return sorted(
        key
        for key, field in type(block).model_fields.items()
        if any(isinstance(mark, Tuned) for mark in field.metadata)
    )


def grid_size(recipe: ModelRecipe) -> int:
    """Return how many combinations there are of the values that a recipe lists."""
    return math.prod(len(values) for values in tuned_values(recipe).values())


def trial(recipe: ModelRecipe, number: int) -> Trial:
    """Return a trial of the recipe's grid; from one to the next, the last key's value changes."""
    settings: dict[str, Value] = {}
    place = number - 1
    for key, values in reversed(tuned_values(recipe).items()):
        place, remainder = divmod(place, len(values))
        settings[key] = values[remainder]
    settings = dict(reversed(settings.items()))
    single = with_settings(recipe, settings).model_copy(update={"trials": 1})
    return Trial(number, settings, single)


def with_settings(block: B, settings: Mapping[str, Value]) -> B:
    """Return a recipe, or a block of one, with these values wherever their keys stand in it."""
    changed: dict[str, object] = {}
    for key, value in block:
        if isinstance(value, Block):
            changed[key] = with_settings(value, settings)
        elif key in settings:
            changed[key] = settings[key]
    return block.model_copy(update=changed)


def largest(recipe: ModelRecipe) -> ModelRecipe:
    """Return the recipe with the largest of the values that it lists."""
    return with_settings(recipe, {key: max(values) for key, values in tuned_values(recipe).items()})


def trials_of(recipe: ModelRecipe, seed: int) -> list[Trial]:
    """Return the trials of a run, in the order of their numbers.

    They are the recipe's whole grid; or, where its number of `trials` is smaller, as many
    combinations, drawn without replacement (random search; Bergstra and Bengio 2012, JMLR
    13:281-305). Random: which ones, from `seed`; the trials of a larger number include the trials
    of a smaller one.
    """
    size, count = grid_size(recipe), recipe.trials
    if count == size:
        return [trial(recipe, number) for number in range(1, size + 1)]
    generator = random.Random(seed)
    drawn: set[int] = set()
    while len(drawn) < count:
        # Only this method of Python's generator stays the same in all versions.
        drawn.add(1 + int(generator.random() * size))
    return [trial(recipe, number) for number in sorted(drawn)]


def choose(reports: Iterable[Report]) -> Report:
    """Return the report with the lowest validation loss; of equal ones, the first.

    A loss of None, of a training that diverged, is the highest.
    """
    return min(reports, key=lambda report: math.inf if report["loss"] is None else report["loss"])


def best_evaluation(evaluations: Iterable[Report], metric: str) -> Report:
    """Return the evaluation whose weights a training keeps: the first that is best by `metric`."""
    if metric == "loss":
        return choose(evaluations)
    return max(evaluations, key=lambda evaluation: evaluation["accuracy"])
