"""Records of FASTA files: sequences of proteins or nucleic acids, each below its header."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gap.data.excerpts import shorten
from gap.data.readers.files import open_text
from gap.data.readers.records import (
    HEADER_LACKS,
    LONGEST_ROW,
    NO_RESIDUE,
    NOT_UTF8,
    TOO_LONG,
    Columns,
    Record,
    is_unicode,
    quote_names,
    record_of,
    unusable,
)
from gap.run.errors import UserError

FASTA_COLUMNS = ("id", "header", "sequence")
SEQUENCE = "sequence"
# Lines are read in pieces of so many characters: a chromosome may stand in a single one.
PIECE = 1 << 20
# The codes of amino acids (20, U and O, and B, J, Z, X for unknown ones) are all letters there are.
# Those of nucleotides are some of them.
NO_LETTER = re.compile("[^A-Za-z]")

# The columns of a record, by name.
Values = Mapping[str, str]
Taker = Callable[[Values], str | None]


@dataclass
class Entry:
    """A header without its ">", the line that it stands in, and the lines of its sequence.

    Of a sequence longer than LONGEST_ROW, only `length` is kept.
    """

    line: int
    header: str
    length: int = 0
    lines: io.StringIO = field(default_factory=io.StringIO)

    def add(self, piece: str) -> None:
        """Append a line, or a piece of one, to the sequence."""
        self.length += len(piece)
        if self.length <= LONGEST_ROW:
            self.lines.write(piece)


class Takers(NamedTuple):
    """What takes label and group out of a record's columns."""

    label: Taker | None
    group: Taker | None


def read_fasta(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the records of a FASTA file.

    A sequence is in upper case, without a stop sign (*) at its end. Raises UserError where the file
    begins without a header, has no record, or has no such column.
    """
    takers = find_takers(path, columns)
    row = 0
    for entry in iterate_entries(path, columns.encoding):
        row += 1
        yield _record(row, entry, columns, takers)
    if not row:
        raise UserError(f"{path}: no FASTA record; expected lines that begin with '>'")


def check_fasta(path: Path, columns: Columns) -> None:
    """Raise UserError unless a file begins as FASTA, and has the columns that are read."""
    find_takers(path, columns)
    if next(iterate_entries(path, columns.encoding), None) is None:
        raise UserError(f"{path}: no FASTA record; expected lines that begin with '>'")


def iterate_entries(path: Path, encoding: str | None) -> Iterator[Entry]:
    """Yield headers with their sequences; lines that are blank or begin with ; are passed over."""
    entry, sign = None, ""
    for number, piece, begins in _pieces(path, encoding):
        if begins:
            sign = piece.lstrip()[:1]
        if sign == ";" or not piece.strip():
            continue
        if sign != ">" and entry is None:
            raise UserError(
                f"{path}: line {number}: no header before the first sequence; a FASTA record "
                f"begins with a line such as '>name'; found {shorten(piece)!r}"
            )
        if begins and sign == ">":
            if entry is not None:
                yield entry
            entry = Entry(number, piece.lstrip()[1:])
        elif entry is not None and sign != ">":
            entry.add(piece.strip())
        elif entry is not None and len(entry.header) <= LONGEST_ROW:
            entry.header += piece
    if entry is not None:
        yield entry


def _pieces(path: Path, encoding: str | None) -> Iterator[tuple[int, str, bool]]:
    """Yield the number of each line, a piece of it, and whether the line begins with that."""
    number, begins = 0, True
    with open_text(path, encoding, newline=None) as file:
        while piece := file.readline(PIECE):
            number += begins
            yield number, piece, begins
            begins = piece.endswith("\n")


def _record(row: int, entry: Entry, columns: Columns, takers: Takers) -> Record:
    """Return the record of an entry."""
    header = entry.header.strip()
    name = header.split(None, 1)[0] if header else ""
    if entry.length > LONGEST_ROW or len(header) > LONGEST_ROW:
        return unusable(row, entry.line, TOO_LONG, header)
    sequence = "".join(entry.lines.getvalue().split()).removesuffix("*")
    if SEQUENCE in columns.names and (match := NO_LETTER.search(sequence)):
        excerpt = f"{name[:40]}: {sequence[max(0, match.start() - 10) :][:40]}"
        return unusable(row, entry.line, f"{match[0]!a} {NO_RESIDUE}", excerpt)
    values = {"id": name, "header": header, SEQUENCE: sequence.upper()}
    label, group = (taker and taker(values) for taker in takers)
    if sequence and takers.label and not label:
        return unusable(row, entry.line, f"{HEADER_LACKS} {columns.label_key}", header)
    if sequence and takers.group and not group:
        return unusable(row, entry.line, f"{HEADER_LACKS} group", header)
    if not is_unicode(name):
        return unusable(row, entry.line, NOT_UTF8, header)
    parts = [values[column] for column in columns.text]
    text = parts[0] if len(parts) == 1 else columns.join(parts)
    return record_of(row, entry.line, text, label, group)._replace(id=name)


def find_takers(path: Path, columns: Columns) -> Takers:
    """Return what takes label and group out of a record.

    Raises UserError for a text that is no column, and for a label or group that is neither a column
    nor a pattern.
    """
    for name in columns.text:
        if name not in FASTA_COLUMNS:
            raise UserError(
                f"{path}: no column {name!r}; those of FASTA: {quote_names(FASTA_COLUMNS)}; set "
                f"`{columns.text_key}` to one of them"
            )
    group = _taker(path, "group", columns.group)
    return Takers(_taker(path, columns.label_key, columns.label), group)


def _taker(path: Path, key: str, name: str | None) -> Taker | None:
    """Return what takes a column out of a record, or what a pattern finds in its header."""
    if name is None:
        return None
    if name in FASTA_COLUMNS:
        return lambda values: values[name]
    pattern, reason = None, ""
    try:
        pattern = re.compile(name)
    except re.error as error:
        reason = f" ({error})"
    if pattern is not None and (key in pattern.groupindex or pattern.groups == 1):
        return _searcher(pattern, key if key in pattern.groupindex else 1)
    if pattern is not None and pattern.groups:
        reason = f" (it has {pattern.groups} groups; call one (?P<{key}>...))"
    raise UserError(
        f"{path}: {key}: found {name!r}; expected a column of FASTA, {quote_names(FASTA_COLUMNS)}, "
        f"or a pattern with one group that is searched for in headers, such as '{key}=(\\w+)'"
        f"{reason}"
    )


def _searcher(pattern: re.Pattern[str], group: str | int) -> Taker:
    def search(values: Values) -> str | None:
        match = pattern.search(values["header"])
        return match[group] if match else None

    return search
