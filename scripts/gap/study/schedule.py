"""How many steps a training takes; without torch, whose import takes seconds, as plans ask, too."""

from __future__ import annotations

import math

from gap.study.recipes import GradientDescent


def schedule(examples: int, settings: GradientDescent) -> tuple[int, int]:
    """Return (optimisation steps, steps between evaluations): one rule for every size.

    Few examples are gone through more often, up to `min_steps`; the schedule always has
    `evaluations` evaluations, so neither patience nor the choice of weights favours a size.
    """
    steps = math.ceil(per_epoch(examples, settings) * settings.max_epochs)
    steps = max(settings.min_steps, steps)
    return steps, math.ceil(steps / settings.evaluations)


def per_epoch(examples: int, settings: GradientDescent) -> int:
    """Return the steps in which all examples are gone through once."""
    return math.ceil(examples / settings.batch_size)
