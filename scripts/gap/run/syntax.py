"""Statements in one spelling, with all that they refer to; see `gap.run.provenance`."""

from __future__ import annotations

import ast
import hashlib
import re
import symtable
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

if TYPE_CHECKING:
    from gap.run.definitions import Definition, Imported, Module

# Functions that find an attribute by a name, and the place of that name among the arguments.
BY_ATTRIBUTE = {
    **{"getattr": 1, "hasattr": 1, "setattr": 1, "delattr": 1},
    **{"operator.attrgetter": 0, "operator.methodcaller": 0},
}
# Functions and attributes that find all of an object's names.
ALL_NAMES = {"vars", "locals", "dir", "__dict__", "inspect.getmembers"}
# With these, code could reach anything. Nothing here needs them.
REFUSED = {
    *("eval", "exec", "globals", "sys.modules", "__subclasses__", "__import__"),
    *("runpy.run_module", "runpy.run_path"),
}
IMPORT_MODULE = "importlib.import_module"
Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom
# A definition, or the dotted name of something that is not in the folder of the code.
Target: TypeAlias = "Definition | str"


@dataclass(frozen=True, eq=False)
class Piece:
    """A definition, or one statement of a class: what it says, and all that it refers to.

    `text` is a digest of its syntax, in which numbers stand for what names refer to: `targets`, for
    each number all that it may be. `mentions` are names of attributes, and strings that are names.
    `modules` are those here that it imports, `packages` others. `unless_mentioned` is the name of a
    method that is left out where nothing mentions it.
    """

    text: str
    targets: tuple[tuple[Target, ...], ...]
    mentions: frozenset[str]
    modules: tuple[str, ...]
    packages: frozenset[str]
    finds_any_name: bool
    imports_by_name: bool
    unless_mentioned: str | None = None


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
        """The variables that only go through strings that stand there."""
        kinds = (ast.Tuple, ast.List, ast.Set, ast.Constant, ast.Load)
        bound = Counter(part.arg for part in self.parts if isinstance(part, ast.arg)) + self.bound
        listed = Counter(
            part.target.id
            for part in self.parts
            if isinstance(part, ast.For | ast.comprehension)
            and isinstance(part.target, ast.Name)
            and all(isinstance(item, kinds) for item in ast.walk(part.iter))
        )
        return frozenset(name for name, count in listed.items() if bound[name] == count)

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


class Reader:
    """Reads statements into one Piece."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.words: list[str] = []
        self.numbers: dict[str, int] = {}
        self.targets: list[tuple[Target, ...]] = []
        self.mentions: set[str] = set()
        self.modules: list[str] = []
        self.packages: set[str] = set()
        self.finds_any_name = False
        self.imports_by_name = False
        # Annotations are read where a class consists of them.
        self.annotated = False
        self.special: Mapping[type[ast.AST], Callable[[Any], None]] = {
            ast.AnnAssign: self._annotated_assignment,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.ClassDef: self._class,
            ast.Constant: self._constant,
            ast.AsyncFunctionDef: self._function,
            ast.FunctionDef: self._function,
            ast.Global: self._global,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.MatchClass: self._pattern,
            ast.Name: self._name,
        }

    def piece(self, unless_mentioned: str | None = None) -> Piece:
        """Return what was read."""
        return Piece(
            hashlib.sha256("".join(self.words).encode()).hexdigest(),
            tuple(self.targets),
            frozenset(self.mentions),
            tuple(self.modules),
            frozenset(self.packages),
            self.finds_any_name,
            self.imports_by_name,
            unless_mentioned,
        )

    def read(self, node: ast.AST) -> None:
        """Read a piece of syntax."""
        special = self.special.get(type(node))
        if special:
            special(node)
        else:
            self._fields(node)

    def read_all(self, body: Iterable[ast.AST]) -> None:
        """Read several, one after the other."""
        self.words.append("[")
        for node in body:
            self.read(node)
        self.words.append("]")

    def _fields(self, node: ast.AST, *skipped: str) -> None:
        self.words.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            # Newer Pythons have more fields; empty ones are as good as none.
            if value is None or value == [] or name in ("ctx", "kind", "type_comment", *skipped):
                continue
            self.words.append(f"{name}=")
            if isinstance(value, ast.AST):
                self.read(value)
            elif isinstance(value, list) and any(isinstance(item, ast.AST) for item in value):
                for item in value:
                    self.words.append(",")
                    if item is not None:
                        self.read(item)
            else:
                self.words.append(f"{value!r};")
        self.words.append(")")

    def _refer(self, spelled: str, targets: Sequence[Target]) -> None:
        """Write a number for what a name with attributes, spelled so, means."""
        if spelled not in self.numbers:
            self.numbers[spelled] = len(self.targets)
            self.targets.append(tuple(targets))
        self.words.append(f"§{self.numbers[spelled]};")

    def _name(self, node: ast.Name) -> None:
        self._forbid(node)
        targets, _ = self.scope.lookup(node.id, [])
        if targets:
            self._refer(node.id, targets)
        else:
            self.words.append(f"{node.id};")

    def _attribute(self, node: ast.Attribute) -> None:
        self._forbid(node)
        base, attributes = split_chain(node)
        targets: Sequence[Target] = []
        if base is not None:
            targets, rest = self.scope.lookup(base.id, attributes)
        if not targets or base is None:
            self.mentions.add(node.attr)
            self.read(node.value)
            self.words.append(f".{node.attr};")
            return
        self._refer(".".join([base.id, *attributes[: len(attributes) - len(rest)]]), targets)
        self.words.extend(f".{name};" for name in rest)
        # The first attribute of what is from elsewhere is from there, too.
        self.mentions.update(rest[1:] if all(isinstance(end, str) for end in targets) else rest)

    def _forbid(self, node: ast.Name | ast.Attribute) -> None:
        meaning = {self.scope.meaning(node)}
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            meaning.add(node.attr)
        if refused := meaning & REFUSED:
            raise ValueError(
                f"{self.scope.module.name}, line {node.lineno}: {refused.pop()} hides what code "
                "reaches, so that results made by other code could pass for those of today's"
            )
        if meaning & ALL_NAMES:
            self.finds_any_name = True

    def _constant(self, node: ast.Constant) -> None:
        self.words += [repr(node.value), ";"]
        if not isinstance(node.value, str):
            return
        if re.fullmatch(r"[\w\s.,]+", node.value):
            self.mentions.update(re.findall(r"[^\W\d]\w*", node.value))
        else:
            # Attributes in the fields of str.format.
            self.mentions.update(re.findall(r"\.([^\W\d]\w*)[^{}]*\}", node.value))

    def _call(self, node: ast.Call) -> None:
        function = self.scope.meaning(node.func)
        if function == IMPORT_MODULE:
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant):
                text = f"import {name.value!r} by a statement"
                raise ValueError(f"{self.scope.module.name}, line {node.lineno}: {text}")
            self.imports_by_name = True
        place = BY_ATTRIBUTE.get(function, len(node.args))
        if place < len(node.args) and not self._is_known(node.args[0], node.args[place]):
            self.finds_any_name = True
        self._fields(node)

    def _is_known(self, owner: ast.expr, name: ast.expr) -> bool:
        """Return whether a name is one of the strings here, or its owner no object of ours."""
        if isinstance(name, ast.Constant) or last_name(name) in self.scope.listed:
            return True
        return owner is not name and (
            last_name(owner) in self.scope.options or self.scope.meaning(owner) != ""
        )

    def _pattern(self, node: ast.MatchClass) -> None:
        self.mentions.update(node.kwd_attrs)
        self._fields(node)

    def _global(self, node: ast.Global) -> None:
        for name in node.names:
            self.words.append("global ")
            self.read(ast.Name(name))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read a function; its annotations only where a decorator may read them."""
        before = self.annotated
        self.annotated = not self.scope.module.is_harmless(node.decorator_list)
        self.words.append(f"{type(node).__name__} {node.name} ")
        self.read_all(node.decorator_list)
        self._arguments(node.args)
        if self.annotated and node.returns:
            self.read(node.returns)
        self.annotated = False
        self.read_all(self._without_imports(without_docstring(node.body)))
        self.annotated = before

    def _without_imports(self, body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """Yield the statements of a function but imports that might as well stand elsewhere."""
        for node in body:
            if isinstance(node, Import) and all(
                self.scope.bound[name] == 1 for name, _ in self.scope.module.imported(node)
            ):
                self._note_modules(node)
            else:
                yield node

    def _arguments(self, node: ast.arguments) -> None:
        if self.annotated:
            self._fields(node)
            return
        groups = (node.posonlyargs, node.args, [node.vararg], node.kwonlyargs, [node.kwarg])
        for group in groups:
            self.words.append(",".join(part.arg for part in group if part) + "/")
        for defaults in (node.defaults, node.kw_defaults):
            for default in defaults:
                self.words.append(",")
                if default:
                    self.read(default)

    def _class(self, node: ast.ClassDef) -> None:
        """Read a class inside a function, or all of one."""
        self.head(node)
        before, self.annotated = self.annotated, True
        self.read_all(without_docstring(node.body))
        self.annotated = before

    def head(self, node: ast.ClassDef) -> None:
        """Read a class without its body."""
        self._fields(node, "body")

    def _annotated_assignment(self, node: ast.AnnAssign) -> None:
        if self.annotated:
            self._fields(node)
        elif node.value is not None:
            self._fields(ast.Assign(targets=[node.target], value=node.value))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self._note_modules(node)
        for name, imported in self.scope.module.imported(node):
            self.words.append("import ")
            self._refer(name, self.scope.module.code.follow([imported], [])[0])

    def run_modules(self, node: ast.Import | ast.ImportFrom) -> None:
        """Read an import among what a module does: what it runs, in this place."""
        self._note_modules(node)
        code = self.scope.module.code
        for name in self.scope.module.modules_of(node):
            module = code.module(name)
            if module is not None and module.effects is not None:
                self._refer(f"import {name}", [module.effects])
            elif not code.module(name.partition(".")[0]):
                self._refer(f"import {name}", [name])

    def _note_modules(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note which modules an import runs."""
        module = self.scope.module
        for name in module.modules_of(node):
            if module.code.module(name.partition(".")[0]):
                self.modules.append(name)
            else:
                self.packages.add(name.partition(".")[0])


def _global_names(scope: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that mean the module's somewhere in a scope or in those inside it."""
    in_class = scope.get_type() == "class"
    for symbol in scope.get_symbols():
        # In a class, a name may be the module's until it is bound.
        if symbol.is_global() or (in_class and symbol.is_referenced()):
            yield symbol.get_name()
    for inner in scope.get_children():
        yield from _global_names(inner)


def _names_around(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
    """Yield the names in what is evaluated before a function or class is made, where it stands."""
    outside: list[ast.AST] = [*node.decorator_list]
    if isinstance(node, ast.ClassDef):
        outside += [*node.bases, *node.keywords]
    else:
        # Annotations count where a decorator may read them.
        outside += [node.args, *filter(None, [node.returns])]
    for part in outside:
        yield from (name.id for name in ast.walk(part) if isinstance(name, ast.Name))


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
