"""The section on how small a gap a study can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gap.report.sections import Paragraph, Section
from gap.report.steps import outlook_of
from gap.report.tables import Line, by_dataset
from gap.report.wording import points, size_label, span
from gap.results.findings import Findings
from gap.results.outlook import POWER
from gap.results.rows import GapRow


def power(findings: Findings) -> Section | None:
    """Return the smallest gaps that the study can tell, by size; None where seeds say nothing."""
    rows = [row for row in findings.gaps if row.seed_error is not None]
    if not rows:
        return None
    name = findings.title(str(findings.main))
    text = (
        f"The smallest true gap, in points, that {100 * POWER:.0f} % of the studies with these "
        f"seeds and test examples tell to be larger than {findings.margin}; and how many of them "
        f"tell a gap of zero to be at most {findings.margin}. More seeds and more test examples "
        "lower the one and raise the other."
    )
    header = ["Labels", f"To {name}", "All comparisons", f"Zero told, {name}"]
    groups: dict[tuple[str, int, str], list[GapRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.n):
        groups[row.dataset, row.n, row.size].append(row)
    lines: list[Line] = [
        (dataset, [size_label(size, n), *_cells(findings, members)])
        for (dataset, n, size), members in groups.items()
    ]
    return Section(
        "power",
        "How small a gap this study can tell",
        [Paragraph(text), *by_dataset(findings, header, lines, {0, 1, 2, 3})],
    )


def _cells(findings: Findings, rows: Sequence[GapRow]) -> list[str]:
    """Return the cells of a size; those of the main comparison are empty where it was not run."""
    margin = findings.recipe.margin
    outlooks = {row.model: outlook_of(findings, row) for row in rows}
    smallest = {model: outlook.smallest_told(margin) for model, outlook in outlooks.items()}
    main = outlooks.get(str(findings.main))
    return [
        points(main.smallest_told(margin)) if main else "",
        span(min(smallest.values()), max(smallest.values())),
        f"{100 * main.chance_to_tell_none(margin):.0f} %" if main else "",
    ]
