"""Rows of CSV and TSV files.

The standard library's parser is used rather than an engine's, because only it tells the exact row
and line of every row, also of those after a multi-line field or a damaged row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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
    record_of,
    unusable,
)
from gap.run.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader


class _Lines:
    """The lines of a file for the CSV parser, remembering the first one of the current record."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file, self.first = path, file, ""

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
        return line


def _parse(lines: Iterable[str], delimiter: str) -> Reader:
    csv.field_size_limit(LONGEST_ROW)
    # strict: otherwise text after a closing quotation mark is silently glued to the field.
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _header(path: Path, delimiter: str) -> list[str]:
    with open_text(path) as file:
        try:
            names = next(_parse(_Lines(path, file), delimiter), [])
        except csv.Error:
            names = []
    if not all(map(is_unicode, names)):
        raise UserError(
            f"{path}: the header line is not UTF-8; convert the file, "
            "for instance with: iconv -f WINDOWS-1252 -t UTF-8 (or -f UTF-16)"
        )
    return names


def find_delimiter(path: Path, columns: Columns) -> tuple[str, list[str]]:
    """Return the delimiter with which the header holds both columns, and the column names.

    Raises UserError where there is none. Nothing is guessed from the texts themselves.
    """
    if columns.delimiter is not None and len(columns.delimiter) != 1:
        raise UserError(f"delimiter: {columns.delimiter!r} must be a single character")
    tabs = (extension(path) or "").startswith(".tsv")
    candidates = [columns.delimiter or "\t"] if columns.delimiter or tabs else [",", ";", "\t", "|"]
    headers = {candidate: _header(path, candidate) for candidate in candidates}
    for candidate, names in headers.items():
        if columns.text in names and columns.label in names:
            check_columns(path, names, columns)
            return candidate, names
    check_columns(path, max(headers.values(), key=len), columns)
    raise AssertionError("unreachable: the longest header lacks a column")


def read_delimited(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a CSV or TSV file, blank lines left out."""
    delimiter, names = find_delimiter(path, columns)
    text_column, label_column = names.index(columns.text), names.index(columns.label)
    with open_text(path) as file:
        lines = _Lines(path, file)
        parser = _parse(lines, delimiter)
        next(parser)
        row = 0
        while True:
            lines.first, line = "", parser.line_num + 1
            try:
                values = next(parser)
            except StopIteration:
                return
            except csv.Error as error:
                lost_lines = range(line, parser.line_num + 1)
                yield from _damaged_rows(row, lost_lines, lines.first, error)
                row += len(lost_lines)
                continue
            if not values:
                continue
            row += 1
            if len(values) != len(names):
                yield unusable(row, line, WRONG_COLUMNS, lines.first)
            else:
                yield record_of(row, line, values[text_column], values[label_column])


def _damaged_rows(row: int, lines: range, excerpt: str, error: csv.Error) -> Iterator[Record]:
    """Yield a lost row for each line of a damaged record; `row` rows come before them.

    A quotation mark that is never closed must not pass as a single bad row.
    """
    reason = TOO_LONG if "limit" in str(error) else BAD_QUOTES
    for place, line in enumerate(lines):
        shown = excerpt if place == 0 else f"(part of line {lines[0]})"
        yield unusable(row + place + 1, line, reason, shown)
