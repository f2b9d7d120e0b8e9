"""How often intervals of gaps hold the true gap, in simulated studies, beside a bootstrap's."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from common import machine, simulation_arguments, verdict, write_section
from gap.results.statistics import gap
from numpy.typing import NDArray
from scipy.special import ndtr

CONFIDENCE = 0.95
# Share of the studies whose interval contains the true gap, in percent.
GOAL = (93.0, 97.0)
BEST, OTHER = 1.5, 1.0
# Spreads (standard deviations) on the scale on which chance alone has 1: how hard a test row is for
# both models, and for one of them beyond that.
HARD_FOR_BOTH, HARD_FOR_ONE = 1.0, 0.5
# What a seed does to a model as a whole, on the same scale: from nothing to several points.
SEED_EFFECTS = (0.0, 0.03, 0.07, 0.15)
SEEDS = (2, 3, 4, 5)
Correct = dict[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class Coverage:
    """How often the two kinds of interval held the true gap, in percent, and their mean widths."""

    ours: float
    ours_width: float
    bootstrap: float
    bootstrap_width: float


def spread(seed_effect: float) -> float:
    """Return the spread of all that decides whether a row is right, chance included."""
    return float(np.sqrt(1 + HARD_FOR_BOTH**2 + HARD_FOR_ONE**2 + seed_effect**2))


def right(
    rng: np.random.Generator,
    level: float,
    of_rows: NDArray[np.float64],
    seeds: int,
    seed_effect: float,
) -> NDArray[np.bool_]:
    """Return which rows a model has right, (seeds, rows), each as easy as `of_rows` says."""
    of_seeds = rng.normal(0, seed_effect, (seeds, 1))
    chance = rng.standard_normal((seeds, len(of_rows)))
    return np.asarray(level + of_rows + of_seeds + chance > 0)


def simulate(
    rng: np.random.Generator, seeds: int, rows: int, seed_effect: float
) -> tuple[Correct, Correct]:
    """Return which rows the better and the other model had right, {seed: (rows,)} each."""
    hard_for_both = rng.normal(0, HARD_FOR_BOTH, rows)
    models = []
    for level in (BEST, OTHER):
        of_rows = hard_for_both + rng.normal(0, HARD_FOR_ONE, rows)
        models.append(dict(enumerate(right(rng, level, of_rows, seeds, seed_effect))))
    return models[0], models[1]


def true_gap(seed_effect: float) -> float:
    """Return the gap in points over all seeds and rows that there could be."""
    whole = spread(seed_effect)
    return float(100 * (ndtr(BEST / whole) - ndtr(OTHER / whole)))


def bootstrap_interval(
    one: Correct, other: Correct, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the percentile interval of a bootstrap that draws seeds and rows anew, crosswise."""
    values = np.array([100.0 * one[seed] - 100.0 * other[seed] for seed in one])
    seeds, rows = values.shape
    # Rows with equal values are drawn together: the same chances, with fewer numbers to draw.
    kinds, counts = np.unique(values, axis=1, return_counts=True)
    of_rows = rng.multinomial(rows, counts / rows, resamples) @ kinds.T / rows
    drawn = rng.integers(0, seeds, (resamples, seeds))
    means = np.take_along_axis(of_rows, drawn, axis=1).mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def coverage(seeds: int, seed_effect: float, options: argparse.Namespace) -> Coverage:
    """Return how often both kinds of interval cover, over as many studies as the options say."""
    truth = true_gap(seed_effect)
    ends = np.empty((options.studies, 2, 2))
    for study in range(options.studies):
        rng = np.random.default_rng([options.seed, seeds, round(1000 * seed_effect), study])
        one, other = simulate(rng, seeds, options.rows, seed_effect)
        ends[study, 0] = gap(one, other).interval(CONFIDENCE)
        ends[study, 1] = bootstrap_interval(one, other, options.resamples, rng)
    held = 100 * ((ends[..., 0] <= truth) & (truth <= ends[..., 1])).mean(axis=0)
    widths = (ends[..., 1] - ends[..., 0]).mean(axis=0)
    return Coverage(held[0], widths[0], held[1], widths[1])


def seed_points(seed_effect: float) -> float:
    """Return the standard deviation of the gap between seeds, in points."""
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, seed_effect, (100_000, 2))
    gaps = np.subtract(*ndtr((np.array([BEST, OTHER]) + shifts) / spread(0.0)).T)
    return float(100 * gaps.std())


def agreement(rows: int = 1_000_000) -> float:
    """Return the correlation between which rows the two models have right, at one seed."""
    one, other = simulate(np.random.default_rng(0), 1, rows, 0.0)
    return float(np.corrcoef(one[0], other[0])[0, 1])


def report(found: dict[tuple[int, float], Coverage], options: argparse.Namespace) -> str:
    """Return the section of the page."""
    error = (CONFIDENCE * (1 - CONFIDENCE) / options.studies) ** 0.5
    lines = [
        f"{options.studies:,} simulated studies a line, so a share near {CONFIDENCE:.0%} has a "
        f"standard error of {100 * error:.1f} points: {options.rows:,} test rows, a true gap of "
        f"{true_gap(0.0):.1f} points, two models that are right on the same rows with a "
        f"correlation of {agreement():.2f}; intervals of {CONFIDENCE:.0%}. The bootstrap draws "
        f"seeds and rows anew, crosswise (Owen 2007), {options.resamples:,} times. Widths are "
        "means, in points.",
        "",
        "| seeds | gap between seeds varies by | ours holds it in | width | bootstrap in | width |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {seeds} | {seed_points(effect):.1f} | {one.ours:.1f} % | {one.ours_width:.1f} | "
        f"{one.bootstrap:.1f} % | {one.bootstrap_width:.1f} |"
        for (seeds, effect), one in found.items()
    ]
    shares = [one.ours for (seeds, _), one in found.items() if seeds >= 3]
    low, high = min(shares), max(shares)
    reached = GOAL[0] <= low and high <= GOAL[1]
    lines += [
        "",
        f"Goal with 3 seeds and more, {GOAL[0]:g} to {GOAL[1]:g} %: found {low:.1f} to "
        f"{high:.1f} %, {verdict(reached)}.",
        "",
        f"Machine: {machine(threads=None)}.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = simulation_arguments(__doc__, studies=1000)
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    options = parser.parse_args(argv)
    found: dict[tuple[int, float], Coverage] = {}
    for seeds, effect in itertools.product(SEEDS, SEED_EFFECTS):
        found[seeds, effect] = coverage(seeds, effect, options)
        print(f"{seeds} seeds, {effect:g}: {found[seeds, effect]}", flush=True)
    write_section(options.page, "Intervals", report(found, options))


if __name__ == "__main__":
    main()
