"""Rows of CSV and TSV files.

The standard library's parser is used rather than an engine's, because only it tells the exact row
and line of every row, also of those after a multi-line field or a damaged row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from gap.data.readers.encodings import encoding_advice
from gap.data.readers.files import extension, open_text
from gap.data.readers.records import (
    BAD_QUOTES,
    LONGEST_ROW,
    TOO_LONG,
    WRONG_COLUMNS,
    Columns,
    Record,
    check_columns,
    is_unicode,
    quote_names,
    record_of,
    unusable,
)
from gap.run.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

# Excel's first line, which tells the delimiter.
DELIMITER_LINE = re.compile(r'"?sep=(?P<delimiter>[^\r\n])"?[\r\n]*', re.IGNORECASE)
# A backslash that stands for itself: what it precedes needs none.
PLAIN_BACKSLASH = re.compile(r'\\([\\"\r\n])?')
# Rows of a file in which a value of its first line is looked for.
FIRST_ROWS = 1000


class Table(NamedTuple):
    """How a file is laid out: its delimiter, its quotation marks, the names of its columns."""

    path: Path
    encoding: str | None
    delimiter: str
    quoting: str
    names: Sequence[str]


# The values of a row, its first and its last line in the file, the first of these lines, and the
# error by which they are no row. A plain tuple, because there are millions.
Row = tuple[list[str], int, int, str, csv.Error | None]


class _Lines:
    """The lines of a file for the CSV parser, remembering the first one of the current record."""

    def __init__(self, path: Path, file: TextIO, quoting: str) -> None:
        self.path, self.file, self.first = path, file, ""
        self.escaped = quoting == "backslash"

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.file.readline(LONGEST_ROW)
        if not line:
            raise StopIteration
        if len(line) == LONGEST_ROW:
            raise UserError(f"{self.path}: a line is {TOO_LONG}; is this a text table?")
        if not self.first:
            self.first = line
        return PLAIN_BACKSLASH.sub(_escape, line) if self.escaped else line


def _escape(backslash: re.Match[str]) -> str:
    """Return a backslash as the parser takes it, which would drop one before any other letter."""
    return backslash[0] if backslash[1] else r"\\"


def _parse(lines: Iterable[str], delimiter: str, quoting: str) -> Reader:
    csv.field_size_limit(LONGEST_ROW)
    if quoting == "none":
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    escape = "\\" if quoting == "backslash" else None
    # strict: otherwise text after a closing quotation mark is silently glued to the field.
    return csv.reader(lines, delimiter=delimiter, escapechar=escape, strict=True)


def _take_delimiter(file: TextIO) -> str | None:
    """Return the delimiter that Excel's first line tells, which is passed over; None without it."""
    match = DELIMITER_LINE.fullmatch(file.readline(16))
    if match is None:
        file.seek(0)
    return match["delimiter"] if match else None


def iterate_rows(table: Table) -> Iterator[Row]:
    """Yield the rows of a file below its header, blank lines left out."""
    with open_text(table.path, table.encoding) as file:
        skipped = 1 if _take_delimiter(file) else 0
        lines = _Lines(table.path, file, table.quoting)
        parser = _parse(lines, table.delimiter, table.quoting)
        next(parser, None)
        while True:
            lines.first, line = "", skipped + parser.line_num + 1
            try:
                values = next(parser)
            except StopIteration:
                return
            except csv.Error as error:
                yield [], line, skipped + parser.line_num, lines.first, error
                continue
            if values:
                yield values, line, skipped + parser.line_num, lines.first, None


def header_of(path: Path, columns: Columns, delimiter: str) -> list[str]:
    """Return the names of columns that a file has with this delimiter; none where it is damaged.

    Raises UserError where they cannot be decoded.
    """
    quoting = columns.quoting or "double"
    with open_text(path, columns.encoding) as file:
        _take_delimiter(file)
        try:
            names = next(_parse(_Lines(path, file, quoting), delimiter, quoting), [])
        except csv.Error:
            names = []
    if not all(map(is_unicode, names)) or any("\0" in name for name in names):
        raise UserError(f"{path}: the header line is not UTF-8; {encoding_advice([path])}")
    return names


def _candidates(path: Path, columns: Columns) -> list[str]:
    """Return the delimiters that a file may have."""
    if columns.delimiter is not None and len(columns.delimiter) != 1:
        raise UserError(f"delimiter: {columns.delimiter!r} must be a single character")
    if columns.delimiter:
        return [columns.delimiter]
    with open_text(path, columns.encoding) as file:
        if delimiter := _take_delimiter(file):
            return [delimiter]
    return ["\t"] if (extension(path) or "").startswith(".tsv") else [",", ";", "\t", "|"]


def find_table(path: Path, columns: Columns) -> Table:
    """Return a file's layout, with the delimiter by which the header holds all columns.

    Raises UserError where there is none. Nothing is guessed from the texts themselves.
    """
    tables = [
        Table(path, columns.encoding, delimiter, columns.quoting or "double", names)
        for delimiter in _candidates(path, columns)
        for names in [header_of(path, columns, delimiter)]
    ]
    for table in tables:
        if set(columns.names) <= set(table.names):
            check_columns(path, table.names, columns)
            return table
    table = max(tables, key=lambda table: len(table.names))
    _check_header(table, columns)
    check_columns(path, table.names, columns)
    raise AssertionError("unreachable: the longest header lacks a column")


def _check_header(table: Table, columns: Columns) -> None:
    """Raise UserError where the first line is a row: one of its values comes again below it."""
    numbered = [str(place) for place in range(len(table.names))]
    if list(table.names) == numbered or set(columns.names) & set(table.names):
        return
    for values, *_ in islice(iterate_rows(table), FIRST_ROWS):
        pairs = zip(table.names, values, strict=False)
        if any(name == value and name.strip() for name, value in pairs):
            raise UserError(
                f"{table.path}: no header line: its first line is a row "
                f"({quote_names(table.names)}); put a line with the names of the columns above it, "
                f"with {table.delimiter!r} between: {', '.join(columns.names)}"
            )


def read_delimited(table: Table, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a CSV or TSV file, blank lines left out."""
    texts = [table.names.index(name) for name in columns.text]
    label = None if columns.label is None else table.names.index(columns.label)
    whole = len(table.names)
    group = None if columns.group is None else table.names.index(columns.group)
    text_of = itemgetter(texts[0]) if len(texts) == 1 else None
    count = 0
    for values, line, last_line, start, error in iterate_rows(table):
        if error:
            lost_lines = range(line, last_line + 1)
            yield from _damaged_rows(count, lost_lines, start, error)
            count += len(lost_lines)
            continue
        count += 1
        if len(values) != whole:
            yield unusable(count, line, WRONG_COLUMNS, start)
            continue
        text = text_of(values) if text_of else columns.join(values[place] for place in texts)
        belongs_to = "" if group is None else values[group]
        name = "" if label is None else values[label]
        yield record_of(count, line, text, name, belongs_to)


def _damaged_rows(row: int, lines: range, excerpt: str, error: csv.Error) -> Iterator[Record]:
    """Yield a lost row for each line of a damaged record; `row` rows come before them.

    A quotation mark that is never closed must not pass as a single bad row.
    """
    reason = TOO_LONG if "limit" in str(error) else BAD_QUOTES
    for place, line in enumerate(lines):
        shown = excerpt if place == 0 else f"(part of line {lines[0]})"
        yield unusable(row + place + 1, line, reason, shown)
