"""The gaps of a finished study: intervals and claims beside those of each gap alone."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import get_args

from common import PAGE, ROOT, load_config, machine, write_section
from gap.results.predictions import Cell, CorrectRows, Paths, index, read_correct
from gap.results.run_scores import scores_of
from gap.results.statistics import Claim, Estimate, differences
from gap.results.study_errors import StudyErrors
from gap.run.errors import UserError
from gap.run.program import run
from intervals import gaps_alone
from student_intervals import Estimate as SingleGap
from student_intervals import claims


@dataclass(frozen=True)
class Said:
    """A gap, half the width of its interval, both in points, and what is claimed of it."""

    gap: float
    half: float
    claim: Claim


@dataclass(frozen=True)
class Compared:
    """What is said of a cell's gap by this project, and of each gap alone."""

    cell: Cell
    project: Said
    alone: Said


def find_predictions(results: Path) -> Paths:
    """Return the predictions files of a study's results. Raises UserError where there is none."""
    paths = sorted(path for path in results.rglob("predictions.parquet") if _is_kept(path))
    if not paths:
        raise UserError(
            f"{results}: no predictions.parquet; expected the results of a finished study; run it "
            "first, or name another folder with --results"
        )
    cells = index([str(path) for path in paths])
    return dict(sorted(cells.items(), key=lambda item: (item[0].dataset, item[0].model, item[0].n)))


def _is_kept(path: Path) -> bool:
    # Finished work has a second name there.
    return ".state" not in path.parts


def read_studies(cells: Paths, reference: str, seeds: int | None) -> Iterator[StudyErrors]:
    """Yield each data set; `seeds`: only so many of each cell's seeds, the lowest ones."""
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        correct: dict[Cell, CorrectRows] = {
            cell: dict(sorted(read_correct(paths).items())[:seeds])
            for cell, paths in cells.items()
            if cell.dataset == dataset
        }
        yield StudyErrors(scores_of(correct), reference)


def half_width(ends: tuple[float, float]) -> float:
    """Return half the width of an interval."""
    return (ends[1] - ends[0]) / 2


def compare(studies: Sequence[StudyErrors], margin: float, confidence: float) -> list[Compared]:
    """Return all gaps of the studies, which are judged together."""
    cells: list[Cell] = [cell for errors in studies for cell in errors.compared]
    gaps: list[Estimate] = [errors.gap(cell) for errors in studies for cell in errors.compared]
    alone: list[SingleGap] = [gap for errors in studies for gap in gaps_alone(errors)]
    said = differences(gaps, margin, confidence), claims(alone, margin, confidence)
    return [
        Compared(
            cell,
            Said(gap.value, half_width(gap.interval(confidence)), claim),
            Said(single.value, single.half_width(confidence), claim_alone),
        )
        for cell, gap, single, claim, claim_alone in zip(cells, gaps, alone, *said, strict=True)
    ]


def report(rows: Sequence[Compared], studies: Sequence[StudyErrors], reference: str) -> str:
    """Return the section of the page."""
    seeds = sorted({len(errors.runs(cell)) for errors in studies for cell in errors.cells})
    test_rows = sorted({errors.scores.rows for errors in studies})
    lines = [
        f"A study with {' or '.join(map(str, seeds))} seeds a cell and "
        f"{', '.join(f'{number:,}' for number in test_rows)} test rows; gaps to {reference}, with "
        "half the widths of their intervals. Alone: each gap by Student's t, of the seeds that "
        "both models have, as it was done before.",
        "",
        "| data set | model | n | gap | ± | claim | alone: gap | ± | claim |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.cell.dataset, row.cell.model, f"{row.cell.n:,}"]
        for said in (row.project, row.alone):
            cells += [f"{said.gap:.1f}", f"{said.half:.1f}", said.claim]
        lines.append(f"| {' | '.join(cells)} |")
    project, alone = [row.project for row in rows], [row.alone for row in rows]
    return "\n".join(
        [
            *lines,
            "",
            f"- half the width, median: {median(said.half for said in project):.1f} points, alone "
            f"{median(said.half for said in alone):.1f}",
            f"- of {len(rows)} gaps: {_spell(project)}; alone: {_spell(alone)}",
            "",
            f"Machine: {machine(threads=None)}.",
        ]
    )


def _spell(said: Sequence[Said]) -> str:
    counts = Counter(each.claim for each in said)
    return ", ".join(f"{counts[claim]} {claim}" for claim in get_args(Claim))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the study")
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="of the study")
    parser.add_argument("--reference", help="another model than that of the config")
    parser.add_argument("--seeds", type=int, help="of each cell, the lowest ones; left out, all")
    parser.add_argument("--name", default="default study", help="what the section calls the study")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    options = parser.parse_args(argv)
    config = load_config(options.config)
    reference = options.reference or config["reference"]
    cells = find_predictions(options.results)
    studies = list(read_studies(cells, reference, options.seeds))
    rows = compare(studies, config["gap"]["margin"], config["gap"]["confidence"])
    if not rows:
        raise UserError(f"{options.results}: no size at which {reference} meets another model")
    write_section(options.page, f"Claims of the {options.name}", report(rows, studies, reference))


if __name__ == "__main__":
    run(main)
