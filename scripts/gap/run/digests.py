"""Digests of files."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from gap.run.json import read_json, write_json


class SeenFile(TypedDict):
    """A file when it was last read: its size, its time of change (ns) and its digest."""

    bytes: int
    changed: int
    sha256: str


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits, reading it in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(files: Iterable[str], seen: Path) -> dict[str, str]:
    """Return the sha256 of each file, by its path.

    `seen` is a JSON file that this function keeps: a file whose size and time of change are still
    those noted there is not read again.
    """
    before: dict[str, SeenFile] = read_json(seen) if seen.exists() else {}
    now = {path: _look_at(path, before.get(path)) for path in files}
    if now != before:
        # On a full disk, or in another person's folder, they are read again at the next call.
        with contextlib.suppress(OSError):
            write_json(seen, now)
    return {path: file["sha256"] for path, file in now.items()}


def _look_at(path: str, before: SeenFile | None) -> SeenFile:
    """Return a file as it is now; it is read only where it has changed since `before`."""
    status = Path(path).stat()
    size, changed = status.st_size, status.st_mtime_ns
    if before and (before["bytes"], before["changed"]) == (size, changed):
        return before
    return {"bytes": size, "changed": changed, "sha256": sha256_file(path)}
