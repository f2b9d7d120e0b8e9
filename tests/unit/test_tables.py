"""Tables of a study come back as the rows that were written, and are spelled as ever."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from gap.results.rows import TABLES, CrossingRow, ExampleRow, GapRow, Row, TrialRow
from gap.results.tables import columns, read_rows, write_rows
from gap.run.errors import UserError

# Some lines of each table of a study, as they were written before rows had classes.
SAMPLES = Path(__file__).parent / "tables"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_written_as_it_was(table: str, tmp_path: Path) -> None:
    before = SAMPLES / f"{table}.csv"
    rows = read_rows(before, TABLES[table])
    assert len(rows) > 1
    write_rows(tmp_path / "again.csv", TABLES[table], rows)
    assert (tmp_path / "again.csv").read_bytes() == before.read_bytes()


@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_rows_has_its_header(table: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "none.csv", TABLES[table], [])
    assert read_rows(tmp_path / "none.csv", TABLES[table]) == []
    header = (tmp_path / "none.csv").read_text(encoding="utf-8")
    assert header == ",".join(columns(TABLES[table])) + "\n"


def gap_row(**changes: object) -> GapRow:
    known: dict[str, object] = {"dataset": "films", "model": "lstm", "reference": "big"}
    known |= {"size": "250", "n": 250, "gap": 1.5, "gap_low": 1.0, "gap_high": 2.0}
    known |= {"seed_error": None, "row_error": 0.5, "chance_error": 0.0, "own_seed_error": None}
    known |= {"rows": 9, "reference_seeds": 2, "seeds": 1, "seed_list": "1", "diverged": 0}
    known |= {
        "ordinary_gap": None,
        "ahead": 0.5,
        "within": 0.25,
        "behind": 0.25,
        "metric": "accuracy",
    }
    return GapRow(**(known | {"difference": "clear"} | changes))  # type: ignore[arg-type]


def written_and_read(tmp_path: Path, row: Row) -> Row:
    write_rows(tmp_path / "table.csv", type(row), [row])
    (found,) = read_rows(tmp_path / "table.csv", type(row))
    return found


def test_an_empty_cell_is_none(tmp_path: Path) -> None:
    assert written_and_read(tmp_path, gap_row()) == gap_row()
    assert (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()[1] == (
        "films,lstm,big,250,250,1.5000,1.0000,2.0000,,0.5000,0.0000,,9,2,1,1,0,,0.5000,0.2500,0.2500,"
        "clear,accuracy"
    )


@pytest.mark.parametrize("name", ["10", "010", "NA", "null", "1e5", "yes", ""])
def test_names_that_look_like_something_else_stay_texts(name: str, tmp_path: Path) -> None:
    assert written_and_read(tmp_path, gap_row(model=name)) == gap_row(model=name)


def test_infinite_sizes_come_back(tmp_path: Path) -> None:
    row = CrossingRow(
        *("a", "lstm", "big", 3, 900, False, True, 250.5, -math.inf, math.inf),
        *(1.0, 0.5, 1.5, 0.5, 0.5, 0.0, 1.0, 0.75),
    )
    assert written_and_read(tmp_path, row) == row


@pytest.mark.parametrize("text", ["two\nlines", 'a "b", c', "x" * 200_000, "\u2028", ""])
def test_texts_come_back_whole(text: str, tmp_path: Path) -> None:
    row = ExampleRow(
        *("films", "lstm", "big", "250", 250, 1, 7, "model", "good"),
        *("bad", 0.75, "good", 0.5, text),
    )
    assert written_and_read(tmp_path, row) == row


def test_settings_of_trials_are_columns_between_the_others(tmp_path: Path) -> None:
    def row(trial: int, settings: dict[str, str]) -> TrialRow:
        return TrialRow("a", "lstm", "250", 250, 1, trial, settings, None, 0.5, 16.8, trial == 2)

    rows = [row(1, {"lr": "1e-05"}), row(2, {"lr": "0.1", "dropout": "0.5"})]
    write_rows(tmp_path / "trials.csv", TrialRow, rows)
    assert read_rows(tmp_path / "trials.csv", TrialRow) == rows
    assert (tmp_path / "trials.csv").read_text(encoding="utf-8") == (
        "dataset,model,size,n,seed,trial,dropout,lr,"
        "validation_loss,validation_accuracy,seconds,chosen\n"
        "a,lstm,250,250,1,1,,1e-05,,0.500000,16.8,no\n"
        "a,lstm,250,250,1,2,0.5,0.1,,0.500000,16.8,yes\n"
    )


def test_a_table_that_is_no_such_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    write_rows(path, GapRow, [gap_row(), gap_row()])
    good = path.read_text(encoding="utf-8")
    for broken, message in (
        (good.replace("row_error", "rows"), "gaps.csv: no column row_error; expected dataset, mod"),
        ("", "gaps.csv: no column dataset"),
        (good.replace("1.5000", "high", 1), "line 2, column gap: 'high'; expected a number; make"),
        (good[: good.rindex(",1,1,")] + "\n", "line 3, column seeds: None; expected a whole numb"),
    ):
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            read_rows(path, GapRow)
