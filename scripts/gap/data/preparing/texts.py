"""What is done to a text: tags removed, cut to its budget, compared with others."""

from __future__ import annotations

import math
import unicodedata
from hashlib import blake2b
from re import compile as compile_pattern

import numpy as np

from gap.data.pairs import SEPARATOR, share_room, split_pair
from gap.data.units import count_units, is_unspaced, unit_starts
from gap.study.datasets import TextUnit

# A tag begins with a letter, / or !; other signs behind < are those of a comparison.
TAG = compile_pattern(r"<[A-Za-z/!][^<>]*>")


def cut_text(text: str, words: int, keep: str, unit: TextUnit = "word") -> str:
    """Return `text` within its budget of `words` words or characters, unchanged where it is.

    "head" keeps the first `words`; "head_and_tail" the first three quarters (rounded up) and the
    last quarter, with " ... " between, so that the seam makes no pair of words of its own. Units
    are those of `unit_starts`.
    """
    first = math.ceil(words * 3 / 4) if keep == "head_and_tail" else words
    if unit == "word" and not is_unspaced(text):
        return _cut_at_spaces(text, words, first)
    starts = unit_starts(text, unit)
    if len(starts) <= words:
        return text
    head = text[: starts[first]].rstrip()
    return head if first == words else f"{head} ... {text[starts[first - words] :].rstrip()}"


def count_pair(text: str, unit: TextUnit) -> int:
    """Return how many words or characters the two texts of a pair have together."""
    return sum(count_units(part, unit) for part in split_pair(text))


def cut_pair(text: str, words: int, keep: str, unit: TextUnit) -> str:
    """Return a pair within its budget for both texts together; the longer one is cut first."""
    parts = split_pair(text)
    counts = [np.array([count_units(part, unit)]) for part in parts]
    rooms = share_room(counts[0], counts[1], words)
    return SEPARATOR.join(
        cut_text(part, int(room[0]), keep, unit) for part, room in zip(parts, rooms, strict=True)
    )


def _cut_at_spaces(text: str, words: int, first: int) -> str:
    """Return the `first` of `words` runs of non-space and the last others; it looks at no more."""
    if len(parts := text.split(None, words)) <= words:
        return text
    if first == words:
        return text[: len(text) - len(parts[-1])].rstrip()
    head = text[: len(text) - len(text.split(None, first)[first])].rstrip()
    rest = text.rstrip().rsplit(None, words - first)[0]
    return f"{head} ... {text.rstrip()[len(rest) :].lstrip()}"


def normalise(text: str) -> str:
    """Return the form in which a pool row and a test row count as the same text."""
    plain = text.lower()
    # ASCII is composed already.
    return " ".join((plain if plain.isascii() else unicodedata.normalize("NFC", plain)).split())


def text_digest(text: str) -> bytes:
    """Return a 128-bit hash of a text."""
    return blake2b(text.encode("utf-8"), digest_size=16, person=b"gap texts").digest()
