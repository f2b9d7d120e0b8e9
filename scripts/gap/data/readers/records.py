"""Rows of data files, usable or not, and the columns that they are read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gap.data.excerpts import EXCERPT_CHARACTERS, shorten
from gap.data.pairs import join_pair
from gap.run.errors import UserError
from gap.study.datasets import Rows, UnlabelledRows

# This bounds memory where a file is no table, or where a quotation mark is never closed. A line of
# short fields takes some twenty times its length.
LONGEST_ROW = 16_000_000
LONGEST_LABEL = 1_000

NO_TEXT = "no text"
NO_LABEL = "no label"
NO_GROUP = "no group"
NO_ID = "no id"
NOT_IN_TABLE = "id is not in the label table"
UNKNOWN_LABEL = "unknown label"
SEVERAL_LABELS = "a list of labels"
NOT_UTF8 = "not UTF-8"
WRONG_COLUMNS = "wrong number of columns"
BAD_QUOTES = "quotation marks do not match"
TOO_LONG = f"longer than {LONGEST_ROW:,} characters"
LONG_LABEL = f"label longer than {LONGEST_LABEL:,} characters"
NOT_JSON = "not a JSON object"
DOUBLE_KEY = "a key that is there twice"
# Behind a letter, and before a key of the config.
NO_RESIDUE = "is no residue"
HEADER_LACKS = "header has no"

# A list as Python or JSON write it: ['a', 'b'].
LIST_OF_LABELS = re.compile(r"\[\s*(?P<mark>['\"]).*(?P=mark)\s*,?\s*\]", re.DOTALL)

# Takes a sentence that a person should read.
Tell = Callable[[str], None]


class Columns(NamedTuple):
    """The names of the columns of a file, and what else is set about how it is read.

    Several columns of `text` are joined in their order, two of a `pair` with a mark between. What
    is None is found out from each file. `text_key` and `label_key` are the keys of a config that
    name text and label: rows may have an id in the place of a label. Without a `label` no row has
    one, and plain text is read, too, whose texts are told apart by `separator`.
    """

    text: tuple[str, ...]
    label: str | None
    group: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None
    records: str | None = None
    pair: bool = False
    text_key: str = "text"
    label_key: str = "label"
    separator: str | None = None

    @property
    def way(self) -> list[str]:
        """The keys that lead to the rows inside a JSON object; none where it is not set."""
        return self.records.split(".") if self.records else []

    @classmethod
    def of_texts(cls, rows: UnlabelledRows) -> Columns:
        """Return what a source of texts without labels says of its columns."""
        keys = ("delimiter", "quoting", "encoding", "records", "separator")
        return cls(tuple(rows.text), None, **{key: getattr(rows, key) for key in keys})

    @classmethod
    def of(cls, rows: Rows) -> Columns:
        """Return what a data set says of its columns; with a table of labels, ids are the labels.

        The table then tells the label of each id, see `of_table`.
        """
        keys = ("group", "delimiter", "quoting", "encoding", "records", "pair")
        others = {key: getattr(rows, key) for key in keys}
        if rows.id is not None:
            return cls(tuple(rows.text), rows.id, label_key="id", **others)
        return cls(tuple(rows.text), rows.label, **others)

    @classmethod
    def of_table(cls, rows: Rows) -> Columns:
        """Return the columns of a data set's table of labels: the text of its rows is their id."""
        assert rows.table_id is not None
        return cls((rows.table_id,), rows.label, text_key="table_id")

    @property
    def names(self) -> list[str]:
        """The names of all columns that are read: texts, label, group."""
        return [*self.text, *(name for name in (self.label, self.group) if name is not None)]

    def join(self, parts: Iterable[str | None]) -> str:
        """Return the texts of a row's columns as one."""
        return join_pair(parts) if self.pair else join_texts(parts)


class Record(NamedTuple):
    """One row of a file: either text and label, or the reason why it cannot be used.

    `row` counts the data rows of the file from 1, `line` its lines from 1 (None in binary files).
    `id` is what FASTA calls a record.
    """

    row: int
    line: int | None
    text: str
    label: str
    reason: str | None = None
    excerpt: str = ""
    group: str = ""
    id: str = ""


def unusable(row: int, line: int | None, reason: str, excerpt: str) -> Record:
    """Return the record of a row that cannot be used."""
    return Record(row, line, "", "", reason, shorten(excerpt))


def record_of(
    row: int, line: int | None, text: str | None, label: str | None, group: str | None = ""
) -> Record:
    """Return the record of a row's values, with a reason where they are unusable as text."""
    text, label, group = text or "", (label or "").strip(), (group or "").strip()
    reason = None
    if len(text) > LONGEST_ROW:
        reason = TOO_LONG
    elif len(label) > LONGEST_LABEL:
        reason = LONG_LABEL
    elif not (is_unicode(text) and is_unicode(label) and is_unicode(group)):
        reason = NOT_UTF8
    elif label[:1] == "[" and LIST_OF_LABELS.fullmatch(label):
        reason = SEVERAL_LABELS
    if reason:
        return unusable(row, line, reason, f"{label[:EXCERPT_CHARACTERS]} {text}")
    return Record(row, line, text, label, group=group)


def join_texts(parts: Iterable[str | None]) -> str:
    """Return the texts of a row's columns as one, a line each; empty ones are left out."""
    return "\n".join(part for part in parts if part and not part.isspace())


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
    """Raise UserError unless `names` holds the columns that are read, each once."""
    keys = [columns.text_key] * len(columns.text) + [columns.label_key, "group"]
    for key, name in zip(keys, columns.names, strict=False):
        if name not in names:
            raise UserError(
                f"{path}: no column {name!r}; its columns: {quote_names(names)}; set `{key}` to "
                "one of them"
            )
        if names.count(name) > 1:
            raise UserError(f"{path}: column {name!r} is there more than once; rename one of them")


def quote_names(names: Sequence[str]) -> str:
    """Return names of columns as they are, with their spaces, which are easily overlooked."""
    return ", ".join(repr(name[:EXCERPT_CHARACTERS]) for name in names[:30]) or "none"
