"""How every program begins and ends: what a person can put right becomes one line."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence

from gap.run.errors import STOPPED, Stopped, UserError
from gap.run.terminal import take_all_letters


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a program's `main`; what a person can put right becomes one line on stderr.

    A UserError and trouble of the machine (see `explain`) end in exit status 1, Stopped in 75; any
    other error keeps its traceback.
    """
    take_all_letters(sys.stdout)
    try:
        if stat.S_ISREG(os.fstat(2).st_mode):
            # This says what made the log. It also takes a block on the device: if the device is
            # full later, the error line overwrites this block.
            print(f"python {shlex.join(sys.argv)}", file=sys.stderr, flush=True)
        main(None)
    except Stopped as stop:
        _tell(f"stopped: {stop}; the same command goes on from there")
        sys.exit(STOPPED)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        _tell(f"error: {line}")
        sys.exit(1)


# A full device is known by the number of an OSError, or by the message of a library whose errors
# have no number. numpy and torch name no cause where a write fell short, but there is no other.
FULL = "full device"
TROUBLES = {
    FULL: (
        {errno.ENOSPC, errno.EDQUOT},
        "No space left on device|Disk quota exceeded|failed to offload data block"
        r"|requested and \d+ written|iostream error|file write failed",
        "no space left on the device of {folder}: make room there, then the same command goes on",
    ),
    "memory": (
        {errno.ENOMEM},
        "MemoryError|OutOfMemory|out of memory|can't allocate memory",
        "out of memory: close other programs, run fewer jobs at once (snakemake --cores 1), or "
        "lower the model's batch_size; the same command goes on",
    ),
    "permission": (
        {errno.EACCES, errno.EPERM, errno.EROFS},
        "Permission denied|Read-only file system",
        "no permission for a file in {folder}: grant it (chmod, chown), or choose other folders "
        "for `pathvars` in the config; the same command goes on",
    ),
}


def explain(error: Exception) -> str | None:
    """Return the line for a UserError or for trouble of the machine; None for any other error.

    Trouble is a full device, too little memory, or a missing permission. The line ends with the
    original error. A full device is also found where it caused a UserError.
    """
    causes = list(_causes(error))
    explained = isinstance(error, UserError)
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    # A UserError quotes data, which may say anything.
    messages = "" if explained else "\n".join(f"{type(e).__name__}: {e}" for e in causes)
    for trouble, (codes, phrases, line) in TROUBLES.items():
        if numbers & codes or re.search(phrases, messages):
            if explained and trouble != FULL:
                break
            original = f"{type(error).__name__}: {error}".splitlines()[0]
            return f"{line.format(folder=_folder(causes))} ({original})"
    return str(error) if explained else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _folder(causes: list[BaseException]) -> str:
    """Return the folder that an error names, else the fullest of those on the command line."""
    for error in causes:
        name = getattr(error, "filename2", None) or getattr(error, "filename", None)
        if isinstance(name, str):
            return os.path.dirname(name) or "."
    parents = {os.path.dirname(argument.partition("=")[2] or argument) for argument in sys.argv[1:]}
    folders = [*sorted(folder for folder in parents if os.access(folder, os.W_OK)), "."]
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free)


def _tell(line: str) -> None:
    """Print a line on stderr; where that is a log on a full device, over the log's beginning."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            os.lseek(2, 0, os.SEEK_SET)
            os.write(2, f"{line}\n".encode())
