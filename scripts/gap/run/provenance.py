"""What a result was made from: digests of code and of people's files, versions of packages."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from gap.run.json import canonical_json

SCRIPTS = Path(__file__).resolve().parents[2]
# By the name that is imported: the packages whose version can change a number. Those that read,
# write, draw or report are not among them; DuckDB is, as it puts rows in order.
DECIDING = {
    "duckdb": ["duckdb"],
    "numpy": ["numpy"],
    "scipy": ["scipy"],
    "sentencepiece": ["sentencepiece"],
    "sklearn": ["scikit-learn", "scipy"],
    "torch": ["torch"],
    "transformers": ["tokenizers", "transformers"],
}


def provenance_of(program: str, granularity: str | bool, versions: Mapping[str, str]) -> str:
    """Return what makes a program's results, apart from recipe and inputs, as canonical JSON.

    {"code": digest, "packages": {name: version}}, of the packages that decide a result and that the
    program or one of its modules imports. `granularity` is "exact" (2.13.1+cpu), "minor" (2.13) or
    "off" (no packages; also False, as YAML reads it).
    """
    names = frozenset() if granularity in ("off", False) else deciding_packages(program)
    packages = {name: versions.get(name, "none") for name in names}
    if granularity == "minor":
        packages = {name: _minor(version) for name, version in packages.items()}
    return canonical_json({"code": code_digest(program), "packages": packages})


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


def _minor(version: str) -> str:
    return ".".join(version.split("+")[0].split(".")[:2])


@cache
def deciding_packages(program: str) -> frozenset[str]:
    """Return the packages, of those that can change a number, that a program's modules import."""
    imported = {
        name.partition(".")[0]
        for path in _with_imports(SCRIPTS / program)
        for name in _imported_names(path)
    }
    return frozenset(name for key in imported for name in DECIDING.get(key, []))


@cache
def code_digest(program: str) -> str:
    """Return a digest of a program in scripts/ and of every local module that it imports.

    Comments, docstrings and layout do not count; a changed statement does, wherever it stands.
    """
    digest = hashlib.sha256()
    for path in sorted(_with_imports(SCRIPTS / program)):
        digest.update(f"{path.relative_to(SCRIPTS)}\n{_statements(path)}\n".encode())
    return digest.hexdigest()[:16]


def _with_imports(program: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [program]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_local_imports(path))
    return found


@cache
def _local_imports(path: Path) -> frozenset[Path]:
    """Return the files under scripts/ that a file imports, at its top or inside functions."""
    found: set[Path] = set()
    for name in _imported_names(path):
        parts = name.split(".")
        # Importing a.b.c runs the packages a and a.b too.
        for depth in range(1, len(parts) + 1):
            module = SCRIPTS.joinpath(*parts[:depth])
            for candidate in (module.with_suffix(".py"), module / "__init__.py"):
                if candidate.is_file():
                    found.add(candidate)
    return frozenset(found)


@cache
def _imported_names(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports: modules, and perhaps what is in them."""
    names: set[str] = set()
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return frozenset(names)


@cache
def _statements(path: Path) -> str:
    """Return a file's statements in one spelling."""
    return ast.unparse(_parse(path))


@cache
def _parse(path: Path) -> ast.Module:
    """Return a file's syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
