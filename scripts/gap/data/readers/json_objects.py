"""Rows of JSON Lines files, and of files that are one JSON array of objects."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from gap.data.excerpts import first_line
from gap.data.readers.files import open_bytes
from gap.data.readers.records import (
    DOUBLE_KEY,
    LONGEST_ROW,
    NOT_JSON,
    NOT_UTF8,
    TOO_LONG,
    Columns,
    Record,
    check_columns,
    record_of,
    unusable,
)
from gap.run.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Objects at the beginning of a file whose keys are looked at.
FIRST_OBJECTS = 100


class _DoubleKeyError(ValueError):
    """An object has a key twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _DoubleKeyError
    return content


# Numbers stay as they are spelled: a label 2.0 must not turn into 2, nor 1e3 into 1000.0.
_loads: Callable[[str], object] = partial(
    json.loads, parse_int=str, parse_float=str, object_pairs_hook=_unique
)


def _as_text(value: object) -> str | None:
    """Return a JSON value as text; None where it is null, a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _objects(path: Path) -> Iterator[tuple[int | None, bytes]]:
    """Yield line number (None within a JSON array) and bytes of each object of the file."""
    with open_bytes(path) as file:
        start = file.read(1024).removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(b"["):
        yield from ((None, item) for item in _array_items(path))
        return
    with open_bytes(path) as file:
        number = 0
        while line := file.readline(LONGEST_ROW):
            number += 1
            if len(line) == LONGEST_ROW:
                raise UserError(f"{path}: a line is {TOO_LONG}; expected one object per line")
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line.strip():
                yield number, line


def _array_items(path: Path) -> Iterator[bytes]:
    """Yield the elements of a file that is one JSON array, without reading it as a whole."""
    import duckdb

    query = "SELECT json FROM read_json_objects(?, format='array', maximum_object_size=?)"
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            # Escaped, because the engine takes a name with * or [ for a pattern.
            connection.execute(query, [glob.escape(str(path)), LONGEST_ROW])
            while rows := connection.fetchmany(64):
                yield from (str(row[0]).encode("utf-8") for row in rows)
        except (duckdb.Error, UnicodeDecodeError) as error:
            line = first_line(error)
            raise UserError(f"{path}: not a JSON array ({line}); mend the file") from None


def check_keys(path: Path, columns: Columns) -> None:
    """Raise UserError unless the first objects of a file have the keys of text and label."""
    keys: dict[str, None] = {}
    for _, item in islice(_objects(path), FIRST_OBJECTS):
        keys.update(dict.fromkeys(_content(item)[0]))
    if not keys:
        raise UserError(
            f"{path}: no JSON object at its beginning; expected one object a line, or one array "
            "of objects, in UTF-8"
        )
    check_columns(path, list(keys), columns)


def read_json_objects(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a file of JSON objects."""
    check_keys(path, columns)
    for row, (line, item) in enumerate(_objects(path), start=1):
        content, reason = _content(item)
        if reason is None:
            text, label = (_as_text(content.get(key)) for key in (columns.text, columns.label))
            yield record_of(row, line, text, label)
        else:
            yield unusable(row, line, reason, item[:1000].decode("utf-8", "surrogateescape"))


def _content(item: bytes) -> tuple[dict[str, object], str | None]:
    """Return an object's content, or nothing and the reason why it is unusable."""
    if len(item) > LONGEST_ROW:
        return {}, TOO_LONG
    try:
        content = _loads(item.decode("utf-8"))
    except UnicodeDecodeError:
        return {}, NOT_UTF8
    except _DoubleKeyError:
        return {}, DOUBLE_KEY
    except (ValueError, RecursionError):
        content = None
    return (content, None) if isinstance(content, dict) else ({}, NOT_JSON)
