"""Digests of files."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gap.run.json import read_json, write_json


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits, reading it in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(files: Iterable[str], known: Path) -> dict[str, str]:
    """Return the sha256 of each file, by its path.

    Those whose size and time of change are as `known`, a JSON file, has them from the last call are
    not read again.
    """
    before: dict[str, dict[str, Any]] = read_json(known) if known.exists() else {}
    now: dict[str, dict[str, Any]] = {}
    for path in files:
        status = Path(path).stat()
        now[path] = {"bytes": status.st_size, "changed": status.st_mtime_ns}
        same = {key: before.get(path, {}).get(key) for key in now[path]} == now[path]
        now[path]["sha256"] = before[path]["sha256"] if same else sha256_file(path)
    if now != before:
        # On a full disk, or another person's, they are read again at the next call.
        with contextlib.suppress(OSError):
            write_json(known, now)
    return {path: facts["sha256"] for path, facts in now.items()}
