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
    """Raise UserError unless a file has the columns of text and of a label, if one is read."""
    import pyarrow as pa

    with open_parquet(path) as file:
        schema = file.schema_arrow
        check_columns(path, schema.names, columns)
        if columns.label is None:
            return
        kind = schema.field(columns.label).type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            raise UserError(
                f"{path}: the labels in column {columns.label!r} are lists; several labels a row "
                "are not supported: give each row one label"
            )


def count_parquet_rows(path: Path) -> int:
    """Return the rows of a file, as its footer tells them."""
    with open_parquet(path) as file:
        return int(file.metadata.num_rows)


def read_parquet(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a Parquet file."""
    names, count = columns.names, len(columns.text)
    label, group = columns.label is not None, columns.group is not None
    check_schema(path, columns)
    with open_parquet(path) as file:
        row = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
            cells = [_texts(path, batch.column(name), name) for name in names]
            for values in zip(*cells, strict=True):
                row += 1
                text = values[0] if count == 1 else columns.join(values[:count])
                # The label, if there is one, stands behind the texts, and the group last.
                name = values[count] if label else ""
                yield record_of(row, None, text, name, values[-1] if group else "")
        if row != file.metadata.num_rows:
            raise UserError(
                f"{path}: damaged Parquet file: it holds {row:,} rows and says "
                f"{file.metadata.num_rows:,}; fetch or write it again"
            )


def _texts(path: Path, column: pa.Array, name: str) -> Iterator[str | None]:
    """Yield the values of a column as text, with undecodable bytes as `open_text` has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        # What is no number is no value either.
        column = pc.if_else(pc.is_nan(column), None, column)
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
