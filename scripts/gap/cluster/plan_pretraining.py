"""What the pretraining of a study's own checkpoints costs before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gap.cluster.basis import Basis
from gap.cluster.pretraining import Network, corpus_tokens, new_shape, vector_seconds
from gap.models.encoder_shape import EncoderShape
from gap.models.network import CORE_RATE, GPU_RATE
from gap.run.json import canonical_json
from gap.study.pretraining import LanguageModel, MaskedLm, OwnCheckpoint, WordVectors, load_own


@dataclass(frozen=True)
class PlannedPretraining:
    """A checkpoint that is pretrained: tokens of its corpus, passes at most, and the time.

    `core_hours` are those of one core, `gpu_hours` those of one GPU in its place; None for word
    vectors, which have no use for one.
    """

    checkpoint: str
    objective: str
    tokens: float
    passes: float
    core_hours: float
    gpu_hours: float | None


def planned_pretrainings(plan: Basis) -> list[PlannedPretraining]:
    """Return what each checkpoint of the study's own takes, those that others are made from, too.

    Rates are those of time limits (gap.models.network), on the safe side; no pretraining is taken
    to end early.
    """
    return [_planned(plan, name, recipe) for name, recipe in _own(plan)]


def _own(plan: Basis) -> Iterator[tuple[str, OwnCheckpoint]]:
    """Yield the checkpoints that the study pretrains, by name, each once."""
    names = sorted({name for _, name in plan.encoded})
    for name in names:
        recipe = _recipe(plan, name)
        if recipe is None:
            continue
        yield name, recipe
        if recipe.continued and recipe.continued not in names:
            # The list grows while it is gone through.
            names.append(recipe.continued)


def _recipe(plan: Basis, name: str) -> OwnCheckpoint | None:
    """Return the recipe of a checkpoint, None for one that is fetched."""
    entry = plan.config["checkpoint_zoo"][name]
    return load_own(canonical_json(entry)) if entry["kind"] == "pretrained" else None


def _texts(plan: Basis, name: str) -> int:
    """Return the texts of a pool; texts without labels are taken to be as many as rows of a set."""
    in_pool = name in plan.config["dataset_zoo"]
    return plan.rows(name)[0] if in_pool else int(plan.value("rows"))


def _planned(plan: Basis, name: str, recipe: OwnCheckpoint) -> PlannedPretraining:
    texts = (1 - recipe.held_out) * sum(_texts(plan, source) for source in recipe.corpus)
    tokens = corpus_tokens(recipe, round(texts * plan.value("characters")))
    if isinstance(recipe, WordVectors):
        hours = vector_seconds(recipe, tokens) / 3600
        return PlannedPretraining(name, recipe.objective, tokens, 1.0, hours, None)
    if isinstance(recipe, LanguageModel):
        network = Network.language_model(recipe)
    else:
        network = Network.masked_lm(recipe, _shape(plan, recipe))
    passes = recipe.optimisation.passes
    operations = network.training_operations(tokens * passes)
    on_core, on_gpu = (operations / rate / 3600 for rate in (CORE_RATE, GPU_RATE))
    return PlannedPretraining(name, recipe.objective, tokens, passes, on_core, on_gpu)


def _shape(plan: Basis, recipe: MaskedLm) -> EncoderShape:
    """Return the shape of a masked language model, that of what it was made from."""
    if recipe.continued is None:
        return new_shape(recipe)
    start = _recipe(plan, recipe.continued)
    return _shape(plan, start) if isinstance(start, MaskedLm) else plan.shape(recipe.continued)
