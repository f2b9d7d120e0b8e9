"""How often intervals of few seeds and test rows hold the gaps of many, on real trainings.

Which rows the trained models have right is in real_seeds.parquet, so that nothing is trained here.
`--predictions` makes that file anew from the results of real_seeds.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import PAGE, ROOT, machine, verdict, write_section
from gap.results.predictions import Cell, CorrectRows, read_correct
from gap.results.run_scores import RunScores, scores_of
from gap.results.statistics import differences
from gap.results.study_errors import StudyErrors
from gap.run.program import run
from intervals import CONFIDENCE, GOAL, MARGIN, Tally, gaps_alone, share
from numpy.typing import NDArray
from student_intervals import Component, claims
from student_intervals import Estimate as SingleGap
from study_claims import find_predictions

DATA = ROOT / "benchmarks" / "real_seeds.parquet"
REFERENCE = "tfidf"
Vector = NDArray[np.float64]


def write_runs(path: Path, predictions: Path) -> None:
    """Write which test rows each run has right: a row for each cell, a bit for each row of a run.

    `predictions` is a folder of results, whose files of predictions are read.
    """
    columns: dict[str, list[object]] = {
        name: [] for name in ("dataset", "model", "n", "seeds", "rows", "right")
    }
    for cell, paths in find_predictions(predictions).items():
        right = np.stack(list(read_correct(paths).values()))
        values = cell.dataset, cell.model, cell.n, *right.shape, np.packbits(right).tobytes()
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)


def read_runs(path: Path) -> RunScores:
    """Return the scores of all runs; seeds are numbered from 0."""
    correct: dict[Cell, CorrectRows] = {}
    for row in pq.read_table(path).to_pylist():
        shape = row["seeds"], row["rows"]
        bits = np.unpackbits(np.frombuffer(row["right"], dtype=np.uint8), count=shape[0] * shape[1])
        cell = Cell(row["dataset"], row["model"], str(row["n"]), row["n"])
        correct[cell] = dict(enumerate(bits.reshape(shape).astype(np.bool_)))
    return scores_of(correct)


@dataclass(frozen=True)
class Draw:
    """A study of some of the seeds and some of the test rows, and what it is to be held against.

    `seeds` (seeds,) and `rows` (rows,) are drawn from all; `whole` and `same` (gaps,) are the gaps
    of all seeds, over all test rows and over those of the draw.
    """

    errors: StudyErrors
    whole: Vector
    same: Vector
    seed_share: float
    row_share: float


def draw(runs: RunScores, rng: np.random.Generator, seeds: int, rows: int) -> Draw:
    """Return a study of so many seeds, the same of all models, and so many test rows."""
    every = sorted(set(runs.seeds))
    taken = set(rng.choice(every, seeds, replace=False).tolist())
    members = [run for run, seed in enumerate(runs.seeds) if seed in taken]
    places = np.sort(rng.choice(runs.rows, rows, replace=False))
    study = RunScores(
        [runs.cells[run] for run in members],
        [runs.seeds[run] for run in members],
        runs.values[np.ix_(np.array(members), places)],
    )
    errors = StudyErrors(study, REFERENCE)
    same = replace(runs, values=runs.values[:, places])
    return Draw(
        errors, _gaps(runs, errors), _gaps(same, errors), seeds / len(every), rows / runs.rows
    )


def _gaps(runs: RunScores, errors: StudyErrors) -> Vector:
    """Return the gaps of all seeds, for the cells that `errors` compares, (gaps,)."""
    places = {cell: [other == cell for other in runs.cells] for cell in errors.cells}
    means = {cell: runs.means[members].mean() for cell, members in places.items()}
    return np.array([means[errors.reference_of(cell)] - means[cell] for cell in errors.compared])


@dataclass
class Counts:
    """What intervals held: as they are, without the share that is in the truth, of seeds alone."""

    given: Tally = field(default_factory=Tally)
    rest: Tally = field(default_factory=Tally)
    seeds: Tally = field(default_factory=Tally)


def count_project(counts: Counts, drawn: Draw) -> None:
    """Count this project's intervals of a draw.

    The truth is a mean over a finite number of seeds and rows, of which the draw has a share. What
    is drawn without replacement is off by that much less: the variance of seeds falls by
    `seed_share`, that of rows by `row_share`, and that of chance in single rows of a run by the
    product of both; over the draw's own rows it falls as that of seeds does.
    """
    errors = drawn.errors
    gaps = [errors.gap(cell) for cell in errors.compared]
    values = np.array([gap.value for gap in gaps])
    ends = np.array([gap.interval(CONFIDENCE) for gap in gaps])
    counts.given.add(ends, drawn.whole, values, differences(gaps, MARGIN, CONFIDENCE))
    rest, alone = [], []
    for gap, cell in zip(gaps, errors.compared, strict=True):
        chance = errors.chance_variance(cell)
        beyond = np.maximum(gap.seed_variances - chance, 0.0) * (1 - drawn.seed_share)
        seeds = beyond + chance * (1 - drawn.seed_share * drawn.row_share)
        rows = gap.row_variance * (1 - drawn.row_share)
        rest.append(replace(gap, seed_variances=seeds, row_variance=rows).half_width(CONFIDENCE))
        seeds = gap.seed_variances * (1 - drawn.seed_share)
        alone.append(replace(gap, seed_variances=seeds, row_variance=0.0).half_width(CONFIDENCE))
    _add(counts.rest, drawn.whole, values, rest)
    _add(counts.seeds, drawn.same, values, alone)


def count_peer(counts: Counts, drawn: Draw) -> None:
    """Count the intervals of each gap alone; they do not tell chance from other seeds."""
    gaps = gaps_alone(drawn.errors)
    values = np.array([gap.value for gap in gaps])
    ends = np.array([gap.interval(CONFIDENCE) for gap in gaps])
    counts.given.add(ends, drawn.whole, values, claims(gaps, MARGIN, CONFIDENCE))
    shares = drawn.seed_share, drawn.row_share
    rest = [_shrunk(gap, shares).half_width(CONFIDENCE) for gap in gaps]
    alone = [_shrunk(gap, (drawn.seed_share, 1.0)).half_width(CONFIDENCE) for gap in gaps]
    _add(counts.rest, drawn.whole, values, rest)
    _add(counts.seeds, drawn.same, values, alone)


def _shrunk(gap: SingleGap, shares: tuple[float, float]) -> SingleGap:
    """Return a gap whose variances by seeds and by rows are less by these shares."""
    parts = [
        Component(part.variance * (1 - share), part.freedom)
        for part, share in zip(gap.components, shares, strict=True)
    ]
    return replace(gap, components=tuple(parts))


def _add(tally: Tally, truth: Vector, values: Vector, halves: Sequence[float]) -> None:
    ends = np.stack([values - halves, values + halves], axis=1)
    tally.add(ends, truth, values, ["unclear"] * len(values))


def study(runs: RunScores, seeds: int, options: argparse.Namespace) -> tuple[Counts, Counts]:
    """Return what this project's intervals and the peer's held in all draws of so many seeds."""
    project, peer = Counts(), Counts()
    for number in range(options.draws):
        drawn = draw(
            runs, np.random.default_rng([options.seed, seeds, number]), seeds, options.rows
        )
        count_project(project, drawn)
        count_peer(peer, drawn)
    return project, peer


def report(results: dict[int, tuple[Counts, Counts]], runs: RunScores, rows: int) -> str:
    """Return the section of the page."""
    seeds = len(set(runs.seeds))
    draws = len(next(iter(results.values()))[0].given.held)
    lines = [
        f"{_describe(runs)}. A study is a draw of some of these seeds and of {rows:,} of these "
        f"rows; {draws:,} draws a line, intervals of {CONFIDENCE:.0%}. Held: the share of "
        f"intervals that hold the gap of all {seeds} seeds over all rows (in the worst cell). As a "
        "draw has a share of these seeds and rows, a perfect interval holds more than it says; "
        "so rest: the same without the share of the variance that is in the truth, too. Seeds "
        f"alone: intervals without the part of the rows hold the gap of all {seeds} seeds over the "
        "draw's rows, likewise. ±: the standard error of the mean over cells; draws overlap. Peer: "
        "each gap alone, by Student's t.",
        "",
        "| seeds | held | rest | seeds alone | width | peer: held | rest | seeds alone | width | "
        "ratio | decided | peer | wrong | peer |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(number, *both) for number, both in results.items()]
    lines += ["", *(_by_model(number, *both, runs) for number, both in results.items())]
    return "\n".join([*lines, *_goals(results), "", f"Machine: {machine(threads=None)}."])


def _describe(runs: RunScores) -> str:
    models = sorted({cell.model for cell in runs.cells} - {REFERENCE})
    sizes = sorted({cell.n for cell in runs.cells})
    return (
        f"{REFERENCE} beside {', '.join(models)} on {runs.cells[0].dataset}, "
        f"{', '.join(f'{n:,}' for n in sizes)} labels, each trained with {len(set(runs.seeds))} "
        f"seeds and scored on {runs.rows:,} test rows"
    )


def _row(seeds: int, project: Counts, peer: Counts) -> str:
    cells = [str(seeds)]
    for counts in (project, peer):
        cells.append(f"{counts.given.coverage:.1f} % ({counts.given.worst:.1f})")
        cells += [_spell_held(tally) for tally in (counts.rest, counts.seeds)]
        cells.append(f"{counts.given.width:.2f}")
    cells.append(f"{project.given.width / peer.given.width:.2f}")
    tallies = project.given, peer.given
    cells += [f"{share(tally.claims, tally.gaps):.0f} %" for tally in tallies]
    cells += [f"{share(tally.wrong, tally.claims):.1f} %" for tally in tallies]
    return f"| {' | '.join(cells)} |"


def _by_model(seeds: int, project: Counts, peer: Counts, runs: RunScores) -> str:
    """Return what was held of seeds alone, by model."""
    models = [cell.model for cell in dict.fromkeys(runs.cells) if cell.model != REFERENCE]
    held = [100 * np.mean(counts.seeds.held, axis=0) for counts in (project, peer)]
    parts = []
    for model in dict.fromkeys(models):
        members = [place for place, other in enumerate(models) if other == model]
        shares = [f"{each[members].mean():.1f} %" for each in held]
        parts.append(f"{model} {shares[0]} (peer {shares[1]})")
    return f"- {seeds} seeds, seeds alone: {', '.join(parts)}"


def _spell_held(tally: Tally) -> str:
    by_cell = 100 * np.mean(tally.held, axis=0)
    error = by_cell.std(ddof=1) / np.sqrt(len(by_cell))
    return f"{tally.coverage:.1f} ± {error:.1f} % ({tally.worst:.1f})"


def _goals(results: dict[int, tuple[Counts, Counts]]) -> list[str]:
    lines = []
    for name, words in (("rest", "seeds and rows"), ("seeds", "seeds alone")):
        held = [
            getattr(project, name).coverage for seeds, (project, _) in results.items() if seeds > 2
        ]
        reached = GOAL[0] <= min(held) and max(held) <= GOAL[1]
        lines.append(
            f"- {words}, {GOAL[0]:g} to {GOAL[1]:g} % with 3 seeds and more: {min(held):.1f} to "
            f"{max(held):.1f} %, {verdict(reached)}"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, help="results to take the trained runs from")
    parser.add_argument("--runs", type=Path, default=DATA, help="Parquet file of the runs")
    parser.add_argument("--draws", type=int, default=200, help="studies that are drawn")
    parser.add_argument("--rows", type=int, default=2000, help="test rows of a study")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5], help="of a study")
    parser.add_argument("--seed", type=int, default=1, help="of the draws")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    options = parser.parse_args(argv)
    if options.predictions:
        write_runs(options.runs, options.predictions)
    runs = read_runs(options.runs)
    results = {}
    for seeds in options.seeds:
        results[seeds] = study(runs, seeds, options)
        print(f"{seeds} seeds: {results[seeds][0].rest.coverage:.1f} %", flush=True)
    write_section(options.page, "Real seeds", report(results, runs, options.rows))


if __name__ == "__main__":
    run(main)
