"""The answer of a study: one sentence about each comparison, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from gap.report.sections import Items, Section
from gap.report.wording import points, sentence, several, span
from gap.results.findings import Findings
from gap.results.rows import GapRow

# The table of gaps has four decimals: an interval that ends at 0 is not ahead.
AHEAD = -0.0001


def answer(findings: Findings) -> str:
    """Return one sentence about the main comparison, on every data set.

    The main comparison is with the recipe's `compared`, else with the first model of the gaps.
    """
    if not findings.gaps:
        return f"No gap can be told: no model beside {findings.reference} was run."
    sentences = [
        on_dataset(findings, dataset) + comparison(rows, findings)
        for (dataset, model), rows in findings.comparisons.items()
        if model == findings.main
    ]
    return sentence("; ".join(sentences))


def explanation(findings: Findings) -> str:
    """Return what was measured, and what a gap is."""
    models = list(dict.fromkeys(row.model for row in findings.accuracies))
    sizes = sorted({row.n for row in findings.accuracies})
    numbers = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return (
        f"Measured on {several(findings.datasets, 'data set')} with {several(models, 'model')}, "
        f"trained with {numbers} labelled examples ({several(sizes, 'size')}), validation examples "
        f"included. The gap is the {findings.metric} of {findings.reference} minus that of the "
        "other model, on the same test examples, each a mean over its seeds. A seed decides which "
        "training examples are drawn, what the first weights are and in which order batches come."
    )


def other_comparisons(findings: Findings) -> Section | None:
    """Return a sentence about each comparison that is not the main one."""
    sentences = [
        sentence(on_dataset(findings, dataset) + comparison(rows, findings))
        for (dataset, model), rows in findings.comparisons.items()
        if model != findings.main
    ]
    if not sentences:
        return None
    return Section("other-comparisons", "The other comparisons", [Items(sentences)])


def comparison(rows: Sequence[GapRow], findings: Findings) -> str:
    """Return what the gaps to one model on one data set say, without capital and full stop.

    `rows` are ordered by n. The gap is said to narrow or to widen only where the intervals of the
    smallest and the largest size lie apart.
    """
    first, last = rows[0], rows[-1]
    model = findings.title(first.model)
    text = (
        f"with {first.n:,} labels {findings.reference} is {_size(first)} points "
        f"({findings.interval} {_bounds(first)}) {_side(first)} {model}"
    )
    if first is last:
        return f"{text}; only one size was measured, so it is not known whether the gap narrows"
    side = "" if _side(first) == _side(last) else f" {_side(last).split()[0]}"
    text += f"; with {last.n:,} labels {_size(last)} ({_bounds(last)}){side}"
    reversed_from = _from(rows, AHEAD)
    if reversed_from:
        return f"{text}; {_sizes_from(reversed_from, rows)} {model} is ahead"
    return f"{text}; {_course(first, last)}{_against_margin(rows, findings)}"


def on_dataset(findings: Findings, dataset: str) -> str:
    """Return "on NAME ", or an empty text where there is only one data set."""
    return f"on {findings.title(dataset)} " if len(findings.datasets) > 1 else ""


def _course(first: GapRow, last: GapRow) -> str:
    if last.gap_high < first.gap_low:
        return "the gap narrows"
    if last.gap_low > first.gap_high:
        return "the gap widens"
    if last.gap < first.gap:
        return "the gap looks narrower (the intervals overlap)"
    return "the gap does not narrow"


def _against_margin(rows: Sequence[GapRow], findings: Findings) -> str:
    """Return how the gaps stand to the margin, as the end of a sentence."""
    margin, last = findings.recipe.margin, rows[-1]
    closed_from = _from(rows, margin)
    if closed_from:
        return f", and {_sizes_from(closed_from, rows)} it is at most {findings.margin}"
    if last.gap <= margin:
        return (
            f", and with {last.n:,} labels it is {findings.margin} or less, but the interval "
            f"reaches {last.gap_high:.2f}"
        )
    if any(row.gap <= margin for row in rows):
        return f", and at the largest size it is above {findings.margin}"
    joint = " but" if last.gap_high < rows[0].gap_low else " and"
    return f"{joint} has not fallen to {findings.margin} at any measured size"


def _from(rows: Sequence[GapRow], limit: float) -> int | None:
    """Return the smallest n from which on every interval ends at `limit` or under."""
    above = [place for place, row in enumerate(rows) if row.gap_high > limit]
    rest = rows[above[-1] + 1 :] if above else rows
    return rest[0].n if rest else None


def _sizes_from(n: int, rows: Sequence[GapRow]) -> str:
    if n == rows[0].n:
        return "at every measured size"
    return f"with {n:,} labels" if n == rows[-1].n else f"from {n:,} labels on"


def _side(row: GapRow) -> str:
    return "behind" if _is_behind(row) else "ahead of"


def _is_behind(row: GapRow) -> bool:
    # What rounds to 0.0 is told as 0.0 ahead, with an interval on both sides.
    return row.gap < -0.05


def _size(row: GapRow) -> str:
    return points(abs(row.gap))


def _bounds(row: GapRow) -> str:
    if _is_behind(row):
        return span(-row.gap_high, -row.gap_low)
    return span(row.gap_low, row.gap_high)
