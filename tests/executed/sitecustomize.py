"""Python runs this at its start where this folder is on PYTHONPATH.

Of each program in a folder called scripts, and of the processes that it starts, it writes down in
the folder $EXECUTED which functions run: a line "program file line" for each one, when it is first
called other than by an import.
"""

import builtins
import functools
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

STARTED = "EXECUTED_BY_A_PROGRAM"


def importing(frame: FrameType | None) -> bool:
    """Return whether a function is called while a module is being imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


class Recorder:
    """Writes down the functions that are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[CodeType] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call; see sys.settrace."""
        code = frame.f_code
        if code in self.seen:
            return
        _, is_here, file = code.co_filename.rpartition("/scripts/")
        # Bodies of modules and classes are no functions.
        if not is_here or not code.co_flags & inspect.CO_OPTIMIZED:
            self.seen.add(code)
        elif not importing(frame.f_back):
            self.seen.add(code)
            program = Path(sys.argv[0]).name
            line = f"{program} {file} {code.co_firstlineno} {code.co_name}\n"
            with (self.folder / str(os.getpid())).open("a", encoding="utf-8") as record:
                record.write(line)


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs as before, and whose calls are not looked at."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        recorder = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*arguments, **options)
        finally:
            sys.settrace(recorder)

    return call


if "EXECUTED" in os.environ:
    is_program = any("scripts/" in argument for argument in sys.orig_argv[1:2])
    if is_program or STARTED in os.environ:
        os.environ[STARTED] = "yes"
        recorder = Recorder(Path(os.environ["EXECUTED"]))
        # Most of what libraries do here is to be imported, which would take twice as long.
        builtins.__import__ = untraced(builtins.__import__)
        importlib.import_module = untraced(importlib.import_module)
        threading.settrace(recorder)
        sys.settrace(recorder)
