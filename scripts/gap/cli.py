"""What every program does the same way: errors for people, small files, progress."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class UserError(Exception):
    """A mistake in config or data; its text says what was found, expected, and what to do."""


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a program's `main`; a UserError becomes one line on stderr and exit status 1."""
    try:
        main(None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


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
    os.replace(partial, target)


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
