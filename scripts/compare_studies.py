"""Draw several finished studies in one chart, and tell how their gaps differ."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import hypot
from pathlib import Path
from typing import Any

from compare_provenance import read_record
from gap.report.charts import DASHES, comparison_chart, save_chart
from gap.report.markdown import markdown_table
from gap.report.wording import fill, points, with_interval
from gap.results.findings import Row, Study
from gap.results.reading import reading_recipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.tables import columns, read_table, study_order, write_table
from gap.run.errors import UserError
from gap.run.json import canonical_json
from gap.run.program import run
from gap.study.sizes import parse_seeds

# What the tables of estimate_gap hold.
TABLES = {"accuracies": "accuracy", "gaps": "gap"}
UNPAIRED = (
    "The studies are not paired: the interval of a difference adds the half-widths of both gaps in "
    "squares (Zou and Donner 2008). Where they share test rows, that is rather too wide than too "
    "narrow. Each interval is for its own difference alone."
)


@dataclass(frozen=True)
class Finished(Study):
    """A finished study: what to call it, and the record of what it was made from."""

    name: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def made_reference(self) -> str:
        """What the reference is made by: its recipe and its checkpoint."""
        config = self.record["config"]
        model = config["model_zoo"][self.recipe["reference"]]
        recipe = {key: value for key, value in model.items() if key not in ("seeds", "title")}
        checkpoint = config.get("checkpoint_zoo", {}).get(model.get("checkpoint"))
        return canonical_json([self.reference, recipe, checkpoint])

    @property
    def runs(self) -> tuple[int, int]:
        """How many runs are not done, and how many the study has."""
        config = self.record["config"]
        seeds = sum(
            len(parse_seeds(block))
            for model in config["models"]
            for block in config["model_zoo"][model]["seeds"]
        )
        total = len(config["datasets"]) * len(config["sizes"]) * seeds
        return total - len(self.record["runs"]), total


def read_study(folder: Path, name: str) -> Finished:
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
    tables = [read_rows(folder / f"{table}.csv", name) for table, name in TABLES.items()]
    if not tables[0]:
        raise UserError(f"{folder / 'accuracies.csv'}: no rows, nothing to draw")
    try:
        record = vars(read_record(str(folder)))
        recipe = reading_recipe(record["config"])
        accuracies, gaps = (study_order(rows, recipe) for rows in tables)
        study = Finished(recipe, (), accuracies, gaps, (), name=name, record=record)
        notes([study])
    except argparse.ArgumentTypeError as error:
        raise UserError(str(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{folder / 'provenance.json'}: its config is not that of a study; make it again by "
            "running the study's workflow"
        ) from None
    return study


def read_rows(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table of accuracies or gaps; raises UserError where it is none."""
    try:
        rows = read_table(path)
    except ValueError:
        rows = [{}]
    numbers = ("n", name, f"{name}_low", f"{name}_high", "seeds")
    if all(
        all(isinstance(row.get(number), int | float) for number in numbers)
        and {"dataset", "model", "size", "seed_list"} <= row.keys()
        for row in rows
    ):
        return rows
    raise UserError(
        f"{path}: no table of estimate_gap; expected dataset, model, size and the numbers "
        f"{', '.join(numbers)}; make it again by running the study's workflow"
    )


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

    What would be the same has as much of its path as it takes. Raises UserError where the given
    names do not fit.
    """
    if names is not None:
        if len(names) != len(folders):
            raise UserError(f"--names: {len(names)} for {len(folders)} studies; give one for each")
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise UserError("--names: expected names that differ and are not empty")
        return list(names)
    parts = [folder.resolve().parts for folder in folders]
    parts = [one[:-1] if one[-1] == "results" else one for one in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        found = ["/".join(one[-depth:]) for one in parts]
        if len(set(found)) == len(found):
            return found
    return [str(folder) for folder in folders]


def notes(studies: Sequence[Finished]) -> list[str]:
    """Return sentences on what to know before the studies are compared."""
    return [
        *_on_references(studies),
        *_on_tests(studies),
        *_on_settings(studies),
        *filter(None, map(_on_missing, studies)),
    ]


def _on_references(studies: Sequence[Finished]) -> list[str]:
    references = [study.reference for study in studies]
    text = "Each gap is to the reference of its own study"
    if len(set(references)) > 1:
        return [f"{text}: {_each(studies, references)}."]
    if len({study.made_reference for study in studies}) > 1:
        return [f"{text}; {references[0]} differs between them in recipe or checkpoint."]
    return []


def _on_tests(studies: Sequence[Finished]) -> list[str]:
    tests = defaultdict(set)
    for study in studies:
        for dataset, parts in study.record["datasets"].items():
            tests[dataset].add(parts["test"]["sha256"])
    return [
        f"{dataset}: the studies were not tested on the same texts (their test sets differ)."
        for dataset, digests in tests.items()
        if len(digests) > 1
    ]


def _on_settings(studies: Sequence[Finished]) -> list[str]:
    found = []
    for name, values in (
        ("margin", [study.margin for study in studies]),
        ("confidence", [study.interval for study in studies]),
    ):
        if len(set(values)) > 1:
            found.append(f"The studies differ in {name}: {_each(studies, values)}.")
    return found


def _on_missing(study: Finished) -> str:
    absent, total = study.runs
    verb = "is" if absent == 1 else "are"
    text = f"Preliminary: {absent:,} of {total:,} runs of {study.name} {verb} missing."
    return text if absent > 0 else ""


def _each(studies: Sequence[Finished], values: Sequence[str]) -> str:
    return ", ".join(f"{value} ({one.name})" for one, value in zip(studies, values, strict=True))


def difference(first: Row, second: Row) -> dict[str, Any]:
    """Return first minus second gap with the interval of two estimates that are independent.

    The half-widths of the two intervals add up in squares, on each side those that lie there (Zou
    and Donner 2008, Construction of confidence limits about effect measures).
    """
    value = first["gap"] - second["gap"]
    down = hypot(first["gap"] - first["gap_low"], second["gap_high"] - second["gap"])
    up = hypot(first["gap_high"] - first["gap"], second["gap"] - second["gap_low"])
    return {"gap": value, "gap_low": value - down, "gap_high": value + up}


def compare(first: Finished, second: Finished) -> str:
    """Return a table of the gaps that stand in both studies; empty where there is none.

    Gaps are matched by data set, model and number of labels. Studies of different confidence have
    no interval of the difference.
    """
    alike = first.recipe["confidence"] == second.recipe["confidence"]
    known = {_cell(row): row for row in second.gaps}
    rows = []
    for ours in first.gaps:
        theirs = known.get(_cell(ours))
        if theirs:
            apart = ours["gap_low"] > theirs["gap_high"] or theirs["gap_low"] > ours["gap_high"]
            found = difference(ours, theirs)
            rows.append(
                [
                    ours["dataset"],
                    first.title(ours["model"]),
                    f"{ours['n']:,}",
                    with_interval(ours, "gap"),
                    with_interval(theirs, "gap"),
                    with_interval(found, "gap") if alike else points(found["gap"]),
                    "apart" if apart else "overlap",
                ]
            )
    header = ["Data set", "Model", "Labels", first.name, second.name, "Difference", "Intervals"]
    return markdown_table(header, rows, right={2, 3, 4, 5}) if rows else ""


def _cell(row: Row) -> tuple[str, str, int]:
    return row["dataset"], row["model"], row["n"]


def report(studies: Sequence[Finished]) -> str:
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


def rows_of_all(studies: Iterable[Finished], table: str) -> list[dict[str, Any]]:
    """Return the rows of a table of all studies, with a first column study."""
    return [{"study": one.name} | row for one in studies for row in getattr(one, table)]


def write(studies: Sequence[Finished], target: Path) -> None:
    """Write the chart and the tables of all studies."""
    accuracies, gaps = (rows_of_all(studies, table) for table in TABLES)
    recipes = {study.name: study.recipe for study in studies}
    chart = comparison_chart(accuracies, gaps, recipes, notes(studies))
    write_table(target / "accuracies.csv", ("study", *columns(AccuracyRow)), accuracies, decimals=4)
    write_table(target / "gaps.csv", ("study", *columns(GapRow)), gaps, decimals=4)
    html, svg, png, spec = (str(target / f"gap.{end}") for end in ("html", "svg", "png", "vl.json"))
    save_chart(chart, html, svg, png, spec)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    folders = "folders of results of finished studies, two to four"
    parser.add_argument("--compare", required=True, nargs="+", type=Path, help=folders)
    parser.add_argument("--folder", required=True, type=Path, help="folder to write to")
    names = "what to call the studies, in the same order; else their folders' names"
    parser.add_argument("--names", nargs="+", help=names)
    arguments = parser.parse_args(argv)
    target = arguments.folder
    check_folders(arguments.compare, target)
    called = name_studies(arguments.compare, arguments.names)
    studies = [read_study(*one) for one in zip(arguments.compare, called, strict=True)]
    write(studies, target)
    print(f"The chart is {target / 'gap.html'}, the tables are in {target}.\n\n{report(studies)}")


if __name__ == "__main__":
    run(main)
