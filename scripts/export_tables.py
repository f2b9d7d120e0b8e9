"""Write a study's tables for other programs (Parquet, typed columns) and for papers (LaTeX)."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from gap.report.wording import size_label, two_digits, with_interval
from gap.results.pretrainings import PretrainingRow
from gap.results.reading import ReadingRecipe
from gap.results.rows import TABLES, AccuracyRow, CrossingRow, GapRow, LatencyRow, Row, TableRow
from gap.results.tables import SETTINGS, field_types, read_rows, study_order
from gap.run.errors import UserError
from gap.run.program import run

# The tables that become Parquet; what a study pretrained is one of them where it did.
CLASSES: dict[str, type[TableRow]] = {**TABLES, "pretraining": PretrainingRow}
# The lines of a table, each by column.
Lines = list[dict[str, str]]

TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
HEAD = "% In the preamble: \\usepackage{booktabs}\n"
NOTHING = "--"


def to_arrow(row_class: type[TableRow], rows: Sequence[TableRow]) -> pa.Table:
    """Return a table with a type for each column; what is left out is missing.

    A column has the same type in every study, but for those of trials that are a study's own
    settings: numbers where all of them are.
    """
    table: dict[str, pa.Array] = {}
    for name, (kind, _) in field_types(row_class).items():
        values = [getattr(row, name) for row in rows]
        if name == SETTINGS:
            for key in sorted({key for settings in values for key in settings}):
                table[key] = setting_column([settings.get(key) for settings in values])
        else:
            table[name] = pa.array(values, type=TYPES[kind])
    return pa.table(table)


def setting_column(texts: Sequence[str | None]) -> pa.Array:
    """Return the values of a setting, None where a trial has none: numbers if all of them are."""
    try:
        numbers = [None if text is None else float(text) for text in texts]
    except ValueError:
        return pa.array(texts, type=pa.string())
    whole = all(number is None or number % 1 == 0 for number in numbers)
    return pa.array(numbers, type=pa.float64()).cast(pa.int64() if whole else pa.float64())


def accuracies(rows: Sequence[AccuracyRow], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the accuracies of one data set, sizes in columns."""
    caption = f"{recipe.headline.axis} on the test set, with {recipe.interval}s"
    estimates = {
        row: with_interval(row.accuracy, row.accuracy_low, row.accuracy_high) for row in rows
    }
    return caption, _by_size(estimates, recipe)


def gaps(rows: Sequence[GapRow], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the gaps of one data set, sizes in columns."""
    caption = f"Gap to {recipe.reference_title}, in percentage points, with {recipe.interval}s"
    estimates = {row: with_interval(row.gap, row.gap_low, row.gap_high) for row in rows}
    return caption, _by_size(estimates, recipe)


def crossings(rows: Sequence[CrossingRow], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the sizes from which on gaps of one data set are closed."""
    lines = [
        {
            "Model": recipe.title(row.model),
            "Labelled examples": _labels(row.n),
            "from": _labels(row.n_low),
            "to": _labels(row.n_high),
        }
        for row in rows
    ]
    return (
        "Number of labelled examples from which on the gap to "
        f"{recipe.reference_title} is at most {recipe.spelled_margin}, by curves through the "
        f"{recipe.headline.title}, with {recipe.interval}s; the smallest size that was measured "
        "stands for itself and any before"
    ), lines


def latency(rows: Sequence[LatencyRow], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of what inference costs on one data set."""
    lines = [
        {
            "Model": recipe.title(row.model),
            "Parameters (millions)": f"{row.parameters / 1e6:.3g}",
            "ms": f"{row.milliseconds:.3g}" + ("*" if row.disturbed else ""),
            "ms, 95 %": f"{row.milliseconds_95:.3g}",
            "Texts/s": f"{row.examples_per_second:,.0f}",
            "Times as fast": NOTHING if row.speed_up is None else f"{row.speed_up:.3g}",
        }
        for row in rows
    ]
    disturbed = "; *: other load disturbed the measurement"
    return (
        "What inference costs: milliseconds of one text (median and what 95 of 100 take at most), "
        "texts per second in batches, and how many times as fast as "
        f"{recipe.reference_title} one text is scored"
        + (disturbed if any(row.disturbed for row in rows) else "")
    ), lines


# By table: the function that makes caption and lines of its rows of one data set.
LATEX: dict[str, Callable[..., tuple[str, Lines]]] = {
    "accuracies": accuracies,
    "gaps": gaps,
    "crossings": crossings,
    "latency": latency,
}


def _labels(n: float) -> str:
    return "not within reach" if math.isinf(n) else f"{two_digits(n):,.0f}"


def _by_size(
    estimates: Mapping[AccuracyRow, str] | Mapping[GapRow, str], recipe: ReadingRecipe
) -> Lines:
    """Return a line for each model, with a column for each size; "--" where there is no run."""
    sizes = {(row.n, row.size): size_label(row.size, row.n) for row in estimates}
    lines: dict[str, dict[str, str]] = {}
    for row, estimate in estimates.items():
        empty = {sizes[size]: NOTHING for size in sorted(sizes)}
        line = lines.setdefault(row.model, {"Model": recipe.title(row.model)} | empty)
        line[size_label(row.size, row.n)] = estimate
    return list(lines.values())


def escape(text: str) -> str:
    """Return a text as LaTeX prints it: special characters escaped, a minus before numbers."""
    escaped = " ".join(text.split()).translate(SPECIAL)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)


def latex(caption: str, label: str, lines: Lines) -> str:
    """Return a table in the style of booktabs, the first column to the left, numbers to the right.

    Caption and cells are plain text.
    """
    cells = [{escape(key): escape(value) for key, value in line.items()} for line in lines]
    frame = pd.DataFrame(cells)
    text = frame.style.hide(axis="index").to_latex(
        column_format="l" + "r" * (len(frame.columns) - 1),
        hrules=True,
        position_float="centering",
        caption=f"{escape(caption)}.",
        label=label,
    )
    # A table of three sizes fits a page.
    return str(text).replace(r"\begin{tabular}", "\\footnotesize\n\\begin{tabular}", 1)


def paper_tables(table: str, rows: Sequence[Row], recipe: ReadingRecipe) -> str:
    """Return the LaTeX of a study's table, one float for each data set."""
    floats = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        caption, lines = LATEX[table]([row for row in rows if row.dataset == dataset], recipe)
        floats.append(latex(f"{dataset}: {caption}", f"tab:{table}-{dataset}", lines))
    return "\n".join([HEAD, *(floats or ["% This study has none.\n"])])


def check_files(tables: Set[str], files: Sequence[Path]) -> None:
    """Make the folders of the files to write; raises UserError where a file is of no table."""
    for path in files:
        if path.stem not in tables:
            names = ", ".join(sorted(tables))
            raise UserError(f"{path}: made from no table; expected the name of one of {names}")
        path.parent.mkdir(parents=True, exist_ok=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = (
        "JSON: reference, margin (points), confidence (0..1), and optionally datasets and models, "
        "lists of names in order, and titles {name: text}"
    )
    parser.add_argument("--recipe", required=True, type=ReadingRecipe.from_json, help=recipe)
    add_files = partial(parser.add_argument, required=True, nargs="+", type=Path)
    add_files("--tables", help="CSV tables of a study, with their own names")
    add_files("--parquet", help="files to write: scores.parquet of scores.csv")
    papers = f"files to write, of {', '.join(LATEX)}"
    add_files("--latex", help=papers)
    arguments = parser.parse_args(argv)
    tables = {path.stem: path for path in arguments.tables if path.stem in CLASSES}
    check_files(tables.keys(), arguments.parquet)
    check_files(tables.keys() & LATEX.keys(), arguments.latex)
    for path in arguments.parquet:
        row_class = CLASSES[path.stem]
        pq.write_table(to_arrow(row_class, read_rows(tables[path.stem], row_class)), path)
    for path in arguments.latex:
        rows = study_order(read_rows(tables[path.stem], TABLES[path.stem]), arguments.recipe)
        path.write_text(paper_tables(path.stem, rows, arguments.recipe), encoding="utf-8")


if __name__ == "__main__":
    run(main)
