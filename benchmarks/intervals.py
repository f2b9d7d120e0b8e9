"""How often intervals of gaps hold the true gap, in simulated studies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from common import machine, simulation_arguments, verdict, write_section
from gap.results.predictions import Cell
from gap.results.run_scores import RunScores
from gap.results.statistics import Claim, differences
from gap.results.study_errors import StudyErrors
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from student_intervals import Estimate as SingleGap
from student_intervals import claims
from student_intervals import gap as single_gap

CONFIDENCE, MARGIN = 0.95, 1.0
# Share of the gaps whose interval holds the true gap, in percent, and widths beside the peer's.
GOAL, NARROWER = (93.0, 97.0), 0.6
# Claims that are wrong, in percent: over all settings, and in the worst.
WRONG = (2.5, 5.0)
SIZES = (250, 1000, 4000, 16_000)
REFERENCE = "model 0"
# Spreads (standard deviations) on the scale on which chance alone has 1: how hard a test row is for
# all models, and for one of them beyond that.
HARD_FOR_ALL, HARD_FOR_ONE = 1.0, 0.5
SCALE = float(np.sqrt(1 + HARD_FOR_ALL**2 + HARD_FOR_ONE**2))
# One seed in ten loses so many points, or all that is beyond guessing.
LOST_SHARE, LOST_POINTS, GUESSING = 0.1, 6.0, 50.0
Vector = NDArray[np.float64]
ACCURACIES = np.array(
    [
        [82.0, 85, 88, 90],
        [65, 74, 80, 85],
        [68, 76, 81, 84],
        [75, 80, 84, 87],
        [72, 77, 80, 82],
    ]
)
# What seeds do to a model at a size: standard deviations in points.
SPREADS = np.array(
    [
        [2.0, 1.2, 0.6, 0.4],
        [3.0, 2.0, 1.0, 0.6],
        [2.5, 1.5, 0.8, 0.5],
        [1.5, 0.9, 0.5, 0.3],
        [0.4, 0.3, 0.2, 0.2],
    ]
)
NEAR = ACCURACIES[0] - np.array(
    [[0, 0, 0, 0], [0.2, 0.5, 2, 3], [0, -0.3, 0.3, 1.7], [2.2, 3, 4, 0.6], [0.4, 0.1, -2, 2.5]]
)
FIVE_POINTS = np.vstack([np.full(4, 90.0), np.full((4, 4), 85.0)])


@dataclass(frozen=True, eq=False)
class Setting:
    """What a simulated study is like; `spreads` None: they differ 25 times, without a pattern."""

    name: str
    seeds: tuple[int, ...] = (3, 3, 3, 5, 5)
    accuracies: Vector = field(default_factory=lambda: ACCURACIES)
    spreads: Vector | None = field(default_factory=lambda: SPREADS)
    lost: Literal["", "points", "all"] = ""
    rows: int | None = None


SETTINGS = (
    Setting("like the default study"),
    Setting("no effect of seeds", spreads=np.zeros((5, 4))),
    Setting("variances differ 25 times, no pattern", spreads=None),
    Setting("one seed in ten loses 6 points", lost="points"),
    Setting("one seed in ten falls to chance", lost="all"),
    Setting("2 seeds each", seeds=(2,) * 5),
    Setting("5 seeds each", seeds=(5,) * 5),
    Setting("gaps near the margin", accuracies=NEAR, spreads=SPREADS / 2),
    *(
        Setting(f"{rows} test rows, gaps of 5 points", accuracies=FIVE_POINTS, rows=rows)
        for rows in (4, 20, 50, 100)
    ),
)


def simulate(rng: np.random.Generator, setting: Setting, rows: int) -> tuple[RunScores, Vector]:
    """Return the scores of a study's runs, and the true accuracies in percent, (models, sizes)."""
    spreads = setting.spreads
    if spreads is None:
        spreads = np.exp(rng.uniform(np.log(0.3), np.log(1.5), (len(setting.seeds), len(SIZES))))
    hard = rng.normal(0, HARD_FOR_ALL, rows)
    cells, seeds, correct = [], [], []
    truth = np.empty(setting.accuracies.shape)
    for model, count in enumerate(setting.seeds):
        of_model = hard + rng.normal(0, HARD_FOR_ONE, rows)
        for size, n in enumerate(SIZES):
            level = float(ndtri(setting.accuracies[model, size] / 100))
            density = np.exp(-(level**2) / 2) / np.sqrt(2 * np.pi)
            effect = spreads[model, size] / 100 / density * SCALE
            truth[model, size] = 100 * ndtr(level * SCALE / np.hypot(SCALE, effect))
            for seed in range(count):
                place = level * SCALE + rng.normal(0, effect)
                right = place + of_model + rng.standard_normal(rows) > 0
                cells.append(Cell("films", f"model {model}", str(n), n))
                seeds.append(seed)
                correct.append(_lose(rng, right, 100 * ndtr(place / SCALE), setting.lost))
    if setting.lost:
        left = GUESSING if setting.lost == "all" else truth - LOST_POINTS
        truth = (1 - LOST_SHARE) * truth + LOST_SHARE * left
    return RunScores(cells, seeds, np.float32(100) * np.stack(correct)), truth


def _lose(
    rng: np.random.Generator, right: NDArray[np.bool_], accuracy: float, lost: str
) -> NDArray[np.bool_]:
    """Return what one seed in ten has left of its right rows."""
    if not lost or rng.random() >= LOST_SHARE:
        return right
    if lost == "all":
        return rng.random(len(right)) < GUESSING / 100
    return right & (rng.random(len(right)) >= LOST_POINTS / accuracy)


@dataclass
class Tally:
    """What intervals and claims of one method came to, over all studies."""

    held: list[NDArray[np.bool_]] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    claims: int = 0
    wrong: int = 0
    none_wrong: int = 0

    def add(self, ends: Vector, truth: Vector, values: Vector, claims: Sequence[Claim]) -> None:
        """Count a study: ends (gaps, 2), true and estimated gaps (gaps,), and what is claimed."""
        self.held.append((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        self.widths.append(float((ends[:, 1] - ends[:, 0]).mean()))
        for claim, gap, value in zip(claims, truth, values, strict=True):
            self.claims += claim != "unclear"
            none_wrong = claim == "none" and abs(gap) > MARGIN
            self.none_wrong += none_wrong
            self.wrong += none_wrong or (
                claim == "clear" and (abs(gap) < MARGIN or np.sign(gap) != np.sign(value))
            )

    @property
    def coverage(self) -> float:
        """The share of intervals that hold the true gap, in percent."""
        return 100 * float(np.mean(self.held))

    @property
    def worst(self) -> float:
        """The same in the cell in which it is lowest."""
        return 100 * float(np.mean(self.held, axis=0).min())

    @property
    def width(self) -> float:
        """The mean width of intervals, in points."""
        return float(np.mean(self.widths))

    @property
    def gaps(self) -> int:
        """The number of gaps."""
        return sum(map(len, self.held))


def run(setting: Setting, options: argparse.Namespace) -> tuple[Tally, Tally]:
    """Return what this project's intervals came to, and those of single gaps."""
    project, peer = Tally(), Tally()
    for study in range(options.studies):
        rng = np.random.default_rng([options.seed, study, *setting.name.encode()])
        scores, accuracies = simulate(rng, setting, setting.rows or options.rows)
        errors = StudyErrors(scores, REFERENCE)
        truth = np.array([_gap(accuracies, cell) for cell in errors.compared])
        gaps = [errors.gap(cell) for cell in errors.compared]
        values = np.array([gap.value for gap in gaps])
        ends = np.array([gap.interval(CONFIDENCE) for gap in gaps])
        project.add(ends, truth, values, differences(gaps, MARGIN, CONFIDENCE))
        peer_gaps = gaps_alone(errors)
        values = np.array([gap.value for gap in peer_gaps])
        ends = np.array([gap.interval(CONFIDENCE) for gap in peer_gaps])
        peer.add(ends, truth, values, claims(peer_gaps, MARGIN, CONFIDENCE))
    return project, peer


def _gap(accuracies: Vector, cell: Cell) -> float:
    size = SIZES.index(cell.n)
    return float(accuracies[0, size] - accuracies[int(cell.model.split()[1]), size])


def gaps_alone(errors: StudyErrors) -> list[SingleGap]:
    """Return the peer's gap of each cell that is compared."""
    scores = errors.scores
    right = {
        cell: {scores.seeds[run]: scores.values[run] > 0 for run in errors.runs(cell)}
        for cell in errors.cells
    }
    return [single_gap(right[errors.reference_of(cell)], right[cell]) for cell in errors.compared]


def report(results: dict[Setting, tuple[Tally, Tally]], options: argparse.Namespace) -> str:
    """Return the section of the page."""
    lines = [
        f"{options.studies:,} simulated studies a line, each of 5 models at 4 sizes with 3 seeds "
        f"(5 of the two cheapest) and {options.rows:,} test rows unless the line says otherwise; "
        f"intervals of {CONFIDENCE:.0%}, margin {MARGIN:g}. Held: the share of intervals that hold "
        "the true gap (in the worst of 16 cells). Widths in points. Decided: the share of gaps "
        "that are called clear or none; wrong: the share of such claims that are wrong. Peer: each "
        "gap alone, by Student's t.",
        "",
        "| setting | held | width | peer: held | width | ratio | decided | peer | wrong | peer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for setting, (project, peer) in results.items():
        both = project, peer
        decided = " | ".join(f"{share(tally.claims, tally.gaps):.0f} %" for tally in both)
        wrong = " | ".join(f"{share(tally.wrong, tally.claims):.1f} %" for tally in both)
        lines.append(
            f"| {setting.name} | {project.coverage:.1f} % ({project.worst:.1f}) | "
            f"{project.width:.1f} | {peer.coverage:.1f} % | {peer.width:.1f} | "
            f"{project.width / peer.width:.2f} | {decided} | {wrong} |"
        )
    return "\n".join([*lines, "", *_goals(results), "", f"Machine: {machine(threads=None)}."])


def share(part: int, whole: int) -> float:
    """Return a part of a whole in percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def _goals(results: dict[Setting, tuple[Tally, Tally]]) -> list[str]:
    usual = {
        setting.name: pair
        for setting, pair in results.items()
        if not setting.rows and min(setting.seeds) >= 3 and setting.lost != "all"
    }
    held = [project.coverage for project, _ in usual.values()]
    ratios = {name: project.width / peer.width for name, (project, peer) in usual.items()}
    wide = [name for name, ratio in ratios.items() if ratio > NARROWER]
    wrong = [share(project.wrong, project.claims) for project, _ in results.values()]
    whole = share(
        sum(project.wrong for project, _ in results.values()),
        sum(project.claims for project, _ in results.values()),
    )
    return [
        f"- held, {GOAL[0]:g} to {GOAL[1]:g} % with 3 seeds and more and 2,000 rows: "
        f"{min(held):.1f} to {max(held):.1f} %, "
        f"{verdict(GOAL[0] <= min(held) and max(held) <= GOAL[1])}",
        f"- width at most {NARROWER:g} times the peer's: "
        + (f"not in: {', '.join(wide)}" if wide else "reached"),
        f"- wrong claims, at most {WRONG[0]:g} % over all: {whole:.2f} %, "
        f"{verdict(whole <= WRONG[0])}; at most {WRONG[1]:g} % in the worst setting: "
        f"{max(wrong):.1f} %, {verdict(max(wrong) <= WRONG[1])}",
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = simulation_arguments(__doc__, studies=300)
    options = parser.parse_args(argv)
    results = {}
    for setting in SETTINGS:
        results[setting] = run(setting, options)
        project, peer = results[setting]
        print(f"{setting.name}: {project.coverage:.1f} ({peer.coverage:.1f}) %", flush=True)
    write_section(options.page, "Intervals", report(results, options))


if __name__ == "__main__":
    main()
