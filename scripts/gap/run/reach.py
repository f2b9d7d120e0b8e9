"""Which definitions a program reaches, and their digest; see `gap.run.provenance`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from gap.run.definitions import Code, Definition, Module
from gap.run.reader import Piece

# The package of the families. Programs import them by the name in a recipe.
FAMILIES = "gap.models.families"


@dataclass(frozen=True)
class Reached:
    """The definitions that a program reaches, in the order of their numbers, with what counts."""

    pieces: dict[Definition, list[Piece]]
    # By family: its definitions that the program looks up, with their numbers.
    families: dict[str, dict[str, int]]

    @cached_property
    def digest(self) -> str:
        """A digest of their statements, and of which of them each one refers to."""
        numbers = {definition: number for number, definition in enumerate(self.pieces)}
        digest = hashlib.sha256()
        for pieces in self.pieces.values():
            for piece in pieces:
                targets = [
                    [numbers[end] if isinstance(end, Definition) else end for end in ends]
                    for ends in piece.targets
                ]
                digest.update(f"{piece.text} {targets}\n".encode())
            digest.update(b"\n")
        digest.update(repr(self.families).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def packages(self) -> frozenset[str]:
        """The names, as imported, of all packages that they use."""
        pieces = [piece for group in self.pieces.values() for piece in group]
        named = {
            end.partition(".")[0]
            for piece in pieces
            for ends in piece.targets
            for end in ends
            if isinstance(end, str) and not end.startswith("module ")
        }
        return frozenset(named.union(*(piece.packages for piece in pieces)))


def reach(code: Code, program: str, families: Collection[str] = ()) -> Reached:
    """Return what a program of a folder of code reaches, with the families of its models.

    Raises ValueError where it looks families up and none are given.
    """
    search = Search(code, program, sorted(families))
    search.start()
    return search.numbered()


class Search:
    """Finds what a program reaches: more and more, until nothing new is mentioned."""

    def __init__(self, code: Code, program: str, families: Collection[str]) -> None:
        self.code = code
        self.program = code.get(program)
        self.families = families
        self.reached: dict[Definition, None] = {}
        self.waiting: list[Definition] = []
        self.imported: set[Module] = set()
        self.mentions: set[str] = set()
        self.any_name = False
        self.by_name = False
        # What counts once its name is mentioned: methods of reached classes, and what files of
        # families define.
        self.optional: dict[str, list[Piece | Definition]] = defaultdict(list)

    def start(self) -> None:
        """Find all that a program reaches."""
        self._add_imported(self.program.imported_before)
        self._add(self.program.program)
        while self.waiting:
            for piece in self.waiting.pop().pieces:
                name = piece.unless_mentioned
                if name is None or self.counts(name):
                    self._take(piece)
                else:
                    self.optional[name].append(piece)

    def counts(self, name: str) -> bool:
        """Return whether what is called so counts where it may be left out."""
        return self.any_name or name in self.mentions

    def _add(self, definition: Definition) -> None:
        if definition not in self.reached:
            self.reached[definition] = None
            self.waiting.append(definition)

    def _add_imported(self, modules: Iterable[Module]) -> None:
        for module in modules:
            if module not in self.imported:
                self.imported.add(module)
                if module.effects:
                    self._add(module.effects)

    def _take(self, piece: Piece) -> None:
        for target in targets_of(piece):
            self._add(target)
        self._add_imported(modules_of(self.code, piece))
        if piece.imports_by_name and not self.by_name:
            self.by_name = True
            self._add_families()
        if piece.finds_any_name and not self.any_name:
            self.any_name = True
            self._mention(set(self.optional))
        self._mention(piece.mentions - self.mentions)

    def _mention(self, names: Collection[str]) -> None:
        self.mentions |= set(names)
        for name in names:
            for item in self.optional.pop(name, []):
                if isinstance(item, Piece):
                    self._take(item)
                else:
                    self._add(item)

    def _add_families(self) -> None:
        if not self.families:
            raise ValueError(f"{self.program}: looks families of models up; name them")
        for family in self.families:
            module = self.code.get(f"{FAMILIES}.{family}")
            self._add_imported(module.imported_before)
            for name, definition in own_definitions(module):
                if self.counts(name):
                    self._add(definition)
                else:
                    self.optional[name].append(definition)

    def numbered(self) -> Reached:
        """Return what was reached, numbered in the order in which the program leads to it."""
        order = dict.fromkeys(effects_of(self.program.imported_before))
        order[self.program.program] = None
        pieces: dict[Definition, list[Piece]] = {}
        families: dict[str, dict[str, int]] = {}
        self._follow(order, pieces)
        for family in self.families if self.by_name else []:
            module = self.code.get(f"{FAMILIES}.{family}")
            looked_up = {
                name: definition
                for name, definition in sorted(own_definitions(module), key=lambda pair: pair[0])
                if self.counts(name)
            }
            order |= dict.fromkeys([*effects_of(module.imported_before), *looked_up.values()])
            self._follow(order, pieces)
            numbers = {definition: number for number, definition in enumerate(order)}
            families[family] = {name: numbers[end] for name, end in looked_up.items()}
        assert pieces.keys() == self.reached.keys()
        return Reached(pieces, families)

    def _follow(self, order: dict[Definition, None], pieces: dict[Definition, list[Piece]]) -> None:
        """Extend the order by what its definitions lead to, and enter the pieces of all."""
        waiting = [definition for definition in order if definition not in pieces]
        for definition in waiting:
            pieces[definition] = [
                piece
                for piece in definition.pieces
                if piece.unless_mentioned is None or self.counts(piece.unless_mentioned)
            ]
            for piece in pieces[definition]:
                modules = modules_of(self.code, piece)
                for target in [*targets_of(piece), *effects_of(modules)]:
                    if target not in order:
                        order[target] = None
                        waiting.append(target)


def targets_of(piece: Piece) -> Iterator[Definition]:
    """Yield the definitions that a piece refers to."""
    for ends in piece.targets:
        for end in ends:
            if isinstance(end, Definition):
                yield end


def own_definitions(module: Module) -> Iterator[tuple[str, Definition]]:
    """Yield the names that a module's own statements bind, each with its definition."""
    for name, bindings in module.bindings.items():
        for binding in bindings:
            if isinstance(binding, Definition):
                yield name, binding


def effects_of(modules: Iterable[Module]) -> Iterator[Definition]:
    """Yield what modules do when they are imported, those that do something."""
    for module in modules:
        if module.effects:
            yield module.effects


def modules_of(code: Code, piece: Piece) -> Iterator[Module]:
    """Yield the modules that run for the imports of a piece, in order."""
    for name in piece.modules:
        for module in code.along(name):
            yield from module.imported_before
