"""How many steps a training takes; without torch, whose import takes seconds, as plans ask, too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def schedule(examples: int, recipe: Mapping[str, Any]) -> tuple[int, int]:
    """Return (optimisation steps, steps between evaluations): one rule for every size.

    Few examples are gone through more often, up to `min_steps`; the schedule always has
    `evaluations` evaluations, so neither patience nor the choice of weights favours a size.
    """
    steps = math.ceil(per_epoch(examples, recipe) * recipe["max_epochs"])
    steps = max(recipe["min_steps"], steps)
    return steps, math.ceil(steps / recipe["evaluations"])


def per_epoch(examples: int, recipe: Mapping[str, Any]) -> int:
    """Return the steps in which all examples are gone through once."""
    return math.ceil(examples / recipe["batch_size"])
