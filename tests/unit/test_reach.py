"""The digest of each program here moves with what it reaches, and with nothing else."""

import ast
import random
import re
import shutil
from pathlib import Path

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


@pytest.fixture
def edited(copy):
    """A function that writes a file's text, for the length of a test."""
    before = {}

    def write(path, text):
        before.setdefault(path, path.read_text(encoding="utf-8") if path.exists() else None)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def put_back():
        for path, text in before.items():
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        before.clear()

    write.put_back = put_back
    yield write
    put_back()


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


def changed(tree, line, column, generator):
    """Change the statement that begins at a place, and return how."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    (node,) = (part for part in statements if (part.lineno, part.col_offset) == (line, column))
    constants = [part for part in ast.walk(without_texts(node)) if isinstance(part, ast.Constant)]
    if isinstance(node, ast.ClassDef):
        node.body.append(ast.parse("changed = 1").body[0])
    elif constants and generator.random() < 0.5:
        constant = generator.choice(constants)
        # Two strings in a row would be one text.
        constant.value = "changed" if constant.value != "changed" else "changed again"
    elif isinstance(node, ast.FunctionDef):
        node.body.insert(generator.randrange(len(node.body) + 1), ast.parse("changed()").body[0])
    elif getattr(node, "value", None) is not None:
        node.value = ast.Tuple([node.value], ast.Load())
    else:
        place = statements_with(tree, node)
        place.insert(place.index(node), ast.parse("changed = 1").body[0])


def statements_with(tree, node):
    """Return the list of statements that a statement is in."""
    bodies = [
        body
        for part in ast.walk(tree)
        for name in ("body", "orelse", "finalbody")
        if isinstance(body := getattr(part, name, None), list)
    ]
    return next(body for body in bodies if node in body)


def without_texts(node):
    """Return a module of what in a statement may be changed: no docstring, no annotation."""
    parts = []
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.arguments):
            parts += [default for default in [*part.defaults, *part.kw_defaults] if default]
        elif isinstance(part, ast.stmt):
            parts.append(part)
    if isinstance(node, ast.FunctionDef):
        # Annotations inside count as little as those of arguments.
        parts = [part for part in parts if not any_annotation(part)]
        return ast.Module(list(without_docstring(parts)), [])
    return ast.Module([] if isinstance(node, ast.ClassDef) else [node], [])


def any_annotation(node):
    inner = (ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return any(isinstance(part, inner) for part in ast.walk(node))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_change_of_what_is_reached_moves_the_digest(copy, edited, program):
    generator = random.Random(program)
    reached = reach(Code(copy), program, FAMILIES)
    statements = reached_statements(reached)
    for module, node in generator.sample(statements, CHANGES):
        tree = ast.parse(module.source)
        changed(tree, node.lineno, node.col_offset, generator)
        edited(path_of(copy, module), ast.unparse(ast.fix_missing_locations(tree)))
        assert digest(copy, program) != reached.digest, f"{module.name}, line {node.lineno}"
        edited.put_back()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_change_of_what_is_not_reached_does_not_move_the_digest(copy, edited, program):
    reached = reach(Code(copy), program, FAMILIES)
    counted = {(module.name, node.lineno) for module, node in reached_statements(reached)}
    # A module of which a name is bound twice, or that is handed on as such, counts as it stands.
    whole = {definition.module for definition in reached.pieces if definition.name == "*"}
    modules = {definition.module for definition in reached.pieces} - whole
    untouched = 0
    for module in modules:
        tree = ast.parse(module.source)
        for node in tree.body:
            for part in [node, *(node.body if isinstance(node, ast.ClassDef) else [])]:
                spare = (module.name, part.lineno) not in counted
                if isinstance(part, ast.FunctionDef) and spare:
                    part.body.append(ast.parse("spare_constant").body[0])
                    untouched += 1
        tree.body += ast.parse(SPARE).body
        edited(path_of(copy, module), ast.unparse(tree))
    assert untouched >= 1
    assert digest(copy, program) == reached.digest


@pytest.mark.parametrize("program", PROGRAMS)
def test_moved_definitions_do_not_move_the_digest(copy, edited, program):
    generator = random.Random(program)
    reached = reach(Code(copy), program, FAMILIES)
    functions = [
        definition
        for definition in reached.pieces
        if isinstance(definition.node, ast.FunctionDef) and definition.module.name != program
    ]
    for definition in generator.sample(functions, 2):
        module, node = definition.module, definition.node
        names = [name for name in module.bindings if name != definition.name]
        new = [
            "from __future__ import annotations",
            f"from {module.name} import {', '.join(names)}" if names else "",
            ast.unparse(node),
        ]
        tree = ast.parse(module.source)
        place = [part.lineno for part in tree.body].index(node.lineno)
        tree.body[place] = ast.parse(f"from gap.moved import {definition.name}").body[0]
        edited(copy / "gap" / "moved.py", "\n".join(new))
        edited(path_of(copy, module), ast.unparse(tree))
        assert digest(copy, program) == reached.digest, definition
        edited.put_back()


def test_renamed_modules_do_not_move_any_digest(copy):
    before = {program: digest(copy, program) for program in PROGRAMS}
    renamed = copy.parent / "renamed"
    shutil.copytree(copy, renamed)
    # A family is looked up by its module's name, and provenance knows the folder of families.
    modules = [
        path for path in renamed.glob("gap/*/*.py") if path.stem not in ("__init__", "families")
    ]
    assert len(modules) > 40
    for path in modules:
        path.rename(path.with_name(f"{path.stem}_here.py"))
    for path in renamed.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for room, name in {(module.parent.name, module.stem) for module in modules}:
            text = re.sub(rf"\bgap\.{room}\.{name}\b", f"gap.{room}.{name}_here", text)
            text = re.sub(
                rf"\bfrom gap\.{room} import {name}( as |$)",
                lambda match, name=name: (
                    match[0].replace(name, f"{name}_here", 1)
                    if match[1].strip()
                    else f"{match[0]}_here as {name}"
                ),
                text,
                flags=re.MULTILINE,
            )
        path.write_text(text, encoding="utf-8")
    assert {program: digest(renamed, program) for program in PROGRAMS} == before


def test_the_programs_name_each_module_of_theirs(copy):
    """Modules are found where Python finds them: in the folder of the programs."""
    reached = reach(Code(copy), "train", FAMILIES)
    assert Path("gap/run/json.py") in {
        path_of(copy, definition.module).relative_to(copy) for definition in reached.pieces
    }
