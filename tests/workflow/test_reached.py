"""What the programs of a study execute is among what their digests cover."""

import ast
from collections import defaultdict

import pytest
from gap.run.definitions import Code
from gap.run.reach import reach
from gap.run.syntax import without_docstring

pytestmark = pytest.mark.workflow

PROGRAMS = [
    *("download", "prepare", "subsample", "fit_vocabulary", "encode", "train", "predict", "score"),
    *("gather", "estimate_gap", "forecast_gap", "examine_errors", "measure_latency"),
    *("gather_latency", "chart_gap", "chart_cost", "write_summary", "record_provenance"),
    "write_report",
]
FAMILIES = ("linear", "lstm", "transformer")


def executed(study):
    """Return by program the functions that it called, as file, line and name."""
    calls = defaultdict(set)
    for record in (study.folder.parent / "executed").iterdir():
        for line in record.read_text(encoding="utf-8").splitlines():
            program, file, number, name = line.split()
            calls[program.removesuffix(".py")].add((file, int(number), name))
    return calls


def statement_at(body, line):
    """Return the statement, of those in a body, that a line is part of; of a class, its own."""
    (node,) = (node for node in body if first_line(node) <= line <= node.end_lineno)
    return statement_at(node.body, line) if isinstance(node, ast.ClassDef) else node


def first_line(node):
    return min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", []))])


@pytest.fixture(scope="module")
def code(grid):
    return Code(grid[0].folder / "scripts")


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_that_a_program_executes_is_covered_by_its_digest(grid, code, program):
    covered = {
        (piece_node.lineno, definition.module.name)
        for definition, pieces in reach(code, program, FAMILIES).pieces.items()
        for piece_node in nodes_of(definition, pieces)
    }
    calls = executed(grid[0])[program]
    assert len(calls) >= 10
    missed = []
    for file, line, name in sorted(calls):
        module = code.get(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        statement = statement_at(ast.parse(module.source).body, line)
        if (statement.lineno, module.name) not in covered:
            missed.append(f"{file}, line {line}: {name}")
    assert not missed


def nodes_of(definition, pieces):
    """Yield the statements of a definition, of a class those in it, that count."""
    for node in definition.nodes:
        yield node
    if isinstance(definition.node, ast.ClassDef):
        for node, piece in zip(
            without_docstring(definition.node.body), definition.pieces[1:], strict=True
        ):
            if piece in pieces:
                yield node
