"""Files that are still whole after a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def flush(path: Path) -> None:
    """Wait until a file, or all files of a folder, and their names are on the disk.

    Without it a system may write a later file first: one that says that this one is whole.
    """
    written = [*path.rglob("*"), path] if path.is_dir() else [path]
    for entry in [*written, path.parent]:
        # Not every file system can flush a folder.
        with contextlib.suppress(OSError) if entry.is_dir() else contextlib.nullcontext():
            _flush_entry(entry)


def replace(partial: Path, target: Path) -> None:
    """Give a finished file its name in one step, once its content is on the disk."""
    flush(partial)
    os.replace(partial, target)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
