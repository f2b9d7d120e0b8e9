"""The section on where the models err, and that on how the networks learned."""

from __future__ import annotations

from gap.data.excerpts import shorten_sequence
from gap.data.manifests import TextBudget
from gap.data.pairs import MARK, SEPARATOR
from gap.report.figures import (
    calibration_figures,
    history_figures,
    label_figures,
    length_figures,
)
from gap.report.sections import Figures, Heading, Paragraph, Part, Quotation, Section, Table
from gap.results.findings import Findings
from gap.results.rows import AgreementRow, ExampleRow

# Characters of a text that is shown; examples.csv has all of it.
LONGEST_TEXT = 400
CALIBRATION = (
    "Calibration, at the largest size: how often a model is right, by the probability that it "
    "gives its answer. On the dashed line the two are the same; below it a model is more confident "
    "than it should be. Larger points stand for more test texts. `calibration.csv` has all sizes."
)
GROUPS = (
    "Accuracy by true label and by length of the text, at the largest size. The length is that of "
    "the text as models read it, in what its text budget counts; where nearly all texts have the "
    "same length, nothing is drawn. `labels.csv` and `lengths.csv` have all sizes."
)
EXTREMES = (
    "These are test texts that one of the two gets right and the other wrong, by the mean of their "
    "probabilities over seeds. Of all such texts, those are shown on which the two probabilities "
    "of the true label differ most. They are extremes, not what is usual."
)
SEQUENCES = (
    " Of a long sequence, the beginning and the end are shown, and how much of what models read "
    "stands between them."
)
PAIRS = f" The mark {MARK} stands between the two texts of a pair."
LEARNED = (
    "Loss on the validation rows during training, at the largest size, with a line for each seed. "
    "The dashed line is the loss of guessing; the axis ends at twice that loss. `histories.csv` "
    "has the accuracy, too, and all sizes."
)


def mistakes(findings: Findings) -> Section | None:
    """Return how sure the models are when they err, on which texts, and on which together."""
    parts: list[Part] = []
    if findings.calibration:
        parts += [Paragraph(CALIBRATION), Figures(lambda: calibration_figures(findings))]
    if findings.labels or findings.lengths:
        parts.append(Paragraph(GROUPS))
        parts.append(Figures(lambda: [*label_figures(findings), *length_figures(findings)]))
    if findings.agreements:
        parts += _agreements(findings)
    if findings.examples:
        parts += _examples(findings)
    return Section("mistakes", "Where the models err", parts) if parts else None


def learning(findings: Findings) -> Section | None:
    """Return the loss on the validation rows during training."""
    if all(row.validation_loss is None for row in findings.histories):
        return None
    parts: list[Part] = [Paragraph(LEARNED), Figures(lambda: history_figures(findings))]
    return Section("learning", "How the networks learned", parts)


def _agreements(findings: Findings) -> list[Part]:
    """Return how often both models are right, one of them, or none, at its largest size."""
    largest: dict[tuple[str, str], AgreementRow] = {}
    for row in findings.agreements:
        best = largest.get((row.dataset, row.model))
        if best is None or row.n >= best.n:
            largest[row.dataset, row.model] = row
    several = len({dataset for dataset, _ in largest}) > 1
    header = [*(["Data set"] if several else []), "Model", "Labels", "Both right"]
    header += [f"Only {findings.reference}", "Only the model", "Both wrong"]
    rows = [
        [
            *([findings.title(row.dataset)] if several else []),
            findings.title(row.model),
            f"{row.n:,}",
            *(
                f"{share:.1f}"
                for share in (row.both_right, row.only_reference, row.only_model, row.both_wrong)
            ),
        ]
        for row in largest.values()
    ]
    text = (
        "The share of the test texts, in percent, that both models get right, only one of the two, "
        "or none, over the seeds that both have. What only one of them gets right shows how much "
        "the two could gain together."
    )
    return [
        Heading(f"Together with {findings.reference}"),
        Paragraph(text),
        Table(header, rows, frozenset(range(len(header) - 5, len(header)))),
    ]


def _examples(findings: Findings) -> list[Part]:
    """Return the test texts on which reference and model disagree."""
    pairs = any(SEPARATOR in row.text for row in findings.examples)
    sequences = any(card["text_budget"]["unit"] == "character" for card in findings.cards)
    explained = EXTREMES + SEQUENCES * sequences + PAIRS * pairs
    parts: list[Part] = [Heading("Texts on which they disagree"), Paragraph(explained)]
    groups: dict[tuple[str, str, str], list[ExampleRow]] = {}
    for row in findings.examples:
        groups.setdefault((row.dataset, row.model, row.right), []).append(row)
    several = len({dataset for dataset, _, _ in groups}) > 1
    for (dataset, model, right), rows in groups.items():
        names = findings.reference, findings.title(model)
        winner, loser = names if right == "reference" else names[::-1]
        where = f"{findings.title(dataset)}: " if several else ""
        heading = f"{where}{winner} is right, {loser} is not ({rows[0].n:,} labels)"
        parts.append(Heading(heading, level=4))
        parts += [_quotation(findings, row) for row in rows]
    return parts


def excerpt(text: str, budget: TextBudget | None = None) -> str:
    """Return the beginning of a text on one line; of a pair, the beginnings of both texts.

    Where the text budget counts characters, it is the beginning and the end.
    """
    parts = [" ".join(part.split()) for part in text.split(SEPARATOR)]
    longest = LONGEST_TEXT // len(parts)
    if budget is not None and budget["unit"] == "character":
        return SEPARATOR.join(shorten_sequence(part, longest, budget) for part in parts)
    return SEPARATOR.join(
        part if len(part) <= longest else part[: longest - 4].rsplit(" ", 1)[0] + " ..."
        for part in parts
    )


def _quotation(findings: Findings, row: ExampleRow) -> Quotation:
    said = (
        f"True label: {row.label}. {findings.reference}: {row.reference_label} "
        f"({row.reference_probability:.0%}). {findings.title(row.model)}: {row.model_label} "
        f"({row.model_probability:.0%}). Test row {row.row}."
    )
    budgets = {card["dataset"]: card["text_budget"] for card in findings.cards}
    return Quotation(excerpt(row.text, budgets.get(row.dataset)), said)
