"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
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


def _padded(row: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    return [
        text.rjust(width) if place in right else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
