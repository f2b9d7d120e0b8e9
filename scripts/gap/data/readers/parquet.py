"""Rows of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gap.data.excerpts import first_line
from gap.data.readers.records import Columns, Record, check_columns, record_of
from gap.run.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Few at a time, as each may be as long as LONGEST_ROW.
BATCH_ROWS = 32


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Give an open Parquet file; whatever is found damaged in it meanwhile is a UserError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    # A damaged file can fail in any way: wrong types, impossible lengths, names that are no text.
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        line = first_line(error)
        raise UserError(f"{path}: not a readable Parquet file ({line})") from None


def check_schema(path: Path, columns: Columns) -> None:
    """Raise UserError unless a file has the columns of text and label."""
    with open_parquet(path) as file:
        check_columns(path, file.schema_arrow.names, columns)


def count_parquet_rows(path: Path) -> int:
    """Return the rows of a file, as its footer tells them."""
    with open_parquet(path) as file:
        return int(file.metadata.num_rows)


def read_parquet(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a Parquet file."""
    names = [columns.text, columns.label]
    with open_parquet(path) as file:
        check_columns(path, file.schema_arrow.names, columns)
        row = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
            values = [_texts(path, batch.column(name), name) for name in names]
            for text, label in zip(*values, strict=True):
                row += 1
                yield record_of(row, None, text, label)
        if row != file.metadata.num_rows:
            raise UserError(
                f"{path}: damaged Parquet file: it holds {row:,} rows and says "
                f"{file.metadata.num_rows:,}; fetch or write it again"
            )


def _texts(path: Path, column: pa.Array, name: str) -> Iterator[str | None]:
    """Yield the values of a column as text, with undecodable bytes as `open_text` has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        # The texts are decoded here, from bytes: Arrow does not check texts when it reads them, and
        # cannot decode damaged ones.
        texts = pc.cast(column, pa.large_string(), safe=False).cast(pa.large_binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        line = first_line(error)
        raise UserError(f"{path}: column {name!r} cannot be read as text ({line})") from None
    for scalar in texts:
        value = scalar.as_py()
        yield None if value is None else value.decode("utf-8", "surrogateescape")
