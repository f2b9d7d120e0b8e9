"""The units in which a text budget counts: words, or characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from gap.study.datasets import TextUnit

if TYPE_CHECKING:
    from regex import Pattern

RUN = re.compile(r"\S+")
# The blocks of the scripts below, and others: the standard library passes over most texts faster
# than the exact pattern does.
NEAR_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u1aaf\u3000-\u9fff\ua9e0-\uaaff\uf900-\ufaff"
    "\uff66-\uff9f\U00010000-\U0003ffff]"
)
# A text is a sequence, such as a protein's, where one run of more characters than LONGEST_WORD
# makes nearly all of it.
LONGEST_WORD, NEARLY_ALL = 50, 0.9


@cache
def _unspaced() -> Pattern[str]:
    """Return what finds a letter of a script that is written without spaces.

    Complex_Context is what Unicode Standard Annex 14 says of Thai, Lao, Khmer, Myanmar and a few
    more: that it takes a dictionary to find their words.
    """
    import regex

    scripts = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=Complex_Context}]&&\p{L}]"
    return regex.compile(scripts, regex.VERSION1)


@cache
def _word_starts() -> Pattern[str]:
    """Return what finds where the words of `gap.data.words` begin."""
    import regex

    return regex.compile(r"\b[\w\p{M}\p{S}]", regex.WORD)


@cache
def _clusters() -> Pattern[str]:
    """Return what finds characters as readers see them, marks included (grapheme clusters)."""
    import regex

    return regex.compile(r"\X")


def is_unspaced(text: str) -> bool:
    """Return whether a text has a letter of a script that is written without spaces."""
    if text.isascii() or not NEAR_UNSPACED.search(text):
        return False
    return _unspaced().search(text) is not None


def count_units(text: str, unit: TextUnit) -> int:
    """Return how many words or characters a text has."""
    if unit == "word" and not is_unspaced(text):
        return len(text.split())
    return len(unit_starts(text, unit))


def unit_starts(text: str, unit: TextUnit) -> Sequence[int]:
    """Return where the words or characters of a text begin, (units,).

    Words are runs of non-space. Where a script has no spaces, runs are divided by Unicode's rules,
    mostly into single characters; punctuation goes with the word before it. A character is what a
    reader sees as one, with all of its marks; spaces are none.
    """
    if unit == "character":
        return _character_starts(text)
    return [start for run in RUN.finditer(text) for start in _starts_in_run(run)]


def _character_starts(text: str) -> list[int]:
    if text.isascii():
        return [place for place, sign in enumerate(text) if not sign.isspace()]
    return [cluster.start() for cluster in _clusters().finditer(text) if not cluster[0].isspace()]


def _starts_in_run(run: re.Match[str]) -> list[int]:
    """Return where the words of a run of non-space begin; what is before the first is a part of it.

    Unicode's rules for words would part a few Thai and Lao vowels from the letter that they stand
    with. Nothing begins there.
    """
    text, start = run[0], run.start()
    if not is_unspaced(text):
        return [start]
    characters = set(_character_starts(text))
    words = [word.start() for word in _word_starts().finditer(text)]
    return [start, *(start + place for place in words[1:] if place in characters)]


def plural(noun: str) -> str:
    """Return a noun for several: "residues", "entries", "classes"."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def find_unit(texts: Sequence[str]) -> TextUnit:
    """Return the unit that suits texts: characters where most are sequences, otherwise words."""
    return "character" if sum(map(_is_sequence, texts)) > len(texts) / 2 else "word"


def _is_sequence(text: str) -> bool:
    longest = max(text.split(), key=len, default="")
    if len(longest) <= LONGEST_WORD or len(longest) < NEARLY_ALL * len(text.strip()):
        return False
    return not is_unspaced(longest)
