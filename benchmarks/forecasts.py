"""How well the size at which a gap closes is forecast, in simulated studies where it is known."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from common import machine, simulation_arguments, write_section
from gap.results.curves import REACH, Measured, crossing, crossings, curves, held_back, measured
from intervals import HARD_FOR_BOTH, HARD_FOR_ONE, right, spread
from numpy.typing import NDArray
from scipy.special import ndtri

CONFIDENCE, MARGIN = 0.95, 1.0
# The reference's accuracy at every size, and what a seed does to a model, as in intervals.py.
REFERENCE, SEED_EFFECT = 0.88, 0.03
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """A gap in points by size, and the sizes at which a study measures it."""

    name: str
    sizes: tuple[int, ...]
    gap: Callable[[Vector], Vector]

    @property
    def crossing(self) -> float:
        """The size from which on the gap is at most the margin."""
        n = np.geomspace(self.sizes[0], 1000 * self.sizes[-1], 100_000)
        return float(crossings(n, self.gap(n)[None, :], MARGIN)[0])


WIDE, NARROW = (250, 500, 1000, 2000, 4000, 8000, 16_000), (250, 1000, 4000, 16_000)
TRUTHS = (
    Truth("power law, closes inside", WIDE, lambda n: 60 * n**-0.5),
    Truth("the same, four sizes", NARROW, lambda n: 60 * n**-0.5),
    Truth("power law, closes at twice the largest", WIDE, lambda n: 22 * n**-0.298),
    Truth("power law with offset, closes inside", WIDE, lambda n: 100 * n**-0.6 + 0.5),
    Truth("logarithmic, closes inside", WIDE, lambda n: 19 - 2 * np.log(n)),
    Truth("exponential, closes inside", WIDE, lambda n: 12 * np.exp(-n / 1500) + 0.2),
    Truth("never closes", WIDE, lambda n: 30 * n**-0.4 + 3),
)


def simulate(rng: np.random.Generator, truth: Truth, seeds: int, rows: int) -> Measured:
    """Return the gaps that one study measures."""
    hard, own = rng.normal(0, HARD_FOR_BOTH, rows), rng.normal(0, HARD_FOR_ONE, (2, rows))
    values = []
    for gap in truth.gap(np.array(truth.sizes, dtype=float)):
        levels = spread(SEED_EFFECT) * ndtri([REFERENCE, REFERENCE - gap / 100])
        models = [
            right(rng, level, hard + of_model, seeds, SEED_EFFECT)
            for level, of_model in zip(levels, own, strict=True)
        ]
        values.append(models[0].astype(np.int8) - models[1])
    return measured(truth.sizes, values)


@dataclass(frozen=True)
class Found:
    """What the studies of one truth came to."""

    covered: float
    closes: float
    factor: float
    low: float
    high: float
    forecasts_covered: float
    forecast_error: float


def forecast(truth: Truth, options: argparse.Namespace) -> Found:
    """Return how studies of one truth forecast its crossing, and sizes that were held back."""
    where, errors, inside = [], [], []
    for study in range(options.studies):
        rng = np.random.default_rng([options.seed, study])
        known = simulate(rng, truth, options.seeds, options.rows)
        one = crossing(curves(known, rng, options.draws), MARGIN, CONFIDENCE)
        where.append((one.n, one.low, one.high))
        for held in held_back(known, CONFIDENCE, rng, options.draws):
            errors.append(abs(held.value - held.measured))
            inside.append(held.low <= held.measured <= held.high)
    n, low, high = np.array(where).T
    true = truth.crossing
    # A crossing beyond their reach is rightly forecast as not within reach.
    reached = true if true <= REACH * truth.sizes[-1] else np.inf
    factors = np.exp(np.abs(np.log(n[np.isfinite(n)] / true))) if np.isfinite(true) else []
    return Found(
        covered=100 * float(((low <= reached) & (reached <= high)).mean()),
        closes=100 * float(np.isfinite(n).mean()),
        factor=float(np.median(factors)) if len(factors) else float("nan"),
        low=float(np.quantile(low, 0.5, method="nearest")),
        high=float(np.quantile(high, 0.5, method="nearest")),
        forecasts_covered=100 * float(np.mean(inside)),
        forecast_error=float(np.median(errors)),
    )


def report(found: dict[Truth, Found], options: argparse.Namespace) -> str:
    """Return the section of the page."""
    lines = [
        f"{options.studies:,} simulated studies a line, {options.seeds} seeds, {options.rows:,} "
        f"test rows, a reference right on {REFERENCE:.0%} of them; margin {MARGIN:g} point, "
        f"intervals of {CONFIDENCE:.0%}. Off by: the median factor between the forecast and the "
        "true size, of the forecasts that name one. The interval is that of the median ends. "
        "Held back: each size from the fourth on, forecast from all below it.",
        "",
        "| gap | closes at | interval holds that in | median interval | says that it closes in "
        "| off by | held back: interval holds it in | median error, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for truth, one in found.items():
        cells = [truth.name, named(truth.crossing), f"{one.covered:.1f} %"]
        cells += [f"{named(one.low)} to {named(one.high)}", f"{one.closes:.0f} %"]
        cells += ["" if np.isnan(one.factor) else f"{one.factor:.2f}"]
        cells += [f"{one.forecasts_covered:.1f} %", f"{one.forecast_error:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Machine: {machine(threads=None)}."])


def named(n: float) -> str:
    """Return a size as text."""
    return f"{n:,.0f}" if np.isfinite(n) else "never"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = simulation_arguments(__doc__, studies=200)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each study")
    parser.add_argument("--draws", type=int, default=500, help="draws behind each interval")
    options = parser.parse_args(argv)
    found = {}
    for truth in TRUTHS:
        found[truth] = forecast(truth, options)
        print(f"{truth.name}: {found[truth]}", flush=True)
    write_section(options.page, "Forecasts of the crossing", report(found, options))


if __name__ == "__main__":
    main()
