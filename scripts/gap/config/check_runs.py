"""Checks which runs a study has: the data sets, sizes and seeds of models."""

from __future__ import annotations

from gap.config.explain import check_names
from gap.config.study import Study
from gap.run.errors import UserError
from gap.study.recipes import ModelRecipe
from gap.study.sizes import parse_seeds


def check_runs(study: Study) -> None:
    """Raise UserError for a size or model that is run nowhere, or where the reference is not."""
    for name in study.datasets:
        sizes = study.dataset_zoo[name].sizes or []
        check_names(f"dataset_zoo.{name}.sizes", sizes, study.sizes, "sizes")
    for name in study.models:
        model, where = study.model_zoo[name], f"model_zoo.{name}"
        check_names(f"{where}.datasets", model.datasets or [], study.datasets, "datasets")
        check_names(f"{where}.sizes", model.sizes or [], study.sizes, "sizes")
        if not any(cell.model == name for cell in study.cells):
            raise UserError(
                f"{where}: it is run nowhere, as none of its `datasets` has one of its `sizes`; "
                "let them have one, or take it from `models`"
            )
    for size in study.sizes:
        if not any(cell.size == size for cell in study.cells):
            raise UserError(
                f"sizes: no model is run at {size}; take it out, or let the `sizes` of a data set "
                "and of a model have it"
            )
    pairs = {(cell.dataset, cell.size) for cell in study.cells if cell.model == study.reference}
    for cell in study.cells:
        if (cell.dataset, cell.size) not in pairs:
            raise UserError(
                f"model_zoo.{cell.model}: it is run on {cell.dataset} at {cell.size}, where the "
                f"reference {study.reference} is not; gaps need both, so let `datasets` and "
                "`sizes` of the reference have them, too, or keep the model from there"
            )


def check_seeds(study: Study, name: str) -> None:
    """Raise UserError for blocks of seeds that contradict each other or the reference's."""
    model, reference = study.model_zoo[name], study.model_zoo[study.reference]
    where, blocks = f"model_zoo.{name}.seeds", ", ".join(model.seeds)
    for block in model.seeds:
        if not parse_seeds(block):
            raise UserError(f"{where}: {block} runs backwards; write the lower seed first")
    seeds = seeds_of(model)
    if len(seeds) != len(set(seeds)):
        raise UserError(f"{where}: a seed stands in two blocks of {blocks}; keep it in one")
    if not set(seeds) & set(seeds_of(reference)):
        raise UserError(
            f"{where}: found {blocks}, none of which the reference {study.reference} has "
            f"({', '.join(reference.seeds)}); gaps pair seeds, so give it one of those"
        )


def seeds_of(model: ModelRecipe) -> list[int]:
    """Return all seeds of a model's blocks."""
    return [seed for block in model.seeds for seed in parse_seeds(block)]
