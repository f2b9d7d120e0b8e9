"""How often intervals of gaps hold the true gap, in metrics that are no mean over test rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from common import machine, simulation_arguments, verdict, write_section
from gap.results.predictions import Cell
from gap.results.row_values import ROW_VALUES
from gap.results.run_scores import RunScores, join_runs
from gap.results.statistics import differences
from gap.results.study_errors import StudyErrors
from gap.study.metrics import METRICS, MetricName
from intervals import CONFIDENCE, GOAL, MARGIN, REFERENCE, SIZES, SPREADS, Tally
from numpy.typing import NDArray
from scipy.special import log_softmax

Vector = NDArray[np.float64]
# Shares of the labels.
SHARES = np.array([0.65, 0.25, 0.1])
SEEDS = (3, 3, 3, 5, 5)
# How far the true label stands out, (models, sizes), in standard deviations of what runs add by
# chance.
SIGNALS = np.array(
    [
        [2.2, 2.6, 3.0, 3.4],
        [1.0, 1.6, 2.2, 2.8],
        [1.2, 1.7, 2.2, 2.6],
        [1.7, 2.1, 2.6, 3.0],
        [1.5, 1.9, 2.2, 2.4],
    ]
)
# What rows add for all models, and for one beyond that: standard deviations.
FOR_ALL, FOR_ONE = 1.0, 0.5
# Signals at which metrics are computed on many rows, and how many.
GRID, MANY = np.linspace(-2.0, 6.0, 41), 100_000


def predictions(signal: float, labels: NDArray[np.int32], noise: Vector) -> NDArray[np.float32]:
    """Return log-probabilities (rows, labels) of a run that adds `noise` of that shape."""
    logits = noise + signal * np.eye(len(SHARES))[labels] + np.log(SHARES)
    return np.asarray(log_softmax(logits, axis=1), dtype=np.float32)


def curves(rng: np.random.Generator) -> dict[MetricName, Vector]:
    """Return each metric at the signals of the grid, on so many rows that chance is small."""
    labels = rng.choice(len(SHARES), MANY, p=SHARES).astype(np.int32)
    noise = rng.normal(0, np.sqrt(1 + FOR_ALL**2 + FOR_ONE**2), (MANY, len(SHARES)))
    runs = [predictions(signal, labels, noise) for signal in GRID]
    return {
        name: np.array([evaluate(labels, run).metric for run in runs])
        for name, evaluate in ROW_VALUES.items()
    }


class Truth:
    """What is true of the simulated studies: metrics at each signal, and the spread of signals."""

    def __init__(self, seed: int) -> None:
        self.curves = curves(np.random.default_rng(seed))
        slope = np.interp(SIGNALS, GRID, np.gradient(self.curves["accuracy"], GRID))
        self.spreads = SPREADS / slope

    def values(self, name: MetricName) -> Vector:
        """Return the mean of a metric over seeds and rows, in points, (models, sizes)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        signals = SIGNALS[..., None] + self.spreads[..., None] * nodes
        return np.asarray(np.interp(signals, GRID, self.curves[name]) @ weights / weights.sum())


def simulate(rng: np.random.Generator, truth: Truth, rows: int) -> dict[MetricName, RunScores]:
    """Return the scores of a study's runs in each metric."""
    labels = rng.choice(len(SHARES), rows, p=SHARES).astype(np.int32)
    shape = rows, len(SHARES)
    for_all = rng.normal(0, FOR_ALL, shape)
    runs: dict[Cell, dict[int, NDArray[np.float32]]] = {}
    for model, count in enumerate(SEEDS):
        for_one = for_all + rng.normal(0, FOR_ONE, shape)
        for size, n in enumerate(SIZES):
            by_seed = runs.setdefault(Cell("films", f"model {model}", str(n), n), {})
            for seed in range(count):
                signal = rng.normal(SIGNALS[model, size], truth.spreads[model, size])
                noise = for_one + rng.standard_normal(shape)
                by_seed[seed] = predictions(signal, labels, noise)
    return {
        name: join_runs(
            {
                cell: {seed: evaluate(labels, run) for seed, run in by_seed.items()}
                for cell, by_seed in runs.items()
            }
        )
        for name, evaluate in ROW_VALUES.items()
    }


def run(options: argparse.Namespace) -> dict[MetricName, Tally]:
    """Return what the intervals of each metric came to."""
    truth = Truth(options.seed)
    tallies: dict[MetricName, Tally] = {name: Tally() for name in METRICS}
    for study in range(options.studies):
        rng = np.random.default_rng([options.seed, study])
        for name, scores in simulate(rng, truth, options.rows).items():
            errors = StudyErrors(scores, REFERENCE)
            gaps = [errors.gap(cell) for cell in errors.compared]
            means = truth.values(name)
            places = [(int(c.model.split()[1]), SIZES.index(c.n)) for c in errors.compared]
            true_gaps = np.array([means[0, size] - means[model, size] for model, size in places])
            tallies[name].add(
                np.array([gap.interval(CONFIDENCE) for gap in gaps]),
                true_gaps,
                np.array([gap.value for gap in gaps]),
                differences(gaps, MARGIN, CONFIDENCE),
            )
    return tallies


def report(tallies: dict[MetricName, Tally], options: argparse.Namespace) -> str:
    """Return the section of the page."""
    shares = "/".join(f"{100 * share:.0f}" for share in SHARES)
    lines = [
        f"{options.studies:,} simulated studies of 5 models at 4 sizes with 3 seeds (5 of the two "
        f"cheapest), {options.rows:,} test rows and labels of {shares} %; intervals of "
        f"{CONFIDENCE:.0%}, margin {MARGIN:g}. Held: the share of intervals that hold the true gap "
        "(in the worst of 16 cells). Decided: the share of gaps that are called clear or none; "
        "wrong: the share of such claims that are wrong.",
        "",
        "| metric | held | mean width | decided | wrong |",
        "|---|---|---|---|---|",
    ]
    for name, tally in tallies.items():
        wrong = 100 * tally.wrong / max(1, tally.claims)
        lines.append(
            f"| {METRICS[name].title} | {tally.coverage:.1f} % ({tally.worst:.1f}) | "
            f"{tally.width:.1f} | {100 * tally.claims / tally.gaps:.0f} % | {wrong:.1f} % |"
        )
    held = [tally.coverage for tally in tallies.values()]
    reached = verdict(GOAL[0] <= min(held) and max(held) <= GOAL[1])
    goal = f"- held, {GOAL[0]:g} to {GOAL[1]:g} %: {min(held):.1f} to {max(held):.1f} %, {reached}"
    return "\n".join([*lines, "", goal, "", f"Machine: {machine(threads=None)}."])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    options = simulation_arguments(__doc__, studies=300).parse_args(argv)
    write_section(options.page, "Intervals of other metrics", report(run(options), options))


if __name__ == "__main__":
    main()
