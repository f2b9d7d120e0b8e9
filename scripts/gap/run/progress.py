"""How far a program has come."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` while a bar on stderr shows count, rate and time left.

    A log file gets a line every half minute at most; a terminal ten updates a second.
    """
    interval = 0.1 if sys.stderr.isatty() else 30.0
    yield from tqdm(items, unit=f" {unit}", total=total, mininterval=interval, ascii=True)
