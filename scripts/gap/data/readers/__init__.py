"""Read rows out of people's files: CSV, TSV, JSON Lines, JSON, Parquet, FASTA, plain text.

Readers give the same rows whatever the number of threads, and keep one row in memory. At about
100 MB a second they are not what a study waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from gap.data.readers.delimited import find_table, read_delimited
from gap.data.readers.fasta import check_fasta, find_takers, read_fasta
from gap.data.readers.files import (
    EXTENSIONS,
    FASTA_EXTENSIONS,
    PLAIN_EXTENSIONS,
    AbsentError,
    check_name,
    check_one_kind,
    extension,
    known_extensions,
    list_data_files,
    reading,
)
from gap.data.readers.json_objects import check_keys, read_json_objects
from gap.data.readers.parquet import check_schema, count_parquet_rows, read_parquet
from gap.data.readers.plain import check_plain, read_plain
from gap.data.readers.quoting import find_quoting
from gap.data.readers.records import Columns, Record, Tell
from gap.run.errors import UserError

__all__ = [
    "EXTENSIONS",
    "AbsentError",
    "Columns",
    "Record",
    "check_name",
    "check_one_kind",
    "check_patterns",
    "describe_local_source",
    "extension",
    "is_fasta",
    "known_extensions",
    "list_data_files",
    "read_records",
]

QUICK_BYTES = 64_000_000
QUICK_ROWS = 2_000_000
# Gzipped text unpacks to some four times its size.
UNPACKED = 4


def read_records(
    path: Path, columns: Columns, tell: Tell = lambda sentence: None
) -> Iterator[Record]:
    """Yield the rows of one file, in its order, with one row in memory at a time.

    Numbers and truth values keep the spelling of the file. `tell` gets what was found out about the
    file and a person should know. Raises UserError when a column is missing or there twice, or the
    file is damaged.
    """
    kind = extension(path, plain=True) or ""
    if columns.records and "json" not in kind:
        raise UserError(f"{path}: `records` is for JSON files; leave it out")
    if columns.separator and kind not in PLAIN_EXTENSIONS:
        raise UserError(f"{path}: `separator` is for plain text (.txt); leave it out")
    with reading(path, kind):
        if kind.startswith((".csv", ".tsv")):
            table = find_quoting(find_table(path, columns), columns, tell)
            yield from read_delimited(table, columns)
        elif kind == ".parquet":
            yield from read_parquet(path, columns)
        elif is_fasta(path):
            yield from read_fasta(path, columns)
        elif kind in PLAIN_EXTENSIONS:
            yield from read_plain(path, columns, tell)
        else:
            yield from read_json_objects(path, columns)


def is_fasta(path: Path) -> bool:
    """Return whether a file's name is that of FASTA."""
    return (extension(path) or "").startswith(FASTA_EXTENSIONS)


def check_patterns(path: Path, columns: Columns) -> None:
    """Raise UserError for patterns that are none, where a name, of any source, is that of FASTA."""
    if is_fasta(path):
        find_takers(path, columns)


def describe_local_source(path: str, columns: Columns) -> int | None:
    """Check a source of kind `file` before any job runs; return its rows, None where large.

    Takes about a second at most. The rows are all those in the files, unusable ones included.
    Raises UserError when the path or a column is missing.
    """
    files = list_data_files(path, plain=columns.label is None)
    for file in files:
        _check_file(file, columns)
    sizes = (file.stat().st_size * (UNPACKED if file.suffix == ".gz" else 1) for file in files)
    if sum(sizes) > QUICK_BYTES:
        return None
    rows = [_count_rows(file, columns) for file in files]
    return None if None in rows else sum(filter(None, rows))


def _check_file(path: Path, columns: Columns) -> None:
    kind = extension(path, plain=True) or ""
    with reading(path, kind):
        if kind.startswith((".csv", ".tsv")):
            find_table(path, columns)
        elif kind in PLAIN_EXTENSIONS:
            check_plain(path, columns)
        elif kind == ".parquet":
            check_schema(path, columns)
        elif is_fasta(path):
            check_fasta(path, columns)
        else:
            check_keys(path, columns)


def _count_rows(path: Path, columns: Columns) -> int | None:
    """Return the rows of a file; None for more than QUICK_ROWS, which a small gzip may hold."""
    if extension(path) == ".parquet":
        return count_parquet_rows(path)
    count = sum(1 for _ in islice(read_records(path, columns), QUICK_ROWS + 1))
    return count if count <= QUICK_ROWS else None
