"""Folders: emptied, and files under a second name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that is gone at the end; one that a killed program left is emptied."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Give a file, or each file of a folder, a second name; what stands at `target` is replaced."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=_link_file)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link_file(source, target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copy2(source, target)


def files_below(folder: Path) -> list[Path]:
    """Return all files in a folder and in those inside it, in the order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
