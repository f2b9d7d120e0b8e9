"""Rows of JSON files: an object a line, a list or an object of objects, or columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

from gap.data.excerpts import shorten
from gap.data.readers.files import open_text
from gap.data.readers.json_stream import DECODER, DoubledKeys, JsonStream, open_json
from gap.data.readers.records import (
    DOUBLE_KEY,
    LONGEST_ROW,
    NOT_JSON,
    SEVERAL_LABELS,
    TOO_LONG,
    Columns,
    Record,
    check_columns,
    quote_names,
    record_of,
    unusable,
)
from gap.run.errors import UserError

Layout = Literal["lines", "list", "index", "columns"]
# Objects at the beginning of a file whose keys are looked at.
FIRST_OBJECTS = 100
# Values of an object of which one has all columns, where they are its rows.
FIRST_ROWS = 3
# Keys that lead to a list of rows, at most, where one is looked for.
DEEPEST = 3
PANDAS = "in pandas, to_json(orient='records', lines=True)"


class Item(NamedTuple):
    """What stands in the place of a row: its line where each has one, its text or its value."""

    line: int | None
    excerpt: str
    value: object


def read_json_objects(path: Path, columns: Columns) -> Iterator[Record]:
    """Yield the rows of a JSON file. Raises UserError where it does not hold the columns."""
    layout = find_layout(path, columns)
    _check_keys(path, columns, layout)
    for row, item in enumerate(_items(path, columns, layout), start=1):
        yield _record(row, item, columns)


def check_keys(path: Path, columns: Columns) -> None:
    """Raise UserError unless the first objects of a file have the keys that are read."""
    _check_keys(path, columns, find_layout(path, columns))


def _check_keys(path: Path, columns: Columns, layout: Layout) -> None:
    keys: dict[str, None] = {}
    for item in islice(_items(path, columns, layout), FIRST_OBJECTS):
        if isinstance(item.value, dict):
            keys.update(dict.fromkeys(item.value))
    if not keys:
        raise UserError(
            f"{path}: no JSON object at its beginning; expected one object a line, or one array "
            "of objects, in UTF-8 or with `encoding` set"
        )
    check_columns(path, list(keys), columns)


def _record(row: int, item: Item, columns: Columns) -> Record:
    """Return the record of what stands in the place of a row."""
    content = item.value
    if not isinstance(content, dict) or isinstance(content, DoubledKeys):
        reason = DOUBLE_KEY if isinstance(content, DoubledKeys) else NOT_JSON
        return unusable(row, item.line, reason, item.excerpt or str(content)[:1000])
    name = None if columns.label is None else content.get(columns.label)
    if isinstance(name, list):
        return unusable(row, item.line, SEVERAL_LABELS, str(name)[:1000])
    texts = [_as_text(content.get(key)) for key in columns.text]
    text = texts[0] if len(texts) == 1 else columns.join(texts)
    group = "" if columns.group is None else _as_text(content.get(columns.group))
    return record_of(row, item.line, text, _as_text(name), group)


def _as_text(value: object) -> str | None:
    """Return a JSON value as text; None where it is null, a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


# ---------------------------------------------------------------- layouts


def find_layout(path: Path, columns: Columns) -> Layout:
    """Return how the rows of a JSON file are laid out.

    Raises UserError, which says what to do, for a single object that is neither a row nor one of
    columns.
    """
    with open_json(path, columns.encoding) as stream:
        stream.enter(columns.way)
        if stream.peek() == "[":
            return "list"
        if columns.records:
            return "index" if _holds_rows(stream, columns) else "list"
        if stream.peek() != "{":
            return "lines"
    lines = list(islice(_lines(path, columns.encoding, stop=True), 3))
    contents = [_decode(line) for _, line in lines]
    if len(lines) > 1 and any(isinstance(content, dict) for content in contents):
        return "lines"
    with open_json(path, columns.encoding) as stream:
        if _holds_rows(stream, columns):
            return "index"
    with open_json(path, columns.encoding) as stream:
        kinds = _kinds(stream, columns)
    if all(kinds.get(name, "") in ("[", "{") for name in columns.names):
        return "columns"
    # The only object of a file may be its only row.
    if isinstance(contents[0], dict) and set(kinds.values()).isdisjoint("[{"):
        return "lines"
    if isinstance(contents[0], dict) and set(columns.names) <= set(kinds):
        return "lines"
    raise UserError(_explain_object(path, columns, list(kinds)))


def _holds_rows(stream: JsonStream, columns: Columns) -> bool:
    """Return whether the values of a single object are rows, by the keys of the first ones."""
    try:
        for _ in islice(stream.members(), FIRST_ROWS):
            if stream.peek() != "{":
                return False
            missing = set(columns.names)
            for name in stream.members():
                missing.discard(name)
                stream.skip()
            if not missing:
                return True
    except UserError:
        # Whoever reads the values will meet the damage.
        pass
    return False


def _kinds(stream: JsonStream, columns: Columns) -> dict[str, str]:
    """Return the signs that the values of a single object begin with, by key.

    Ends where all columns are among them, and before a value that is damaged.
    """
    kinds: dict[str, str] = {}
    try:
        for name in stream.members():
            kinds[name] = stream.peek()
            if set(columns.names) <= set(kinds):
                break
            stream.skip()
    except UserError:
        # The keys tell enough; whoever reads the values will meet the damage.
        pass
    return kinds


def _explain_object(path: Path, columns: Columns, names: list[str]) -> str:
    with open_json(path, columns.encoding) as stream:
        place = _find_list(stream, ())
    advice = f"; or set `records: {'.'.join(place)}`, where a list of objects is" if place else ""
    return (
        f"{path}: one JSON object with the keys {quote_names(names)}, and no JSON object a row; "
        f"write one object a line or one list of objects ({PANDAS}){advice}"
    )


def _find_list(stream: JsonStream, above: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that lead to the first list of objects; none where none is near."""
    try:
        for name in stream.members():
            place = (*above, name)
            if stream.peek() == "[":
                for number, item in enumerate(stream.elements()):
                    if number == 0 and isinstance(item, dict):
                        return place
            elif stream.peek() == "{" and len(place) < DEEPEST:
                if inside := _find_list(stream, place):
                    return inside
            else:
                stream.skip()
    except UserError:
        pass
    return ()


def _items(path: Path, columns: Columns, layout: Layout) -> Iterator[Item]:
    """Yield what stands in the places of rows."""
    if layout == "lines":
        for number, line in _lines(path, columns.encoding):
            yield Item(number, line[:1000], _decode(line))
    elif layout == "columns":
        for values in _cells(path, columns):
            yield Item(None, "", dict(zip(columns.names, values, strict=True)))
    else:
        with open_json(path, columns.encoding) as stream:
            stream.enter(columns.way)
            rows = stream.values() if layout == "index" else stream.elements()
            for value in rows:
                yield Item(None, "", value)
            if not columns.way and stream.peek():
                stream.fail("something stands behind the rows")


def _lines(path: Path, encoding: str | None, stop: bool = False) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that are not blank.

    One that is too long is an error, or the last line where they `stop` there.
    """
    with open_text(path, encoding, newline="\n") as file:
        number = 0
        while line := file.readline(LONGEST_ROW):
            number += 1
            long = len(line) == LONGEST_ROW
            if long and not stop:
                raise UserError(
                    f"{path}: a line is {TOO_LONG}; expected one object per line ({PANDAS})"
                )
            if not line.isspace():
                yield number, line
            if long:
                return


def _decode(line: str) -> object:
    try:
        return DECODER.decode(line)
    except (ValueError, RecursionError):
        return None


def _cells(path: Path, columns: Columns) -> Iterator[list[object]]:
    """Yield the values of each row of an object of columns: lists, or objects of rows."""
    with ExitStack() as stack:
        cells = []
        for name in columns.names:
            stream = stack.enter_context(open_json(path, columns.encoding))
            stream.enter([name])
            cells.append(_column(stream))
        for row in zip_longest(*cells):
            keys = {cell and cell[0] for cell in row}
            if len(keys) > 1:
                raise UserError(
                    f"{path}: its columns {quote_names(columns.names)} have different rows "
                    f"({shorten(str(keys))}); write one object a line ({PANDAS})"
                )
            yield [cell[1] for cell in row]


def _column(stream: JsonStream) -> Iterator[tuple[str, object]]:
    """Yield key (its place in a list) and value of each row of a column."""
    if stream.peek() == "[":
        yield from ((str(place), value) for place, value in enumerate(stream.elements()))
    else:
        for key in stream.members():
            yield key, stream.value()
