"""Which rows of the pool a run may see: sizes, seeded stratified orders, validation."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gap.study.recipes import Validation
from gap.study.sizes import validation_rows

Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]


def label_sequence(counts: npt.NDArray[np.int64], length: int) -> Labels:
    """Return labels (length,). In every prefix, each label is within one row of its share.

    `counts` (labels,) are the rows of each label in the pool, `length` at most their sum. This is
    the chairman assignment of Tijdeman (1980, Discrete Mathematics 32:323-330): a label may be
    taken from a release time on and has to be by a deadline; of those released, the one with the
    earliest deadline is next. With k labels no count strays further than 1 - 1/(2k - 2) rows.
    """
    rows = int(counts.sum())
    present = np.flatnonzero(counts)
    if len(present) == 1:
        return np.full(length, present[0], dtype=np.int32)
    slack = 2 * len(present) - 2
    taken = dict.fromkeys(present.tolist(), 0)
    count = {label: int(counts[label]) for label in taken}

    def release(label: int) -> int:
        return -(-rows * (1 + slack * taken[label]) // (slack * count[label]))

    def deadline(label: int) -> float:
        return rows * (slack - 1 + slack * taken[label]) / count[label]

    waiting = [(release(label), label) for label in taken]
    heapq.heapify(waiting)
    ready: list[tuple[float, int]] = []
    sequence = np.empty(length, dtype=np.int32)
    for position in range(length):
        while waiting and waiting[0][0] <= position + 1:
            label = heapq.heappop(waiting)[1]
            heapq.heappush(ready, (deadline(label), label))
        label = heapq.heappop(ready)[1]
        sequence[position] = label
        taken[label] += 1
        heapq.heappush(waiting, (release(label), label))
    return sequence


def stratified_order(labels: Labels, seed: int, length: int) -> Rows:
    """Return the first `length` row numbers of the seed's order of the pool.

    `labels` (rows,) are the pool's. Orders of one seed are nested: a shorter one is a prefix of a
    longer one. Random: which rows of a label come first; the sequence of labels is the same for
    every seed.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    sequence = label_sequence(counts, length)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.empty(length, dtype=np.int64)
    positions = np.argsort(sequence, kind="stable")
    taken = np.bincount(sequence, minlength=len(counts))
    rank = np.arange(length) - np.repeat(np.cumsum(taken) - taken, taken)
    order[positions] = by_label[np.repeat(starts, taken) + rank]
    return order


@dataclass(frozen=True)
class Subsample:
    """The rows of the pool that a run may see, and their labels, each (rows,)."""

    seed: int
    training_rows: Rows
    training_labels: Labels
    validation_rows: Rows
    validation_labels: Labels

    @property
    def rows(self) -> Rows:
        """All rows, ascending."""
        return np.sort(np.concatenate([self.training_rows, self.validation_rows]))


def subsample(labels: Labels, seed: int, n: int, validation: Validation) -> Subsample:
    """Return `n` rows of the pool with labels (rows,), for training and validation together.

    Validation is the beginning of the order, so both parts are stratified as the order is.
    """
    order = stratified_order(labels, seed, n)
    held_out = validation_rows(n, validation.share, validation.min, validation.max)
    training, validating = order[held_out:], order[:held_out]
    return Subsample(seed, training, labels[training], validating, labels[validating])


def write_subsamples(subsamples: list[Subsample], path: Path) -> None:
    """Write columns seed, row, label, role ("train" or "validation") in the order of use."""
    parts = []
    for sample in subsamples:
        rows = np.concatenate([sample.validation_rows, sample.training_rows])
        labels = np.concatenate([sample.validation_labels, sample.training_labels])
        roles = ["validation"] * len(sample.validation_rows) + ["train"] * len(sample.training_rows)
        seeds = np.full(len(rows), sample.seed, dtype=np.int32)
        parts.append(pa.table({"seed": seeds, "row": rows, "label": labels, "role": roles}))
    pq.write_table(pa.concat_tables(parts), path, compression="zstd")


def rows_of_seed(path: str | Path, seed: int) -> Rows:
    """Return the rows of the pool that a seed has in what `write_subsamples` wrote, ascending."""
    return next(each.rows for each in read_subsamples(path) if each.seed == seed)


def read_subsamples(path: str | Path) -> Iterator[Subsample]:
    """Yield what `write_subsamples` wrote, seed by seed."""
    table = pq.read_table(path)
    for seed in pc.unique(table["seed"]).to_pylist():
        seed_rows = table.filter(pc.equal(table["seed"], seed))
        training = seed_rows.filter(pc.equal(seed_rows["role"], "train"))
        validating = seed_rows.filter(pc.equal(seed_rows["role"], "validation"))
        parts = [
            part[name].to_numpy() for part in (training, validating) for name in ("row", "label")
        ]
        yield Subsample(seed, *parts)
