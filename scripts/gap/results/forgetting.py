"""What fine-tuning forgot of what was pretrained: tables, and intervals over seeds and blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gap.models.measurements import Recall
from gap.results.records import RunForgetting
from gap.results.rows import Row

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class ForgettingRow(Row):
    """What a model's fine-tuning forgot at a size: losses in nats, `right` in percent.

    `forgotten` is the held-out loss after less that before, with its interval over seeds and
    blocks. `dropped` and `shuffled` are how much higher the loss is where a share of the other
    tokens is hidden, or where they stand in another order. `similarity` is the mean over layers of
    how alike states are to those before (0 to 1).
    """

    size: str
    n: int
    seeds: int
    blocks: int
    loss_before: float
    loss_after: float
    forgotten: float
    forgotten_low: float
    forgotten_high: float
    right_before: float
    right_after: float
    dropped_before: float
    dropped_after: float
    shuffled_before: float
    shuffled_after: float
    similarity: float


@dataclass(frozen=True)
class LayerRow(Row):
    """How alike a layer's states are to those before fine-tuning, 0 to 1; 0 are the embeddings.

    The mean over seeds, the lowest and the highest.
    """

    size: str
    n: int
    layer: int
    similarity: float
    similarity_low: float
    similarity_high: float


@dataclass(frozen=True)
class PlaneRow(Row):
    """Where the states of a held-out block stand in a plane, before and after fine-tuning."""

    size: str
    n: int
    block: int
    x_before: float
    y_before: float
    x_after: float
    y_after: float


class Interval(NamedTuple):
    """A mean and its interval."""

    mean: float
    low: float
    high: float


def interval(differences: Losses, confidence: float) -> Interval:
    """Return the mean of differences, (seeds, blocks), with its interval over both.

    The variances of the means over seeds and of those over blocks add up: each has a part of what
    seed and block do together, so the interval is rather too wide than too narrow. Degrees of
    freedom are those of Satterthwaite (1946, Biometrics Bulletin 2:110-114). A single seed tells
    of the blocks only.
    """
    mean = float(differences.mean())
    parts = []
    for axis in (0, 1):
        means = differences.mean(axis=1 - axis)
        if len(means) > 1:
            parts.append((float(means.var(ddof=1)) / len(means), len(means) - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, mean, mean)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * variance**0.5
    return Interval(mean, mean - reach, mean + reach)


def gather_runs(runs: Sequence[RunForgetting]) -> list[RunForgetting]:
    """Return one record for each data set, model and size, with the seeds of all of its blocks."""
    cells: dict[tuple[str, str, str], list[RunForgetting]] = defaultdict(list)
    for run in runs:
        cells[run["dataset"], run["model"], run["size"]].append(run)
    return [
        {
            **group[0],
            "after": {seed: recall for run in group for seed, recall in run["after"].items()},
            "layers": {seed: layers for run in group for seed, layers in run["layers"].items()},
        }
        for group in cells.values()
    ]


def forgetting_row(run: RunForgetting, confidence: float) -> ForgettingRow:
    """Return the row of a model at a size."""
    before, after = run["before"], list(run["after"].values())
    losses = np.array([recall["loss"] for recall in after])
    forgotten = interval(losses - np.array(before["loss"]), confidence)
    return ForgettingRow(
        run["dataset"],
        run["model"],
        run["size"],
        run["n"],
        seeds=len(after),
        blocks=run["blocks"],
        loss_before=float(np.mean(before["loss"])),
        loss_after=float(losses.mean()),
        forgotten=forgotten.mean,
        forgotten_low=forgotten.low,
        forgotten_high=forgotten.high,
        right_before=100 * float(np.mean(before["right"])),
        right_after=100 * float(np.mean([recall["right"] for recall in after])),
        dropped_before=_higher([before], "dropped"),
        dropped_after=_higher(after, "dropped"),
        shuffled_before=_higher([before], "shuffled"),
        shuffled_after=_higher(after, "shuffled"),
        similarity=float(np.mean(list(run["layers"].values()))),
    )


def _higher(recalls: Sequence[Recall], disturbance: Literal["dropped", "shuffled"]) -> float:
    """Return how much higher the mean loss is under a disturbance."""
    disturbed = [recall[disturbance] for recall in recalls]
    return float(np.mean(disturbed) - np.mean([recall["loss"] for recall in recalls]))


def layer_rows(run: RunForgetting) -> list[LayerRow]:
    """Return the rows of the layers of a model at a size."""
    layers = np.array(list(run["layers"].values()))
    return [
        LayerRow(
            run["dataset"],
            run["model"],
            run["size"],
            run["n"],
            layer=number,
            similarity=float(values.mean()),
            similarity_low=float(values.min()),
            similarity_high=float(values.max()),
        )
        for number, values in enumerate(layers.T)
    ]


def plane_rows(run: RunForgetting) -> list[PlaneRow]:
    """Return where blocks stand before and after, of a model at a size."""
    names = run["dataset"], run["model"], run["size"], run["n"]
    return [PlaneRow(*names, block, *place) for block, place in enumerate(run["points"])]
