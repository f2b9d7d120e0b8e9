"""What names mean in a definition: what is local to it, and what the others stand for."""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from gap.run.syntax import Function, Import, last_name, split_chain

if TYPE_CHECKING:
    from gap.run.definitions import Definition, Imported, Module

# A definition, or the dotted name of something that is not in the folder of the code.
Target: TypeAlias = "Definition | str"


class Scope:
    """What names mean in the statements of one definition."""

    def __init__(self, module: Module, nodes: Sequence[ast.stmt]) -> None:
        self.module = module
        node = nodes[0] if len(nodes) == 1 else None
        self.globals: frozenset[str] | None = None
        if isinstance(node, Function | ast.ClassDef):
            inside = _global_names(module.scopes[node.name, node.lineno])
            self.globals = frozenset([*inside, *_names_around(node)])
        self.nodes = nodes
        self.imports: list[tuple[str, Imported]] = []
        self.bound: Counter[str] = Counter()
        for node in nodes:
            for part in ast.walk(node):
                if isinstance(part, Import):
                    self.imports += module.imported(part)
                elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    self.bound[part.id] += 1
        self.bound.update(name for name, _ in self.imports)

    @cached_property
    def parts(self) -> list[ast.AST]:
        """All pieces of syntax in it."""
        return [part for node in self.nodes for part in ast.walk(node)]

    @cached_property
    def listed(self) -> frozenset[str]:
        """The variables that only go through strings that stand there, or names of fields."""
        bound = Counter(part.arg for part in self.parts if isinstance(part, ast.arg)) + self.bound
        loops = (part for part in self.parts if isinstance(part, ast.For))
        listed = Counter(variable(loop) for loop in loops if are_known_names(loop.iter))
        return frozenset(name for name, count in listed.items() if bound[name] == count)

    @cached_property
    def strings(self) -> frozenset[str]:
        """The texts that stand there."""
        constants = (part.value for part in self.parts if isinstance(part, ast.Constant))
        return frozenset(text for text in constants if isinstance(text, str))

    @cached_property
    def options(self) -> frozenset[str]:
        """The variables that hold the options of a program, as argparse returns them."""
        arguments = [part for part in self.parts if isinstance(part, ast.arg) and part.annotation]
        names = {part.arg for part in arguments if last_name(part.annotation) == "Namespace"}
        for part in self.parts:
            if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
                function = part.value.func
                returned = [
                    last_name(end.node.returns)
                    for end in self.module.meaning(function)
                    if not isinstance(end, str) and isinstance(end.node, Function)
                ]
                if last_name(function) == "parse_args" or returned == ["Namespace"]:
                    names.update(map(last_name, part.targets))
        return frozenset(names)

    def lookup(
        self, name: str, attributes: Sequence[str]
    ) -> tuple[Sequence[Target], Sequence[str]]:
        """Return what a name with attributes means if it is not local, and the attributes left."""
        imported = [binding for bound, binding in self.imports if bound == name]
        if imported:
            return self.module.code.follow(imported, attributes)
        if self.globals is not None and name not in self.globals:
            return [], attributes
        if self.module.knows(name):
            return self.module.lookup(name, attributes)
        if name in ("__file__", "__name__", "__package__", "__spec__", "__path__"):
            return [f"module {self.module.name}"], attributes
        return [], attributes

    def meaning(self, node: ast.expr) -> str:
        """Return the dotted name of something from elsewhere; "" for what is local or of here."""
        base, attributes = split_chain(node)
        if base is None:
            return ""
        targets, rest = self.lookup(base.id, attributes)
        if not targets and self.globals is not None and base.id not in self.globals:
            return ""
        target = targets[0] if targets else base.id
        return ".".join([target, *rest]) if isinstance(target, str) else ""


def _global_names(scope: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that mean the module's somewhere in a scope or in those inside it."""
    in_class = scope.get_type() == "class"
    for symbol in scope.get_symbols():
        # In a class, a name may be the module's until it is bound.
        if symbol.is_global() or (in_class and symbol.is_referenced()):
            yield symbol.get_name()
    for inner in scope.get_children():
        yield from _global_names(inner)


def variable(loop: ast.For | ast.comprehension) -> str:
    """Return the first variable of a loop."""
    target = loop.target
    return last_name(target.elts[0] if isinstance(target, ast.Tuple) else target)


def are_known_names(node: ast.expr) -> bool:
    """Return whether these are strings that stand there, or the names of a recipe's fields."""
    while isinstance(node, ast.Call):
        if last_name(node.func) in ("items", "keys") and isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif last_name(node.func) in ("sorted", "list", "tuple") and len(node.args) == 1:
            node = node.args[0]
        else:
            return False
    kinds = (ast.Tuple, ast.List, ast.Set, ast.Constant, ast.Load)
    return last_name(node) == "model_fields" or all(
        isinstance(part, kinds) for part in ast.walk(node)
    )


def _names_around(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
    """Yield the names in what is evaluated before a function or class is made, where it stands."""
    outside: list[ast.AST] = [*node.decorator_list]
    if isinstance(node, ast.ClassDef):
        outside += [*node.bases, *node.keywords]
        # The table of names leaves out annotations. Libraries read those of fields.
        fields = [part for part in ast.walk(node) if isinstance(part, ast.AnnAssign)]
        outside += [field.annotation for field in fields]
    else:
        # Annotations count where a decorator may read them.
        outside += [node.args, *filter(None, [node.returns])]
    for part in outside:
        yield from (name.id for name in ast.walk(part) if isinstance(name, ast.Name))
