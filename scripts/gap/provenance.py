"""What a result was made from: digests of code, and folders named after all that decides a run."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent


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


def _local_imports(path: Path) -> Iterator[Path]:
    """Yield the files under scripts/ that a file imports, at its top or inside functions."""
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            # Importing a.b.c runs the packages a and a.b too.
            for depth in range(1, len(parts) + 1):
                module = SCRIPTS.joinpath(*parts[:depth])
                for candidate in (module.with_suffix(".py"), module / "__init__.py"):
                    if candidate.is_file():
                        yield candidate


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _statements(path: Path) -> str:
    """Return a file's statements in one spelling, without docstrings."""
    # A tree of its own: the cached one keeps its docstrings.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
