"""What Python files define, and what each definition refers to; read from the syntax, never run.

`gap.run.provenance` says what this is for, and which definitions of a program count.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gap.run import effects
from gap.run.reader import Piece, Reader
from gap.run.scope import Scope, Target
from gap.run.syntax import (
    Function,
    Import,
    bound_names,
    imports_in,
    is_condition,
    last_name,
    split_chain,
    without_docstring,
)

# These bases call no methods of their subclasses, apart from __methods__ and pydantic's model_*.
PLAIN = {
    *("typing.Protocol", "typing.Generic", "typing.NamedTuple", "typing.TypedDict", "abc.ABC"),
    *("abc.ABCMeta", "pydantic.BaseModel", "object"),
    *("BaseException", "Exception", "KeyError", "OSError", "RuntimeError", "ValueError"),
}
# What libraries call on objects that they are handed: on files, mappings, estimators.
CALLED_BY_LIBRARIES = {
    *("read", "readable", "readinto", "readline", "readlines", "write", "writable", "writelines"),
    *("flush", "close", "seek", "seekable", "tell", "fileno", "keys"),
    *("fit", "transform", "fit_transform", "predict"),
}
OF_A_MODULE = {"__doc__", "__file__", "__name__", "__package__", "__path__", "__spec__"}


@dataclass(frozen=True)
class Imported:
    """What a name stands for that an import binds: a module, or what is called `name` in it."""

    module: str
    name: str | None = None


class Definition:
    """A function, class or constant of a module, or what the module does when it is imported."""

    def __init__(self, module: Module, name: str, nodes: Sequence[ast.stmt]) -> None:
        self.module = module
        self.name = name
        self.nodes = nodes

    def __repr__(self) -> str:
        return f"{self.module.name}:{self.name}"

    @property
    def node(self) -> ast.stmt | None:
        """The statement, where it is one."""
        return self.nodes[0] if len(self.nodes) == 1 else None

    @cached_property
    def pieces(self) -> list[Piece]:
        """What it consists of: for a class its head and the statements of its body."""
        scope = Scope(self.module, self.nodes)
        if not isinstance(self.node, ast.ClassDef):
            reader = Reader(scope)
            # A statement may bind several names.
            reader.words.append(f"{self.name}:" if not isinstance(self.node, Function) else "")
            for node in self.nodes:
                if isinstance(node, Import):
                    reader.run_modules(node)
                else:
                    reader.read(node)
            return [reader.piece()]
        head = Reader(scope)
        head.head(self.node)
        body = without_docstring(self.node.body)
        return [head.piece(), *(self._statement(node, Reader(scope)) for node in body)]

    def _statement(self, node: ast.stmt, reader: Reader) -> Piece:
        """Return one statement of a class."""
        reader.annotated = True
        reader.read(node)
        if not isinstance(node, Function):
            # It may give a method another name.
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            reader.mentions |= names
        return reader.piece(self._left_out_unless(node))

    def _left_out_unless(self, node: ast.stmt) -> str | None:
        """Return the name without whose mention a statement of this class does not count."""
        if not isinstance(node, Function) or not self.is_plain:
            return None
        if re.fullmatch("_.*_|model_.*", node.name) or node.name in CALLED_BY_LIBRARIES:
            return None
        return node.name if effects.is_harmless(self.module, node.decorator_list) else None

    @cached_property
    def is_plain(self) -> bool:
        """Whether no library calls methods of this class that nothing here mentions."""
        return isinstance(self.node, ast.ClassDef) and all(
            base.is_plain if isinstance(base, Definition) else base in PLAIN
            for base in self.module.bases(self.node)
        )


class Module:
    """A file under the folder of the code, or a package that has none."""

    def __init__(self, code: Code, name: str, path: Path | None) -> None:
        self.code = code
        self.name = name
        self.package = name if path is None or path.stem == "__init__" else name.rpartition(".")[0]
        self.source = code.read(path) if path else ""
        self.bindings: dict[str, list[Definition | Imported]] = {}
        # Modules that it imports at its top, in order, and modules from which it imports all names.
        self.imports: list[str] = []
        self.stars: list[str] = []
        # Its statements that run only when it is a program, and all of its statements.
        self.program = Definition(self, "(program)", [])
        self.statements: list[ast.stmt] = []
        for node in without_docstring(ast.parse(self.source).body):
            self._enter(node)

    def __repr__(self) -> str:
        return self.name

    def _enter(self, node: ast.stmt) -> None:
        if is_condition(node, "TYPE_CHECKING"):
            for other in node.orelse:
                self._enter(other)
            return
        if is_condition(node, "__main__"):
            self.program = Definition(self, "(program)", node.body)
            return
        if isinstance(node, Function) and "overload" in map(last_name, node.decorator_list):
            return
        self.statements.append(node)
        for statement in imports_in(node):
            self._enter_import(statement)
        if not isinstance(node, Import):
            for name in dict.fromkeys(bound_names(node)):
                self.bindings.setdefault(name, []).append(Definition(self, name, [node]))

    def _enter_import(self, node: Import) -> None:
        self.imports.extend(self.modules_of(node))
        for name, imported in self.imported(node):
            if name == "*":
                self.stars.append(imported.module)
            elif imported not in self.bindings.setdefault(name, []):
                self.bindings[name].append(imported)

    def imported(self, node: Import) -> list[tuple[str, Imported]]:
        """Return the names that an import binds, with what they stand for."""
        if isinstance(node, ast.ImportFrom):
            source = self._source(node)
            return [
                (alias.asname or alias.name, Imported(source, alias.name)) for alias in node.names
            ]
        roots = [alias.name.partition(".")[0] for alias in node.names]
        return [
            (alias.asname or root, Imported(alias.name if alias.asname else root))
            for alias, root in zip(node.names, roots, strict=True)
        ]

    def modules_of(self, node: Import) -> list[str]:
        """Return the dotted names that an import may run as modules."""
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        source = self._source(node)
        return [source, *(f"{source}.{alias.name}" for alias in node.names)]

    def _source(self, node: ast.ImportFrom) -> str:
        package = self.package.split(".")
        above = package[: len(package) - node.level + 1] if node.level else []
        return ".".join([*above, *filter(None, [node.module])])

    @cached_property
    def whole(self) -> Definition:
        """All of it, as for code that is handed the module itself."""
        return Definition(self, "*", self.statements)

    @cached_property
    def effects(self) -> Definition | None:
        """What it does, when it is imported, beside binding names to values of their own."""
        names = [
            name
            for node in self.statements
            if not isinstance(node, ast.Import)
            for name in dict.fromkeys(bound_names(node))
        ]
        if len(set(names)) < len(names):
            # A name is bound twice: the order of all that is there counts.
            return self.whole
        nodes = effects.select(self, self.statements)
        return Definition(self, "(import)", nodes) if nodes else None

    @cached_property
    def imported_before(self) -> list[Module]:
        """The modules that its import runs, in their order; the last is the module itself."""
        modules: dict[Module, None] = {}
        self._run(modules, set())
        return list(modules)

    def _run(self, modules: dict[Module, None], begun: set[Module]) -> None:
        begun.add(self)
        for name in [self.package, *self.imports]:
            for module in self.code.along(name):
                if module not in begun:
                    module._run(modules, begun)
        modules[self] = None

    @cached_property
    def scopes(self) -> dict[tuple[str, int], symtable.SymbolTable]:
        """The scopes of functions and classes, by name and line."""
        table = symtable.symtable(self.source, self.name, "exec")
        return {(scope.get_name(), scope.get_lineno()): scope for scope in table.get_children()}

    def meaning(self, node: ast.expr) -> list[Target]:
        """Return what names and dots mean, others than local ones as text; "" if unknown."""
        base, attributes = split_chain(node)
        if base is None:
            return [""]
        if not self.knows(base.id):
            return [".".join([base.id, *attributes])]
        targets, rest = self.lookup(base.id, attributes)
        return [
            ".".join([target, *rest]) if isinstance(target, str) else ("" if rest else target)
            for target in targets
        ]

    def bases(self, node: ast.ClassDef) -> list[Target]:
        """Return what a class of this module inherits from, its metaclass included."""
        metaclasses = [word.value for word in node.keywords if word.arg == "metaclass"]
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        return [target for base in bases + metaclasses for target in self.meaning(base)]

    def knows(self, name: str) -> bool:
        """Return whether the module binds a name."""
        return bool(self._bindings(name))

    def lookup(self, name: str, attributes: Sequence[str]) -> tuple[list[Target], Sequence[str]]:
        """Return what a name with attributes means, and the attributes that are left."""
        return self.code.follow(self._bindings(name), attributes)

    def _bindings(self, name: str) -> Sequence[Definition | Imported]:
        if name in self.bindings or not self.stars:
            return self.bindings.get(name, [])
        modules = filter(None, map(self.code.module, self.stars))
        shown = [module.name for module in modules if module.knows(name)]
        return [Imported(module, name) for module in shown]


class Code:
    """All files under a folder that Python finds modules in, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules: dict[str, Module | None] = {}

    def get(self, name: str) -> Module:
        """Return the module of a dotted name, which must be here."""
        module = self.module(name)
        if module is None:
            raise ValueError(f"{self.root} has no module {name}")
        return module

    def read(self, path: Path) -> str:
        """Return a file's text."""
        return path.read_text(encoding="utf-8")

    def module(self, name: str) -> Module | None:
        """Return the module of a dotted name; None where no file or folder here is called so."""
        if name not in self.modules:
            stem = self.root.joinpath(*name.split("."))
            candidates = (stem / "__init__.py", stem.with_name(f"{stem.name}.py"))
            path = next(filter(Path.is_file, candidates), None)
            is_here = name != "" and (path is not None or stem.is_dir())
            self.modules[name] = Module(self, name, path) if is_here else None
        return self.modules[name]

    def along(self, name: str) -> list[Module]:
        """Return the modules here that a dotted name leads through; "a.b" through a and a.b."""
        parts = name.split(".")
        names = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
        return [module for part in names if (module := self.module(part))]

    def follow(
        self, bindings: Sequence[Definition | Imported], attributes: Sequence[str]
    ) -> tuple[list[Target], Sequence[str]]:
        """Return what bindings with attributes mean, and the attributes that are left."""
        if len(bindings) != 1:
            return [
                end for binding in bindings for end in self.follow([binding], [])[0]
            ], attributes
        (binding,) = bindings
        if isinstance(binding, Definition):
            return [binding], attributes
        module = self.module(binding.module)
        if module is None:
            return [".".join(filter(None, [binding.module, binding.name]))], attributes
        path = [*filter(None, [binding.name]), *attributes]
        targets, rest = self._inside(module, path)
        return targets, rest if len(rest) <= len(attributes) else attributes

    def _inside(self, module: Module, path: Sequence[str]) -> tuple[list[Target], Sequence[str]]:
        if path and module.knows(path[0]):
            return module.lookup(path[0], path[1:])
        if path and (inner := self.module(f"{module.name}.{path[0]}")):
            return self._inside(inner, path[1:])
        if path and path[0] in OF_A_MODULE:
            return [f"module {module.name}"], path
        return [module.whole], path
