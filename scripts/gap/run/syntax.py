"""What can be told of a piece of Python's syntax by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TypeGuard

Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom


def without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    """Return statements without those that are only a text."""
    return [
        node
        for node in body
        if not (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
    ]


def is_condition(node: ast.stmt, word: str) -> TypeGuard[ast.If]:
    """Return whether a statement asks for TYPE_CHECKING, or whether the module is "__main__"."""
    if not isinstance(node, ast.If):
        return False
    if word == "TYPE_CHECKING":
        return last_name(node.test) == word
    return ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse


def last_name(node: ast.expr | None) -> str:
    """Return the name, or the last after dots, that an expression consists of."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def split_chain(node: ast.expr) -> tuple[ast.Name | None, list[str]]:
    """Return name and attributes of `name.attribute.attribute`; None for other expressions."""
    attributes = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node if isinstance(node, ast.Name) else None), attributes[::-1]


def imports_in(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run when a statement does, those inside functions not."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif not isinstance(node, Function | ast.Lambda | ast.expr):
        for child in ast.iter_child_nodes(node):
            yield from imports_in(child)


def bound_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement may bind where it stands."""
    if isinstance(node, Function | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            # The variable of a comprehension is its own.
            inner = child.ifs if isinstance(child, ast.comprehension) else [child]
            for part in inner:
                yield from bound_names(part)
