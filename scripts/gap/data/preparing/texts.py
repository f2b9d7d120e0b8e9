"""What is done to a text: tags removed, cut to its budget, compared with others."""

from __future__ import annotations

import math
import unicodedata
from hashlib import blake2b
from re import compile as compile_pattern

# A tag begins with a letter, / or !; other signs behind < are those of a comparison.
TAG = compile_pattern(r"<[A-Za-z/!][^<>]*>")


def cut_text(text: str, words: int, keep: str) -> str:
    """Return `text` within its budget of whitespace-separated words, otherwise unchanged.

    "head" keeps the first `words`; "head_and_tail" the first three quarters (rounded up) and the
    last quarter, with " ... " between, so that the seam makes no pair of words of its own.
    """
    if len(parts := text.split(None, words)) <= words:
        return text
    first = math.ceil(words * 3 / 4) if keep == "head_and_tail" else words
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
