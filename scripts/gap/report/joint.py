"""The section on what the gaps on several data sets say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gap.report.sections import Paragraph, Section, Table
from gap.report.wording import points, span
from gap.results.findings import Findings
from gap.results.joint import JointGap, joint_gap
from gap.results.missing import spell_size
from gap.results.outlook import quantile
from gap.results.rows import GapRow


def joint(findings: Findings) -> Section | None:
    """Return the mean gap over data sets at each size that several have; None for one data set."""
    groups: dict[tuple[str, str], list[GapRow]] = {}
    for row in findings.gaps:
        groups.setdefault((row.model, row.size), []).append(row)
    several = {key: rows for key, rows in groups.items() if len(rows) > 1}
    if not several:
        return None
    text = (
        "The mean gap over data sets such as these, each of which counts alike (a hierarchical "
        f"model, docs/statistics.md). Chances, in percent: that {findings.reference} is ahead by "
        f"more than {findings.margin} on average, that the mean gap is at most {findings.margin}, "
        f"and that {findings.reference} is behind by more. Spread: by how "
        "much the gap is expected to differ from data set to data set, a standard deviation in "
        "points; where it is large, the mean hides that, and each data set has to be read by "
        "itself. A few data sets say little about others, so intervals are wide."
    )
    header = ["Model", "Labels", "Data sets", "Mean gap", findings.interval, "Chances", "Spread"]
    rows = [
        _cells(findings, model, size, rows, join(findings, rows))
        for (model, size), rows in several.items()
    ]
    table = Table(header, rows, frozenset({1, 2, 3, 4, 5, 6}))
    return Section("joint", "All data sets together", [Paragraph(text), table])


def join(findings: Findings, rows: Sequence[GapRow]) -> JointGap:
    """Return what the gaps of several data sets say together; their intervals give their errors."""
    confidence = findings.recipe.confidence
    reach = 2 * quantile(confidence)
    errors = np.array([(row.gap_high - row.gap_low) / reach for row in rows])
    gaps = np.array([row.gap for row in rows])
    return joint_gap(gaps, errors, findings.recipe.margin, confidence)


def _cells(
    findings: Findings, model: str, size: str, rows: Sequence[GapRow], gap: JointGap
) -> list[str]:
    return [
        findings.title(model),
        spell_size(size),
        str(len(rows)),
        points(gap.value),
        span(gap.low, gap.high),
        f"{100 * gap.ahead:.0f}, {100 * gap.within:.0f}, {100 * gap.behind:.0f}",
        points(gap.spread),
    ]
