"""A JSON file read piece by piece, so that no more than one value is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from gap.data.readers.files import open_text
from gap.data.readers.records import LONGEST_ROW, TOO_LONG
from gap.run.errors import UserError

CHUNK = 1 << 16
SPACE = " \t\r\n"


class DoubledKeys(dict[str, object]):
    """A JSON object that has a key twice."""


def _gather(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    return content if len(content) == len(pairs) else DoubledKeys(content)


# Numbers stay as they are spelled, in texts, too: 1e3 must not turn into 1000.0.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=_gather)


@contextmanager
def open_json(path: Path, encoding: str | None) -> Iterator[JsonStream]:
    """Open a JSON file for a `with` statement."""
    with open_text(path, encoding) as file:
        yield JsonStream(path, file)


class JsonStream:
    """The values of an open JSON file in their order; `path` is for messages."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self._file = path, file
        self._buffer, self._place, self._ended = "", 0, False

    def peek(self) -> str:
        """Return the next sign that is no space; an empty text at the end of the file."""
        while True:
            while self._place < len(self._buffer):
                if self._buffer[self._place] not in SPACE:
                    return self._buffer[self._place]
                self._place += 1
            if not self._fill(CHUNK):
                return ""

    def take(self, signs: str) -> str:
        """Return the next sign and pass it over; raise UserError where it is not among `signs`."""
        sign = self.peek()
        if not sign or sign not in signs:
            self.fail(f"found {sign or 'its end'!r}, expected {' or '.join(signs)}")
        self._place += 1
        return sign

    def value(self) -> object:
        """Return the next value. Raises UserError where it is no JSON, or longer than a row is."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._place)
                # A number may go on beyond what is read.
                if end < len(self._buffer) or self._ended:
                    self._place = end
                    return value
            except RecursionError:
                self.fail("a value is nested too deeply")
            except json.JSONDecodeError as error:
                if self._ended:
                    self.fail(error.msg)
            size = len(self._buffer) - self._place
            if size > LONGEST_ROW:
                self.fail(f"a value is {TOO_LONG}")
            self._fill(max(CHUNK, size))

    def elements(self) -> Iterator[object]:
        """Yield the elements of the list that comes next."""
        for _ in self._places("[", "]"):
            yield self.value()

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that comes next; whoever gets one takes its value."""
        for _ in self._places("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                self.fail(f"found {key!r}, expected a key")
            self.take(":")
            yield key

    def values(self) -> Iterator[object]:
        """Yield the values of the object that comes next."""
        for _ in self.members():
            yield self.value()

    def _places(self, opening: str, closing: str) -> Iterator[None]:
        """Yield at each place between these brackets, of which commas part the others."""
        self.take(opening)
        if self.peek() == closing:
            self.take(closing)
            return
        sign = ","
        while sign == ",":
            yield
            sign = self.take(f",{closing}")

    def skip(self) -> None:
        """Pass over the next value, however long; only its elements must be no longer than rows."""
        if self.peek() == "[":
            for _ in self.elements():
                pass
        elif self.peek() == "{":
            for _ in self.members():
                self.value()
        else:
            self.value()

    def enter(self, keys: Sequence[str]) -> None:
        """Go to the value that these keys lead to. Raises UserError where there is none."""
        for key in keys:
            if self.peek() != "{":
                self.fail(f"`records`: no object that has the key {key!r}")
            there = []
            for name in self.members():
                if name == key:
                    break
                there.append(repr(name))
                self.skip()
            else:
                self.fail(f"`records`: no key {key!r}; here are: {', '.join(there[:30]) or 'none'}")

    def fail(self, what: str) -> NoReturn:
        """Raise the UserError of a file that is not as expected."""
        raise UserError(f"{self.path}: not the JSON that was expected ({what}); mend the file")

    def _fill(self, size: int) -> bool:
        """Read on; return whether there was more."""
        more = self._file.read(size)
        self._ended = not more
        if more:
            self._buffer = self._buffer[self._place :] + more
            self._place = 0
        return bool(more)
