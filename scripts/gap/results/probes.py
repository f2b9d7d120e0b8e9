"""What a classifier on each layer of a checkpoint comes to: the table of probes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gap.results.records import RunLayers
from gap.results.rows import Row


@dataclass(frozen=True)
class ProbeRow(Row):
    """The accuracy (percent) of a classifier on one layer; 0 are the embeddings.

    The mean over seeds, the lowest and the highest.
    """

    size: str
    n: int
    layer: int
    seeds: int
    accuracy: float
    accuracy_lowest: float
    accuracy_highest: float


def probe_rows(runs: Sequence[RunLayers]) -> list[ProbeRow]:
    """Return a row for each layer of each data set, model and size, over all blocks of seeds."""
    cells: dict[tuple[str, str, str, int], list[list[float]]] = defaultdict(list)
    for run in runs:
        seeds = cells[run["dataset"], run["model"], run["size"], run["n"]]
        seeds += run["accuracies"].values()
    return [
        ProbeRow(
            *cell,
            layer=layer,
            seeds=len(seeds),
            accuracy=float(values.mean()),
            accuracy_lowest=float(values.min()),
            accuracy_highest=float(values.max()),
        )
        for cell, seeds in cells.items()
        for layer, values in enumerate(100 * np.array(seeds).T)
    ]
