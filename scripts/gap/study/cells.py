"""Cells: the runs of a study, each a job that trains one model on one size for a block of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

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


class Placed(Protocol):
    """Where a model is run: blocks of seeds, data sets and sizes; None are all of the study's."""

    @property
    def seeds(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def datasets(self) -> Sequence[str] | None: ...  # noqa: D102

    @property
    def sizes(self) -> Sequence[str] | None: ...  # noqa: D102


class Placement(NamedTuple):
    """See Placed."""

    seeds: Sequence[str]
    datasets: Sequence[str] | None
    sizes: Sequence[str] | None


def cells_of_config(config: Mapping[str, Any]) -> list[Cell]:
    """Return every run of the study that a complete config, or its record, describes.

    No more of the models is read, so records of other versions are understood.
    """
    zoo, models = config["dataset_zoo"], config["model_zoo"]
    datasets = {
        name: kept_sizes(config["sizes"], zoo[name].get("sizes")) for name in config["datasets"]
    }
    entries = {name: models[name] for name in config["models"]}
    placements = {
        name: Placement(entry["seeds"], entry.get("datasets"), entry.get("sizes"))
        for name, entry in entries.items()
    }
    return cells_of(datasets, placements)


def cells_of(datasets: Mapping[str, Sequence[str]], models: Mapping[str, Placed]) -> list[Cell]:
    """Return every run of a study, in its order.

    `datasets` are the sizes of each data set, `models` recipes that have their seeds, or what these
    say of where they are run.
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
