"""Tables of a section, one for each data set."""

from __future__ import annotations

from collections.abc import Sequence, Set

from gap.report.sections import Heading, Paragraph, Part, Table
from gap.results.findings import Findings

# A row of a table: its data set and its cells.
Line = tuple[str, Sequence[str]]


def by_dataset(
    findings: Findings, header: Sequence[str], lines: Sequence[Line], right: Set[int]
) -> list[Part]:
    """Return one table per data set, under the name of the data set if there are several.

    `right` are the numbers of the columns that are aligned to the right.
    """
    parts: list[Part] = []
    for dataset in findings.datasets:
        if len(findings.datasets) > 1:
            parts.append(Heading(findings.title(dataset)))
        rows = [cells for name, cells in lines if name == dataset]
        parts.append(Table(header, rows, frozenset(right)) if rows else Paragraph("None yet."))
    return parts
