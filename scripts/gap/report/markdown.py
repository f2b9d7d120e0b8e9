"""Sections as Markdown that reads well as plain text in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gap.report.sections import (
    Document,
    Figures,
    Heading,
    Items,
    Paragraph,
    Part,
    Preformatted,
    Quotation,
    Table,
)
from gap.report.wording import fill


def write_markdown(document: Document) -> str:
    """Return the document without its figures; the first paragraph, in one line, is the answer."""
    blocks = [document.answer, fill(document.explanation)]
    for section in document.sections:
        blocks += [f"## {section.title}", *map(part_as_markdown, section.parts)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def part_as_markdown(part: Part) -> str:
    """Return a part of a section as Markdown, in lines of a terminal; empty for figures."""
    match part:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return fill(text)
        case Items(texts):
            return "\n".join(fill(text, first="- ", others="  ") for text in texts)
        case Table(header, rows, right):
            return markdown_table(header, rows, right)
        case Figures():
            return ""
        case Quotation(text, said):
            return textwrap.indent(f"{fill(text)}\n\n{fill(said)}", "> ", lambda _: True)
        case Preformatted(text):
            return f"```\n{text.strip()}\n```"


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()
) -> str:
    """Return a Markdown table, padded so that it reads well as plain text.

    `right` are the numbers of the columns that are aligned to the right.
    """
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, *rows)]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    rule = [
        "-" * (width - 1) + ":" if place in right else "-" * width
        for place, width in enumerate(widths)
    ]
    cells.insert(1, rule)
    return "\n".join("| " + " | ".join(_padded(row, widths, right)) + " |" for row in cells)


def _padded(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> list[str]:
    return [
        text.rjust(width) if place in right else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
