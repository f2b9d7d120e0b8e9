"""Words of the methods text that several families share."""

from __future__ import annotations

from gap.study.recipes import FineTuning, GradientDescent


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


def spell_retention(settings: FineTuning) -> str:
    """Return a phrase on what keeps weights near those of the checkpoint; empty without any."""
    phrase = ""
    if settings.layer_decay != 1:
        phrase += f"; the rate of each layer {spell_values(settings.layer_decay)} of the one above"
    if settings.unfreezing:
        share = spell_values(settings.unfreezing)
        phrase += f"; its layers are trained one after the other, all from {share} of the steps on"
    if settings.stay:
        phrase += f"; decay of {spell_values(settings.stay)} towards the checkpoint's weights"
    if mix := settings.mix:
        phrase += (
            f"; mix-review with {spell_values(mix.ratio)} blocks of its corpus for each example in "
            f"the first epoch, times {spell_values(mix.decay)} in each later one, the loss on them "
            f"counted {spell_values(mix.weight)} times"
        )
    return phrase
