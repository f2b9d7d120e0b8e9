"""Whether a statement at the top of a module does more, when it is imported, than bind a name."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gap.run.syntax import Function, Import, without_docstring

if TYPE_CHECKING:
    from gap.run.definitions import Module
    from gap.run.scope import Target

# Decorators that leave a function where it is: they register it nowhere.
HARMLESS = {
    *("property", "staticmethod", "classmethod", "typing.override", "abc.abstractmethod"),
    *("functools.cache", "functools.cached_property", "functools.lru_cache", "functools.wraps"),
    *("functools.total_ordering", "contextlib.contextmanager", "dataclasses.dataclass"),
    *("typing.final", "typing.runtime_checkable"),
}
# Packages and built-in functions whose calls only make a value, and exceptions to that.
PURE = {
    *("collections", "dataclasses", "datetime", "enum", "functools", "itertools", "json", "math"),
    *("numpy", "operator", "pathlib", "pyarrow", "pydantic", "re", "string", "typing"),
}
IMPURE = {
    *("__import__", "delattr", "eval", "exec", "globals", "input", "next", "open", "print"),
    *("setattr", "vars", "numpy.seterr", "numpy.random.seed", "numpy.set_printoptions"),
}
MAKERS = ("__init__", "__new__", "__post_init__", "__call__")


def select(module: Module, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return the statements that do something, and those whose order among them may count."""
    acting = [node for node in statements if has_effects(module, node)]
    if not acting:
        return []
    # Values may depend on what was done before, and actions on what was imported.
    return [
        node
        for node in statements
        if node in acting
        or isinstance(node, Import)
        or (isinstance(node, ast.Assign | ast.AnnAssign) and not _is_literal(node))
    ]


def has_effects(module: Module, node: ast.stmt) -> bool:
    """Return whether a statement may do more than bind names to values that it makes."""
    if isinstance(node, Import) or type(node).__name__ == "TypeAlias":
        return False
    if isinstance(node, Function):
        return not is_harmless(module, node.decorator_list)
    if isinstance(node, ast.ClassDef):
        return _registers(module, node) or not is_harmless(module, node.decorator_list)
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return True
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    parts = [part for target in targets for part in ast.walk(target)]
    names = ast.Name | ast.Tuple | ast.List | ast.Store
    return not all(isinstance(part, names) for part in parts) or not (
        node.value is None or _is_pure(module, node.value)
    )


def is_harmless(module: Module, decorators: Sequence[ast.expr]) -> bool:
    """Return whether all decorators are known ones."""
    functions = [node.func if isinstance(node, ast.Call) else node for node in decorators]
    return all(target in HARMLESS for node in functions for target in module.meaning(node))


def _is_literal(node: ast.Assign | ast.AnnAssign) -> bool:
    """Return whether what is bound stands there as such."""
    kinds = (ast.Name, ast.Attribute, ast.Call)
    return node.value is None or not any(isinstance(part, kinds) for part in ast.walk(node.value))


def _is_pure(module: Module, node: ast.AST) -> bool:
    """Return whether an expression does nothing but make a value, as far as is known."""
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
        return False
    if isinstance(node, ast.Call) and not _makes_a_value(module, node.func):
        return False
    return all(_is_pure(module, child) for child in ast.iter_child_nodes(node))


def _makes_a_value(module: Module, function: ast.expr) -> bool:
    for target in module.meaning(function):
        if not isinstance(target, str):
            return _only_keeps(target)
        if target:
            root = target.partition(".")[0]
            return (root in PURE or hasattr(builtins, root)) and target not in IMPURE
    # A method of what was made here.
    while isinstance(function, ast.Attribute | ast.Subscript):
        function = function.value
    return isinstance(function, ast.Call | ast.Constant | ast.Dict | ast.List | ast.Tuple)


def _registers(module: Module, node: ast.ClassDef) -> bool:
    """Return whether a class that it derives from may do something when it is made."""
    names = {part.name for part in node.body if isinstance(part, Function)}
    return "__init_subclass__" in names or any(
        not isinstance(base.node, ast.ClassDef) or _registers(base.module, base.node)
        for base in module.bases(node)
        if not isinstance(base, str)
    )


def _only_keeps(target: Target) -> bool:
    """Return whether making an object of a class does no more than keep what it is given."""
    if isinstance(target, str):
        return True
    if not isinstance(target.node, ast.ClassDef) or not target.is_plain:
        return False
    makers = [
        part for part in target.node.body if isinstance(part, Function) and part.name in MAKERS
    ]
    return all(map(_only_keeps, target.module.bases(target.node))) and all(
        isinstance(statement, ast.Assign)
        and all(_is_of_self(end) for end in statement.targets)
        and _is_pure(target.module, statement.value)
        for maker in makers
        for statement in without_docstring(maker.body)
    )


def _is_of_self(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )
