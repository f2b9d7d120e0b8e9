"""The section on the gaps, and that on the size at which they close."""

from __future__ import annotations

import math
from statistics import fmean

from gap.report.figures import curve_figures, gap_figures
from gap.report.sections import Figures, Paragraph, Section
from gap.report.tables import Line, by_dataset
from gap.report.wording import points, several, size_label, span, two_digits
from gap.results.curves import REACH
from gap.results.findings import Findings
from gap.results.rows import CrossingRow


def gaps(findings: Findings) -> Section | None:
    """Return the gaps of all models at all sizes."""
    if not findings.gaps:
        return None
    header = ["Model", "Labels", "Gap", findings.interval, "Seeds", "Difference"]
    lines: list[Line] = [
        (
            row.dataset,
            [
                findings.title(row.model),
                size_label(row.size, row.n),
                points(row.gap),
                span(row.gap_low, row.gap_high),
                str(row.seeds),
                row.difference,
            ],
        )
        for row in findings.gaps
    ]
    return Section(
        "gaps",
        f"Gap to {findings.reference}, in percentage points",
        [
            Figures(lambda: gap_figures(findings)),
            *by_dataset(findings, header, lines, {1, 2, 3, 4}),
        ],
    )


def crossings(findings: Findings) -> Section | None:
    """Return where the gaps' curves fall to the margin, and how well curves forecast so far."""
    if not findings.crossings:
        return None
    text = (
        "The table tells from which size on the curve through a model's gaps is at most "
        f"{findings.margin}. Several forms of curve are fitted to all sizes but the largest; the "
        "form that comes nearest to the gap at the largest size is used. The interval includes the "
        f"doubt about the form. Nothing is forecast beyond {REACH:g} times the largest measured "
        "size. The shapes of learning curves: Viering and Loog 2021; Hestness et al. 2017."
    )
    header = ["Model", f"At most {findings.margin} from", findings.interval, "Curve"]
    lines = [(row.dataset, _crossing_cells(findings, row)) for row in findings.crossings]
    check = [Paragraph(_held_back(findings))] if findings.forecasts else []
    return Section(
        "crossings",
        "At which size the gap closes",
        [
            Figures(lambda: curve_figures(findings)),
            Paragraph(text),
            *by_dataset(findings, header, lines, {1, 2}),
            *check,
        ],
    )


def _crossing_cells(findings: Findings, row: CrossingRow) -> list[str]:
    smallest = findings.comparisons[row.dataset, row.model][0].n
    low, n, high = (
        _closing_size(size, smallest, row.largest) for size in (row.n_low, row.n, row.n_high)
    )
    interval = low if low == high else f"{low} to {high}"
    return [findings.title(row.model), n, interval, row.form]


def _closing_size(n: float, smallest: int, largest: int) -> str:
    if math.isinf(n):
        return "not within reach"
    if n <= smallest:
        return f"{smallest:,} or before"
    return f"{two_digits(n):,.0f}" + (" (not measured)" if n > largest else "")


def _held_back(findings: Findings) -> str:
    rows = findings.forecasts
    errors = [abs(row.value - row.measured) for row in rows]
    inside = sum(row.low <= row.measured <= row.high for row in rows)
    return (
        f"As a check, {several(errors, 'gap')} at larger sizes of this study "
        f"{'was' if len(errors) == 1 else 'were'} forecast from the smaller sizes alone. The "
        f"forecasts were off by {fmean(errors):.1f} points on average and by {max(errors):.1f} at "
        f"most; {inside} of {len(errors)} gaps lay inside the interval of the forecast."
    )
