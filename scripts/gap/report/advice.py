"""What to run next: the seeds, test rows or sizes that would tell what a study leaves open."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

from gap.report.wording import duration, points, two_digits
from gap.results.curves import FEWEST_SIZES
from gap.results.findings import Row, Study
from gap.results.statistics import (
    Component,
    Estimate,
    confidence_to_tell,
    rows_to_tell,
    seeds_to_tell,
)
from gap.study.sizes import parse_seeds

# Where it takes more seeds than that, none are advised.
MOST_SEEDS = 20
# The fewest whose spread says something, by Student's t.
FIRST_SEEDS = 3
# How far apart, by ratio, the ends of an interval of sizes are at most, the usual step of sizes.
WIDE = 4.0
# How far, by ratio, a new size lies from a measured one at least; a nearer one tells little.
APART = 1.5


@dataclass(frozen=True)
class Remedy:
    """What it takes to tell a gap: `seeds` in all, or None where no number within reason does.

    `rows` are the test rows that it takes at least; `added` the new seeds of each model, `seconds`
    what these are expected to take in training, at all sizes and data sets.
    """

    gap: Row
    seeds: int | None
    rows: float
    added: Mapping[str, Sequence[int]]
    seconds: float | None


def advice(study: Study, dataset: str) -> str:
    """Return what to run next for the comparisons on a data set, as sentences."""
    if any(row["dataset"] == dataset for row in study.missing):
        return (
            "What to run next: the runs that are missing, as the choice may change with them: "
            "`snakemake --cores all`."
        )
    found = remedies(study, dataset)
    remedy = most_urgent(found, study)
    first = _tell_remedy(study, remedy, found) if remedy else _nothing_open(study)
    return f"What to run next: {first}{_tell_size(study, dataset)}"


def remedies(study: Study, dataset: str) -> list[Remedy]:
    """Return what it takes to tell each gap of a data set that is unclear or rests on one seed."""
    claims = [row["difference"] for row in study.gaps]
    confidence = confidence_to_tell(claims, study.recipe["confidence"])
    rows = next(row["rows"] for row in study.scores if row["dataset"] == dataset)
    return [
        _remedy(study, row, rows, confidence)
        for row in study.gaps
        if row["dataset"] == dataset and (row["difference"] == "unclear" or row["seed_error"] == "")
    ]


def most_urgent(found: Iterable[Remedy], study: Study) -> Remedy | None:
    """Return the remedy to begin with: the main comparison's, then that of least training."""
    return min(
        found,
        key=lambda remedy: (
            remedy.gap["model"] != study.main,
            remedy.seeds is None,
            remedy.seconds or 0.0,
        ),
        default=None,
    )


def _remedy(study: Study, row: Row, rows: int, confidence: float) -> Remedy:
    found = _estimate(row, rows)
    margin = study.recipe["margin"]
    # As in statistics.differences: the nearer end of the margin decides.
    distance = abs(row["gap"] - math.copysign(margin, row["gap"]))
    least = rows_to_tell(found, distance, confidence)
    if row["seed_error"] == "":
        seeds: int | None = FIRST_SEEDS
    else:
        seeds = seeds_to_tell(found, distance, confidence, MOST_SEEDS)
    added = _added(study, row, seeds) if seeds else {}
    return Remedy(row, seeds, least, added, _seconds(study, added))


def _estimate(row: Row, rows: int) -> Estimate:
    """Return the gap of a table's row as it was estimated."""
    seeds = tuple(map(int, row["seed_list"].split()))
    parts = [Component(float(row["row_error"]) ** 2, rows - 1)]
    if row["seed_error"] != "":
        parts.insert(0, Component(float(row["seed_error"]) ** 2, len(seeds) - 1))
    return Estimate(row["gap"], seeds, tuple(parts))


def _blocks(study: Study, model: str) -> list[str]:
    """Return the blocks of a model's seeds as the config has them, else each seed as one."""
    if known := study.recipe.get("seeds", {}).get(model):
        return list(known)
    ours = (row["seed_list"].split() for row in study.accuracies if row["model"] == model)
    return sorted(set(chain.from_iterable(ours)), key=int)


def _seeds(study: Study, model: str) -> set[int]:
    return set(chain.from_iterable(map(parse_seeds, _blocks(study, model))))


def _added(study: Study, row: Row, seeds: int) -> dict[str, list[int]]:
    """Return the seeds that the reference and the model lack, so that they share so many."""
    has = {model: _seeds(study, model) for model in (study.recipe["reference"], row["model"])}
    ours, theirs = has.values()
    # What one of the two has already costs the other's training only.
    fresh = chain(sorted(ours ^ theirs), count(max(ours | theirs) + 1))
    wanted = (ours & theirs) | set(islice(fresh, max(0, seeds - len(ours & theirs))))
    return {model: sorted(wanted - known) for model, known in has.items() if wanted - known}


def _seconds(study: Study, added: Mapping[str, Sequence[int]]) -> float | None:
    """Return what new seeds take: seeds count for all sizes and data sets; None: unknown."""
    taken = [
        (len(added[row["model"]]), study.seconds(row["dataset"], row["model"], row["size"]))
        for row in study.accuracies
        if row["model"] in added
    ]
    known = [number * seconds for number, seconds in taken if seconds is not None]
    return sum(known) if known and len(known) == len(taken) else None


def _tell_remedy(study: Study, remedy: Remedy, found: Sequence[Remedy]) -> str:
    row, title = remedy.gap, study.title(remedy.gap["model"])
    if row["seed_error"] == "":
        return (
            f"the gap to {title} rests on one seed, so that its interval is of test rows alone and "
            f"nothing is known of what seeds do. First {FIRST_SEEDS} seeds: "
            f"{_typed_seeds(study, remedy)}. An interval reaches {_reach(study, 2)} standard "
            f"errors of seeds to each side with 2 of them, {_reach(study, FIRST_SEEDS)} with "
            f"{FIRST_SEEDS}."
        )
    text = (
        f"it is open whether {title} is within {study.margin} of {study.reference} with "
        f"{row['n']:,} labels (gap {points(row['gap'])}, {study.interval} "
        f"{points(row['gap_low'])} to {points(row['gap_high'])}{_alone(study, row)}). "
    )
    if remedy.seeds is None:
        return text + _tell_rows(study, remedy)
    return (
        f"{text}By the spread of its {row['seeds']} seeds, a rough guide, {remedy.seeds} seeds are "
        f"expected to tell: {_typed_seeds(study, remedy)}.{_tell_others(remedy, found)}"
    )


def _alone(study: Study, row: Row) -> str:
    """Return that an interval would tell alone, where it lies clear of the margin's ends."""
    margin = study.recipe["margin"]
    nearer = math.copysign(margin, row["gap"])
    if row["gap_low"] <= nearer <= row["gap_high"]:
        return ""
    return f", which would tell alone, but not among {len(study.gaps)} gaps"


def _tell_others(remedy: Remedy, found: Sequence[Remedy]) -> str:
    """Return how many seeds the same comparison takes where it is open at other sizes."""
    others = [
        f"with {one.gap['n']:,} labels {one.seeds or f'more than {MOST_SEEDS}'}"
        for one in found
        if one.gap["model"] == remedy.gap["model"] and one is not remedy
    ]
    return f" Seeds that it takes at other sizes: {', '.join(others)}." if others else ""


def _tell_rows(study: Study, remedy: Remedy) -> str:
    """Return what else would tell a gap that seeds within reason do not."""
    dataset = remedy.gap["dataset"]
    card = next(card for card in study.cards if card["dataset"] == dataset)
    here, pool = card["test"]["rows"], card["pool"]["rows"]
    if remedy.rows <= here:
        return (
            f"Not by seeds: they differ so much that {MOST_SEEDS} of them are not expected to tell."
        )
    if remedy.rows >= here + pool:
        return "Neither seeds nor all rows of the data set as test rows are expected to tell."
    # Rounded, but not to fewer.
    rows = round(two_digits(1.05 * remedy.rows))
    return (
        f"No number of seeds tells, as {here:,} test rows are too few: it takes some {rows:,} at "
        f"least. Where the test set is drawn, that is `test: {rows}` under `{dataset}`, which "
        "makes all of that data set anew."
    )


def _typed_seeds(study: Study, remedy: Remedy) -> str:
    """Return the config's change that adds seeds, as one types it, and what it takes."""
    models: dict[str, list[str]] = defaultdict(list)
    for model, new in remedy.added.items():
        blocks = ", ".join([*_blocks(study, model), *_spell(new)])
        models[blocks].append(f"`{model}`")
    changes = [f"`seeds: [{seeds}]` under {' and '.join(who)}" for seeds, who in models.items()]
    return " and ".join(changes) + _taking(study, remedy.seconds)


def _spell(seeds: Sequence[int]) -> list[str]:
    """Return sorted seeds as blocks: [3, 4, 5, 7] is ["3-5", "7"]."""
    starts = [seed for seed in seeds if seed - 1 not in seeds]
    ends = [seed for seed in seeds if seed + 1 not in seeds]
    return [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]


def _taking(study: Study, seconds: float | None) -> str:
    where = "sizes and data sets" if len(study.datasets) > 1 else "sizes"
    return "" if seconds is None else f", some {duration(seconds)} of training at all {where}"


def _reach(study: Study, seeds: int) -> str:
    one = Estimate(0.0, tuple(range(seeds)), (Component(1.0, seeds - 1),))
    return f"{one.half_width(study.recipe['confidence']):.1f}"


def _nothing_open(study: Study) -> str:
    return (
        "nothing needs to be run for the comparisons measured, as each gap is known to be larger "
        f"or smaller than {study.margin}."
    )


def _tell_size(study: Study, dataset: str) -> str:
    """Return which size to measure for the main comparison, or an empty text."""
    gaps = study.comparisons.get((dataset, str(study.main)), [])
    pool = next(card["pool"]["rows"] for card in study.cards if card["dataset"] == dataset)
    sizes = [row["n"] for row in gaps]
    if 0 < len(sizes) < FEWEST_SIZES:
        new = further_sizes(sizes, pool)
        return (
            f" A curve, which tells where the gap closes, takes {FEWEST_SIZES} sizes: "
            f"{_typed_sizes(study, new)}."
        )
    ours = [
        row for row in study.crossings if row["dataset"] == dataset and row["model"] == study.main
    ]
    if not ours or (size := size_to_measure(sizes, ours[0])) is None:
        return ""
    where = (
        f" The curve through the gaps to {study.title(str(study.main))} falls to {study.margin} at "
        f"some {two_digits(ours[0]['n']):,.0f} labels"
    )
    if ours[0]["n"] > pool:
        return f"{where}, more than the {pool:,} rows of the pool: only more labels would tell."
    why = "beyond all that was measured" if ours[0]["n"] > sizes[-1] else "give or take a lot"
    return f"{where}, {why}: {_typed_sizes(study, [min(size, pool)])}."


def further_sizes(sizes: Sequence[int], pool: int) -> list[int]:
    """Return the sizes that lack to three: upwards in the steps of those measured, else halves."""
    step = sizes[-1] / sizes[-2] if len(sizes) > 1 else WIDE
    lacking = range(1, FEWEST_SIZES - len(sizes) + 1)
    larger = [round(two_digits(sizes[-1] * step**place)) for place in lacking]
    if larger[-1] <= pool:
        return larger
    return sorted(round(two_digits(sizes[0] / 2**place)) for place in lacking)


def size_to_measure(sizes: Sequence[int], crossing: Row) -> int | None:
    """Return the size that would tell best where the gap closes; None where none would.

    One is worth measuring where the curve falls to the margin beyond the largest of `sizes`, or
    where the interval of that size is wide and no measured size is near it.
    """
    n, largest = crossing["n"], sizes[-1]
    if math.isinf(n):
        return None
    if n > largest:
        return round(two_digits(max(n, APART * largest)))
    near = any(1 / APART < size / n < APART for size in sizes)
    wide = crossing["n_high"] > WIDE * crossing["n_low"]
    return round(two_digits(n)) if wide and not near else None


def _typed_sizes(study: Study, new: Sequence[int]) -> str:
    """Return the config's change that adds sizes, as one types it, and what it takes."""
    known = {row["size"]: row["n"] for row in study.accuracies} | {str(n): n for n in new}
    sizes = ", ".join(sorted(known, key=lambda size: known[size]))
    taken = [_expected_seconds(study, size) for size in new]
    seconds = [one for one in taken if one is not None]
    cost = f", by proportion some {duration(sum(seconds))} of training" if seconds else ""
    return f"`sizes: [{sizes}]`{cost}"


def _expected_seconds(study: Study, size: int) -> float | None:
    """Return what a new size takes with all models and seeds, as the nearest measured one does."""
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in study.accuracies:
        cells[row["dataset"], row["model"]].append(row)
    total = 0.0
    for (dataset, model), rows in cells.items():
        nearest = min(rows, key=lambda row: abs(math.log(row["n"] / size)))
        seconds = study.seconds(dataset, model, nearest["size"])
        if seconds is None:
            return None
        total += nearest["seeds"] * seconds * size / nearest["n"]
    return total
