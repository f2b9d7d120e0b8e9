"""How long work took that may be killed and begun again: all attempts together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from gap.run.json import read_json, write_json

# What an attempt that is killed outright loses of its time at most.
SECONDS_BETWEEN_ENTRIES = 20.0


class TimeSpent(TypedDict):
    """Seconds by the clock, and each of them times the cores that worked in it."""

    seconds: float
    core_seconds: float


def time_spent(ledger: Path) -> TimeSpent:
    """Return what a file of `timed` says; no time at all where it is not there."""
    if not ledger.exists():
        return {"seconds": 0.0, "core_seconds": 0.0}
    spent: TimeSpent = read_json(ledger)
    return spent


@contextlib.contextmanager
def timed(ledger: Path, cores: int) -> Iterator[None]:
    """Add the time within the context, in which so many cores work, to what is in a file.

    An attempt that is stopped, or ends with an error, adds all of its time. One that is killed
    outright adds what it had written down, every SECONDS_BETWEEN_ENTRIES.
    """
    before, start, ended = time_spent(ledger), time.monotonic(), threading.Event()

    def enter() -> None:
        seconds = time.monotonic() - start
        entry: TimeSpent = {
            "seconds": before["seconds"] + seconds,
            "core_seconds": before["core_seconds"] + cores * seconds,
        }
        write_json(ledger, entry)

    def keep_entering() -> None:
        # A full disk is told by what the program itself writes.
        with contextlib.suppress(OSError):
            while not ended.wait(SECONDS_BETWEEN_ENTRIES):
                enter()

    clerk = threading.Thread(target=keep_entering, daemon=True)
    clerk.start()
    try:
        yield
    finally:
        ended.set()
        clerk.join()
        enter()
