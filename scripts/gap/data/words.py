"""Words and characters of texts in any script, by Unicode's rules."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Pattern


@cache
def _words() -> Pattern[str]:
    """Return what finds the pieces between word boundaries that hold a letter, digit or symbol.

    The boundaries are those of Unicode Standard Annex 29 (flag W): marks stay with their letters,
    and "don't", "3.14" and an emoji of several signs are a word each. In scripts without spaces
    there is a boundary after each Chinese character, run of katakana, or Thai letter with its
    marks.
    """
    import regex

    return regex.compile(r"[\w\p{M}\p{S}](?:\B.)*", regex.WORD | regex.DOTALL)


@cache
def _signs() -> Pattern[str]:
    import regex

    return regex.compile(r"\S(?:\B.)*", regex.WORD | regex.DOTALL)


def normalise(text: str) -> str:
    """Return a text in lower case, composed, with all of its marks."""
    import unicodedata

    return unicodedata.normalize("NFC", text.lower())


def split_words(text: str) -> list[str]:
    """Return the words and symbols of a text; its punctuation where there is nothing else."""
    return _words().findall(text) or _signs().findall(text)
