"""What the chart and the summary of an unfinished study say is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from gap.study.sizes import parse_seeds

Row = Mapping[str, Any]
Titles = Mapping[str, str]
# By data set and who, sizes in order; a size comes once.
Groups = dict[tuple[str, str], dict[str, None]]


def count_missing(missing: Sequence[Row], accuracies: Sequence[Row]) -> str:
    """Return how many runs are missing, as in "12 of 90 runs are missing".

    `missing` has dataset, model, size and seeds (a block such as "1-2") of all that is not done,
    `accuracies` the rows of estimate_gap's table; together they are the study.
    """
    absent = sum(len(parse_seeds(row["seeds"])) for row in missing)
    total = absent + sum(int(row["seeds"]) for row in accuracies)
    return f"{absent:,} of {total:,} runs {'is' if absent == 1 else 'are'} missing"


def name_missing(missing: Sequence[Row], accuracies: Sequence[Row], titles: Titles) -> list[str]:
    """Return what is missing, as in ["LSTM at 250 and 1,000 (seed 3)", "all of TF-IDF"].

    Seeds are named where others of the same data set, model and size are there.
    """
    there = {_cell(row) for row in accuracies}
    models = {cell[:2] for cell in there}
    seeds: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in missing:
        seeds[_cell(row)].append(row["seeds"])
    sizes: Groups = defaultdict(dict)
    for cell, blocks in seeds.items():
        dataset, model, size = cell
        text = spell_size(size) + (f" ({_spell_seeds(blocks)})" if cell in there else "")
        title = titles.get(model, model)
        if cell[:2] in models:
            sizes[dataset, title][text] = None
        else:
            sizes[dataset, f"all of {title}"] = {}
    return _phrases(sizes, titles, [*missing, *accuracies])


def name_unpaired(accuracies: Sequence[Row], gaps: Sequence[Row], recipe: Row) -> list[str]:
    """Return what has no gap, as the reference has no run with the same seed: ["LSTM at 250"].

    A size at which no model has one is named once.
    """
    titles = recipe.get("titles", {})
    paired = {_cell(row) for row in gaps}
    compared = {(row["dataset"], row["size"]) for row in gaps}
    alone: Groups = defaultdict(dict)
    for row in accuracies:
        if row["model"] != recipe["reference"] and _cell(row) not in paired:
            some = (row["dataset"], row["size"]) in compared
            who = titles.get(row["model"], row["model"]) if some else "all models"
            alone[row["dataset"], who][spell_size(row["size"])] = None
    return _phrases(alone, titles, accuracies)


def spell_size(size: str) -> str:
    """Return a size as a person reads it: "4,000", or a share such as "10%"."""
    return f"{int(size):,}" if size.isdecimal() else size


def _cell(row: Row) -> tuple[str, str, str]:
    return row["dataset"], row["model"], row["size"]


def _spell_seeds(blocks: Sequence[str]) -> str:
    one = len(blocks) == 1 and blocks[0].isdecimal()
    return f"seed{'' if one else 's'} {', '.join(blocks)}"


def _phrases(groups: Groups, titles: Titles, rows: Sequence[Row]) -> list[str]:
    """Return "who at sizes on data set"; the data set where `rows` have several."""
    several = len({row["dataset"] for row in rows}) > 1
    return [
        who
        + (f" at {_and(list(sizes))}" if sizes else "")
        + (f" on {titles.get(dataset, dataset)}" if several else "")
        for (dataset, who), sizes in groups.items()
    ]


def _and(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
