"""How sizes, numbers and times stand in texts for people."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from gap.results.findings import Row

WIDTH = 100


def fill(text: str) -> str:
    """Return the text in lines of WIDTH; what stands in backticks, to be typed, is not broken."""
    kept = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)
    return textwrap.fill(kept, WIDTH, break_on_hyphens=False).replace("\0", " ")


def size_label(row: Row) -> str:
    """Return the size of a row as a person reads it: "4,000", or "4,321 (10%)"."""
    return f"{row['n']:,}" if row["size"] == str(row["n"]) else f"{row['n']:,} ({row['size']})"


def points(value: float) -> str:
    """Return percentage points with one decimal, never as -0.0."""
    return f"{value:.1f}".replace("-0.0", "0.0") if abs(value) < 0.05 else f"{value:.1f}"


def with_interval(row: Row, name: str) -> str:
    """Return an estimate of a row with its interval, as in "2.3 (1.1 to 3.5)".

    The row holds it as `name`, `name`_low and `name`_high.
    """
    return f"{points(row[name])} ({points(row[f'{name}_low'])} to {points(row[f'{name}_high'])})"


def several(items: Sequence[Any], noun: str) -> str:
    """Return how many there are: "1 model", "3 models"."""
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def two_digits(value: float) -> float:
    """Return a value rounded to two significant digits; more would be read as knowledge."""
    return float(f"{value:.2g}")


def duration(seconds: float) -> str:
    """Return a time as a person reads it: "40 seconds", "12 minutes", "3.4 hours"."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{two_digits(seconds / length):,g} {unit}"
    return f"{two_digits(seconds):,g} seconds"
