"""Steps that may decide what a study leaves open: more seeds, more test rows, another size."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice, product
from statistics import harmonic_mean

import numpy as np

from gap.report.wording import two_digits
from gap.results.findings import Findings
from gap.results.outlook import Outlook, chance_to_tell, quantile
from gap.results.rows import AccuracyRow, CrossingRow, GapRow
from gap.results.statistics import confidence_to_tell
from gap.study.sizes import FEWEST_SIZES, parse_seeds

# Numbers of seeds of both models that are thought of. Where it takes more, none are advised.
SEEDS = (3, 5, 10, 20)
# How many times as many test rows are thought of, and the fewest that are worth a new test set.
MORE_ROWS, FEWEST_MORE = 4.0, 1.5
# A step is told where its chance is better by so much than that of each cheaper one.
BETTER = 0.05
# The largest ratio of the two ends of an interval of sizes: the usual step between sizes.
WIDE = 4.0
# The smallest ratio of a new size to a measured one; a nearer size would tell little.
APART = 1.5


@dataclass(frozen=True)
class Step:
    """Something to run: a `change` of the config, as one types it.

    `chances` (0..1) are those that it decides, by the number of labels. It takes `seconds` of
    training; None where they are not known.
    """

    change: str
    chances: Mapping[int, float]
    seconds: float | None


def steps(findings: Findings, rows: Sequence[GapRow], dataset: str) -> list[Step]:
    """Return the steps that may decide the open gaps of one comparison, cheapest first.

    The size that would tell where the gap of the main comparison closes is one, too. A step that
    is hardly better than a cheaper one is left out.
    """
    possible = [*_by_seeds_and_rows(findings, rows, dataset), *_by_size(findings, dataset)]
    possible.sort(key=lambda step: math.inf if step.seconds is None else step.seconds)
    best: dict[int, float] = defaultdict(float)
    chosen = []
    for step in possible:
        if any(chance >= best[n] + BETTER for n, chance in step.chances.items()):
            chosen.append(step)
        for n, chance in step.chances.items():
            best[n] = max(best[n], chance)
    return chosen


def outlook_of(findings: Findings, row: GapRow) -> Outlook:
    """Return what more seeds or rows would tell of a gap, among all gaps of the study."""
    given = findings.recipe.confidence
    confidence = confidence_to_tell([other.difference for other in findings.gaps], given)
    seed_error = row.seed_error or 0.0
    # Exact bounds for few rows may make an interval wider than its errors.
    reach = (row.gap_high - row.gap_low) / 2 / math.hypot(seed_error, row.row_error)
    tails = quantile(confidence) / quantile(given)
    seeds = harmonic_mean([row.seeds, row.reference_seeds])
    return Outlook(row.gap, seed_error, row.row_error, seeds, row.rows, reach * tails)


def _by_seeds_and_rows(findings: Findings, rows: Sequence[GapRow], dataset: str) -> Iterable[Step]:
    if not rows:
        return
    present, more = rows[0].rows, _more_rows(findings, dataset, rows[0].rows)
    outlooks = {row: outlook_of(findings, row) for row in rows}
    for seeds, test in product((None, *SEEDS), (present, more)):
        added = _added(findings, rows[0], seeds) if seeds else {}
        if test is None or bool(seeds) != bool(added) or (not added and test == present):
            continue
        chances = {
            row.n: outlook.chance_to_decide(findings.recipe.margin, _later_seeds(row, seeds), test)
            for row, outlook in outlooks.items()
        }
        changes, seconds = [], _seconds(findings, added) if added else 0.0
        if added:
            changes.append(type_seeds(findings, added))
        if test != present:
            changes.append(_type_test(findings, dataset, test))
            again = _seconds_again(findings, dataset)
            seconds = None if seconds is None or again is None else seconds + again
        yield Step(" and ".join(changes), chances, seconds)


def _later_seeds(row: GapRow, seeds: int | None) -> float:
    """Return the harmonic mean of both models' seeds, when each has so many at least."""
    return harmonic_mean([max(seeds or 0, number) for number in (row.seeds, row.reference_seeds)])


def _more_rows(findings: Findings, dataset: str, rows: int) -> int | None:
    """Return how many test rows to think of; None where the data set has too few to give."""
    card = findings.card(dataset)
    wanted = MORE_ROWS * rows
    if card["test_source_sha256"] is None:
        # The pool must still have the largest size.
        largest = max(row.n for row in findings.accuracies if row.dataset == dataset)
        wanted = min(wanted, rows + card["pool"]["rows"] - largest)
    return round(two_digits(wanted)) if wanted >= FEWEST_MORE * rows else None


def _type_test(findings: Findings, dataset: str, rows: int) -> str:
    if findings.card(dataset)["test_source_sha256"] is None:
        return f"`test: {rows}` under `{dataset}`"
    return f"a test set of {rows:,} rows for `{dataset}`"


def _seconds_again(findings: Findings, dataset: str) -> float | None:
    """Return the training that new test rows cost: all of the data set's where the pool gives them.

    A given test set is only predicted anew.
    """
    if findings.card(dataset)["test_source_sha256"] is not None:
        return 0.0
    rows = [row for row in findings.accuracies if row.dataset == dataset]
    return _sum([(row, row.seeds) for row in rows], findings)


def _sum(cells: Sequence[tuple[AccuracyRow, int]], findings: Findings) -> float | None:
    """Return the seconds of so many trainings of each cell; None where any is unknown."""
    total = 0.0
    for row, trainings in cells:
        seconds = findings.seconds(row.dataset, row.model, row.size)
        if seconds is None:
            return None
        total += trainings * seconds
    return total


# ------------------------------------------------------------ seeds


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


def first_seeds(findings: Findings, row: GapRow, seeds: int) -> tuple[str, float | None]:
    """Return the change that gives both models of a gap so many seeds, and its seconds."""
    added = _added(findings, row, seeds)
    return type_seeds(findings, added), _seconds(findings, added)


def _seconds(findings: Findings, added: Mapping[str, Sequence[int]]) -> float | None:
    """Return what new seeds take: seeds count for all sizes and data sets; None: unknown."""
    rows = [row for row in findings.accuracies if row.model in added]
    return _sum([(row, len(added[row.model])) for row in rows], findings)


def type_seeds(findings: Findings, added: Mapping[str, Sequence[int]]) -> str:
    """Return the config's change that adds seeds, as one types it."""
    models: dict[str, list[str]] = defaultdict(list)
    for model, new in added.items():
        blocks = ", ".join([*_blocks(findings, model), *_spell(new)])
        models[blocks].append(f"`{model}`")
    changes = [f"`seeds: [{seeds}]` under {' and '.join(names)}" for seeds, names in models.items()]
    return " and ".join(changes)


def _spell(seeds: Sequence[int]) -> list[str]:
    """Return sorted seeds as blocks: [3, 4, 5, 7] is ["3-5", "7"]."""
    starts = [seed for seed in seeds if seed - 1 not in seeds]
    ends = [seed for seed in seeds if seed + 1 not in seeds]
    return [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]


# ------------------------------------------------------------ sizes


def crossing_of(findings: Findings, dataset: str) -> CrossingRow | None:
    """Return the crossing of the main comparison on a data set; None where there is none."""
    key = dataset, findings.main
    rows = (row for row in findings.crossings if (row.dataset, row.model) == key)
    return next(rows, None)


def _by_size(findings: Findings, dataset: str) -> Iterable[Step]:
    rows = findings.comparisons.get((dataset, str(findings.main)), [])
    crossing = crossing_of(findings, dataset)
    if len(rows) < FEWEST_SIZES or crossing is None:
        return
    pool = findings.card(dataset)["pool"]["rows"]
    size = size_to_measure([row.n for row in rows], crossing)
    if size is None or crossing.n > pool:
        return
    # Where the gap closes it is as large as the margin, so a size beyond tells more.
    new = [size, 2 * size] if size > rows[-1].n else [size]
    for n in dict.fromkeys(min(number, pool) for number in new):
        chances = {n: _chance_at(findings, rows, crossing, n)}
        yield Step(type_sizes(findings, [n]), chances, seconds_of_sizes(findings, [n]))


def _chance_at(findings: Findings, rows: Sequence[GapRow], crossing: CrossingRow, n: int) -> float:
    """Return the chance that the gap at a new size is told apart from the margin.

    The gap is forecast as the curve has it; its errors are those of the largest size.
    """
    ahead = [
        (2 * crossing.largest, crossing.gap_2x, crossing.gap_2x_high - crossing.gap_2x_low),
        (4 * crossing.largest, crossing.gap_4x, crossing.gap_4x_high - crossing.gap_4x_low),
    ]
    curve = [(row.n, row.gap, row.gap_high - row.gap_low) for row in rows] + ahead
    sizes, gaps, widths = np.array(curve, dtype=np.float64).T
    gap, width = (float(np.interp(math.log(n), np.log(sizes), y)) for y in (gaps, widths))
    outlook = outlook_of(findings, rows[-1])
    error = outlook.error(outlook.seeds, outlook.rows)
    spread = math.hypot(width / 2 / quantile(findings.recipe.confidence), error)
    return chance_to_tell(gap, spread, findings.recipe.margin, outlook.reach * error)


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


def type_sizes(findings: Findings, new: Sequence[int]) -> str:
    """Return the config's change that adds sizes, as one types it."""
    numbers = {row.size: row.n for row in findings.accuracies} | {str(n): n for n in new}
    sizes = ", ".join(sorted(numbers, key=lambda size: numbers[size]))
    return f"`sizes: [{sizes}]`"


def seconds_of_sizes(findings: Findings, new: Sequence[int]) -> float | None:
    """Return what new sizes take with all models and seeds; None where it is not known."""
    seconds = [_seconds_of_size(findings, size) for size in new]
    return None if None in seconds else sum(filter(None, seconds))


def _seconds_of_size(findings: Findings, size: int) -> float | None:
    """Return what a new size takes, as the nearest measured one does."""
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
