"""What statements say, and all that they refer to; see `gap.run.provenance`."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gap.run.effects import is_harmless
from gap.run.scope import Scope, Target, are_known_names, variable
from gap.run.syntax import Import, last_name, split_chain, without_docstring

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


@dataclass(frozen=True, eq=False)
class Piece:
    """A definition, or one statement of a class: what it says, and all that it refers to.

    `text` is a digest of its syntax, in which numbers stand for what names refer to: `targets`, for
    each number all that it may be. `mentions` are names of attributes, also those that a string
    names. `modules` are those here that it imports, `packages` others. `unless_mentioned` is the
    name of a method that is left out where nothing mentions it.
    """

    text: str
    targets: tuple[tuple[Target, ...], ...]
    mentions: frozenset[str]
    modules: tuple[str, ...]
    packages: frozenset[str]
    finds_any_name: bool
    imports_by_name: bool
    unless_mentioned: str | None = None


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
        self.called: ast.expr | None = None
        # The variables of the comprehensions that are around the node, see Scope.listed.
        self.listed: frozenset[str] = frozenset()
        # Annotations are read where a class consists of them.
        self.annotated = False
        self.special: Mapping[type[ast.AST], Callable[[Any], None]] = {
            ast.AnnAssign: self._annotated_assignment,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.ClassDef: self._class,
            ast.Constant: self._constant,
            ast.DictComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
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
            # Newer versions of Python have more fields. An empty field is the same as none.
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
        # If an object is from another package, so is its first attribute.
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
        if IMPORT_MODULE in meaning and node is not self.called:
            self.imports_by_name = True
        if meaning & ALL_NAMES or (meaning & BY_ATTRIBUTE.keys() and node is not self.called):
            self.finds_any_name = True

    def _constant(self, node: ast.Constant) -> None:
        self.words += [repr(node.value), ";"]
        if isinstance(node.value, str):
            # Attributes in the fields of str.format.
            self.mentions.update(re.findall(r"\.([^\W\d]\w*)[^{}]*\}", node.value))

    def _call(self, node: ast.Call) -> None:
        function = self.scope.meaning(node.func)
        if function in BY_ATTRIBUTE:
            self.called = node.func
            self._find_attribute(node.args, BY_ATTRIBUTE[function])
        elif function == IMPORT_MODULE and self._is_of_others(node.args[0]):
            self.called = node.func
        self._fields(node)

    def _is_of_others(self, name: ast.expr) -> bool:
        """Return whether a name is spelled out and is that of another package's module."""
        return (
            isinstance(name, ast.Constant)
            and self.scope.module.code.module(str(name.value).partition(".")[0]) is None
        )

    def _find_attribute(self, arguments: Sequence[ast.expr], place: int) -> None:
        """Note which attributes a call may find by their names."""
        name = arguments[place] if place < len(arguments) else None
        owner = arguments[0]
        if isinstance(name, ast.Constant):
            self.mentions.update(str(name.value).split("."))
        elif isinstance(name, ast.Name) and name.id in self.scope.listed | self.listed:
            self.mentions |= self.scope.strings
        elif name is None or name is owner or not self._has_no_methods(owner):
            self.finds_any_name = True

    def _has_no_methods(self, owner: ast.expr) -> bool:
        """Return whether an object is no object of a class of ours."""
        return last_name(owner) in self.scope.options or self.scope.meaning(owner) != ""

    def _comprehension(
        self, node: ast.DictComp | ast.GeneratorExp | ast.ListComp | ast.SetComp
    ) -> None:
        before = self.listed
        for loop in node.generators:
            names = {part.id for part in ast.walk(loop.target) if isinstance(part, ast.Name)}
            self.listed -= names
            if are_known_names(loop.iter):
                self.listed |= {variable(loop)}
        self._fields(node)
        self.listed = before

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
        self.annotated = not is_harmless(self.scope.module, node.decorator_list)
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
