"""The section on what inference costs."""

from __future__ import annotations

from collections.abc import Sequence

from gap.models.family import family_class
from gap.report.figures import cost_figures
from gap.report.sections import Figures, Paragraph, Section
from gap.report.tables import by_dataset
from gap.report.wording import millions
from gap.results.findings import Findings
from gap.results.rows import LatencyRow

HEADER = ["Model", "Parameters", "ms", "95 %", "Tokens", "Faster", "Texts/s", "Faster", "Front"]


def inference(findings: Findings) -> Section | None:
    """Return how the models were timed, the table, a paper's claim, and what disturbed them."""
    if not findings.latencies:
        return None
    lines = [(row.dataset, _cells(findings, row)) for row in findings.latencies]
    notes = [_claim(findings), _disturbed(findings)]
    return Section(
        "inference",
        "What inference costs",
        [
            Figures(lambda: cost_figures(findings)),
            Paragraph(_method(findings)),
            *by_dataset(findings, HEADER, lines, set(range(1, 8))),
            *(Paragraph(note) for note in notes if note),
        ],
    )


def _method(findings: Findings) -> str:
    places = dict.fromkeys(
        f"{row.threads} thread of {row.processor}"
        if row.device == "cpu"
        else f"{row.processor} and one thread of its host"
        for row in findings.latencies
    )
    precisions = dict.fromkeys(row.precision for row in findings.latencies)
    return (
        "Times are from the text to the class scores, tokenisation included, measured on "
        f"{'; '.join(places)}, in {' or '.join(precisions)}. ms: the median over real test texts, "
        "one at a time. 95 %: 95 of 100 texts take at most this long. Tokens: the share of time "
        "that tokenisation takes. Texts/s: texts per second in batches of the best size. Faster: "
        f"how many times as fast as {findings.reference} the model is, first one text at a time, "
        "then in batches. Front: whether the model is on the Pareto front. It is where no other "
        "model is at least as fast, one text at a time, and at least as accurate, and better in "
        "one of the two."
    )


def _cells(findings: Findings, row: LatencyRow) -> list[str]:
    return [
        findings.title(row.model),
        millions(row.parameters),
        f"{row.milliseconds:.3g}" + ("*" if row.disturbed else ""),
        f"{row.milliseconds_95:.3g}",
        f"{row.tokenisation:.0%}",
        _times(row.speed_up),
        f"{row.examples_per_second:,.0f}",
        _times(row.batched_speed_up),
        "yes" if row.pareto else "no",
    ]


def _times(factor: float | None) -> str:
    """Return a speed-up; an empty text where the reference is not measured yet."""
    return "" if factor is None else f"{factor:.3g}x"


def _claim(findings: Findings) -> str:
    """Return what papers say of it, and what was measured here; empty where neither is."""
    families = {row.model: row.family for row in findings.latencies}
    measured: dict[str, list[str]] = {}
    for model, family in families.items():
        claim, ratios = family_class(family).speed_claim(), _ratios(findings, model)
        if claim and ratios and claim.reference == families.get(findings.recipe.reference):
            measured.setdefault(claim.text, []).append(ratios)
    return " ".join(
        f"{text} Here, compared with {findings.reference}: {'; '.join(ratios)}."
        for text, ratios in measured.items()
    )


def _ratios(findings: Findings, model: str) -> str:
    """Return how many times as fast as the reference a model is, over all data sets."""
    rows = [row for row in findings.latencies if row.model == model]
    single = [row.speed_up for row in rows if row.speed_up is not None]
    batched = [row.batched_speed_up for row in rows if row.batched_speed_up is not None]
    if not single or not batched:
        return ""
    return (
        f"{findings.title(model)} is {_range(single)} times as fast ({_range(batched)} times in "
        "batches)"
    )


def _range(values: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{value:.3g}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _disturbed(findings: Findings) -> str:
    several = len(findings.datasets) > 1
    measurements = [
        findings.title(row.model)
        + (f" on {findings.title(row.dataset)}" if several else "")
        + f" (CPU time {row.cpu_share:.0%} of the clock's, rounds {row.spread:.0%} apart)"
        for row in findings.latencies
        if row.disturbed
    ]
    if not measurements:
        return ""
    return (
        f"*: other load on the machine disturbed the measurement of {'; '.join(measurements)}. On "
        "a quiet machine, measure again: `snakemake --cores all --forcerun measure_latency`."
    )
