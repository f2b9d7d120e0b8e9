"""What to run next: the seeds, test rows or sizes that would tell what a study leaves open."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from statistics import NormalDist, harmonic_mean

from gap.report.wording import duration, points, span, two_digits
from gap.results.curves import FEWEST_SIZES
from gap.results.findings import Findings
from gap.results.rows import AccuracyRow, CrossingRow, GapRow
from gap.results.statistics import Outlook, confidence_to_tell
from gap.study.sizes import parse_seeds

# Where it takes more seeds than that, none are advised.
MOST_SEEDS = 20
# The fewest seeds to begin with.
FIRST_SEEDS = 3
# The largest ratio of the two ends of an interval of sizes: the usual step between sizes.
WIDE = 4.0
# The smallest ratio of a new size to a measured one; a nearer size would tell little.
APART = 1.5


@dataclass(frozen=True)
class Remedy:
    """What it takes to tell a gap: `seeds` in all, or None where no number within reason does.

    `rows` are the test rows that it takes at least; `added` the new seeds of each model, `seconds`
    what these are expected to take in training, at all sizes and data sets.
    """

    gap: GapRow
    seeds: int | None
    rows: float
    added: Mapping[str, Sequence[int]]
    seconds: float | None


def advice(findings: Findings, dataset: str) -> str:
    """Return what to run next for the comparisons on a data set, as sentences."""
    if any(runs.dataset == dataset for runs in findings.recipe.missing):
        return (
            "What to run next: the runs that are missing, because they may change the choice: "
            "`snakemake --cores all`."
        )
    possible = remedies(findings, dataset)
    remedy = most_urgent(possible, findings)
    first = _tell_remedy(findings, remedy, possible) if remedy else _nothing_open(findings)
    return f"What to run next: {first}{_tell_size(findings, dataset)}"


def remedies(findings: Findings, dataset: str) -> list[Remedy]:
    """Return what it takes to tell each gap of a data set that is unclear or rests on one seed."""
    claims = [row.difference for row in findings.gaps]
    confidence = confidence_to_tell(claims, findings.recipe.confidence)
    return [
        _remedy(findings, row, confidence)
        for row in findings.gaps
        if row.dataset == dataset and (row.difference == "unclear" or row.seed_error is None)
    ]


def most_urgent(possible: Iterable[Remedy], findings: Findings) -> Remedy | None:
    """Return the remedy to begin with: the main comparison's, then that of least training."""
    return min(
        possible,
        key=lambda remedy: (
            remedy.gap.model != findings.main,
            remedy.seeds is None,
            remedy.seconds or 0.0,
        ),
        default=None,
    )


def _remedy(findings: Findings, row: GapRow, confidence: float) -> Remedy:
    outlook = outlook_of(row, findings.recipe.confidence, confidence)
    # As in statistics.differences: the nearer end of the margin decides.
    distance = abs(row.gap - math.copysign(findings.recipe.margin, row.gap))
    if row.seed_error is None:
        seeds: int | None = FIRST_SEEDS
    else:
        seeds = outlook.seeds_to_tell(distance, MOST_SEEDS)
    added = _added(findings, row, seeds) if seeds else {}
    return Remedy(row, seeds, outlook.rows_to_tell(distance), added, _seconds(findings, added))


def outlook_of(row: GapRow, given: float, confidence: float) -> Outlook:
    """Return what an interval of this confidence (0..1) would be with more seeds or rows.

    The row's own interval is one of confidence `given`.
    """
    seed_error = row.seed_error or 0.0
    width = (row.gap_high - row.gap_low) / 2
    reach = width / math.hypot(seed_error, row.row_error)
    tails = NormalDist().inv_cdf((1 + confidence) / 2) / NormalDist().inv_cdf((1 + given) / 2)
    seeds = harmonic_mean([row.seeds, row.reference_seeds])
    return Outlook(seed_error, row.row_error, seeds, row.rows, reach * tails)


def _blocks(findings: Findings, model: str) -> list[str]:
    """Return the blocks of a model's seeds as the config has them, else each seed as one."""
    if blocks := findings.recipe.seeds.get(model):
        return list(blocks)
    lists = (row.seed_list.split() for row in findings.accuracies if row.model == model)
    return sorted(set(chain.from_iterable(lists)), key=int)


def _seeds(findings: Findings, model: str) -> set[int]:
    return set(chain.from_iterable(map(parse_seeds, _blocks(findings, model))))


def _added(findings: Findings, row: GapRow, seeds: int) -> dict[str, list[int]]:
    """Return the seeds that the reference and the model lack, so that they share so many."""
    present = {model: _seeds(findings, model) for model in (findings.recipe.reference, row.model)}
    of_reference, of_model = present.values()
    shared = of_reference & of_model
    # Where one of the two models is trained already, only the other's training costs.
    fresh = chain(sorted(of_reference ^ of_model), count(max(of_reference | of_model) + 1))
    wanted = shared | set(islice(fresh, max(0, seeds - len(shared))))
    return {model: sorted(wanted - has) for model, has in present.items() if wanted - has}


def _seconds(findings: Findings, added: Mapping[str, Sequence[int]]) -> float | None:
    """Return what new seeds take: seeds count for all sizes and data sets; None: unknown."""
    rows = [row for row in findings.accuracies if row.model in added]
    per_seed = [findings.seconds(row.dataset, row.model, row.size) for row in rows]
    total = [
        len(added[row.model]) * seconds
        for row, seconds in zip(rows, per_seed, strict=True)
        if seconds is not None
    ]
    return sum(total) if total and len(total) == len(rows) else None


def _tell_remedy(findings: Findings, remedy: Remedy, possible: Sequence[Remedy]) -> str:
    row = remedy.gap
    if row.seed_error is None:
        return _tell_first_seeds(findings, remedy)
    text = (
        f"it is not known whether {findings.title(row.model)} is within {findings.margin} of "
        f"{findings.reference} with {row.n:,} labels (gap {points(row.gap)}, {findings.interval} "
        f"{span(row.gap_low, row.gap_high)}{_alone(findings, row)}). "
    )
    if remedy.seeds is None:
        return text + _tell_rows(findings, remedy)
    return (
        f"{text}By how much seeds differ in this study, {remedy.seeds} seeds should be enough: "
        f"{_typed_seeds(findings, remedy)}."
        f"{_tell_others(remedy, possible)}"
    )


def _tell_first_seeds(findings: Findings, remedy: Remedy) -> str:
    return (
        f"the gap to {findings.title(remedy.gap.model)} rests on one seed. Its interval covers "
        "test rows only, and it is not known how much results vary between seeds. Begin with "
        f"{FIRST_SEEDS} seeds: {_typed_seeds(findings, remedy)}."
    )


def _alone(findings: Findings, row: GapRow) -> str:
    """Return a remark where the interval alone leaves out the margin, and would tell the gap."""
    nearer = math.copysign(findings.recipe.margin, row.gap)
    if row.gap_low <= nearer <= row.gap_high:
        return ""
    return f", which would be enough for one gap alone, but not among {len(findings.gaps)} gaps"


def _tell_others(remedy: Remedy, possible: Sequence[Remedy]) -> str:
    """Return how many seeds the same comparison takes where it is open at other sizes."""
    others = [
        f"{other.seeds or f'more than {MOST_SEEDS}'} with {other.gap.n:,} labels"
        for other in possible
        if other.gap.model == remedy.gap.model and other is not remedy
    ]
    return f" Seeds needed at other sizes: {', '.join(others)}." if others else ""


def _tell_rows(findings: Findings, remedy: Remedy) -> str:
    """Return what else would tell a gap that seeds within reason do not."""
    dataset = remedy.gap.dataset
    card = findings.card(dataset)
    here, pool = card["test"]["rows"], card["pool"]["rows"]
    if remedy.rows <= here:
        return (
            "More seeds are not advised: seeds differ so much that even "
            f"{MOST_SEEDS} of them would hardly be enough."
        )
    if remedy.rows >= here + pool:
        return (
            "More seeds would not be enough, and neither would more test rows, even if all rows "
            "of the data set were test rows."
        )
    # Rounded, but not to fewer.
    rows = round(two_digits(1.05 * remedy.rows))
    return (
        f"No number of seeds is enough, because {here:,} test rows are too few: at least about "
        f"{rows:,} are needed. Where the test set is drawn from the data set's own rows, write "
        f"`test: {rows}` under `{dataset}`; everything on that data set is then made again."
    )


def _typed_seeds(findings: Findings, remedy: Remedy) -> str:
    """Return the config's change that adds seeds, as one types it, and what it takes."""
    models: dict[str, list[str]] = defaultdict(list)
    for model, new in remedy.added.items():
        blocks = ", ".join([*_blocks(findings, model), *_spell(new)])
        models[blocks].append(f"`{model}`")
    changes = [f"`seeds: [{seeds}]` under {' and '.join(names)}" for seeds, names in models.items()]
    return " and ".join(changes) + _taking(findings, remedy.seconds)


def _spell(seeds: Sequence[int]) -> list[str]:
    """Return sorted seeds as blocks: [3, 4, 5, 7] is ["3-5", "7"]."""
    starts = [seed for seed in seeds if seed - 1 not in seeds]
    ends = [seed for seed in seeds if seed + 1 not in seeds]
    return [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]


def _taking(findings: Findings, seconds: float | None) -> str:
    where = "sizes and data sets" if len(findings.datasets) > 1 else "sizes"
    return "" if seconds is None else f", about {duration(seconds)} of training at all {where}"


def _nothing_open(findings: Findings) -> str:
    return (
        "the comparisons above need no more runs, because each gap is known to be larger or "
        f"smaller than {findings.margin}."
    )


def _tell_size(findings: Findings, dataset: str) -> str:
    """Return which size to measure for the main comparison, or an empty text."""
    main = str(findings.main)
    sizes = [row.n for row in findings.comparisons.get((dataset, main), [])]
    pool = findings.card(dataset)["pool"]["rows"]
    if 0 < len(sizes) < FEWEST_SIZES:
        new = further_sizes(sizes, pool)
        return (
            f" The curve that tells where the gap closes needs {FEWEST_SIZES} sizes: "
            f"{_typed_sizes(findings, new)}."
        )
    crossing = next(
        (row for row in findings.crossings if (row.dataset, row.model) == (dataset, main)), None
    )
    if crossing is None or (size := size_to_measure(sizes, crossing)) is None:
        return ""
    where = (
        f" The curve through the gaps to {findings.title(main)} falls to {findings.margin} at "
        f"about {two_digits(crossing.n):,.0f} labels"
    )
    if crossing.n > pool:
        return (
            f"{where}, which is more than the {pool:,} rows of the pool: only more labels can tell."
        )
    if crossing.n > sizes[-1]:
        why = ", which is more than was measured"
    else:
        why = ", but the interval of that size is wide"
    return f"{where}{why}: {_typed_sizes(findings, [min(size, pool)])}."


def further_sizes(sizes: Sequence[int], pool: int) -> list[int]:
    """Return the sizes that lack to three: upwards in the steps of those measured, else halves."""
    step = sizes[-1] / sizes[-2] if len(sizes) > 1 else WIDE
    lacking = range(1, FEWEST_SIZES - len(sizes) + 1)
    larger = [round(two_digits(sizes[-1] * step**place)) for place in lacking]
    if larger[-1] <= pool:
        return larger
    return sorted(round(two_digits(sizes[0] / 2**place)) for place in lacking)


def size_to_measure(sizes: Sequence[int], crossing: CrossingRow) -> int | None:
    """Return the size that would tell best where the gap closes; None where none would.

    One is worth measuring where the curve falls to the margin beyond the largest of `sizes`, or
    where the interval of that size is wide and no measured size is near it.
    """
    n, largest = crossing.n, sizes[-1]
    if math.isinf(n):
        return None
    if n > largest:
        return round(two_digits(max(n, APART * largest)))
    near = any(1 / APART < size / n < APART for size in sizes)
    wide = crossing.n_high > WIDE * crossing.n_low
    return round(two_digits(n)) if wide and not near else None


def _typed_sizes(findings: Findings, new: Sequence[int]) -> str:
    """Return the config's change that adds sizes, as one types it, and what it takes."""
    numbers = {row.size: row.n for row in findings.accuracies} | {str(n): n for n in new}
    sizes = ", ".join(sorted(numbers, key=lambda size: numbers[size]))
    expected = [_expected_seconds(findings, size) for size in new]
    seconds = [value for value in expected if value is not None]
    cost = f", by estimate {duration(sum(seconds))} of training" if seconds else ""
    return f"`sizes: [{sizes}]`{cost}"


def _expected_seconds(findings: Findings, size: int) -> float | None:
    """Return what a new size takes with all models and seeds, as the nearest measured one does."""
    cells: dict[tuple[str, str], list[AccuracyRow]] = defaultdict(list)
    for row in findings.accuracies:
        cells[row.dataset, row.model].append(row)
    total = 0.0
    for (dataset, model), rows in cells.items():
        nearest = min(rows, key=lambda row: abs(math.log(row.n / size)))
        seconds = findings.seconds(dataset, model, nearest.size)
        if seconds is None:
            return None
        total += nearest.seeds * seconds * size / nearest.n
    return total
