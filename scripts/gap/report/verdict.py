"""The verdict of a study: with n labels, which model to take, and what to run to know more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from gap.report.advice import advice
from gap.report.markdown import markdown_table
from gap.report.wording import fill, points, sentence, size_label
from gap.results.findings import Row, Study

HEADER = ["Labels", "Take", "Because", "Accuracy", "Training, s", "ms a text", "Parameters"]
# Why a model is taken. The reference: as all others are clearly behind, or as nothing is known to
# be as good; another: as it is clearly ahead of the reference; any: as the cheapest of equals.
BEST, SAFE, AHEAD, CHEAPEST = (
    "all others behind",
    "undecided",
    "clearly ahead",
    "cheapest of equals",
)


@dataclass(frozen=True)
class Choice:
    """The model to take at one size, and why; `gaps` are those of the size, `equals` of its equals.

    `unit` is what the equals were judged by: "milliseconds of a text", "seconds of training", or an
    empty text where neither is known of all of them.
    """

    model: str
    reason: str
    gaps: Sequence[Row]
    equals: Sequence[Row]
    unit: str

    @property
    def size(self) -> Row:
        """A row with the size and its n."""
        return self.gaps[0]


def verdict(study: Study) -> str:
    """Return how models are chosen, then for each data set a table, the decision and what to run.

    A data set is told under its name if there are several. `study` has gaps.
    """
    text = (
        "Taken is the cheapest model, by milliseconds of a text, of those that are equal, within "
        f"{study.margin} of {study.reference}, or clearly ahead of it; where no other is known to "
        f"be either, {study.reference}. Training, s: seconds of one seed with all its trials. "
        "Milliseconds and parameters are those of the largest size."
    )
    parts = [fill(text)]
    for dataset in study.datasets:
        if len(study.datasets) > 1:
            parts.append(f"### {study.title(dataset)}")
        found = choices(study, dataset)
        if found:
            parts += [_table(study, dataset, found), fill(_decision(study, dataset, found))]
            parts.append(fill(advice(study, dataset)))
        else:
            parts.append("None yet.")
    return "\n\n".join(parts)


def choices(study: Study, dataset: str) -> list[Choice]:
    """Return the model to take on a data set at each size that has a gap, by n."""
    ours = sorted((row for row in study.gaps if row["dataset"] == dataset), key=_size)
    return [_choice(study, dataset, list(rows)) for _, rows in groupby(ours, key=_size)]


def _size(row: Row) -> tuple[int, str]:
    return row["n"], row["size"]


def equals(gaps: Sequence[Row], reference: str, margin: float) -> list[Row]:
    """Return the gaps of the models that one may take, the reference's (0) to itself among them.

    Another one may be taken where its difference from the reference is known to be none, or clear
    and in its favour. None may be taken that is worse than the best of them by more than `margin`
    points, by their intervals.
    """
    own = {"model": reference, "gap": 0.0, "gap_low": 0.0, "gap_high": 0.0, "difference": "none"}
    good = [
        row
        for row in (own, *gaps)
        if row["difference"] == "none" or (row["difference"] == "clear" and row["gap"] < 0)
    ]
    best = min(good, key=lambda row: float(row["gap"]))
    return [row for row in good if row["gap_low"] <= best["gap_high"] + margin]


def _choice(study: Study, dataset: str, gaps: Sequence[Row]) -> Choice:
    reference = study.recipe["reference"]
    ours = equals(gaps, reference, study.recipe["margin"])
    unit, costs = _costs(study, dataset, gaps[0]["size"], [row["model"] for row in ours])
    # Of equal costs, or of unknown ones, the first: the reference where it is one of them.
    taken = min(ours, key=lambda row: costs.get(row["model"], 0.0))
    if taken["difference"] == "clear":
        reason = AHEAD
    elif len(ours) > 1 or taken["model"] != reference:
        reason = CHEAPEST
    else:
        reason = SAFE if any(row["difference"] == "unclear" for row in gaps) else BEST
    return Choice(taken["model"], reason, gaps, ours, unit)


def _costs(
    study: Study, dataset: str, size: str, models: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Return what models cost, in the first unit in which all of them are known."""
    times = {row["model"]: row["milliseconds"] for row in _latencies(study, dataset)}
    trained = {model: study.seconds(dataset, model, size) for model in models}
    for unit, known in (("milliseconds of a text", times), ("seconds of training", trained)):
        costs = {model: cost for model in models if (cost := known.get(model)) is not None}
        if len(costs) == len(models):
            return unit, costs
    return "", {}


def _latencies(study: Study, dataset: str) -> list[Row]:
    return [row for row in study.latencies if row["dataset"] == dataset]


def _table(study: Study, dataset: str, found: Sequence[Choice]) -> str:
    accuracies = {
        (row["model"], row["size"]): f"{row['accuracy']:.1f}"
        for row in study.accuracies
        if row["dataset"] == dataset
    }
    times = {row["model"]: row for row in _latencies(study, dataset)}
    rows = []
    for choice in found:
        size, time = choice.size["size"], times.get(choice.model)
        seconds = study.seconds(dataset, choice.model, size)
        rows.append(
            [
                size_label(choice.size),
                study.title(choice.model),
                choice.reason,
                accuracies[choice.model, size],
                "" if seconds is None else f"{float(f'{seconds:.3g}'):,g}",
                f"{time['milliseconds']:.3g}" if time else "",
                f"{time['parameters'] / 1e6:.3g} M" if time else "",
            ]
        )
    return markdown_table(HEADER, rows, right={0, 3, 4, 5, 6})


def _decision(study: Study, dataset: str, found: Sequence[Choice]) -> str:
    """Return what to take, a sentence for each stretch of sizes, and what it rests on."""
    tell: Mapping[str, Callable[[Study, Choice, str], str]] = {
        BEST: _tell_best,
        SAFE: _tell_safe,
        AHEAD: _tell_ahead,
        CHEAPEST: _tell_cheapest,
    }
    sentences = []
    for _, group in groupby(found, key=lambda choice: (choice.model, choice.reason)):
        ours = list(group)
        # Numbers are those of the largest size of a stretch.
        at = f"with {ours[-1].size['n']:,} labels " if len(ours) > 1 else ""
        text = tell[ours[0].reason](study, ours[-1], at)
        sentences.append(sentence(f"{_stretch(ours, found)} {text}"))
    units = {choice.unit: None for choice in found if len(choice.equals) > 1}
    if "seconds of training" in units:
        sentences.append(
            "What is cheapest was told by seconds of training where times of a text are missing."
        )
    if any(row["seed_error"] == "" for choice in found for row in choice.gaps):
        sentences.append("With one seed this counts test rows only: what seeds do is not known.")
    return " ".join(sentences)


def _stretch(ours: Sequence[Choice], found: Sequence[Choice]) -> str:
    first, last = ours[0].size["n"], ours[-1].size["n"]
    if len(ours) == 1:
        return f"with {last:,} labels"
    if len(ours) == len(found):
        return "at every measured size"
    return f"up to {last:,} labels" if ours[0] is found[0] else f"with {first:,} to {last:,} labels"


def _tell_best(study: Study, choice: Choice, at: str) -> str:
    nearest = min(choice.gaps, key=lambda row: float(row["gap"]))
    return (
        f"{study.reference} is worth it: {at}the next best, {study.title(nearest['model'])}, is "
        f"{points(nearest['gap'])} points behind ({_interval(study, nearest)})"
        f"{_faster(study, nearest)}"
    )


def _tell_safe(study: Study, choice: Choice, at: str) -> str:
    unclear = [row for row in choice.gaps if row["difference"] == "unclear"]
    nearest = min(unclear, key=lambda row: float(row["gap"]))
    return (
        f"nothing is decided: {study.reference} is the safe choice, and "
        f"{study.title(nearest['model'])} may do as well, as {at}its gap is "
        f"{points(nearest['gap'])} ({_interval(study, nearest)})"
    )


def _tell_ahead(study: Study, choice: Choice, at: str) -> str:
    row = _taken(choice)
    return (
        f"take {study.title(choice.model)}: {at}it is {points(-row['gap'])} points "
        f"({study.interval} {points(-row['gap_high'])} to {points(-row['gap_low'])}) ahead of "
        f"{study.reference}{_faster(study, row)}"
    )


def _tell_cheapest(study: Study, choice: Choice, at: str) -> str:
    row = _taken(choice)
    if choice.model == study.recipe["reference"]:
        others = ", ".join(study.title(one["model"]) for one in choice.equals if one is not row)
        return (
            f"take {study.reference}: within {study.margin} of it, but no cheaper, "
            f"{'are' if len(choice.equals) > 2 else 'is'} {others}"
        )
    return (
        f"take {study.title(choice.model)}: {at}it is as good within {study.margin} "
        f"(gap {points(row['gap'])}, {_interval(study, row)}){_faster(study, row)}, so "
        f"{study.reference} is not worth it"
    )


def _taken(choice: Choice) -> Row:
    return next(row for row in choice.equals if row["model"] == choice.model)


def _interval(study: Study, row: Row) -> str:
    return f"{study.interval} {points(row['gap_low'])} to {points(row['gap_high'])}"


def _faster(study: Study, row: Row) -> str:
    """Return how many times as fast as the reference a model is; empty where it is not known."""
    models = (study.recipe["reference"], row["model"])
    unit, costs = _costs(study, row["dataset"], row["size"], models)
    if not costs.get(row["model"]):
        return ""
    what = " to train" if unit == "seconds of training" else ""
    times = costs[models[0]] / costs[row["model"]]
    how = "about" if round(times, 1) == 1 else f"{times:.2g} times"
    return f" and {how} as fast{what}"
