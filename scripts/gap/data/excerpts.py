"""Data quoted in messages: short, on one line, and with nothing that a terminal would act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gap.data.units import plural, unit_starts

if TYPE_CHECKING:
    from gap.data.manifests import TextBudget

# What `gap.data.preparing.texts.cut_text` puts between the head and the tail of a longer text.
SEAM = re.compile(r" \.\.\. ")
EXCERPT_CHARACTERS = 80


def visible(text: str) -> str:
    """Return `text` with undecodable bytes, control and invisible characters spelled out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def shorten(text: str) -> str:
    """Return the beginning of `text` on one line, as `visible` has it."""
    readable = visible(" ".join(text[: 4 * EXCERPT_CHARACTERS].split()))
    if len(readable) <= EXCERPT_CHARACTERS:
        return readable
    return readable[:EXCERPT_CHARACTERS] + "..."


def shorten_sequence(text: str, longest: int, budget: TextBudget) -> str:
    """Return a sequence on one line, its middle left out where it has more than `longest` units.

    The units are characters, as the text budget counts them. What is left out is counted: "MKTAYI
    ... 310 residues ... LLGDFF". The dots between head and tail of a text that was cut are none.
    """
    line = " ".join(text.split())
    starts = list(unit_starts(line, "character"))
    if len(starts) <= longest:
        return line
    if budget["keep"] == "head_and_tail" and (seam := SEAM.search(line)):
        starts = [start for start in starts if not seam.start() <= start < seam.end()]
    side = max(longest // 2 - 20, 1)
    between = len(starts) - 2 * side
    called = budget["called"] if between == 1 else plural(budget["called"])
    head, tail = line[: starts[side]].rstrip(), line[starts[-side] :]
    return f"{head} ... {between:,} {called} ... {tail}"


def first_line(error: Exception) -> str:
    """Return the first line of what a library's error says."""
    return visible(str(error).partition("\n")[0])[:200]
