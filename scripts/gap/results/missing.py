"""What the chart and the summary of an unfinished study say is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gap.results.reading import MissingRuns, NamingRecipe
from gap.results.rows import AccuracyRow, GapRow
from gap.study.sizes import parse_seeds

# By data set and what is missing of it, the sizes in order; a size comes once.
Groups = dict[tuple[str, str], dict[str, None]]
# A data set, a model and a size.
Cell = tuple[str, str, str]


def count_missing(missing: Sequence[MissingRuns], accuracies: Sequence[AccuracyRow]) -> str:
    """Return how many runs are missing, as in "12 of 90 runs are missing".

    `missing` is all that is not done, `accuracies` are the rows of estimate_gap's table; together
    they are the study.
    """
    absent = sum(len(parse_seeds(runs.seeds)) for runs in missing)
    total = absent + sum(row.seeds for row in accuracies)
    return f"{absent:,} of {total:,} runs {'is' if absent == 1 else 'are'} missing"


def name_missing(recipe: NamingRecipe, accuracies: Sequence[AccuracyRow]) -> list[str]:
    """Return what is missing, as in ["LSTM at 250 and 1,000 (seed 3)", "all of TF-IDF"].

    Seeds are named where others of the same data set, model and size are there.
    """
    there = {_cell(row) for row in accuracies}
    models = {cell[:2] for cell in there}
    seeds: dict[Cell, list[str]] = defaultdict(list)
    for runs in recipe.missing:
        seeds[_cell(runs)].append(runs.seeds)
    sizes: Groups = defaultdict(dict)
    for cell, blocks in seeds.items():
        dataset, model, size = cell
        text = spell_size(size) + (f" ({_spell_seeds(blocks)})" if cell in there else "")
        if cell[:2] in models:
            sizes[dataset, recipe.title(model)][text] = None
        else:
            sizes[dataset, f"all of {recipe.title(model)}"] = {}
    datasets = [runs.dataset for runs in recipe.missing] + [row.dataset for row in accuracies]
    return _phrases(sizes, recipe, datasets)


def name_unpaired(
    recipe: NamingRecipe, accuracies: Sequence[AccuracyRow], gaps: Sequence[GapRow]
) -> list[str]:
    """Return what has no gap, as the reference has no run there: ["LSTM at 250"].

    A size at which no model has one is named once.
    """
    paired = {_cell(row) for row in gaps}
    compared = {(row.dataset, row.size) for row in gaps}
    alone: Groups = defaultdict(dict)
    for row in accuracies:
        if row.model != recipe.reference and _cell(row) not in paired:
            some = (row.dataset, row.size) in compared
            who = recipe.title(row.model) if some else "all models"
            alone[row.dataset, who][spell_size(row.size)] = None
    return _phrases(alone, recipe, (row.dataset for row in accuracies))


def spell_size(size: str) -> str:
    """Return a size as a person reads it: "4,000", or a share such as "10%"."""
    return f"{int(size):,}" if size.isdecimal() else size


def join_names(names: Sequence[str]) -> str:
    """Return names in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _cell(row: AccuracyRow | GapRow | MissingRuns) -> Cell:
    return row.dataset, row.model, row.size


def _spell_seeds(blocks: Sequence[str]) -> str:
    single = len(blocks) == 1 and blocks[0].isdecimal()
    return f"seed{'' if single else 's'} {', '.join(blocks)}"


def _phrases(groups: Groups, recipe: NamingRecipe, datasets: Iterable[str]) -> list[str]:
    """Return "who at sizes on data set"; the data set where there are several `datasets`."""
    several = len(set(datasets)) > 1
    return [
        who
        + (f" at {join_names(list(sizes))}" if sizes else "")
        + (f" on {recipe.title(dataset)}" if several else "")
        for (dataset, who), sizes in groups.items()
    ]
