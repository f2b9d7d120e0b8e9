"""Data quoted in messages: short, on one line, and with nothing that a terminal would act on."""

from __future__ import annotations

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


def first_line(error: Exception) -> str:
    """Return the first line of what a library's error says."""
    return visible(str(error).partition("\n")[0])[:200]
