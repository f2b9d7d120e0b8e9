"""The pages of the repository: their headings, links and commands, and who runs each command."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "results/README.md", "benchmarks/*.md")
    for page in ROOT.glob(pattern)
)
# What a command of a page begins with.
PROGRAMS = ("make", "pip", "pytest", "python", "python3", "snakemake")
# The test that runs a command, or checks it, by how the command begins: the first that fits.
CHECKED_BY = {
    "snakemake |cd |mkdir ": "workflow/test_pages.py::test_snakemake_takes_each_block_of_commands",
    "make ": "unit/test_pages.py::test_make_knows_each_target",
    "pip ": "unit/test_setup.py::test_pages_set_up_as_make_does",
    "python3 -m venv ": "unit/test_setup.py::test_pages_set_up_as_make_does",
    r"\. \S*\.venv/bin/activate": "unit/test_setup.py::test_pages_set_up_as_make_does",
    "pytest": "unit/test_pages.py::test_tests_that_are_named_exist",
    "python scripts/compare_studies.py": (
        "unit/test_compare_studies.py::test_it_writes_chart_and_tables_and_tells_where"
    ),
    "python scripts/compare_provenance.py": (
        "unit/test_record_provenance.py::test_the_command_of_the_page_compares_two_studies"
    ),
    "python (scripts|benchmarks)/": (
        "unit/test_pages.py::test_programs_have_the_options_the_pages_show"
    ),
}


class Command(NamedTuple):
    """A command as a page shows it."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


class Block(NamedTuple):
    """Commands that a page shows together, to be typed one after the other."""

    commands: tuple[Command, ...]

    @property
    def text(self) -> str:
        return "\n".join(command.text for command in self.commands)


def parse(page: Path) -> list[Token]:
    """Return the tokens of a page's Markdown, tables included."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> Iterator[Block]:
    """Yield every `sh` block of a page, and each command in its running text as one of its own."""
    for token in parse(page):
        first = (token.map or [0])[0] + 1
        if token.type == "fence" and token.info == "sh":
            lines = enumerate(token.content.splitlines(), first + 1)
            bare = ((number, re.sub(r"(^| +)#.*", "", line)) for number, line in lines)
            yield Block(tuple(Command(page, number, line) for number, line in bare if line))
        for child in token.children or ():
            program, _, words = child.content.partition(" ")
            if child.type == "code_inline" and program in PROGRAMS and words:
                yield Block((Command(page, first, child.content),))


def commands() -> list[Command]:
    """Return every command of every page."""
    return [command for page in PAGES for block in blocks(page) for command in block.commands]


def codes(page: Path, language: str, heading: str | None = None) -> list[str]:
    """Return the blocks of code in a language on a page, or in the part under a heading."""
    below, texts = heading is None, list[str]()
    for token, content in pairwise(parse(page)):
        if token.type == "heading_open" and heading is not None:
            below = content.content == heading
        elif below and token.type == "fence" and token.info == language:
            texts.append(token.content)
    return texts


def code(page: Path, language: str, heading: str | None = None) -> str:
    """Return the first of the blocks that `codes` returns."""
    return codes(page, language, heading)[0]


def anchors(page: Path) -> set[str]:
    """Return what links may name after # on a page: its headings, spelled as GitHub does."""
    tokens = parse(page)
    titles = (
        "".join(child.content for child in content.children or ())
        for token, content in pairwise(tokens)
        if token.type == "heading_open"
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, target) of each link and image of a page that leads into the repository."""
    for token in parse(page):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target and not re.match(r"\w+:", str(target)):
                yield (token.map or [0])[0] + 1, str(target)
