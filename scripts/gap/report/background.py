"""The sections on the data, on runs that are missing, and on how intervals were made."""

from __future__ import annotations

import textwrap
from collections import defaultdict

from gap.data.manifests import Card, TextBudget
from gap.data.units import plural
from gap.report.sections import Items, Paragraph, Part, Section, Table
from gap.results.findings import Findings
from gap.results.missing import count_missing, name_unpaired, spell_size

MISSING = "What is missing"


def notice(findings: Findings) -> str:
    """Return a line that says that runs are missing; empty where all are there."""
    missing = findings.recipe.missing
    if not missing:
        return ""
    count = count_missing(missing, findings.accuracies)
    return f'Preliminary: {count} (listed under "{MISSING}").\n'


def missing(findings: Findings) -> Section | None:
    """Return a table of the runs that are missing, and what has no gap for that."""
    blocks: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for runs in findings.recipe.missing:
        blocks[runs.dataset, runs.model, runs.size].append(runs.seeds)
    rows = [
        [findings.title(dataset), findings.title(model), spell_size(size), ", ".join(seeds)]
        for (dataset, model, size), seeds in blocks.items()
    ]
    parts: list[Part] = []
    if rows:
        parts.append(Table(["Data set", "Model", "Labels", "Seeds"], rows, frozenset({2})))
    if unpaired := name_unpaired(findings.recipe, findings.accuracies, findings.gaps):
        text = (
            f"No gap can be told here, because {findings.reference} has no run there: "
            f"{'; '.join(unpaired)}."
        )
        parts.append(Paragraph(text))
    return Section("missing", MISSING, parts) if parts else None


def data(findings: Findings) -> Section | None:
    """Return how many rows each data set has, what is odd in them, and whose data and weights."""
    if not findings.cards:
        return None
    header = ["Data set", "Rows to train on", "Rows to test on", "Set aside", "Text budget"]
    rows = [_card_cells(findings, card) for card in findings.cards]
    origins = [
        Paragraph(f"{findings.title(card['dataset'])}: {card['origin']}")
        for card in findings.cards
        if card["origin"]
    ]
    origins += [
        Paragraph(f"Checkpoint {name}: {origin}")
        for name, origin in findings.recipe.checkpoints.items()
    ]
    table = Table([*header, "Labels"], rows, frozenset({1, 2, 3, 4}))
    warnings = [
        f"{findings.title(card['dataset'])}: {warning}."
        for card in findings.cards
        for warning in card.get("warnings", [])
    ]
    told: list[Part] = [Items(warnings)] if warnings else []
    return Section("data", "Data", [table, *_relatives(findings), *told, *origins])


def _relatives(findings: Findings) -> list[Part]:
    """Return how many rows have a relative on the other side, where relatives were looked for."""
    rows, texts = [], []
    for card in findings.cards:
        # Cards of earlier versions say nothing of relatives.
        related, title = card.get("relatives"), findings.title(card["dataset"])
        if related is None:
            continue
        rows += [
            [
                title,
                f"{share['likeness']:.0%}",
                f"{share['pool_rows']:,} ({share['pool_share']:.1%})",
                f"{share['test_rows']:,} ({share['test_share']:.1%})",
            ]
            for share in related["shares"]
        ]
        if related["apart"]:
            texts.append(
                f"{title}: relatives of {related['likeness']:.0%} likeness or more stand on one "
                f"side; {related['clusters']:,} clusters, the largest of "
                f"{related['largest_cluster']:,} texts; {related['dropped']:,} rows were dropped "
                "from the pool as relatives of test rows."
            )
    if not rows:
        return []
    header = ["Data set", "Likeness at least", "Rows to train on with a relative in test"]
    table = Table([*header, "Rows to test on with a relative in the pool"], rows, frozenset({1}))
    return [table, *map(Paragraph, texts)]


def _card_cells(findings: Findings, card: Card) -> list[str]:
    return [
        findings.title(card["dataset"]),
        f"{card['pool']['rows']:,}",
        f"{card['test']['rows']:,}",
        f"{sum(card['rejected'].values()):,}",
        _budget_cell(card["text_budget"]),
        textwrap.shorten(", ".join(card["labels"]), 30, placeholder=" ..."),
    ]


def _budget_cell(budget: TextBudget) -> str:
    words = budget["words"]
    return f"{words:,} {budget['called'] if words == 1 else plural(budget['called'])}"


def intervals(findings: Findings) -> Section:
    """Return how the intervals were made, and when a difference is said to be clear."""
    texts = [
        "Seeds and test examples are both treated as random draws. A few seeds say little about "
        "how much results vary between seeds. So the variance of each cell is estimated from all "
        "cells of its data set together (empirical Bayes; Smyth 2004). Chance in single test "
        "examples is a part of it that is known well, and its floor. Test examples add the "
        "variance of their mean. No interval is narrower than exact bounds on the shares of test "
        "examples on which models differ (Clopper and Pearson 1934). Where every cell has 1 seed, "
        "intervals cover test examples only and are too narrow. Over many cells, intervals hold as "
        "often as they say; in the cell that varies most they hold less often.",
        f'A difference is called "clear" where the gap is known to be larger than '
        f'{findings.margin}, and "none" where it is known to be smaller, whichever model is ahead; '
        f'otherwise it is "unclear". At most {findings.recipe.wrong_claims} of the differences '
        "that are called clear or none are expected to be wrong (false discovery rate, Benjamini "
        "and Hochberg 1995; with the side that is named, Benjamini and Yekutieli 2005). An "
        "interval holds for its own gap only, not for all gaps together.",
    ]
    return Section("intervals", "How the intervals were made", list(map(Paragraph, texts)))
