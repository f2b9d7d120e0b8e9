"""The section on what it takes to reach the target: labels, risk, prices, and what to buy first."""

from __future__ import annotations

from collections.abc import Sequence

from gap.report.sections import Paragraph, Section
from gap.report.tables import Line, by_dataset
from gap.report.wording import points, sentence, two_digits
from gap.results.curves import REACH
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.targets import TargetRow
from gap.study.metrics import METRICS

HEADER = ["Model", "Measured", "Reached", "Even chance", "Safe", "Missing labels", "Training"]


def targets(findings: Findings) -> Section | None:
    """Return what the target takes; None where the study has none, or fewer than three sizes."""
    rows = findings.targets
    if not rows:
        return None
    safe = f"{100 * (1 - rows[0].risk):.0f} %"
    text = (
        f"The target is {_spell_target(rows[0])}, with a risk of {100 * rows[0].risk:.0f} % of "
        "missing it. Measured: at the largest size. Reached: the chance that the model is at the "
        "target there, by its learning curve and the test examples. Even chance and safe: with how "
        f"many labels that chance is 50 % and {safe}; > stands where it is not within "
        f"{REACH:g} times the largest size, beyond which nothing is forecast. Missing labels: the "
        "price of those that the data lack for the safe number. Training: the price of one "
        "training with so many, with all of its trials. A thousand texts: the price of answers. "
        "What a model costs where no price is given counts as nothing."
    )
    lines: list[Line] = [(row.dataset, _cells(findings, row)) for row in rows]
    decisions = [
        Paragraph(sentence(decide(findings, own)))
        for dataset in findings.datasets
        if (own := [row for row in rows if row.dataset == dataset])
    ]
    header = [*HEADER, "A thousand texts"]
    tables = by_dataset(findings, header, lines, set(range(1, 8)))
    return Section("targets", "What the target takes", [*decisions, Paragraph(text), *tables])


def _cells(findings: Findings, row: TargetRow) -> list[str]:
    return [
        findings.title(row.model),
        f"{points(row.value)} ({row.largest:,})",
        f"{100 * row.reached:.0f} %",
        _spell_labels(row, row.even),
        _spell_labels(row, row.sure),
        _spell_price(row.labels_price),
        _spell_price(row.training_price),
        _spell_price(row.texts_price),
    ]


def decide(findings: Findings, rows: Sequence[TargetRow]) -> str:
    """Return which model reaches the target at what price, and what to buy first, for a data set.

    The cheapest is the one with the least price of missing labels and training; where all cost
    nothing, the one that takes the fewest labels.
    """
    on = f"on {findings.title(rows[0].dataset)} " if len(findings.datasets) > 1 else ""
    aim = _spell_target(rows[0])
    safe = [row for row in rows if row.sure is not None]
    if safe:
        best = min(safe, key=lambda row: (_price(row), row.sure or 0.0))
        more = max(0, round((best.sure or 0.0) - best.pool))
        having = (
            "which the data have"
            if not more
            else f"{two_digits(more):,.0f} more than the data have"
        )
        price = f", for {_money(_price(best))}" if _price(best) else ""
        text = (
            f"{on}{findings.title(best.model)} reaches {aim} with "
            f"{_spell_labels(best, best.sure)} labels at a risk of {100 * best.risk:.0f} %, "
            f"{having}{price}"
        )
        return text if best.reached >= 1 - best.risk else f"{text}; {_first_step(findings, best)}"
    hopeful = [row for row in rows if row.next is not None]
    if not hopeful:
        names = join_names([findings.title(row.model) for row in rows])
        return (
            f"{on}no curve reaches {aim} within {REACH:g} times the largest size, of {names}: it "
            "may not be labels that are missing"
        )
    best = max(hopeful, key=lambda row: ((row.next_reached or 0.0) > 0.5, -(row.next_price or 0.0)))
    return (
        f"{on}with how many labels {aim} is safely reached is not told within {REACH:g} times the "
        f"largest size; {_first_step(findings, best)}"
    )


def _first_step(findings: Findings, row: TargetRow) -> str:
    """Return with how many labels to measure a model first, and what that costs."""
    wanted = row.next or 0
    missing = max(0, wanted - row.pool)
    what = (
        f"buy {two_digits(missing):,.0f} labels first and add a size of {wanted:,}"
        if missing
        else f"add a size of {wanted:,} first, which the data have"
    )
    price = f" ({_money(row.next_price)})" if row.next_price else ""
    return (
        f"{what}{price}: {findings.title(row.model)} is at the target there with a chance of "
        f"{100 * (row.next_reached or 0.0):.0f} %, and what is measured there says more than "
        "a forecast"
    )


def _price(row: TargetRow) -> float:
    return (row.labels_price or 0.0) + (row.training_price or 0.0)


def _spell_target(row: TargetRow) -> str:
    """Return the target in words: "an accuracy of 85"."""
    name = METRICS[row.metric].title
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name} of {row.target:g}"


def _spell_labels(row: TargetRow, n: float | None) -> str:
    """Return a number of labels; more digits would be read as knowledge."""
    if n is None:
        return f"> {REACH * row.largest:,.0f}"
    return f"{two_digits(n):,.0f}"


def _spell_price(price: float | None) -> str:
    return "" if price is None else _money(price)


def _money(price: float) -> str:
    """Return a price with two digits after the point, or with two that tell where it is small."""
    return f"{price:,.2f}" if price >= 1 or price == 0 else f"{price:.2g}"
