"""The time of work in several attempts: added up, times the cores, and kept by a killed one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gap.run import stopwatch
from gap.run.errors import Stopped
from gap.run.stopwatch import time_spent, timed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the stopwatch reads, in a list of one number."""
    now = [100.0]
    monkeypatch.setattr("gap.run.stopwatch.time.monotonic", lambda: now[0])
    return now


def test_attempts_add_up(tmp_path: Path, clock: list[float]) -> None:
    ledger = tmp_path / "time.json"
    assert time_spent(ledger) == {"seconds": 0.0, "core_seconds": 0.0}
    with timed(ledger, 1):
        clock[0] += 5.0
    with pytest.raises(Stopped), timed(ledger, 4):
        clock[0] += 10.0
        raise Stopped("by SIGTERM")
    # What passes between attempts counts for nothing.
    clock[0] += 1000.0
    with timed(ledger, 2):
        clock[0] += 1.0
    assert time_spent(ledger) == {"seconds": 16.0, "core_seconds": 5.0 + 40.0 + 2.0}


def test_a_killed_attempt_has_written_its_time_down(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopwatch, "SECONDS_BETWEEN_ENTRIES", 0.01)
    ledger = tmp_path / "time.json"
    with timed(ledger, 3):
        clock[0] += 7.0
        deadline = time.time() + 60
        while time_spent(ledger)["core_seconds"] < 21.0 and time.time() < deadline:
            time.sleep(0.01)
        # As a kill would leave it here.
        assert time_spent(ledger) == {"seconds": 7.0, "core_seconds": 21.0}
