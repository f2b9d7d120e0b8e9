"""What every program does the same way: errors for people, small files, progress."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from gap.durable import replace

Item = TypeVar("Item")

# What `sysexits.h` calls a temporary failure: the same command again goes on.
STOPPED = 75


class UserError(Exception):
    """A mistake in config or data; its text says what was found, expected, and what to do."""


class Stopped(BaseException):
    """A job was asked to stop, and has saved what it had; its text says how far it got.

    Like KeyboardInterrupt it is no error that a library may catch.
    """


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a program's `main`; what a person can put right becomes one line on stderr.

    A UserError and trouble of the machine (see `explain`) end in exit status 1, Stopped in 75; any
    other error keeps its traceback.
    """
    try:
        if stat.S_ISREG(os.fstat(2).st_mode):
            # What made the log; and a block of a device that may be full when an error is told.
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


# By numbers of OSError, and by what libraries say whose errors have none: numpy and torch name no
# cause, but when a write falls short, there is no other.
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
    original error. A full device is found behind a UserError, too.
    """
    chain = list(_causes(error))
    known = isinstance(error, UserError)
    numbers = {one.errno for one in chain if isinstance(one, OSError)}
    # A UserError quotes data, which may say anything.
    said = "" if known else "\n".join(f"{type(one).__name__}: {one}" for one in chain)
    for trouble, (codes, phrases, line) in TROUBLES.items():
        if numbers & codes or re.search(phrases, said):
            if known and trouble != FULL:
                break
            original = f"{type(error).__name__}: {error}".splitlines()[0]
            return f"{line.format(folder=_folder(chain))} ({original})"
    return str(error) if known else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _folder(chain: list[BaseException]) -> str:
    """Return the folder that an error names; else, of those on the command line, the fullest."""
    for error in chain:
        name = getattr(error, "filename2", None) or getattr(error, "filename", None)
        if isinstance(name, str):
            return os.path.dirname(name) or "."
    named = {os.path.dirname(argument.partition("=")[2] or argument) for argument in sys.argv[1:]}
    folders = [*sorted(folder for folder in named if os.access(folder, os.W_OK)), "."]
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free)


def _tell(line: str) -> None:
    """Print a line on stderr; where that is a log on a full device, over the log's beginning."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            os.lseek(2, 0, os.SEEK_SET)
            os.write(2, f"{line}\n".encode())


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON with sorted keys, replacing the file in one step."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    replace(partial, target)


def canonical_json(content: Any) -> str:
    """Return the one spelling of `content` that recipes and fingerprints use."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits, reading it in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` while a bar on stderr shows count, rate and time left.

    A log file gets a line every half minute at most; a terminal ten updates a second.
    """
    interval = 0.1 if sys.stderr.isatty() else 30.0
    yield from tqdm(items, unit=f" {unit}", total=total, mininterval=interval, ascii=True)
