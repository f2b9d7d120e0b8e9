"""The packages whose version can change a result, and which versions are there."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

# The packages whose version can change a number, by the name that is imported. Packages that read,
# write, draw or report are not among them. DuckDB is, because it puts rows in order.
DECIDING = {
    "duckdb": ["duckdb"],
    "numpy": ["numpy"],
    "regex": ["regex"],
    "scipy": ["scipy"],
    "sentencepiece": ["sentencepiece"],
    "sklearn": ["scikit-learn", "scipy"],
    "torch": ["torch"],
    "transformers": ["tokenizers", "transformers"],
}


def installed_packages() -> dict[str, str]:
    """Return the exact versions of the packages that decide results, those that are installed."""
    names = {name for group in DECIDING.values() for name in group}
    return {name: version for name in sorted(names) if (version := _installed(name))}


def locked_packages(*locks: Path) -> dict[str, str]:
    """Return the versions that requirements files pin."""
    text = "\n".join(lock.read_text(encoding="utf-8") for lock in locks)
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
