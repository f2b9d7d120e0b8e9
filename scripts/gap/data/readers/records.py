"""Rows of data files, usable or not, and the columns that they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gap.data.excerpts import EXCERPT_CHARACTERS, shorten
from gap.run.errors import UserError

# This bounds memory where a file is no table, or where a quotation mark is never closed. A line of
# short fields takes some twenty times its length.
LONGEST_ROW = 16_000_000
LONGEST_LABEL = 1_000

NO_TEXT = "no text"
NO_LABEL = "no label"
UNKNOWN_LABEL = "unknown label"
NOT_UTF8 = "not UTF-8"
WRONG_COLUMNS = "wrong number of columns"
BAD_QUOTES = "quotation marks do not match"
TOO_LONG = f"longer than {LONGEST_ROW:,} characters"
LONG_LABEL = f"label longer than {LONGEST_LABEL:,} characters"
NOT_JSON = "not a JSON object"
DOUBLE_KEY = "a key that is there twice"


class Columns(NamedTuple):
    """The names of the columns of text and label, and the character between columns, if given."""

    text: str
    label: str
    delimiter: str | None = None


class Record(NamedTuple):
    """One row of a file: either text and label, or the reason why it cannot be used.

    `row` counts the data rows of the file from 1, `line` its lines from 1 (None in binary files).
    """

    row: int
    line: int | None
    text: str
    label: str
    reason: str | None = None
    excerpt: str = ""


def unusable(row: int, line: int | None, reason: str, excerpt: str) -> Record:
    """Return the record of a row that cannot be used."""
    return Record(row, line, "", "", reason, shorten(excerpt))


def record_of(row: int, line: int | None, text: str | None, label: str | None) -> Record:
    """Return the record of two values, with a reason where they are unusable as text."""
    text, label = text or "", (label or "").strip()
    reason = None
    if len(text) > LONGEST_ROW:
        reason = TOO_LONG
    elif len(label) > LONGEST_LABEL:
        reason = LONG_LABEL
    elif not (is_unicode(text) and is_unicode(label)):
        reason = NOT_UTF8
    if reason:
        return unusable(row, line, reason, f"{label[:EXCERPT_CHARACTERS]} {text}")
    return Record(row, line, text, label)


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8: it holds no surrogate."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_columns(path: Path, names: Sequence[str], columns: Columns) -> None:
    """Raise UserError unless `names` holds the columns of text and label, each once."""
    for key, name in (("text", columns.text), ("label", columns.label)):
        if name not in names:
            # Names are shown as they are, with their spaces, because spaces are easily overlooked.
            listing = ", ".join(repr(name[:EXCERPT_CHARACTERS]) for name in names[:30]) or "none"
            raise UserError(
                f"{path}: no column {name!r}; its columns: {listing}; set `{key}` to one of them"
            )
        if names.count(name) > 1:
            raise UserError(f"{path}: column {name!r} is there more than once; rename one of them")
