"""The digest of each program here moves with what it reaches, and with nothing else."""

import ast
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from gap.models.family import family_names
from gap.run.definitions import Code
from gap.run.provenance import SCRIPTS
from gap.run.reach import reach
from gap.run.syntax import without_docstring

PROGRAMS = sorted(path.stem for path in SCRIPTS.glob("*.py"))
FAMILIES = family_names()
# What of each program is changed, one after the other.
CHANGES = 6
SPARE = """
def spare_function():
    return spare_constant

class SpareClass:
    def run(self):
        return spare_function()

spare_constant = 42
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the programs and their modules, to be changed and put back."""
    folder = tmp_path_factory.mktemp("copy") / "scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


class Edits:
    """Files written over, until they are put back."""

    def __init__(self):
        self.before: dict[Path, str | None] = {}

    def write(self, path, text):
        self.before.setdefault(path, path.read_text(encoding="utf-8") if path.exists() else None)
        path.write_text(text, encoding="utf-8")

    def put_back(self):
        for path, text in self.before.items():
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        self.before = {}


@pytest.fixture
def edits():
    made = Edits()
    yield made
    made.put_back()


def digest(folder, program):
    return reach(Code(folder), program, FAMILIES).digest


def path_of(folder, module):
    path = folder.joinpath(*module.name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def reached_statements(reached):
    """Return what counts, as modules with statements; of a class, those of its body that count."""
    statements = []
    for definition, pieces in reached.pieces.items():
        node = definition.node
        if isinstance(node, ast.ClassDef) and definition.name != "*":
            body = without_docstring(node.body)
            counted = zip(body, definition.pieces[1:], strict=True)
            statements += [(definition.module, part) for part, piece in counted if piece in pieces]
        statements += [(definition.module, part) for part in definition.nodes]
    return [
        (module, node)
        for module, node in statements
        if not isinstance(node, ast.Import | ast.ImportFrom)
    ]


def change(tree, line, column, generator):
    """Change the statement that begins at a place."""
    body, node = next(
        (body, node)
        for body in bodies_of(tree)
        for node in body
        if (node.lineno, node.col_offset) == (line, column)
    )
    constants = [] if isinstance(node, ast.ClassDef) else list(constants_of(node))
    if constants and generator.random() < 0.5:
        constant = generator.choice(constants)
        constant.value = "changed again" if constant.value == "changed" else "changed"
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        node.body.insert(generator.randrange(len(node.body) + 1), ast.parse("changed = 1").body[0])
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
        node.value = ast.Tuple([node.value], ast.Load())
    elif isinstance(node, ast.Assert):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        body.insert(body.index(node), ast.parse("changed = 1").body[0])


def bodies_of(tree):
    """Yield all lists of statements."""
    for part in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body: Any = getattr(part, name, None)
            if isinstance(body, list):
                yield body


def constants_of(node):
    """Yield the constants of a statement that are no docstring and no part of an annotation."""
    left_out = (ast.AnnAssign, ast.FunctionDef, ast.JoinedStr)
    if isinstance(node, ast.AnnAssign):
        return
    for part in ast.iter_child_nodes(node):
        is_text = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        if isinstance(part, ast.Constant) and part is not getattr(node, "returns", None):
            yield part
        elif isinstance(part, ast.arguments):
            yield from (end for end in part.defaults if isinstance(end, ast.Constant))
        elif part is not getattr(node, "returns", None) and not is_text:
            yield from [] if isinstance(part, left_out) else constants_of(part)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_change_of_what_is_reached_moves_the_digest(copy, edits, program):
    generator = random.Random(program)
    reached = reach(Code(copy), program, FAMILIES)
    statements = reached_statements(reached)
    for module, node in generator.sample(statements, CHANGES):
        tree = ast.parse(module.source)
        change(tree, node.lineno, node.col_offset, generator)
        edits.write(path_of(copy, module), ast.unparse(ast.fix_missing_locations(tree)))
        assert digest(copy, program) != reached.digest, f"{module.name}, line {node.lineno}"
        edits.put_back()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_change_of_what_is_not_reached_does_not_move_the_digest(copy, edits, program):
    reached = reach(Code(copy), program, FAMILIES)
    counted = {(module.name, node.lineno) for module, node in reached_statements(reached)}
    # A module of which a name is bound twice, or that is handed on as such, counts as it stands.
    whole = {definition.module for definition in reached.pieces if definition.name == "*"}
    # A program that looks names up which no text says takes all that files of families define.
    if any(piece.finds_any_name for pieces in reached.pieces.values() for piece in pieces):
        assert program not in ("train", "predict")
        families = (definition.module for definition in reached.pieces)
        whole |= {module for module in families if ".families." in module.name}
    modules = {definition.module for definition in reached.pieces} - whole
    untouched = 0
    for module in modules:
        tree = ast.parse(module.source)
        for node in tree.body:
            for part in [node, *(node.body if isinstance(node, ast.ClassDef) else [])]:
                spare = (module.name, part.lineno) not in counted
                # Whether an object only keeps what it is given is seen from its maker.
                if isinstance(part, ast.FunctionDef) and spare and part.name != "__init__":
                    part.body.append(ast.parse("spare_constant").body[0])
                    untouched += 1
        tree.body += ast.parse(SPARE).body
        edits.write(path_of(copy, module), ast.unparse(tree))
    assert untouched >= 1
    assert digest(copy, program) == reached.digest


@pytest.mark.parametrize("program", PROGRAMS)
def test_moved_definitions_do_not_move_the_digest(copy, edits, program):
    generator = random.Random(program)
    reached = reach(Code(copy), program, FAMILIES)
    functions = [
        (definition.module, definition.name, definition.node)
        for definition in reached.pieces
        if isinstance(definition.node, ast.FunctionDef)
        and definition.module.name != program
        # Where a program looks columns up by name, it takes all that files of families define.
        and not definition.module.name.startswith("gap.models.families.")
    ]
    for module, name, node in generator.sample(functions, 2):
        names = ", ".join(bound for bound in module.bindings if bound not in (name, "annotations"))
        text = f"from {module.name} import {names}\n{ast.unparse(node)}\n"
        edits.write(copy / "gap" / "moved.py", f"from __future__ import annotations\n{text}")
        tree = ast.parse(module.source)
        place = [part.lineno for part in tree.body].index(node.lineno)
        tree.body[place] = ast.parse(f"from gap.moved import {name}").body[0]
        edits.write(path_of(copy, module), ast.unparse(tree))
        assert digest(copy, program) == reached.digest, f"{module.name}: {name}"
        edits.put_back()


def test_renamed_modules_do_not_move_any_digest(copy):
    before = {program: digest(copy, program) for program in PROGRAMS}
    renamed = copy.parent / "renamed"
    shutil.copytree(copy, renamed)
    # A module that asks where it stands may find other files from there. Families, a room further
    # down, are looked up by the names of their modules.
    modules = [
        path
        for path in renamed.glob("gap/*/*.py")
        if path.stem != "__init__" and "__file__" not in path.read_text(encoding="utf-8")
    ]
    names = [(path.parent.name, path.stem) for path in modules]
    assert len(modules) > 40
    for path in modules:
        path.rename(path.with_name(f"{path.stem}_here.py"))
    for path in renamed.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for room, name in names:
            text = re.sub(
                rf"(from|import) gap\.{room}\.{name}\b", rf"\1 gap.{room}.{name}_here", text
            )
            text = re.sub(rf"(from gap\.{room} import {name}) as", r"\1_here as", text)
            imported = rf"(from gap\.{room} import {name})$"
            text = re.sub(imported, rf"\1_here as {name}", text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    assert {program: digest(renamed, program) for program in PROGRAMS} == before
