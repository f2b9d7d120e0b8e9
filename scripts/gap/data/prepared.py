"""Read prepared data sets: the labels, and texts as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Number = TypeVar("Number", np.int32, np.int64)


def count_texts(path: str | Path) -> int:
    """Return the rows of a pool or test file."""
    return int(pq.read_metadata(path).num_rows)


def load_labels(path: str | Path) -> NDArray[np.int32]:
    """Return the label column of a pool or test file, shape (rows,), 4 bytes per row."""
    return _load_numbers(path, "label", np.int32)


def load_groups(path: str | Path) -> NDArray[np.int64] | None:
    """Return the number of each row's group in a test file, (rows,); None without groups."""
    grouped = "group" in pq.read_schema(path).names
    return _load_numbers(path, "group", np.int64) if grouped else None


def _load_numbers(path: str | Path, name: str, kind: type[Number]) -> NDArray[Number]:
    with pq.ParquetFile(path) as file:
        numbers = np.empty(file.metadata.num_rows, dtype=kind)
        start = 0
        for batch in file.iter_batches(columns=[name]):
            numbers[start : start + len(batch)] = batch.column(0).to_numpy()
            start += len(batch)
    return numbers


def held_out_rows(path: str | Path) -> NDArray[np.bool_]:
    """Return which rows of a corpus are held out, (texts,)."""
    flags: NDArray[np.bool_] = pq.read_table(path, columns=["held_out"]).column(0).to_numpy()
    return flags


def iterate_texts(
    path: str | Path, rows: NDArray[np.int64] | None = None, batch_size: int = 1024
) -> Iterator[list[str]]:
    """Yield the texts of `iterate_arrays` in lists of at most `batch_size`."""
    for texts in iterate_arrays(path, rows, batch_size):
        yield texts.to_pylist()


def texts_at(path: str | Path, rows: NDArray[np.int64]) -> list[str]:
    """Return the texts at these row numbers, which may be in any order, in their order."""
    order = np.argsort(rows, kind="stable")
    texts = [text for batch in iterate_texts(path, rows[order]) for text in batch]
    return [texts[place] for place in np.argsort(order, kind="stable")]


def iterate_arrays(
    path: str | Path, rows: NDArray[np.int64] | None, batch_size: int
) -> Iterator[pa.Array]:
    """Yield the texts of a pool or test file in row order, in arrays of at most `batch_size`.

    `rows`: sorted row numbers, shape (selected,); None means all. Only the row groups that hold
    them are read, one at a time. Raises ValueError when they are not sorted or beyond the file.
    """
    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        wanted = np.arange(total) if rows is None else np.asarray(rows)
        if len(wanted) and (wanted[0] < 0 or wanted[-1] >= total or np.any(np.diff(wanted) < 0)):
            raise ValueError(f"{path}: rows must be sorted and within 0..{total - 1}")
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(wanted, [start, stop])
            if last > first:
                texts = file.read_row_group(group, columns=["text"]).column(0)
                for cut in range(int(first), int(last), batch_size):
                    chosen = wanted[cut : min(cut + batch_size, int(last))] - start
                    yield texts.take(chosen).combine_chunks()
            start = stop
