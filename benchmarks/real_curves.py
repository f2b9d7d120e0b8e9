"""How far forecasts of gaps are off on real learning curves, beside "the gap stays as it is"."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from common import ROOT, machine, simulation_arguments, verdict, write_section
from gap.results.curves import Curve, Measured, fit_curve, widening
from numpy.typing import NDArray

DATA = ROOT / "benchmarks" / "lcdb.parquet"
# The published means are over so many splits.
SPLITS = 25
MARGIN = 1.0
# Sizes that are measured; forecasts are for twice and four times the largest.
DESIGNS = (
    (64, 128, 256, 512, 1024),
    (64, 256, 1024),
    (64, 256, 1024, 4096),
    (256, 512, 1024, 2048, 4096),
)
PRETRAINED, GUESSING = "TabPFNv2", "DummyClassifier"
# Learners that few would take; their curves often fall.
UNUSUAL = {
    GUESSING,
    PRETRAINED,
    "MultinomialNB",
    "ComplementNB",
    "SVM_Sigmoid",
    "QDA",
    "Perceptron",
    "PassiveAggressive",
    "NearestCentroid",
}
GROUPS = ("pretrained reference", "usual learners", "all")
GOAL = (93.0, 97.0)
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class RealCurve:
    """A learner's accuracy (percent) on a data set by size, with standard deviations of a split."""

    dataset: int
    learner: str
    accuracies: dict[int, float]
    deviations: dict[int, float]


def read_curves(path: Path, half: str) -> list[RealCurve]:
    """Return the curves of the data sets of a half: "train", "test", or "both"."""
    table = pq.read_table(path).to_pydict()
    curves: dict[tuple[int, str], RealCurve] = {}
    columns = (table[name] for name in ("dataset", "learner", "n", "error", "standard_error"))
    for dataset, learner, n, error, deviation in zip(*columns, strict=True):
        if half not in ("both", half_of(dataset)):
            continue
        curve = curves.setdefault((dataset, learner), RealCurve(dataset, learner, {}, {}))
        curve.accuracies[n] = 100 - error
        curve.deviations[n] = deviation * SPLITS**0.5
    return list(curves.values())


def half_of(dataset: int) -> str:
    """Return the half that a data set is in: "train" or "test"."""
    return ("train", "test")[zlib.crc32(str(dataset).encode()) % 2]


@dataclass(frozen=True)
class Forecast:
    """A curve's forecast at twice and four times the largest size, and what it is compared with."""

    curve: Curve
    last: float
    truth: Vector


def forecast(curve: RealCurve, design: Sequence[int], seeds: int) -> Forecast | None:
    """Return the forecast from a design's sizes, each measured with so many simulated seeds."""
    ahead = [2 * design[-1], 4 * design[-1]]
    if not all(n in curve.accuracies for n in (*design, *ahead)):
        return None
    key = f"{curve.dataset} {curve.learner} {design}".encode()
    rng = np.random.default_rng(zlib.crc32(key))
    errors = np.array([max(curve.deviations[n], 0.25) for n in design]) / seeds**0.5
    values = np.array([curve.accuracies[n] for n in design]) + rng.normal(0, errors)
    measured = Measured(np.array(design, dtype=np.float64), values, errors**2)
    fitted = fit_curve(measured, np.array(ahead, dtype=np.float64))
    truth = np.array([curve.accuracies[n] for n in ahead])
    return Forecast(fitted, float(values[-1]), truth)


def group_of(first: RealCurve, second: RealCurve) -> set[str]:
    """Return the groups that a pair of learners is in."""
    learners = {first.learner, second.learner}
    groups = {"all"}
    if PRETRAINED in learners and GUESSING not in learners:
        groups.add("pretrained reference")
    if not learners & UNUSUAL:
        groups.add("usual learners")
    return groups


@dataclass
class Errors:
    """Errors in points of all pairs of a group at one distance, and what intervals held."""

    project: list[float]
    last: list[float]
    held: list[bool]
    widths: list[float]
    closing: list[bool]


def compare(
    curves: Sequence[RealCurve], design: Sequence[int], seeds: int
) -> dict[str, list[Errors]]:
    """Return the errors of each group at twice and at four times the largest size."""
    forecasts = {
        (curve.dataset, curve.learner): (curve, made)
        for curve in curves
        if (made := forecast(curve, design, seeds)) is not None
    }
    by_dataset: dict[int, list[tuple[RealCurve, Forecast]]] = {}
    for curve, made in forecasts.values():
        by_dataset.setdefault(curve.dataset, []).append((curve, made))
    results = {group: [Errors([], [], [], [], []) for _ in range(2)] for group in GROUPS}
    factors = widening(design[0], design[-1], np.array([2.0, 4.0]) * design[-1])
    for members in by_dataset.values():
        for (curve, one), (rival, other) in combinations(members, 2):
            for group in group_of(curve, rival):
                _add(results[group], one, other, factors)
    return results


def _add(errors: list[Errors], one: Forecast, other: Forecast, factors: Vector) -> None:
    for place, group in enumerate(errors):
        truth = one.truth[place] - other.truth[place]
        value = one.curve.values[place] - other.curve.values[place]
        last = one.last - other.last
        variance = one.curve.variances[place] + other.curve.variances[place]
        half = 1.96 * float(np.sqrt(variance)) * factors[place]
        group.project.append(abs(value - truth))
        group.last.append(abs(last - truth))
        group.held.append(abs(value - truth) <= half)
        group.widths.append(2 * half)
        group.closing.append(abs(last) > MARGIN >= abs(truth))


def report(
    results: dict[tuple[int, ...], dict[str, list[Errors]]], options: argparse.Namespace
) -> str:
    """Return the section of the page."""
    lines = [
        f"Pairs of learners of LCDB 1.1 (data sets of the {options.half} half), measured at the "
        f"sizes given with {options.seeds} simulated seeds; forecast is the gap at 2 and 4 times "
        "the largest. Off by: mean absolute error in points, beside that of the last gap. Held: "
        "the share of 95 % intervals that hold the gap; closing: of gaps that were above 1 point "
        "at the largest size and are within it there.",
        "",
        "| sizes | pairs | group | times | off by | last gap | held | closing | width |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    better, held = [], []
    for design, groups in results.items():
        for group, errors in groups.items():
            for times, each in zip((2, 4), errors, strict=True):
                if len(each.held) < options.fewest:
                    continue
                off, last = float(np.mean(each.project)), float(np.mean(each.last))
                closing = np.array(each.held)[np.array(each.closing)]
                held.append(100 * float(np.mean(each.held)))
                better.append(off < last)
                lines.append(
                    f"| {', '.join(map(str, design))} | {len(each.held):,} | {group} | {times} | "
                    f"{off:.2f} | {last:.2f} | {held[-1]:.1f} % | "
                    f"{100 * closing.mean() if len(closing) else float('nan'):.1f} % | "
                    f"{np.mean(each.widths):.1f} |"
                )
    lines += [
        "",
        f"- nearer than the last gap: in {sum(better)} of {len(better)} lines, "
        f"{verdict(all(better))}",
        f"- held, {GOAL[0]:g} to {GOAL[1]:g} %: {min(held):.1f} to {max(held):.1f} %, "
        f"{verdict(GOAL[0] <= min(held) and max(held) <= GOAL[1])}",
        "",
        f"Machine: {machine(threads=None)}.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = simulation_arguments(__doc__, studies=1)
    parser.add_argument("--half", choices=("train", "test", "both"), default="test")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each size")
    parser.add_argument("--fewest", type=int, default=100, help="pairs that a line needs")
    options = parser.parse_args(argv)
    curves = read_curves(DATA, options.half)
    results: dict[tuple[int, ...], dict[str, list[Errors]]] = {}
    for design in DESIGNS:
        results[design] = compare(curves, design, options.seeds)
        print(f"{design}: done", flush=True)
    write_section(options.page, "Forecasts on real curves", report(results, options))


if __name__ == "__main__":
    main()
