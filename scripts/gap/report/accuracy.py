"""The section on accuracy, and that on what others published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import TypeVar

from gap.data.manifests import Card
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
# Columns beside the metric that gaps are of.
OTHERS = ("Accuracy", "Macro-F1", "Log loss", "ECE")
# The largest share of test rows of one label that goes without a remark.
MOST_ROWS = 0.6
CellRow = TypeVar("CellRow", ScoreRow, AccuracyRow, GapRow)


def accuracy(findings: Findings) -> Section:
    """Return how good each model is at each size."""
    header = ["Model", "Labels", headline(findings), findings.interval]
    header += [other for other in OTHERS if other != headline(findings)] + ["Seeds"]
    lines = [(row.dataset, _cells(findings, row)) for row in findings.accuracies]
    # Where there are gaps, the accuracies are drawn beside them.
    drawn = [] if findings.gaps else [Figures(lambda: gap_figures(findings))]
    tables = by_dataset(findings, header, lines, set(range(1, len(header))))
    title = f"{headline(findings)} on the test set"
    texts = [SCALES, *filter(None, (_on_balance(findings, card) for card in findings.cards))]
    return Section("accuracy", title, [*drawn, *map(Paragraph, texts), *tables])


def headline(findings: Findings) -> str:
    """Return what gaps are of, as a heading: "Accuracy"."""
    return findings.metric[0].upper() + findings.metric[1:]


def _on_balance(findings: Findings, card: Card) -> str:
    """Return what accuracy hides where most test rows have one label, or an empty text."""
    counts = card["test"]["label_counts"]
    label = max(counts, key=lambda name: counts[name], default="")
    share = counts.get(label, 0) / card["test"]["rows"]
    if findings.recipe.metric[0] != "accuracy" or share <= MOST_ROWS:
        return ""
    return (
        f"{findings.title(card['dataset'])}: {share:.0%} of the test rows have the label {label}. "
        f"Who always says {label} has an accuracy of {share:.0%}, so accuracy hides how rarer "
        "labels fare. Macro-F1 counts all labels alike: `gap: {metric: [macro_f1, accuracy]}`."
    )


def _cells(findings: Findings, row: AccuracyRow) -> list[str]:
    scores = list(_of_cell(findings.scores, row))
    others = {
        "Accuracy": f"{100 * fmean(score.accuracy for score in scores):.1f}",
        "Macro-F1": f"{100 * fmean(score.macro_f1 for score in scores):.1f}",
        "Log loss": f"{fmean(score.log_loss for score in scores):.3f}",
        "ECE": f"{100 * fmean(score.calibration_error for score in scores):.1f}",
    }
    return [
        findings.title(row.model),
        size_label(row.size, row.n),
        f"{row.accuracy:.1f}",
        f"{row.accuracy_low:.1f} to {row.accuracy_high:.1f}",
        *(others[name] for name in OTHERS if name != headline(findings)),
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
    # What others published is accuracy.
    alike = findings.recipe.metric[0] == "accuracy"
    here = next(_of_cell(findings.accuracies if alike else [], figure), None)
    gap_here = next(_of_cell(findings.gaps if alike else [], figure), None)
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
