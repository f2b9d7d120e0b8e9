"""How sizes, numbers and times stand in texts for people."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sized

WIDTH = 100


def fill(text: str, first: str = "", others: str = "") -> str:
    """Return the text in lines of WIDTH; what stands in backticks, to be typed, is not broken.

    `first` stands before the first line, `others` before all others.
    """
    kept = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)
    lines = textwrap.fill(
        kept, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    )
    return lines.replace("\0", " ")


def size_label(size: str, n: int) -> str:
    """Return a size of `n` labelled examples as a person reads it: "4,000", or "4,321 (10%)"."""
    return f"{n:,}" if size == str(n) else f"{n:,} ({size})"


def points(value: float) -> str:
    """Return percentage points with one decimal, never as -0.0."""
    return f"{value:z.1f}"


def span(low: float, high: float) -> str:
    """Return an interval of points: "1.1 to 3.5"."""
    return f"{points(low)} to {points(high)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Return an estimate in points with its interval, as in "2.3 (1.1 to 3.5)"."""
    return f"{points(value)} ({span(low, high)})"


def several(items: Sized, noun: str) -> str:
    """Return how many there are: "1 model", "3 models"."""
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def two_digits(value: float) -> float:
    """Return a value rounded to two significant digits; more would be read as knowledge."""
    return float(f"{value:.2g}")


def millions(count: int) -> str:
    """Return a number of parameters: "22.7 M"."""
    return f"{count / 1e6:.3g} M"


def duration(seconds: float) -> str:
    """Return a time as a person reads it: "40 seconds", "12 minutes", "3.4 hours"."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{two_digits(seconds / length):,g} {unit}"
    return f"{two_digits(seconds):,g} seconds"
