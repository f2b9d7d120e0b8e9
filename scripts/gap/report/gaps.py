"""The section on the gaps, and that on the size at which they close."""

from __future__ import annotations

import math
from statistics import fmean

from gap.report.answer import on_dataset
from gap.report.figures import curve_figures, gap_figures
from gap.report.sections import Figures, Items, Paragraph, Part, Section
from gap.report.tables import Line, by_dataset
from gap.report.wording import (
    points,
    several,
    size_label,
    span,
    two_digits,
    with_interval,
)
from gap.results.curves import REACH
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.rows import CrossingRow


def gaps(findings: Findings) -> Section | None:
    """Return the gaps of all models at all sizes."""
    if not findings.gaps:
        return None
    header = ["Model", "Labels", "Gap", findings.interval, "Chances", "Seeds"]
    header += ["Difference"]
    lines: list[Line] = [
        (
            row.dataset,
            [
                findings.title(row.model),
                size_label(row.size, row.n),
                points(row.gap),
                span(row.gap_low, row.gap_high),
                f"{100 * row.ahead:.0f}, {100 * row.within:.0f}, {100 * row.behind:.0f}",
                f"{row.reference_seeds}, {row.seeds}",
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
            Paragraph(_explanation(findings)),
            *by_dataset(findings, header, lines, {1, 2, 3, 4, 5}),
            *_diverged(findings),
        ],
    )


def _explanation(findings: Findings) -> str:
    name, margin = findings.reference, findings.margin
    return (
        f"Chances, in percent: that {name} is ahead by more than {margin}, that the "
        f"gap is at most {margin}, and that {name} is behind by more. Seeds: those of {name} and "
        "of the model."
    )


def _diverged(findings: Findings) -> list[Part]:
    """Return how many seeds have diverged, and the gaps without them; nothing where none has."""
    cells = [row for row in findings.accuracies if row.diverged]
    if not cells:
        return []
    count, total = sum(row.diverged for row in cells), sum(row.seeds for row in findings.accuracies)
    text = (
        f"{count} of {total} seeds {'has' if count == 1 else 'have'} diverged: their "
        f"{findings.metric} is far below that of the other seeds of their cell. All numbers above "
        "include them, and intervals allow for it. Without them:"
    )
    lines = [
        f"{findings.title(row.model)} {on_dataset(findings, row.dataset)}with {row.n:,} labels: a "
        f"gap of {points(row.ordinary_gap)} in place of {points(row.gap)}"
        for row in findings.gaps
        if row.ordinary_gap is not None
    ]
    return [Paragraph(text), Items(lines)] if lines else [Paragraph(text)]


def crossings(findings: Findings) -> Section | None:
    """Return where the curves of gaps fall to the margin, and what they forecast."""
    if not findings.crossings:
        return None
    text = (
        f"A curve through the {findings.metric} of each model by size, beside that of "
        f"{findings.reference}, says how large the gap is in between and beyond. Closes at: from "
        f"there on the gap is at most {findings.margin}. Not before: the smallest size at which "
        f"its {findings.interval} allows that. The last columns have the gap at twice and at four "
        f"times the largest size, with its interval and the chance that it is at most "
        f"{findings.margin}. Shapes of learning curves, and how far forecasts are off, were "
        "learned from real ones (LCDB 1.1, Yan et al. 2025)."
    )
    header = ["Model", "Closes at", "Not before", "Gap at 2x", "Chance", "Gap at 4x", "Chance"]
    lines = [(row.dataset, _crossing_cells(findings, row)) for row in findings.crossings]
    return Section(
        "crossings",
        "At which size the gap closes",
        [
            Figures(lambda: curve_figures(findings)),
            Paragraph(text),
            *by_dataset(findings, header, lines, {1, 2, 3, 4, 5, 6}),
            *_warnings(findings),
            *([Paragraph(_held_back(findings))] if findings.forecasts else []),
        ],
    )


def _crossing_cells(findings: Findings, row: CrossingRow) -> list[str]:
    smallest = findings.comparisons[row.dataset, row.model][0].n
    n, low = (_closing_size(size, smallest, row.largest) for size in (row.n, row.n_low))
    return [
        findings.title(row.model),
        n,
        low,
        with_interval(row.gap_2x, row.gap_2x_low, row.gap_2x_high),
        f"{100 * row.within_2x:.0f} %",
        with_interval(row.gap_4x, row.gap_4x_low, row.gap_4x_high),
        f"{100 * row.within_4x:.0f} %",
    ]


def _warnings(findings: Findings) -> list[Part]:
    """Return what to know before a forecast is believed; nothing where all is well."""
    parts: list[Part] = []
    for dataset in dict.fromkeys(row.dataset for row in findings.crossings if row.withheld):
        text = (
            f"{on_dataset(findings, dataset)}curves have forecast larger sizes of this study no "
            "better than the last gap. So the gaps are taken to stay as they are beyond the "
            "largest size."
        )
        parts.append(Paragraph(text[0].upper() + text[1:]))
    if falling := [row for row in findings.crossings if row.falls]:
        names = [
            f"{findings.title(row.model)} {on_dataset(findings, row.dataset)}".rstrip()
            for row in falling
        ]
        text = (
            f"In the comparison with {join_names(names)} the {findings.metric} of a model falls "
            "from one size to a larger one by more than noise. Curves are meant for models that "
            "improve, so do not rely on these."
        )
        parts.append(Paragraph(text))
    return parts


def _closing_size(n: float, smallest: int, largest: int) -> str:
    if math.isinf(n):
        return f"not up to {round(two_digits(REACH * largest)):,}"
    if n <= smallest:
        return f"{smallest:,} or before"
    return f"{two_digits(n):,.0f}" + (" (not measured)" if n > largest else "")


def _held_back(findings: Findings) -> str:
    rows = findings.forecasts
    errors = [abs(row.value - row.measured) for row in rows]
    of_last = fmean(abs(row.last - row.measured) for row in rows)
    inside = sum(row.low <= row.measured <= row.high for row in rows)
    return (
        f"As a check, {several(errors, 'gap')} at larger sizes of this study "
        f"{'was' if len(errors) == 1 else 'were'} forecast from the smaller sizes alone. The "
        f"forecasts were off by {fmean(errors):.1f} points on average (the last gap in place of a "
        f"forecast: {of_last:.1f}) and by {max(errors):.1f} at most; {inside} of {len(errors)} "
        "gaps lay inside the interval of the forecast."
    )
