"""How the code is built, in numbers: python tests/house.py [FOLDER ...] prints a table.

FOLDER is a checkout of this project, or of an older state of it; several stand beside each other.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
# From the ground up: a room imports from those before it only.
ROOMS = ("run", "study", "data", "models", "config", "results", "report", "cluster")
# Words that stand for a thing without naming it.
PRONOUNS = {"one", "ours", "theirs", "found", "known", "told", "own", "facts"}
FAMILIES = {"transformer", "frozen", "frozen_lstm", "lstm", "linear", "composition"}
FAMILY_CLASSES = {"FineTuned", "Frozen", "Linear", "Lstm", "Network", "Tfidf", "Transformer"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """A file of Python."""

    path: Path
    folder: Path

    @cached_property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.path.read_text(encoding="utf-8"))))

    @property
    def name(self) -> str:
        return self.path.relative_to(self.folder).as_posix()

    @property
    def room(self) -> str | None:
        """The room that the module stands in."""
        parts = self.path.relative_to(self.folder / "scripts").parts
        return parts[1] if parts[0] == "gap" and len(parts) > 2 else None

    def functions(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the lines of each function."""
        for node in self.nodes:
            if isinstance(node, FUNCTIONS):
                yield f"{self.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1

    def annotations(self) -> Iterator[str]:
        for node in self.nodes:
            if isinstance(node, FUNCTIONS) and node.returns:
                yield ast.unparse(node.returns)
            elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
                yield ast.unparse(node.annotation)

    def names(self) -> Iterator[str]:
        """Yield each name that the code binds, as often as it does."""
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.arg):
                yield node.arg

    def branches(self) -> Iterator[str]:
        """Yield each place that asks which family a model is of."""
        if "families" in self.path.parts:
            return
        for node in self.nodes:
            if isinstance(node, ast.Compare):
                parts = [node.left, *node.comparators]
                if {part.value for part in parts if isinstance(part, ast.Constant)} & FAMILIES:
                    yield f"{self.name}:{node.lineno}"
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                classes = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
                if classes & FAMILY_CLASSES:
                    yield f"{self.name}:{node.lineno}"

    def arrows(self) -> Iterator[tuple[str, str]]:
        """Yield (room of the module, room that it imports from)."""
        for node in self.nodes:
            imported = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if self.room and imported.startswith("gap."):
                yield self.room, imported.split(".")[1]


@dataclass(frozen=True)
class House:
    """The figures of a checkout."""

    functions: int
    median_lines: float
    longest_function: int
    files: int
    files_over_400_lines: int
    any_in_annotations: float
    pronouns_among_names: float
    branches_on_the_family: int
    arrows_that_run_back: int


def modules(folder: Path) -> list[Module]:
    """Return the modules of scripts/."""
    return [Module(path, folder) for path in sorted((folder / "scripts").rglob("*.py"))]


def branches_in_rules(folder: Path) -> list[str]:
    """Return the lines of rules that ask which family a model is of."""
    lines = [
        (path.name, line)
        for path in sorted((folder / "rules").glob("*.smk"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    question = re.compile(rf"[!=]= \"({'|'.join(sorted(FAMILIES))})\"")
    return [f"{name}: {line.strip()}" for name, line in lines if question.search(line)]


def runs_back(arrow: tuple[str, str]) -> bool:
    room, imported = (ROOMS.index(name) if name in ROOMS else len(ROOMS) for name in arrow)
    return imported > room


def measure(folder: Path) -> House:
    """Return the figures of a checkout."""
    code = modules(folder)
    lines = [count for module in code for _, count in module.functions()]
    annotations = [text for module in code for text in module.annotations()]
    names = [name for module in code for name in module.names()]
    return House(
        functions=len(lines),
        median_lines=median(lines),
        longest_function=max(lines),
        files=len(code),
        files_over_400_lines=sum(module.lines > 400 for module in code),
        any_in_annotations=sum("Any" in text for text in annotations) / len(annotations),
        pronouns_among_names=sum(name in PRONOUNS for name in names) / len(names),
        branches_on_the_family=sum(1 for module in code for _ in module.branches())
        + len(branches_in_rules(folder)),
        arrows_that_run_back=sum(runs_back(arrow) for module in code for arrow in module.arrows()),
    )


def main(folders: list[str]) -> None:
    """Print a table with a column for each checkout."""
    houses = [measure(Path(folder).resolve()) for folder in folders or [str(ROOT)]]
    for field in fields(House):
        values = [getattr(house, field.name) for house in houses]
        cells = [f"{value:.1%}" if 0 < value < 1 else f"{value:g}" for value in values]
        print(f"{field.name.replace('_', ' '):26}" + "".join(f"{cell:>10}" for cell in cells))


if __name__ == "__main__":
    main(sys.argv[1:])
