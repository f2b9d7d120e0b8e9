"""What is written to a terminal, whatever letters it knows."""

from __future__ import annotations

import io
from typing import TextIO


def take_all_letters(stream: TextIO) -> None:
    """Let a stream write ? for a letter that its encoding lacks, as ASCII lacks é, and not fail."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
