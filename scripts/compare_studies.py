"""Draw several finished studies in one chart, and tell how their gaps differ."""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import hypot
from pathlib import Path
from typing import TypeVar

from compare_provenance import Record, read_record
from gap.report.charts import save_chart
from gap.report.gap_charts import StudyTables, comparison_chart
from gap.report.markdown import markdown_table
from gap.report.styles import DASHES
from gap.report.wording import fill, points, with_interval
from gap.results.outlook import NORMAL, quantile
from gap.results.reading import ReadingRecipe, reading_recipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.tables import columns, read_rows, study_order, write_rows
from gap.run.errors import UserError
from gap.run.json import canonical_json
from gap.run.program import run
from gap.study.cells import cells_of_config
from scipy.stats import false_discovery_control

# What estimate_gap writes and a comparison reads.
TableRow = TypeVar("TableRow", AccuracyRow, GapRow)
UNPAIRED = (
    "The studies are not paired: the interval of a difference adds the half-widths of both gaps in "
    "squares (Zou and Donner 2008). Where the studies share test rows, that interval is rather too "
    "wide than too narrow. Each interval holds for its own difference alone; what is told, larger "
    "or smaller, is held to a false discovery rate over all rows of a table."
)


@dataclass(frozen=True)
class FinishedStudy(StudyTables):
    """A finished study: what to call it, and the record of what it was made from."""

    name: str
    record: Record

    @property
    def made_reference(self) -> str:
        """What the reference is made by: its recipe and its checkpoint."""
        config = self.record.config
        model = config["model_zoo"][self.recipe.reference]
        recipe = {key: value for key, value in model.items() if key not in ("seeds", "title")}
        checkpoint = config.get("checkpoint_zoo", {}).get(model.get("checkpoint"))
        return canonical_json([self.recipe.reference_title, recipe, checkpoint])

    @property
    def runs(self) -> tuple[int, int]:
        """How many runs are not done, and how many the study has."""
        total = sum(cell.count for cell in cells_of_config(self.record.config))
        return total - len(self.record.runs), total


@dataclass(frozen=True)
class InStudy:
    """What a row of several studies has first: the name of its study."""

    study: str


@dataclass(frozen=True)
class StudyAccuracyRow(AccuracyRow, InStudy):
    """A row of accuracies of one of several studies."""


@dataclass(frozen=True)
class StudyGapRow(GapRow, InStudy):
    """A row of gaps of one of several studies."""


def read_study(folder: Path, name: str) -> FinishedStudy:
    """Return the finished study in a folder of results.

    Raises UserError where a file is missing or is not what the workflow writes.
    """
    for file in ("provenance.json", "accuracies.csv", "gaps.csv"):
        if not (folder / file).is_file():
            inside = folder / "results"
            there = (inside / file).is_file()
            raise UserError(
                f"{folder / file}: no such file; expected the results of a finished study; "
                + (f"name {inside}" if there else "finish it first (snakemake --cores all)")
            )
    accuracies = read_estimates(folder / "accuracies.csv", AccuracyRow)
    gaps = read_estimates(folder / "gaps.csv", GapRow)
    if not accuracies:
        raise UserError(f"{folder / 'accuracies.csv'}: no rows, nothing to draw")
    try:
        record = read_record(str(folder))
        recipe = ReadingRecipe.model_validate(reading_recipe(record.config))
        study = FinishedStudy(
            recipe,
            study_order(accuracies, recipe),
            study_order(gaps, recipe),
            name,
            record,
        )
        notes([study])
    except argparse.ArgumentTypeError as error:
        raise UserError(str(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{folder / 'provenance.json'}: its config is not that of a study; make it again by "
            "running the study's workflow"
        ) from None
    return study


def read_estimates(path: Path, row_class: type[TableRow]) -> list[TableRow]:
    """Return the rows of a table of accuracies or gaps; raises UserError where it is none."""
    try:
        return read_rows(path, row_class)
    except (UserError, ValueError, csv.Error):
        raise UserError(
            f"{path}: no table of estimate_gap; expected {', '.join(columns(row_class))}; make it "
            "again by running the study's workflow"
        ) from None


def check_folders(folders: Sequence[Path], target: Path) -> None:
    """Raise UserError where the studies are too few, too many or the same, or would be lost."""
    if not 2 <= len(folders) <= len(DASHES):
        raise UserError(
            f"--compare: {len(folders)} {'study' if len(folders) == 1 else 'studies'}; expected 2 "
            f"to {len(DASHES)}, as no more lines can be told apart by their dashes"
        )
    for first, second in combinations(folders, 2):
        if first.resolve() == second.resolve():
            raise UserError(f"--compare: {first} and {second} are one folder; name each once")
    if (target / "provenance.json").exists():
        raise UserError(
            f"--folder: {target} holds a study, whose chart and tables would be overwritten; "
            "name another folder"
        )
    if target.exists() and not target.is_dir():
        raise UserError(f"--folder: {target} is a file; name a folder")


def name_studies(folders: Sequence[Path], names: Sequence[str] | None) -> list[str]:
    """Return the given names, else the folders' own or, of those called results, their parents'.

    Where two names would be the same, they have as much of their paths as it takes. Raises
    UserError where the given names do not fit.
    """
    if names is not None:
        if len(names) != len(folders):
            raise UserError(f"--names: {len(names)} for {len(folders)} studies; give one for each")
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise UserError("--names: expected names that differ and are not empty")
        return list(names)
    parts = [folder.resolve().parts for folder in folders]
    parts = [path[:-1] if path[-1] == "results" else path for path in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        short = ["/".join(path[-depth:]) for path in parts]
        if len(set(short)) == len(short):
            return short
    return [str(folder) for folder in folders]


def notes(studies: Sequence[FinishedStudy]) -> list[str]:
    """Return sentences on what to know before the studies are compared."""
    return [
        *_on_references(studies),
        *_on_tests(studies),
        *_on_settings(studies),
        *filter(None, map(_on_missing, studies)),
    ]


def _on_references(studies: Sequence[FinishedStudy]) -> list[str]:
    references = [study.recipe.reference_title for study in studies]
    text = "Each gap is to the reference of its own study"
    if len(set(references)) > 1:
        return [f"{text}: {_each(studies, references)}."]
    if len({study.made_reference for study in studies}) > 1:
        return [f"{text}; {references[0]} differs between them in recipe or checkpoint."]
    return []


def _on_tests(studies: Sequence[FinishedStudy]) -> list[str]:
    tests = defaultdict(set)
    for study in studies:
        for dataset, parts in study.record.datasets.items():
            tests[dataset].add(parts["test"]["sha256"])
    return [
        f"{dataset}: the studies were not tested on the same texts (their test sets differ)."
        for dataset, digests in tests.items()
        if len(digests) > 1
    ]


def _on_settings(studies: Sequence[FinishedStudy]) -> list[str]:
    settings = {
        "margin": [study.recipe.spelled_margin for study in studies],
        "confidence": [study.recipe.interval for study in studies],
    }
    return [
        f"The studies differ in {name}: {_each(studies, values)}."
        for name, values in settings.items()
        if len(set(values)) > 1
    ]


def _on_missing(study: FinishedStudy) -> str:
    absent, total = study.runs
    verb = "is" if absent == 1 else "are"
    text = f"Preliminary: {absent:,} of {total:,} runs of {study.name} {verb} missing."
    return text if absent > 0 else ""


def _each(studies: Sequence[FinishedStudy], values: Sequence[str]) -> str:
    pairs = zip(studies, values, strict=True)
    return ", ".join(f"{value} ({study.name})" for study, value in pairs)


def difference(first: GapRow, second: GapRow) -> tuple[float, float, float]:
    """Return first minus second gap, and the ends of its interval, of independent estimates.

    The half-widths of the two intervals add up in squares, on each side those that lie there (Zou
    and Donner 2008, Construction of confidence limits about effect measures).
    """
    value = first.gap - second.gap
    down = hypot(first.gap - first.gap_low, second.gap_high - second.gap)
    up = hypot(first.gap_high - first.gap, second.gap - second.gap_low)
    return value, value - down, value + up


def compare(first: FinishedStudy, second: FinishedStudy) -> str:
    """Return a table of the gaps that stand in both studies; empty where there is none.

    Gaps are matched by data set, model and number of labels. Studies of different confidence have
    no interval of the difference, and nothing is told of it.
    """
    alike = first.recipe.confidence == second.recipe.confidence
    counterparts = {_cell(row): row for row in second.gaps}
    pairs = [
        (row, other) for row in first.gaps if (other := counterparts.get(_cell(row))) is not None
    ]
    told = claims(pairs, first.recipe.confidence) if alike else [""] * len(pairs)
    rows = [
        [
            row.dataset,
            first.recipe.title(row.model),
            f"{row.n:,}",
            *_against(row, other, alike),
            word,
        ]
        for (row, other), word in zip(pairs, told, strict=True)
    ]
    header = ["Data set", "Model", "Labels", first.name, second.name, "Difference", "Told"]
    return markdown_table(header, rows, right=frozenset({2, 3, 4, 5})) if rows else ""


def claims(pairs: Sequence[tuple[GapRow, GapRow]], confidence: float) -> list[str]:
    """Return what can be told of each pair: the first gap is "larger", "smaller", or "unclear".

    All pairs are held to one false discovery rate, as gap.results.statistics.differences holds the
    gaps of a study.
    """
    reach = quantile(confidence)
    chances = []
    for value, low, high in (difference(*pair) for pair in pairs):
        # The half of the interval that lies towards no difference decides.
        half = value - low if value > 0 else high - value
        chances.append(2 * NORMAL.cdf(-reach * abs(value) / half) if half else 1.0)
    adjusted = false_discovery_control(chances, method="bh") if chances else []
    return [
        "unclear" if chance > 1 - confidence else "larger" if first.gap > second.gap else "smaller"
        for (first, second), chance in zip(pairs, adjusted, strict=True)
    ]


def _against(first: GapRow, second: GapRow, alike: bool) -> list[str]:
    """Return two gaps and their difference."""
    value, low, high = difference(first, second)
    return [
        with_interval(first.gap, first.gap_low, first.gap_high),
        with_interval(second.gap, second.gap_low, second.gap_high),
        with_interval(value, low, high) if alike else points(value),
    ]


def _cell(row: GapRow) -> tuple[str, str, int]:
    return row.dataset, row.model, row.n


def report(studies: Sequence[FinishedStudy]) -> str:
    """Return how the gaps of cells that stand in several studies differ, for a terminal."""
    parts = list(map(fill, notes(studies)))
    tables = [
        table for first, second in combinations(studies, 2) if (table := compare(first, second))
    ]
    if tables:
        parts += ["Gaps in percentage points, with their intervals:", *tables, fill(UNPAIRED)]
    else:
        parts.append(
            "No two of the studies have a gap of the same data set, model and number of labels."
        )
    return "\n\n".join(parts)


def write(studies: Sequence[FinishedStudy], target: Path) -> None:
    """Write the chart and the tables of all studies."""
    chart = comparison_chart({study.name: study for study in studies}, notes(studies))
    accuracies = [
        StudyAccuracyRow(study=study.name, **vars(row))
        for study in studies
        for row in study.accuracies
    ]
    gaps = [StudyGapRow(study=study.name, **vars(row)) for study in studies for row in study.gaps]
    write_rows(target / "accuracies.csv", StudyAccuracyRow, accuracies)
    write_rows(target / "gaps.csv", StudyGapRow, gaps)
    html, svg, png, spec = (str(target / f"gap.{end}") for end in ("html", "svg", "png", "vl.json"))
    save_chart(chart, html, svg, png, spec)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    folders = "folders of results of finished studies, two to four"
    parser.add_argument("--compare", required=True, nargs="+", type=Path, help=folders)
    parser.add_argument("--folder", required=True, type=Path, help="folder to write to")
    order = "what to call the studies, in the same order; else their folders' names"
    parser.add_argument("--names", nargs="+", help=order)
    arguments = parser.parse_args(argv)
    target = arguments.folder
    check_folders(arguments.compare, target)
    names = name_studies(arguments.compare, arguments.names)
    studies = [
        read_study(folder, name) for folder, name in zip(arguments.compare, names, strict=True)
    ]
    write(studies, target)
    print(f"The chart is {target / 'gap.html'}, the tables are in {target}.\n\n{report(studies)}")


if __name__ == "__main__":
    run(main)
