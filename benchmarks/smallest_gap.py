"""Whether studies tell as small a gap as they are said to before they run, in simulated studies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache

import numpy as np
from common import machine, simulation_arguments, verdict, write_section
from gap.cluster.expected_gaps import LABELS, USUAL, UsualSpreads
from gap.results.outlook import POWER
from gap.results.predictions import Cell
from gap.results.study_errors import StudyErrors
from gap.run.program import run
from intervals import CONFIDENCE, MARGIN, REFERENCE, SIZES, Setting, simulate
from numpy.typing import NDArray
from scipy.special import ndtri

GOAL = 0.10
LEVEL, MODELS = 80.0, 5
# Spreads of seeds at the sizes of the simulation, in points: those of an ordinary and a calm model.
SPREADS = {"usual": USUAL.seed, "half as large": USUAL.seed / 2}
Vector = NDArray[np.float64]


def setting(spread: float, gaps: Vector, seeds: int) -> Setting:
    """Return studies in which the first model is so many points ahead of the others, by size."""
    levels = np.vstack([np.full(len(SIZES), LEVEL), *([LEVEL - gaps] * (MODELS - 1))])
    spreads = spread * np.maximum(1.0, LABELS / np.array(SIZES)) ** USUAL.slope
    return Setting("smallest gap", (seeds,) * MODELS, levels, np.tile(spreads, (MODELS, 1)))


def shares_told(made: Setting, options: argparse.Namespace) -> Vector:
    """Return the share of gaps that are told to be above the margin, each alone, by size."""
    told: dict[int, list[bool]] = {n: [] for n in SIZES}
    for study in range(options.studies):
        rng = np.random.default_rng([options.seed, study])
        errors = StudyErrors(simulate(rng, made, options.rows)[0], REFERENCE)
        for cell in errors.compared:
            low, _ = errors.gap(cell).interval(CONFIDENCE)
            told[cell.n].append(low > MARGIN)
    return np.array([np.mean(told[n]) for n in SIZES])


def smallest_told(spread: float, seeds: int, options: argparse.Namespace) -> Vector:
    """Return the gaps that a share POWER of the studies tell, in points, by size.

    Each lies on the line through two shares near it, in normal quantiles, as told gaps are normal.
    """
    gaps = np.array([expected(spread, n, seeds, options) for n in SIZES])
    ends = [gaps * factor for factor in (0.9, 1.1)]
    most = 1 - 0.5 / options.studies
    low, high = (
        ndtri(np.clip(shares_told(setting(spread, end, seeds), options), 1 - most, most))
        for end in ends
    )
    return np.asarray(ends[0] + (ndtri(POWER) - low) / (high - low) * (ends[1] - ends[0]))


@cache
def row_spreads(seed: int, rows: int) -> tuple[float, float]:
    """Return the spreads of chance and of the means of two models on a row, in points.

    They are those of the simulation, seen with many seeds that do nothing.
    """
    calm = Setting("rows", (30,) * 2, np.full((2, len(SIZES)), LEVEL), np.zeros((2, len(SIZES))))
    scores, _ = simulate(np.random.default_rng(seed), calm, rows)
    errors = StudyErrors(scores, REFERENCE)
    cell = Cell("films", "model 1", str(SIZES[0]), SIZES[0])
    chance = errors.chances[errors.cells.index(cell)] * scores.rows
    return float(chance**0.5), float((errors.gap(cell).row_variance * scores.rows) ** 0.5)


def expected(spread: float, n: int, seeds: int, options: argparse.Namespace) -> float:
    """Return the smallest gap that is said to be told, in points."""
    spreads = UsualSpreads(spread, USUAL.slope, *row_spreads(options.seed, options.rows))
    return spreads.outlook(n, seeds, options.rows, CONFIDENCE).smallest_told(MARGIN)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = simulation_arguments(__doc__, 200).parse_args(argv)
    lines, errors = [], list[float]()
    for name, spread in SPREADS.items():
        for seeds in (3, 5):
            found = smallest_told(spread, seeds, options)
            for n, simulated in zip(SIZES, found, strict=True):
                said = expected(spread, n, seeds, options)
                errors.append(abs(said / simulated - 1))
                lines.append(
                    f"| {name} | {seeds} | {n:,} | {said:.2f} | {simulated:.2f} | "
                    f"{said / simulated - 1:+.0%} |"
                )
    header = "| spread of seeds | seeds | labels | said, points | simulated | difference |"
    header += "\n|---|---|---|---|---|---|"
    text = (
        f"The smallest gap that {POWER:.0%} of the studies tell to be larger than {MARGIN:g} "
        f"point, alone: {options.studies} simulated studies of {MODELS} models at {len(SIZES)} "
        f"sizes with {options.rows:,} test rows, intervals of {CONFIDENCE:.0%}."
    )
    goal = f"- off by {max(errors):.0%} at most; goal ≤ {GOAL:.0%}: {verdict(max(errors) <= GOAL)}"
    body = [text, "\n".join([header, *lines]), goal, f"Machine: {machine(None)}."]
    write_section(options.page, "Smallest gap", "\n\n".join(body))


if __name__ == "__main__":
    run(main)
