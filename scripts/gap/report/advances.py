"""How far a model is ahead of a rival from size to size, in a sentence's parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gap.report.wording import points, span
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.rows import GapRow


@dataclass(frozen=True)
class Advance:
    """How far a model is ahead of a rival at a size, in points, and what is said of it.

    `difference` is what the table of gaps says.
    """

    n: int
    rival: str
    value: float
    low: float
    high: float
    difference: str


def as_it_is(row: GapRow) -> Advance:
    """Return how far the reference is ahead of the model of a gap."""
    return Advance(row.n, row.model, row.gap, row.gap_low, row.gap_high, row.difference)


def turned(row: GapRow) -> Advance:
    """Return how far the model of a gap is ahead of the reference."""
    return Advance(row.n, row.reference, -row.gap, -row.gap_high, -row.gap_low, row.difference)


def compared(findings: Findings, sizes: Sequence[Advance]) -> list[str]:
    """Return where "the model" is ahead of its rivals, behind, level, or where nothing is decided.

    `sizes` has an advance for each size, by n.
    """
    parts: list[str] = []
    clear = [advance for advance in sizes if advance.difference == "clear"]
    ahead = [advance for advance in clear if advance.value > 0]
    behind = [advance for advance in clear if advance.value <= 0]
    parts += [_ahead(findings, advance) for advance in _ends(ahead)]
    parts += [_behind(findings, advance) for advance in _ends(behind)]
    if level := [advance for advance in sizes if advance.difference == "none"]:
        rivals = _rivals(findings, level)
        parts.append(f"{_labels(level, sizes)} the model is within {findings.margin} of {rivals}")
    if not (clear or level):
        parts.append(
            f"whether the model is more than {findings.margin} ahead of "
            f"{_rivals(findings, sizes)} is not decided at any measured size"
        )
    return parts


def _rivals(findings: Findings, advances: Sequence[Advance]) -> str:
    """Return the models that these are over, each once."""
    return join_names(list(dict.fromkeys(findings.title(advance.rival) for advance in advances)))


def _ends(advances: Sequence[Advance]) -> list[Advance]:
    """Return those at the smallest and at the largest size, which tell enough."""
    return list(dict.fromkeys([*advances[:1], *advances[-1:]]))


def _ahead(findings: Findings, advance: Advance) -> str:
    return (
        f"with {advance.n:,} labels the model is {points(advance.value)} points "
        f"({findings.interval} {span(advance.low, advance.high)}) ahead of "
        f"{findings.title(advance.rival)}"
    )


def _behind(findings: Findings, advance: Advance) -> str:
    return (
        f"with {advance.n:,} labels the model is {points(-advance.value)} points "
        f"({findings.interval} {span(-advance.high, -advance.low)}) behind "
        f"{findings.title(advance.rival)}"
    )


def _labels(level: Sequence[Advance], sizes: Sequence[Advance]) -> str:
    """Return at which of all sizes the models are level: "from 4,000 labels on"."""
    if len(level) == len(sizes):
        return "at every measured size"
    if len(level) > 1 and level == sizes[-len(level) :]:
        return f"from {level[0].n:,} labels on"
    return f"with {join_names([f'{advance.n:,}' for advance in level])} labels"
