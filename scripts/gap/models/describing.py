"""Words of the methods text that several families share."""

from __future__ import annotations

from gap.study.recipes import GradientDescent


def spell_values(value: object) -> str:
    """Return a setting as text; of one that is tuned, all its values."""
    if isinstance(value, list):
        return "one of " + ", ".join(map(spell_values, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def spell_optimisation(settings: GradientDescent) -> str:
    """Return a phrase on how a network is trained."""
    best = "lowest loss" if settings.metric == "loss" else "highest accuracy"
    return (
        f"AdamW, lr {spell_values(settings.lr)}, batches of {spell_values(settings.batch_size)}, "
        f"at most {spell_values(settings.max_epochs)} epochs or {settings.min_steps:,} steps, "
        f"whichever is more; weights of the {best} on the held-out examples"
    )
