"""Python runs this at its start where this folder is on PYTHONPATH; see study_overhead.py.

It notes in a file of the folder $STUDY_CLOCK what CPU time the process spends, how much of that on
starting and importing, and its peak memory. Imports inside functions and lazy ones count, too.
"""

import atexit
import builtins
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEGIN = time.time()


class ImportClock:
    """Adds up the CPU seconds of outermost imports, from the start of the interpreter on."""

    def __init__(self) -> None:
        self.seconds = time.process_time()
        self.inside = False

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its CPU time added up."""

        def counted(*positional: Any, **named: Any) -> Any:
            if self.inside:
                return function(*positional, **named)
            self.inside = True
            start = time.process_time()
            try:
                return function(*positional, **named)
            finally:
                self.seconds += time.process_time() - start
                self.inside = False

        return counted


def peak_memory() -> float:
    """Return the most MiB that this process has had in memory; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def write_record(folder: Path, clock: ImportClock) -> None:
    """Write what this process has spent so far."""
    record = {
        "pid": os.getpid(),
        "program": Path(sys.argv[0]).name,
        "begin": BEGIN,
        "end": time.time(),
        "imports": clock.seconds,
        "cpu": time.process_time(),
        "memory": peak_memory(),
    }
    path = folder / f"{os.getpid()}-{time.time_ns()}.json"
    path.write_text(json.dumps(record), encoding="utf-8")


if "STUDY_CLOCK" in os.environ:
    CLOCK = ImportClock()
    builtins.__import__ = CLOCK.counting(builtins.__import__)
    importlib.import_module = CLOCK.counting(importlib.import_module)
    atexit.register(write_record, Path(os.environ["STUDY_CLOCK"]), CLOCK)
