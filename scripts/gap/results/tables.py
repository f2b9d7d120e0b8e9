"""The CSV tables of a study: how their rows are ordered, written and read."""

from __future__ import annotations

import csv
import os
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gap.results.reading import NamingRecipe
from gap.results.rows import Row, TableRow
from gap.run.errors import UserError

TypedRow = TypeVar("TypedRow", bound=TableRow)
OrderedRow = TypeVar("OrderedRow", bound=Row)
# The field of rows whose keys are columns of their own, which differ between studies.
SETTINGS = "settings"
# The other fields that rows are ordered by, and what stands for them in rows without.
ORDER: dict[str, float | str] = {"n": 0, "size": "", "seed": 0}
EXPECTED = {int: "a whole number", float: "a number", bool: "yes or no"}


def study_order(rows: Iterable[OrderedRow], recipe: NamingRecipe | None = None) -> list[OrderedRow]:
    """Return the rows by data set and model, then by n and seed.

    Data sets and models come as `recipe` lists them, others and without it in order of first
    appearance.
    """
    rows = list(rows)
    listed = (recipe.datasets, recipe.models) if recipe else ((), ())
    datasets = _places([*listed[0], *(row.dataset for row in rows)])
    models = _places([*listed[1], *(row.model for row in rows)])
    return sorted(
        rows,
        key=lambda row: (
            datasets[row.dataset],
            models[row.model],
            *(getattr(row, name, default) for name, default in ORDER.items()),
        ),
    )


def columns(row_class: type[TableRow], settings: Iterable[str] = ()) -> list[str]:
    """Return the columns of a table, with those of `settings`, by name, where it has any."""
    names: list[str] = []
    for name in field_types(row_class):
        names += sorted(settings) if name == SETTINGS else [name]
    return names


def write_rows(path: str | Path, row_class: type[TypedRow], rows: Iterable[TypedRow]) -> None:
    """Write a table as CSV in one step: None as an empty cell, truth as "yes" or "no".

    Fractions have as many digits after the point as `row_class` says.
    """
    cells: list[dict[str, Any]] = [vars(row) | vars(row).get(SETTINGS, {}) for row in rows]
    settings = {key for row in cells for key in row.get(SETTINGS, {})}
    names = columns(row_class, settings)
    lines = ([_spell(row_class, name, row.get(name)) for name in names] for row in cells)
    write_cells(path, names, lines)


def write_cells(path: str | Path, names: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Write lines of texts as CSV below a header, in one step."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(lines)
    os.replace(partial, target)


def _spell(row_class: type[TableRow], name: str, value: object) -> str:
    """Return a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and name not in row_class.exact:
        # "z": a zero has no sign, which would depend on how a machine adds up.
        return f"{value:z.{row_class.decimals}f}"
    return str(value)


def read_rows(path: str | Path, row_class: type[TypedRow]) -> list[TypedRow]:
    """Return the rows of a table.

    Raises UserError where a column is missing or a cell is not of its column's type.
    """
    # A text may be longer than the 128 kB that the module allows by itself.
    csv.field_size_limit(sys.maxsize)
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file, strict=True)
        header = lines.fieldnames or []
        if absent := [name for name in columns(row_class) if name not in header]:
            raise UserError(
                f"{path}: no column {absent[0]}; expected {', '.join(columns(row_class))}; make "
                "the table again by running the study's workflow"
            )
        kinds = field_types(row_class)
        return [row_class(**_read_cells(path, lines.line_num, kinds, cells)) for cells in lines]


def _read_cells(
    path: str | Path, line: int, kinds: Mapping[str, tuple[type, bool]], cells: Mapping[str, str]
) -> dict[str, Any]:
    """Return the fields of a row; raises UserError for a cell that is not of its column's type."""
    values: dict[str, Any] = {}
    for name, (kind, optional) in kinds.items():
        if name == SETTINGS:
            # The cell is empty where another model has a setting that this one has not.
            values[name] = {key: cell for key, cell in cells.items() if key not in kinds and cell}
            continue
        try:
            values[name] = None if optional and not cells[name] else _read(kind, cells[name])
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}: line {line}, column {name}: {cells[name]!r}; expected {EXPECTED[kind]}; "
                "make the table again by running the study's workflow"
            ) from None
    return values


def _read(kind: type, cell: str) -> object:
    return {"yes": True, "no": False}[cell] if kind is bool else kind(cell)


def field_types(row_class: type[TableRow]) -> dict[str, tuple[type, bool]]:
    """Return by field its type (str, int, float or bool), and whether a cell may be empty."""
    kinds = {}
    for name, hint in typing.get_type_hints(row_class).items():
        if typing.get_origin(hint) is typing.ClassVar:
            continue
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        kind = next(option for option in options if option is not type(None))
        # A name out of a list of names is a text.
        kinds[name] = (kind if kind in (int, float, bool) else str, type(None) in options)
    return kinds


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
