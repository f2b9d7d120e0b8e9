"""The predictions file: one row per seed and test example, with true label and class scores.

`predict` writes it; `score` and `estimate_gap` read it. Both sides work on blocks of one seed, so
that memory does not grow with the test set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gap.run.errors import UserError
from gap.run.progress import progress

BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class Cell:
    """What a predictions file is about: all runs of one data set, model and size."""

    dataset: str
    model: str
    size: str
    n: int


Paths = dict[Cell, list[str]]
# By seed, whether each test row was right, (rows,).
CorrectRows = dict[int, NDArray[np.bool_]]
Evaluated = TypeVar("Evaluated")


@dataclass(frozen=True)
class Block:
    """Consecutive test rows of one seed.

    `labels` (rows,) are the true label indices, `scores` (rows, labels) natural-log probabilities.
    """

    seed: int
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the top score is the true label's, shape (rows,)."""
        return is_right(self.labels, self.scores)


def is_right(labels: NDArray[np.int32], scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether the top score (rows, labels) is that of the true label, (rows,)."""
    return np.asarray(scores.argmax(axis=1) == labels)


def write_predictions(
    path: str | Path,
    cell: Mapping[str, object],
    scores: Mapping[int, NDArray[np.float32]] | Iterable[tuple[int, NDArray[np.float32]]],
    labels: NDArray[np.int32],
    groups: NDArray[np.int64] | None = None,
) -> None:
    """Write the predictions of all seeds of a job, seeds ascending.

    `cell` has the keys dataset, model, size and n. `scores` gives per seed the natural-log
    probabilities, shape (test rows, labels); pairs in ascending order of seed, for example from a
    generator, keep one seed in memory at a time. `labels` (test rows,) are the true label indices,
    `groups` (test rows,) the numbers of the groups that rows belong to, where there are any.
    Raises ValueError where shapes disagree or a row is no log-probability distribution.
    """
    pairs = sorted(scores.items()) if isinstance(scores, Mapping) else scores
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    writer: pq.ParquetWriter | None = None
    for seed, seed_scores in pairs:
        values = np.ascontiguousarray(seed_scores, dtype=np.float32)
        _check(seed, values, labels)
        schema = _schema(cell, values.shape[1])
        if groups is not None:
            schema = schema.append(pa.field("group", pa.int64()))
        writer = writer or pq.ParquetWriter(partial, schema, compression="zstd")
        for start in range(0, len(labels), BLOCK_ROWS):
            writer.write_table(_table(schema, seed, start, values, labels, groups))
    if writer is None:
        raise ValueError("no seed to write")
    writer.close()
    os.replace(partial, target)


def read_cell(path: str | Path) -> Cell:
    """Return what a predictions file is about, from its metadata alone.

    Raises UserError where the file was not written by `write_predictions`.
    """
    metadata = pq.read_schema(path).metadata or {}
    try:
        text = {key: metadata[key.encode()].decode() for key in ("dataset", "model", "size", "n")}
    except KeyError as error:
        raise UserError(
            f"{path}: no {error.args[0].decode()} in the metadata; expected a file that "
            "predict.py wrote; run predict again"
        ) from None
    return Cell(text["dataset"], text["model"], text["size"], int(text["n"]))


def index(paths: Sequence[str]) -> Paths:
    """Return the predictions files of each cell, in the order given; reads metadata only.

    Raises UserError where there is none.
    """
    if not paths:
        raise UserError("no predictions to read, as no run is finished; run at least one")
    cells: Paths = {}
    for path in paths:
        cells.setdefault(read_cell(path), []).append(path)
    return cells


def read_predictions(path: str | Path) -> Iterator[Block]:
    """Yield blocks of at most 65,536 rows, ordered by seed, then by test row.

    Raises UserError for a file without rows, or with a score that is not a number.
    """
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows == 0:
            raise UserError(f"{path}: no rows; expected one per test example; check the test set")
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["seed", "label", "scores"])
            scores = table["scores"].combine_chunks()
            block = Block(
                seed=table["seed"][0].as_py(),
                labels=table["label"].to_numpy(),
                scores=scores.flatten().to_numpy().reshape(len(scores), -1),
            )
            if np.isnan(block.scores).any():
                raise UserError(
                    f"{path}: seed {block.seed}: scores that are not numbers (NaN); expected "
                    "log-probabilities; training probably diverged: lower the model's lr, train "
                    "again"
                )
            yield block


def read_correct(paths: Sequence[str | Path]) -> CorrectRows:
    """Return {seed: whether each test row was right, shape (rows,)} of files about one cell.

    Raises UserError where two files hold the same seed.
    """
    return read_by_seed(paths, is_right)


def read_by_seed(
    paths: Sequence[str | Path],
    evaluate: Callable[[NDArray[np.int32], NDArray[np.float32]], Evaluated],
) -> dict[int, Evaluated]:
    """Return {seed: what `evaluate` makes of it}, seeds ascending, of files about one cell.

    `evaluate` takes the true labels (rows,) and the scores (rows, labels) of one seed, of which
    memory holds one at a time. Raises UserError where two files hold the same seed.
    """
    evaluated: dict[int, Evaluated] = {}
    for path in paths:
        for seed, blocks in groupby(read_predictions(path), key=lambda block: block.seed):
            if seed in evaluated:
                raise UserError(
                    f"{path}: seed {seed} stands in another file of the same data set, model and "
                    "size too; expected each seed once; name each file once and keep seed blocks "
                    "apart"
                )
            parts = list(blocks)
            labels = np.concatenate([part.labels for part in parts])
            evaluated[seed] = evaluate(labels, np.concatenate([part.scores for part in parts]))
    return dict(sorted(evaluated.items()))


def read_groups(path: str | Path) -> NDArray[np.int64] | None:
    """Return the group of each test row, shape (rows,); None where rows have no groups."""
    parts: list[NDArray[np.int64]] = []
    with pq.ParquetFile(path) as file:
        if "group" not in file.schema_arrow.names:
            return None
        first = None
        for place in range(file.num_row_groups):
            table = file.read_row_group(place, columns=["seed", "group"])
            seed = table["seed"][0].as_py()
            first = seed if first is None else first
            # The rows of each seed are the same.
            if seed != first:
                break
            parts.append(table["group"].to_numpy())
    return np.concatenate(parts)


def beside_reference(
    cells: Paths, model: str
) -> Iterator[tuple[Cell, CorrectRows, Cell | None, CorrectRows]]:
    """Yield each cell, what it had right, and the same of the reference `model` at its size.

    Data sets and sizes in the order given; without a reference there, None and nothing. Memory
    holds two models of one data set and size.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.dataset, cell.size), []).append(cell)
    for group in progress(list(groups.values()), "sizes"):
        reference = next((cell for cell in group if cell.model == model), None)
        reference_correct = read_correct(cells[reference]) if reference else {}
        for cell in group:
            yield (
                cell,
                reference_correct if cell == reference else read_correct(cells[cell]),
                reference,
                reference_correct,
            )


def _schema(cell: Mapping[str, object], labels: int) -> pa.Schema:
    fields = [
        pa.field("seed", pa.int32()),
        pa.field("row", pa.int64()),
        pa.field("label", pa.int32()),
        pa.field("scores", pa.list_(pa.float32(), labels)),
    ]
    return pa.schema(fields, {key: str(cell[key]) for key in ("dataset", "model", "size", "n")})


def _table(
    schema: pa.Schema,
    seed: int,
    start: int,
    scores: NDArray[np.float32],
    labels: NDArray[np.int32],
    groups: NDArray[np.int64] | None,
) -> pa.Table:
    part = scores[start : start + BLOCK_ROWS]
    columns = [
        pa.array(np.full(len(part), seed, dtype=np.int32)),
        pa.array(np.arange(start, start + len(part), dtype=np.int64)),
        pa.array(labels[start : start + BLOCK_ROWS].astype(np.int32)),
        pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1]),
    ]
    if groups is not None:
        columns.append(pa.array(groups[start : start + BLOCK_ROWS]))
    return pa.Table.from_arrays(columns, schema=schema)


def _check(seed: int, scores: NDArray[np.float32], labels: NDArray[np.int32]) -> None:
    if scores.ndim != 2 or len(scores) != len(labels):
        raise ValueError(f"seed {seed}: scores {scores.shape} for labels {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(f"seed {seed}: a label outside 0..{scores.shape[1] - 1}")
    if not np.isnan(scores).any() and (abs(np.exp(scores).sum(axis=1) - 1) > 0.01).any():
        raise ValueError(f"seed {seed}: scores are no log-probabilities: a row does not sum to 1")
