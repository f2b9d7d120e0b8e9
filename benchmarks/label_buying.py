"""How well labels are bought for a target, replayed on real learning curves."""

from __future__ import annotations

import argparse
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from common import machine, simulation_arguments, verdict, write_section
from gap.results.curves import Measured
from gap.results.targets import Attainment, attainment, first_with, next_labels
from real_curves import DATA, PRETRAINED, UNUSUAL, RealCurve, read_curves

# Sizes that are measured at first.
DESIGNS = (
    (64, 128, 256, 512, 1024),
    (64, 256, 1024),
    (64, 256, 1024, 4096),
    (256, 512, 1024, 2048, 4096),
)
RISK = 0.1
# A target is so many points above what is measured at first, drawn evenly between these.
ABOVE = (0.5, 4.0)
GOAL = 1.2
# Promises are put together between these.
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.01)


@dataclass
class Replay:
    """What became of promises and of purchases on the curves of one design.

    `promises` are chances of being at the target that were told of sizes that curves have, and
    `kept` whether it was so. Of each purchase that came to an end, `reached` is whether the target
    was reached, and `excess` the labels bought as a multiple of those that were needed; `rounds`
    counts purchases. `open` counts curves that end before.
    """

    promises: list[float] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    open: int = 0
    given_up: int = 0


@dataclass
class Buyer:
    """Someone who measures a real curve, with so many simulated seeds at each size."""

    curve: RealCurve
    rng: np.random.Generator
    seeds: int
    sizes: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)

    def measure(self, n: int) -> None:
        """Measure the curve with n labels."""
        error = max(between(self.curve.deviations, n), 0.25) / self.seeds**0.5
        self.sizes.append(n)
        self.values.append(self.truth(n) + self.rng.normal(0, error))
        self.variances.append(error**2)

    def truth(self, n: int) -> float:
        """Return the real accuracy with n labels."""
        return between(self.curve.accuracies, n)

    def forecast(self, target: float) -> Attainment:
        """Return the chances of being at the target."""
        n = np.array(self.sizes, dtype=np.float64)
        measured = Measured(n, np.array(self.values), np.array(self.variances))
        return attainment(measured, 0.0, target)


def between(values: Mapping[int, float], n: int) -> float:
    """Return the value with n labels, on a line over the logarithm of n between real sizes."""
    sizes = sorted(values)
    return float(np.interp(math.log(n), np.log(sizes), [values[size] for size in sizes]))


def needed(curve: RealCurve, target: float) -> float:
    """Return the first number of labels with which a curve is at the target; may be infinite."""
    sizes = sorted(curve.accuracies)
    accuracies = [curve.accuracies[n] for n in sizes]
    return first_with(np.array(sizes, dtype=np.float64), np.array(accuracies), target)


def replay(curves: Sequence[RealCurve], design: Sequence[int], seeds: int) -> Replay:
    """Return what becomes of a target on each curve that has the sizes of a design."""
    result = Replay()
    for curve in curves:
        if not all(n in curve.accuracies for n in (*design, 2 * design[-1])):
            continue
        key = f"{curve.dataset} {curve.learner} {design}".encode()
        buyer = Buyer(curve, np.random.default_rng(zlib.crc32(key)), seeds)
        for n in design:
            buyer.measure(n)
        target = buyer.values[-1] + buyer.rng.uniform(*ABOVE)
        _add_promises(result, buyer, target)
        _buy(result, buyer, target)
    return result


def _add_promises(result: Replay, buyer: Buyer, target: float) -> None:
    """Add what is told of twice and four times the largest size."""
    told = buyer.forecast(target)
    for times in (2, 4):
        n = times * buyer.sizes[-1]
        if n in buyer.curve.accuracies:
            result.promises.append(told.at(n))
            result.kept.append(buyer.curve.accuracies[n] >= target)


def _buy(result: Replay, buyer: Buyer, target: float) -> None:
    """Buy as the project advises, until the target is told to be reached."""
    rounds = 0
    while True:
        labels = buyer.sizes[-1]
        wanted = next_labels(buyer.forecast(target), labels, RISK)
        if wanted is None:
            result.given_up += 1
            return
        if wanted == labels:
            break
        if wanted > max(buyer.curve.accuracies):
            result.open += 1
            return
        buyer.measure(wanted)
        rounds += 1
    result.reached.append(buyer.truth(buyer.sizes[-1]) >= target)
    enough = needed(buyer.curve, target)
    if rounds and math.isfinite(enough):
        result.rounds.append(rounds)
        result.excess.append(buyer.sizes[-1] / enough)


def describe(replays: Mapping[tuple[int, ...], Replay]) -> str:
    """Return the tables of purchases and of promises."""
    lines = [
        "| sizes | curves that come to an end | missed | labels to those needed, median | nine of "
        "ten below | purchases | end before | given up |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for design, each in replays.items():
        lines.append(
            f"| {', '.join(map(str, design))} | {len(each.reached):,} | "
            f"{100 * (1 - np.mean(each.reached)):.1f} % | {np.median(each.excess):.2f} | "
            f"{np.quantile(each.excess, 0.9):.2f} | {np.mean(each.rounds):.1f} | {each.open:,} | "
            f"{each.given_up:,} |"
        )
    missed = 1 - float(np.mean([one for each in replays.values() for one in each.reached]))
    excess = float(np.median([one for each in replays.values() for one in each.excess]))
    lines += [
        "",
        f"- missed, {100 * RISK:.0f} % promised: {100 * missed:.1f} %, {verdict(missed <= RISK)}",
        f"- labels to those needed, median: {excess:.2f}; goal at most {GOAL:g}: "
        f"{verdict(excess <= GOAL)}",
        "",
        "Chances of being at the target that were told of twice and four times the largest size, "
        "beside how often it was so:",
        "",
        "| told | so often, % | forecasts |",
        "|---|---|---|",
    ]
    promises = np.array([one for each in replays.values() for one in each.promises])
    kept = np.array([one for each in replays.values() for one in each.kept])
    for low, high in pairwise(EDGES):
        members = (promises >= low) & (promises < high)
        if members.any():
            share = 100 * kept[members].mean()
            words = f"{100 * low:.0f} to {100 * min(high, 1):.0f} %"
            lines.append(f"| {words} | {share:.0f} | {members.sum():,} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = simulation_arguments(__doc__, studies=1)
    parser.add_argument("--half", choices=("train", "test", "both"), default="test")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each size")
    given: argparse.Namespace = parser.parse_args(argv)
    usual = UNUSUAL - {PRETRAINED}
    curves = [curve for curve in read_curves(DATA, given.half) if curve.learner not in usual]
    replays: dict[tuple[int, ...], Replay] = {}
    for design in DESIGNS:
        replays[design] = replay(curves, design, given.seeds)
    text = (
        f"Learning curves of LCDB 1.1 (data sets of the {given.half} half; learners that few would "
        f"take are left out), measured at the sizes given with {given.seeds} simulated seeds; the "
        f"target is {ABOVE[0]:g} to {ABOVE[1]:g} points above what is measured at the largest. "
        "Labels are bought as the summary advises, until the target is told to be reached at a "
        f"risk of {100 * RISK:.0f} %; between two real sizes, which lie a factor of 1.4 apart, "
        "accuracies are interpolated. Missed: of the curves that come to such an end, those whose "
        "true accuracy is below the target there. Labels to those needed: at the end, where any "
        "were bought. End before: more labels are wanted than the curve has. Given up: it is not "
        "told that the target is ever as likely reached as not."
    )
    body = [text, describe(replays), f"Machine: {machine(threads=None)}."]
    write_section(given.page, "Buying labels for a target", "\n\n".join(body))


if __name__ == "__main__":
    main()
