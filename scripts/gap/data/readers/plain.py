"""Texts of plain text files: one a line, or one a paragraph."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from gap.data.readers.files import open_text
from gap.data.readers.records import (
    LONGEST_ROW,
    TOO_LONG,
    Columns,
    Record,
    Tell,
    record_of,
    unusable,
)
from gap.run.errors import UserError

# The one column that a plain text file has, as others call it, too.
PLAIN_COLUMN = "text"
# Lines are read in pieces of so many characters: a whole book may stand in a single one.
PIECE = 1 << 20


class Line(NamedTuple):
    """A line from 1, without its end; of one longer than LONGEST_ROW, some more than that."""

    number: int
    text: str

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return not self.text or self.text.isspace()


def read_plain(path: Path, columns: Columns, tell: Tell) -> Iterator[Record]:
    """Yield the texts of a plain text file.

    Blank lines are no texts. Where each line is a text, `tell` gets how many stand between texts.
    Raises UserError where the file has no text, or `columns` names others than it has.
    """
    _check_column(path, columns)
    paragraphs = columns.separator == "blank_line"
    texts = _paragraphs(path, columns.encoding) if paragraphs else _lines(path, columns, tell)
    row = 0
    for row, (number, text) in enumerate(texts, start=1):
        if len(text) > LONGEST_ROW:
            yield unusable(row, number, TOO_LONG, text)
        else:
            yield record_of(row, number, text, "")
    if not row:
        raise UserError(_without_text(path))


def check_plain(path: Path, columns: Columns) -> None:
    """Raise UserError unless a file has a text, in the one column that is read."""
    _check_column(path, columns)
    lines = _all_lines(path, columns.encoding)
    if all(line.blank for line in lines):
        raise UserError(_without_text(path))


def _without_text(path: Path) -> str:
    return f"{path}: no text in this file; expected a text a line, or leave the file out"


def _check_column(path: Path, columns: Columns) -> None:
    if columns.text != (PLAIN_COLUMN,):
        names = ", ".join(map(repr, columns.text))
        raise UserError(
            f"{path}: no column {names}: plain text has {PLAIN_COLUMN!r} only; leave `text` out"
        )


def _all_lines(path: Path, encoding: str | None) -> Iterator[Line]:
    """Yield all lines of a file, blank ones, too."""
    with open_text(path, encoding, newline=None) as file:
        number = 0
        while piece := file.readline(PIECE):
            number += 1
            whole, length = io.StringIO(), 0
            while True:
                if length <= LONGEST_ROW:
                    whole.write(piece)
                length += len(piece)
                if piece.endswith("\n") or not (piece := file.readline(PIECE)):
                    break
            yield Line(number, whole.getvalue().removesuffix("\n"))


def _lines(path: Path, columns: Columns, tell: Tell) -> Iterator[Line]:
    """Yield the lines that are not blank; tell how many stand between them."""
    blank = waiting = 0
    for line in _all_lines(path, columns.encoding):
        if line.blank:
            waiting += 1
        else:
            blank, waiting = blank + waiting, 0
            yield line
    if blank:
        tell(
            f"{path}: {blank:,} blank lines between texts are passed over; where texts go over "
            "several lines, set `separator: blank_line`"
        )


def _paragraphs(path: Path, encoding: str | None) -> Iterator[Line]:
    """Yield the runs of lines that blank ones part, each with the number of its first line."""
    first, length, lines = 0, 0, list[str]()
    end = Line(0, "")
    for line in chain(_all_lines(path, encoding), [end]):
        if line.blank:
            if lines:
                yield Line(first, "\n".join(lines))
            lines, length = [], 0
            continue
        first = first if lines else line.number
        # The line breaks between lines count, but for the last one.
        if length <= LONGEST_ROW + 1:
            lines.append(line.text)
        length += len(line.text) + 1
