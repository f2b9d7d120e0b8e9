"""What to run next: what a study leaves open, and the steps that may decide it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gap.report.sections import Paragraph, Part, Table
from gap.report.steps import (
    SEEDS,
    Step,
    crossing_of,
    first_seeds,
    further_sizes,
    seconds_of_sizes,
    size_to_measure,
    steps,
    type_sizes,
)
from gap.report.wording import duration, sentence, two_digits
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.rows import GapRow
from gap.study.sizes import FEWEST_SIZES

# The fewest seeds to begin with.
FIRST_SEEDS = 3


def advice(findings: Findings, dataset: str) -> list[Part]:
    """Return what to run next for the comparisons on a data set."""
    if any(runs.dataset == dataset for runs in findings.recipe.missing):
        text = (
            "What to run next: the runs that are missing, because they may change the choice: "
            "`snakemake --cores all`."
        )
        return [Paragraph(text)]
    rows = open_gaps(findings, dataset)
    if any(row.seed_error is None for row in rows):
        return [Paragraph(_tell_first_seeds(findings, rows[0]) + _tell_size(findings, dataset))]
    opening = _tell_open(findings, rows) if rows else _nothing_open(findings)
    possible = steps(findings, rows, dataset)
    text = f"What to run next: {opening}{_tell_size(findings, dataset)}"
    if rows and not possible:
        text += (
            f" No step is likely to decide it: not {SEEDS[-1]} seeds, and not more test rows of "
            "this data set."
        )
    if not possible:
        return [Paragraph(text)]
    where = "sizes and data sets" if len(findings.datasets) > 1 else "sizes"
    text += f" Steps, cheapest first, with their training at all {where}:"
    return [Paragraph(text), _table(possible)]


def open_gaps(findings: Findings, dataset: str) -> list[GapRow]:
    """Return the open gaps of the comparison to begin with, by n: unclear, or resting on one seed.

    It is the main comparison, else the one with another model that is trained in the least time.
    """
    groups: dict[str, list[GapRow]] = defaultdict(list)
    for row in sorted(findings.gaps, key=lambda row: row.n):
        if row.dataset == dataset and (row.difference == "unclear" or row.seed_error is None):
            groups[row.model].append(row)

    def urgency(model: str) -> tuple[bool, float]:
        last = groups[model][-1]
        return model != findings.main, findings.seconds(dataset, model, last.size) or 0.0

    return groups[min(groups, key=urgency)] if groups else []


def _tell_open(findings: Findings, rows: Sequence[GapRow]) -> str:
    sizes = join_names([f"{row.n:,}" for row in rows])
    alone = [f"{row.n:,}" for row in rows if _told_alone(findings, row)]
    text = (
        f"it is not known whether {findings.title(rows[0].model)} is within {findings.margin} of "
        f"{findings.reference} with {sizes} labels."
    )
    if alone:
        text += (
            f" With {join_names(alone)} the interval would be enough for one gap alone, but not "
            f"among {len(findings.gaps)} gaps."
        )
    return text


def _told_alone(findings: Findings, row: GapRow) -> bool:
    """Return whether the interval alone leaves out the end of the margin that decides."""
    nearer = math.copysign(findings.recipe.margin, row.gap)
    return not row.gap_low <= nearer <= row.gap_high


def _table(possible: Sequence[Step]) -> Table:
    """Return the steps with their chances and what they take, cheapest first."""
    rows = [
        [
            step.change,
            _spell_chances(step.chances),
            "" if step.seconds is None else duration(step.seconds),
        ]
        for step in possible
    ]
    return Table(["Step", "Chance to decide, by labels", "Training"], rows, frozenset({2}))


def _spell_chances(chances: Mapping[int, float]) -> str:
    return "; ".join(f"{n:,}: {100 * chance:.0f} %" for n, chance in chances.items())


def _tell_first_seeds(findings: Findings, row: GapRow) -> str:
    change, seconds = first_seeds(findings, row, FIRST_SEEDS)
    return (
        f"What to run next: the gap to {findings.title(row.model)} rests on one seed. Its interval "
        "covers test rows only, and it is not known how much results vary between seeds. Begin "
        f"with {FIRST_SEEDS} seeds: {change}{_taking(seconds)}."
    )


def _taking(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)} of training at all sizes"


def _nothing_open(findings: Findings) -> str:
    return (
        "the comparisons above need no more runs, because each gap is known to be larger or "
        f"smaller than {findings.margin}."
    )


def _tell_size(findings: Findings, dataset: str) -> str:
    """Return which sizes would tell where the gap of the main comparison closes, if any would."""
    sizes = [row.n for row in findings.comparisons.get((dataset, str(findings.main)), [])]
    pool = findings.card(dataset)["pool"]["rows"]
    if 0 < len(sizes) < FEWEST_SIZES:
        new = further_sizes(sizes, pool)
        return (
            f" The curve that tells where the gap closes needs {FEWEST_SIZES} sizes: "
            f"{type_sizes(findings, new)}{_taking(seconds_of_sizes(findings, new))}."
        )
    crossing = crossing_of(findings, dataset)
    if crossing is None or size_to_measure(sizes, crossing) is None:
        return ""
    where = (
        f"the curve through the gaps to {findings.title(str(findings.main))} falls to "
        f"{findings.margin} at about {two_digits(crossing.n):,.0f} labels"
    )
    if crossing.n > pool:
        why = f"which is more than the {pool:,} rows of the pool: only more labels can tell"
    elif crossing.n > sizes[-1]:
        why = "which is more than was measured"
    else:
        why = "but the interval of that size is wide"
    return f" {sentence(f'{where}, {why}')}"
