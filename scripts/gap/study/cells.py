"""Cells: the runs of a study, each a job that trains one model on one size for a block of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from gap.study.recipes import ModelRecipe
from gap.study.sizes import parse_seeds


@dataclass(frozen=True)
class Cell:
    """A run, by the names that its files have: `seeds` is a block ("1-5"), or one seed ("3")."""

    dataset: str
    model: str
    size: str
    seeds: str

    @property
    def count(self) -> int:
        """The number of seeds."""
        return len(parse_seeds(self.seeds))

    @property
    def wildcards(self) -> dict[str, str]:
        """The names by what they are names of, as rules and tables have them."""
        return asdict(self)


def cells_of(
    datasets: Mapping[str, Sequence[str]], models: Mapping[str, ModelRecipe]
) -> list[Cell]:
    """Return every run of a study, in its order.

    `datasets` are the sizes of each data set, `models` recipes that have their seeds.
    """
    return [
        Cell(dataset, model, size, seeds)
        for dataset, sizes in datasets.items()
        for model, recipe in models.items()
        if recipe.datasets is None or dataset in recipe.datasets
        for size in kept_sizes(sizes, recipe.sizes)
        for seeds in recipe.seeds
    ]


def kept_sizes(sizes: Sequence[str], kept: Sequence[str] | None) -> list[str]:
    """Return those of a study's sizes that are kept; all of them where none are named."""
    return [size for size in sizes if kept is None or size in kept]


def timed_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return the runs whose models are timed: of each data set and model one, at its largest size.

    That is the largest share of a pool, else the largest number. Of the blocks of seeds it is the
    first: times depend on shapes, not on the weights.
    """
    first: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        timed = first.setdefault((cell.dataset, cell.model), cell)
        if largest_size([timed.size, cell.size]) != timed.size:
            first[cell.dataset, cell.model] = cell
    return list(first.values())


def largest_size(sizes: Iterable[str]) -> str:
    """Return the largest share of a pool ("10%"), or, where there is none, the largest number."""
    return max(sizes, key=lambda size: (size.endswith("%"), float(size.rstrip("%"))))
