"""Write a study's tables for other programs (Parquet, typed columns) and for papers (LaTeX)."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import pandas as pd
from gap.report.wording import size_label, two_digits, with_interval
from gap.results.reading import ReadingRecipe, recipe_option
from gap.results.rows import TABLES, Row
from gap.results.tables import TEXTS, read_rows, study_order
from gap.run.errors import UserError
from gap.run.program import run
from gather import OUTCOME, RUN

# The lines of a table, each by column.
Lines = list[dict[str, str]]

WORDS = TEXTS | {"form", "family", "device", "precision", "right"}
WHOLE = {
    *("n", "seed", "seeds", "row", "rows", "sizes", "largest", "trial", "step"),
    *("words_from", "words_to", "parameters", "trained_parameters", "batch_size", "threads"),
}
YES_OR_NO = {"chosen", "disturbed", "pareto"}
# Points on a curve, and a metric by the name of what hardware computes in.
FRACTIONS = {("crossings", "n"), ("curves", "n"), ("labels", "precision")}
SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
HEAD = "% In the preamble: \\usepackage{booktabs}\n"
NOTHING = "--"


def typed(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text with a type for each column; what is left out is missing.

    A column has the same type in every study, but for those of `trials` that are a study's own
    settings: numbers where all of them are.
    """
    return pd.DataFrame({name: _typed(table, name, frame[name]) for name in frame.columns})


def _typed(table: str, name: str, column: pd.Series) -> pd.Series:
    if (table, name) in FRACTIONS:
        return _numbers(column)
    if name in WORDS:
        return column.astype("string")
    if name in YES_OR_NO:
        return column == "yes"
    if table == "trials" and name not in (*RUN, *OUTCOME):
        return _setting(column)
    return _numbers(column).astype("Int64") if name in WHOLE else _numbers(column)


def _setting(column: pd.Series) -> pd.Series:
    try:
        numbers = _numbers(column)
    except ValueError:
        return column.astype("string")
    return numbers.astype("Int64") if (numbers.dropna() % 1 == 0).all() else numbers


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column).astype("Float64")


def accuracies(rows: Sequence[Row], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the accuracies of one data set, sizes in columns."""
    caption = f"Accuracy on the test set, in percent, with {recipe.interval}s"
    return caption, _by_size(rows, "accuracy", recipe)


def gaps(rows: Sequence[Row], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the gaps of one data set, sizes in columns."""
    caption = f"Gap to {recipe.reference_title}, in percentage points, with {recipe.interval}s"
    return caption, _by_size(rows, "gap", recipe)


def crossings(rows: Sequence[Row], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of the sizes from which on gaps of one data set are closed."""
    lines = [
        {
            "Model": recipe.title(row["model"]),
            "Labelled examples": _labels(row["n"]),
            "from": _labels(row["n_low"]),
            "to": _labels(row["n_high"]),
        }
        for row in rows
    ]
    return (
        f"Number of labelled examples from which on the gap to {recipe.reference_title} is at most "
        f"{recipe.margin_text}, by a curve through the gaps, with {recipe.interval}s; the smallest "
        "size that was measured stands for itself and any before"
    ), lines


def latency(rows: Sequence[Row], recipe: ReadingRecipe) -> tuple[str, Lines]:
    """Return caption and lines of what inference costs on one data set."""
    lines = [
        {
            "Model": recipe.title(row["model"]),
            "Parameters (millions)": f"{row['parameters'] / 1e6:.3g}",
            "ms": f"{row['milliseconds']:.3g}" + ("*" if row["disturbed"] == "yes" else ""),
            "ms, 95 %": f"{row['milliseconds_95']:.3g}",
            "Texts/s": f"{row['examples_per_second']:,.0f}",
            # An empty text where the reference is not measured yet.
            "Times as fast": f"{float(row['speed_up']):.3g}" if row["speed_up"] != "" else NOTHING,
        }
        for row in rows
    ]
    disturbed = "; *: other load disturbed the measurement"
    return (
        "What inference costs: milliseconds of one text (median and what 95 of 100 take at most), "
        "texts per second in batches, and how many times as fast as "
        f"{recipe.reference_title} one text is scored"
        + (disturbed if any(row["disturbed"] == "yes" for row in rows) else "")
    ), lines


LATEX: dict[str, Callable[[Sequence[Row], ReadingRecipe], tuple[str, Lines]]] = {
    "accuracies": accuracies,
    "gaps": gaps,
    "crossings": crossings,
    "latency": latency,
}


def _labels(n: float) -> str:
    return "not within reach" if math.isinf(n) else f"{two_digits(n):,.0f}"


def _by_size(rows: Sequence[Row], name: str, recipe: ReadingRecipe) -> Lines:
    """Return a line for each model, with a column for each size; "--" where there is no run."""
    sizes = {(row["n"], row["size"]): _size(row) for row in rows}
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        empty = {sizes[size]: NOTHING for size in sorted(sizes)}
        line = lines.setdefault(row["model"], {"Model": recipe.title(row["model"])} | empty)
        estimate = (row[end] for end in (name, f"{name}_low", f"{name}_high"))
        line[_size(row)] = with_interval(*estimate)
    return list(lines.values())


def _size(row: Row) -> str:
    return size_label(row["size"], row["n"])


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
    parts = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        ours = [row for row in rows if row.dataset == dataset]
        caption, lines = LATEX[table](ours, recipe)
        parts.append(latex(f"{dataset}: {caption}", f"tab:{table}-{dataset}", lines))
    return "\n".join([HEAD, *(parts or ["% This study has none.\n"])])


def check_files(tables: Set[str], files: Sequence[Path]) -> None:
    """Make the folders of the files to write; raises UserError where a file is of no table."""
    for path in files:
        if path.stem not in tables:
            known = ", ".join(sorted(tables))
            raise UserError(f"{path}: made from no table; expected the name of one of {known}")
        path.parent.mkdir(parents=True, exist_ok=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    recipe = (
        "JSON: reference, margin (points), confidence (0..1), and optionally datasets and models, "
        "lists of names in order, and titles {name: text}"
    )
    parser.add_argument("--recipe", required=True, type=recipe_option(ReadingRecipe), help=recipe)
    files: dict[str, Any] = {"required": True, "nargs": "+", "type": Path}
    parser.add_argument("--tables", **files, help="CSV tables of a study, with their own names")
    parser.add_argument("--parquet", **files, help="files to write: scores.parquet of scores.csv")
    papers = f"files to write, of {', '.join(LATEX)}"
    parser.add_argument("--latex", **files, help=papers)
    arguments = parser.parse_args(argv)
    tables = {path.stem: path for path in arguments.tables}
    check_files(tables.keys(), arguments.parquet)
    check_files(tables.keys() & LATEX.keys(), arguments.latex)
    for path in arguments.parquet:
        frame = pd.read_csv(tables[path.stem], dtype=str, keep_default_na=False)
        typed(path.stem, frame).to_parquet(path, index=False)
    for path in arguments.latex:
        rows = study_order(read_rows(tables[path.stem], TABLES[path.stem]), arguments.recipe)
        path.write_text(paper_tables(path.stem, rows, arguments.recipe), encoding="utf-8")


if __name__ == "__main__":
    run(main)
