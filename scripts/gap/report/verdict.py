"""The verdict of a study: with n labels, which model to take, and what to run to know more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from gap.report.accuracy import headline
from gap.report.advice import advice
from gap.report.extraction import extraction
from gap.report.pretraining import advances, excluded
from gap.report.sections import Heading, Paragraph, Part, Section, Table
from gap.report.transfer import neighbours
from gap.report.wording import millions, points, sentence, size_label, span
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.rows import GapRow, LatencyRow

HEADER = ["Labels", "Take", "Because"]
COSTS = ["Training, s", "ms a text", "Parameters"]


class Reason(Enum):
    """Why a model is taken.

    The reference is taken because all others are clearly behind, or because no other is known to be
    as good; another one because it is clearly ahead; any as the cheapest of equals.
    """

    BEST = "all others behind"
    SAFE = "undecided"
    AHEAD = "clearly ahead"
    CHEAPEST = "cheapest of equals"


class Unit(Enum):
    """What models of equal accuracy are judged by; NONE where no cost is known of all of them."""

    INFERENCE = "milliseconds of a text"
    TRAINING = "seconds of training"
    NONE = ""


@dataclass(frozen=True)
class Candidate:
    """A model that one may take, with the interval of its gap to the reference, in points.

    `difference` is what the table of gaps says of it; the reference's own gap is 0 and "none".
    """

    model: str
    gap: float
    gap_low: float
    gap_high: float
    difference: str


@dataclass(frozen=True)
class Choice:
    """The model to take at one size, and why; `gaps` are those of the size.

    `equals` are the candidates that are as good as the model, itself among them, `unit` is what
    they were judged by.
    """

    model: str
    reason: Reason
    gaps: Sequence[GapRow]
    equals: Sequence[Candidate]
    unit: Unit

    @property
    def size(self) -> GapRow:
        """A row with the size and its n."""
        return self.gaps[0]

    @property
    def taken(self) -> Candidate:
        """The model that is taken, with its gap."""
        return next(candidate for candidate in self.equals if candidate.model == self.model)


def verdict(findings: Findings) -> Section | None:
    """Return how models are chosen, then for each data set a table, the decision and what to run.

    A data set is told under its name if there are several.
    """
    if not findings.gaps:
        return None
    text = (
        "At each size the table names the model to take: the cheapest, by milliseconds of a text, "
        f"of all models that are known to be within {findings.margin} of {findings.reference} or "
        f"clearly ahead of it. Where no other model is known to be either, it is "
        f"{findings.reference}. Training, s: the seconds that one seed takes with all of its "
        f"trials.{excluded(findings)} Milliseconds and parameters are those of the largest size."
    )
    parts: list[Part] = [Paragraph(text)]
    for dataset in findings.datasets:
        if len(findings.datasets) > 1:
            parts.append(Heading(findings.title(dataset)))
        if chosen := choices(findings, dataset):
            parts.append(_table(findings, dataset, chosen))
            parts.append(Paragraph(_decision(findings, chosen)))
            parts += map(Paragraph, advances(findings, dataset))
            parts += map(Paragraph, extraction(findings, dataset))
            parts += map(Paragraph, neighbours(findings, dataset))
            parts += advice(findings, dataset)
        else:
            parts.append(Paragraph("None yet."))
    return Section("verdict", "The verdict", parts)


def choices(findings: Findings, dataset: str) -> list[Choice]:
    """Return the model to take on a data set at each size that has a gap, by n."""
    rows = sorted((row for row in findings.gaps if row.dataset == dataset), key=_size)
    return [_choice(findings, dataset, list(group)) for _, group in groupby(rows, key=_size)]


def _size(row: GapRow) -> tuple[int, str]:
    return row.n, row.size


def equals(gaps: Sequence[GapRow], reference: str, margin: float) -> list[Candidate]:
    """Return the models that one may take, the reference among them, with their gaps to it.

    Another one may be taken where its difference from the reference is known to be none, or clear
    and in its favour. None may be taken that is worse than the best of them by more than `margin`
    points, by their intervals.
    """
    others = [
        Candidate(row.model, row.gap, row.gap_low, row.gap_high, row.difference) for row in gaps
    ]
    good = [
        candidate
        for candidate in (Candidate(reference, 0.0, 0.0, 0.0, "none"), *others)
        if candidate.difference == "none" or (candidate.difference == "clear" and candidate.gap < 0)
    ]
    best = min(good, key=lambda candidate: candidate.gap)
    return [candidate for candidate in good if candidate.gap_low <= best.gap_high + margin]


def _choice(findings: Findings, dataset: str, gaps: Sequence[GapRow]) -> Choice:
    reference = findings.recipe.reference
    candidates = equals(gaps, reference, findings.recipe.margin)
    models = [candidate.model for candidate in candidates]
    unit, costs = _costs(findings, dataset, gaps[0].size, models)
    # Where costs are equal or unknown, the first: the reference where it is one of them.
    taken = min(candidates, key=lambda candidate: costs.get(candidate.model, 0.0))
    if taken.difference == "clear":
        reason = Reason.AHEAD
    elif len(candidates) > 1 or taken.model != reference:
        reason = Reason.CHEAPEST
    else:
        undecided = any(row.difference == "unclear" for row in gaps)
        reason = Reason.SAFE if undecided else Reason.BEST
    return Choice(taken.model, reason, gaps, candidates, unit)


def _costs(
    findings: Findings, dataset: str, size: str, models: Sequence[str]
) -> tuple[Unit, dict[str, float]]:
    """Return what models cost, in the first unit in which all of them are known."""
    timed = {model: row.milliseconds for model, row in _latencies(findings, dataset).items()}
    trained = {model: findings.seconds(dataset, model, size) for model in models}
    for unit, known in ((Unit.INFERENCE, timed), (Unit.TRAINING, trained)):
        costs = {model: cost for model in models if (cost := known.get(model)) is not None}
        if len(costs) == len(models):
            return unit, costs
    return Unit.NONE, {}


def _latencies(findings: Findings, dataset: str) -> dict[str, LatencyRow]:
    return {row.model: row for row in findings.latencies if row.dataset == dataset}


def _table(findings: Findings, dataset: str, chosen: Sequence[Choice]) -> Table:
    accuracies = {
        (row.model, row.size): f"{row.accuracy:.1f}"
        for row in findings.accuracies
        if row.dataset == dataset
    }
    timed = _latencies(findings, dataset)
    rows = []
    for choice in chosen:
        size, latency = choice.size.size, timed.get(choice.model)
        seconds = findings.seconds(dataset, choice.model, size)
        rows.append(
            [
                size_label(size, choice.size.n),
                findings.title(choice.model),
                choice.reason.value,
                accuracies[choice.model, size],
                "" if seconds is None else f"{float(f'{seconds:.3g}'):,g}",
                f"{latency.milliseconds:.3g}" if latency else "",
                millions(latency.parameters) if latency else "",
            ]
        )
    header = [*HEADER, headline(findings), *COSTS]
    return Table(header, rows, frozenset({0, 3, 4, 5, 6}))


def _decision(findings: Findings, chosen: Sequence[Choice]) -> str:
    """Return what to take, a sentence for each stretch of sizes, and what it rests on."""
    sentences = []
    for _, group in groupby(chosen, key=lambda choice: (choice.model, choice.reason)):
        stretch = list(group)
        # Numbers are those of the largest size of a stretch.
        at = f"with {stretch[-1].size.n:,} labels " if len(stretch) > 1 else ""
        text = TELL[stretch[0].reason](findings, stretch[-1], at)
        sentences.append(sentence(f"{_name_stretch(stretch, chosen)} {text}"))
    if any(choice.unit is Unit.TRAINING for choice in chosen if len(choice.equals) > 1):
        sentences.append(
            "Where the times of a text are missing, the cheapest model is the one that trains in "
            "the fewest seconds."
        )
    if any(row.seed_error is None for choice in chosen for row in choice.gaps):
        sentences.append(
            "Where there is one seed only, an interval covers test rows alone: how much results "
            "vary between seeds is not known."
        )
    return " ".join(sentences)


def _name_stretch(stretch: Sequence[Choice], chosen: Sequence[Choice]) -> str:
    first, last = stretch[0].size.n, stretch[-1].size.n
    if len(stretch) == 1:
        return f"with {last:,} labels"
    if len(stretch) == len(chosen):
        return "at every measured size"
    if stretch[0] is chosen[0]:
        return f"up to {last:,} labels"
    return f"with {first:,} to {last:,} labels"


def _tell_best(findings: Findings, choice: Choice, at: str) -> str:
    nearest = min(choice.gaps, key=lambda row: row.gap)
    return (
        f"{findings.reference} is worth it: {at}the next best, {findings.title(nearest.model)}, is "
        f"{points(nearest.gap)} points behind ({_interval(findings, nearest)})"
        f"{_faster(findings, choice, nearest.model)}"
    )


def _tell_safe(findings: Findings, choice: Choice, at: str) -> str:
    unclear = [row for row in choice.gaps if row.difference == "unclear"]
    nearest = min(unclear, key=lambda row: row.gap)
    return (
        f"nothing is decided: {findings.reference} is the safe choice, but "
        f"{findings.title(nearest.model)} may be as good; {at}its gap is "
        f"{points(nearest.gap)} ({_interval(findings, nearest)})"
    )


def _tell_ahead(findings: Findings, choice: Choice, at: str) -> str:
    taken = choice.taken
    return (
        f"take {findings.title(choice.model)}: {at}it is {points(-taken.gap)} points "
        f"({findings.interval} {span(-taken.gap_high, -taken.gap_low)}) ahead of "
        f"{findings.reference}{_faster(findings, choice, choice.model)}"
    )


def _tell_cheapest(findings: Findings, choice: Choice, at: str) -> str:
    if choice.model == findings.recipe.reference:
        others = [
            findings.title(candidate.model)
            for candidate in choice.equals
            if candidate is not choice.taken
        ]
        are, they = ("are", "they are") if len(others) > 1 else ("is", "it is")
        return (
            f"take {findings.reference}: {join_names(others)} {are} within {findings.margin} of "
            f"it, but {they} no cheaper"
        )
    taken = choice.taken
    return (
        f"take {findings.title(choice.model)}: {at}it is within {findings.margin} of "
        f"{findings.reference} (gap {points(taken.gap)}, {_interval(findings, taken)})"
        f"{_faster(findings, choice, choice.model)}, so {findings.reference} is not worth it"
    )


TELL: Mapping[Reason, Callable[[Findings, Choice, str], str]] = {
    Reason.BEST: _tell_best,
    Reason.SAFE: _tell_safe,
    Reason.AHEAD: _tell_ahead,
    Reason.CHEAPEST: _tell_cheapest,
}


def _interval(findings: Findings, gap: GapRow | Candidate) -> str:
    return f"{findings.interval} {span(gap.gap_low, gap.gap_high)}"


def _faster(findings: Findings, choice: Choice, model: str) -> str:
    """Return how many times as fast as the reference a model is; empty where it is not known."""
    reference = findings.recipe.reference
    size = choice.size
    unit, costs = _costs(findings, size.dataset, size.size, [reference, model])
    if not costs.get(model):
        return ""
    what = " to train" if unit is Unit.TRAINING else ""
    times = costs[reference] / costs[model]
    how = "about" if round(times, 1) == 1 else f"{times:.2g} times"
    return f" and {how} as fast{what}"
