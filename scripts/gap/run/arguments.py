"""Arguments of any length: what is too long for a command line goes by a file.

A rule's command is one argument of bash, and Linux takes none above 128 KiB. argparse reads what
begins with @ as the name of a file that has an argument in each line (`fromfile_prefix_chars`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from gap.run.durable import replace

# The most bytes that the arguments of one option may have; a command has several options.
LONGEST = 16_000


def named_paths(pairs: Sequence[str]) -> dict[str, Path]:
    """Return {name: path} of "NAME=PATH"."""
    return {name: Path(path) for name, _, path in (pair.partition("=") for pair in pairs)}


def within_limit(arguments: Sequence[str], folder: Path) -> list[str]:
    """Return the arguments; or, where they are too long together, "@FILE" that holds them.

    The file is in `folder`, is made where it is not there, and is named for its content: equal
    arguments come back equal.
    """
    content = "".join(f"{argument}\n" for argument in arguments).encode()
    if len(content) <= LONGEST:
        return list(arguments)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}.txt"
    # Whoever plans another person's study need not write there; a program tells what it misses.
    with contextlib.suppress(OSError):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(content)
            replace(partial, path)
    return [f"@{path}"]
