"""The section on accuracy, and that on what others published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import TypeVar

from gap.report.figures import gap_figures
from gap.report.sections import Figures, Items, Paragraph, Part, Section, Table
from gap.report.tables import by_dataset
from gap.report.wording import size_label
from gap.results.findings import Findings
from gap.results.missing import spell_size
from gap.results.published import Published
from gap.results.rows import AccuracyRow, GapRow, ScoreRow

SCALES = (
    "Means over seeds, in percent; log loss in nats. ECE is the expected calibration error of the "
    "top label's probability (15 bins)."
)
BY_OTHERS = (
    "These figures were published by others, and no other number here uses them. Their texts, test "
    "set and settings may differ from those of this study, and a share is a share of their own "
    "data. A published gap is the difference of two figures from one source."
)
CellRow = TypeVar("CellRow", ScoreRow, AccuracyRow, GapRow)


def accuracy(findings: Findings) -> Section:
    """Return how good each model is at each size."""
    header = ["Model", "Labels", "Accuracy", findings.interval]
    header += ["Macro-F1", "Log loss", "ECE", "Seeds"]
    lines = [(row.dataset, _cells(findings, row)) for row in findings.accuracies]
    # Where there are gaps, the accuracies are drawn beside them.
    drawn = [] if findings.gaps else [Figures(lambda: gap_figures(findings))]
    tables = by_dataset(findings, header, lines, set(range(1, len(header))))
    return Section("accuracy", "Accuracy on the test set", [*drawn, Paragraph(SCALES), *tables])


def _cells(findings: Findings, row: AccuracyRow) -> list[str]:
    scores = list(_of_cell(findings.scores, row))
    return [
        findings.title(row.model),
        size_label(row.size, row.n),
        f"{row.accuracy:.1f}",
        f"{row.accuracy_low:.1f} to {row.accuracy_high:.1f}",
        f"{100 * fmean(score.macro_f1 for score in scores):.1f}",
        f"{fmean(score.log_loss for score in scores):.3f}",
        f"{100 * fmean(score.calibration_error for score in scores):.1f}",
        str(row.seeds),
    ]


def published(findings: Findings) -> Section | None:
    """Return published figures beside the study's own, and a list of where they are from."""
    figures = findings.published
    if not figures:
        return None
    header = ["Data set", "Model", "Size", "Published", "Here", "Published gap", "Gap here"]
    rows = [_published_cells(findings, figure) for figure in figures]
    sources = [
        f"{', '.join(row[:3])}: {figure.source}" + (f"; {figure.note}" if figure.note else "")
        for row, figure in zip(rows, figures, strict=True)
    ]
    parts: list[Part] = [
        Paragraph(BY_OTHERS),
        Table(header, rows, frozenset({2, 3, 4, 5, 6})),
        Items(sources),
    ]
    return Section("published", "Published figures", parts)


def _published_cells(findings: Findings, figure: Published) -> list[str]:
    here = next(_of_cell(findings.accuracies, figure), None)
    gap_here = next(_of_cell(findings.gaps, figure), None)
    return [
        findings.title(figure.dataset),
        findings.title(figure.model),
        spell_size(figure.size),
        f"{figure.accuracy:.2f}",
        f"{here.accuracy:.2f}" if here else "",
        "" if figure.gap is None else f"{figure.gap:.2f}",
        f"{gap_here.gap:.2f}" if gap_here else "",
    ]


def _of_cell(rows: Iterable[CellRow], cell: AccuracyRow | Published) -> Iterator[CellRow]:
    place = cell.dataset, cell.model, cell.size
    return (row for row in rows if (row.dataset, row.model, row.size) == place)
