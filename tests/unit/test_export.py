"""The tables of a study as Parquet with typed columns, and as LaTeX that compiles."""

import json
import math
import re
from typing import Any

import export_tables
import pyarrow.parquet as pq
import pytest
from export_tables import LATEX, escape, paper_tables
from gap.results.pretrainings import PretrainingRow
from gap.results.reading import ReadingRecipe
from gap.results.rows import TABLES, AccuracyRow
from gap.results.tables import columns, field_types, write_rows
from gap.run.errors import UserError

RECIPE = {
    "reference": "big",
    "margin": 1.0,
    "confidence": 0.95,
    "models": ["big", "lstm"],
    "titles": {"big": "Big #1 {base}", "lstm": r"50%_a&b \ $x^2~"},
}
CELLS = [
    {"dataset": dataset, "model": model, "size": size, "n": n}
    for dataset in ("films", "books_2")
    for model in ("big", "lstm")
    for size, n in (("250", 250), ("10%", 1234))
]
ENDS = {"accuracy": 80.0, "accuracy_low": 78.04, "accuracy_high": 82.0}
GAP = {"gap": -0.04, "gap_low": -3.16, "gap_high": 2.5}
SEEDS = {"seeds": 2, "seed_list": "1 2", "reference": "big", "difference": "clear"}
SEEDS |= {"row_error": 0.5, "chance_error": 0.1, "rows": 9, "reference_seeds": 3, "diverged": 0}
SEEDS |= {"ahead": 0.2, "within": 0.7, "behind": 0.1}
COST = {"family": "lstm", "parameters": 22_300_000, "trained_parameters": 1, "batch_size": 8}
COST |= {"milliseconds": 3.4567, "milliseconds_95": 5.0, "tokenisation": 0.1, "threads": 1}
COST |= {
    "examples_per_second": 7028.1,
    "speed_up": None,
    "batched_speed_up": None,
    "cpu_share": 1.0,
}
COST |= {"spread": 0.5, "disturbed": True, "device": "cpu", "processor": "a CPU", "pareto": False}
COST |= {"precision": "fp32"}
REACHED: dict[str, Any] = {"sizes": 3, "largest": 1234, "withheld": False, "falls": True}
REACHED |= {
    f"{name}_{times}x{end}": 1.0
    for times in (2, 4)
    for name, ends in (("gap", ("", "_low", "_high")), ("within", ("",)))
    for end in ends
}


def rows_of_study():
    """Return the rows of each table of a study."""
    others = [cell for cell in CELLS if cell["model"] != "big"]
    last = [cell for cell in CELLS if cell["size"] == "10%"]
    settings = {"lr": "0.01", "lr_schedule": "linear", "max_epochs": "5"}
    trial = {"seed": 1, "trial": 1, "settings": settings, "seconds": 1.5}
    trial |= {"validation_loss": 0.5, "validation_accuracy": 0.75}
    known = {"n": 1234.5, "n_low": 260.0, "n_high": math.inf}
    forecast = {"n": 1234, "value": 1.0, "low": 0.0, "high": 2.0, "last": 1.0, "measured": 1.5}
    scores = {"macro_f1": 0.5, "log_loss": 0.7, "calibration_error": 0.1, "rows": 9, "seed": 1}
    return {
        "scores": [cell | scores | ENDS for cell in CELLS],
        "accuracies": [cell | ENDS | SEEDS for cell in CELLS],
        "gaps": [cell | GAP | SEEDS for cell in others],
        "crossings": [cell | SEEDS | REACHED | known for cell in others if cell["n"] == 250],
        "forecasts": [cell | SEEDS | REACHED | forecast for cell in others],
        "curves": [cell | SEEDS | GAP | {"n": 250.5} for cell in others],
        "trials": [
            # A trial that diverged has no loss, a model that tunes less no such setting.
            CELLS[0] | trial | {"chosen": True},
            CELLS[1] | trial | {"settings": {"lr": "0.01"}, "validation_loss": None},
        ],
        "latency": [cell | COST | ENDS for cell in last],
        "labels": [CELLS[0] | {"label": "1", "rows": 9, "precision": 0.5}],
        "lengths": [CELLS[0] | {"words_from": 10, "words_to": 12, "rows": 9}],
    }


def make_row(row_class, cells):
    """Return a row that holds these cells, and nothing or an empty text elsewhere."""
    none = {str: "", int: 0, float: 0.0, bool: False}
    fields = field_types(row_class)
    return row_class(**{name: cells.get(name, none[kind]) for name, (kind, _) in fields.items()})


def write_tables(folder, rows):
    for name, row_class in TABLES.items():
        made = [make_row(row_class, cells) for cells in rows.get(name, [])]
        write_rows(folder / f"{name}.csv", row_class, made)


def export(folder, parquet=tuple(TABLES), latex=tuple(LATEX)):
    target = folder / "tables"
    csvs = [str(path) for path in sorted(folder.glob("*.csv"))]
    argv = ["--recipe", json.dumps(RECIPE), "--tables", *csvs]
    argv += ["--parquet", *(str(target / f"{name}.parquet") for name in parquet)]
    argv += ["--latex", *(str(target / f"{name}.tex") for name in latex)]
    export_tables.main(argv)
    return target


@pytest.fixture
def target(tmp_path):
    """The folder of a study's exported tables."""
    write_tables(tmp_path, rows_of_study())
    return export(tmp_path)


# ---------------------------------------------------------------- Parquet


def test_every_column_has_its_type(target):
    def types(name):
        schema = pq.read_schema(target / f"{name}.parquet")
        return {field.name: str(field.type).removeprefix("large_") for field in schema}

    assert set(types("accuracies").items()) >= {
        ("dataset", "string"),
        ("size", "string"),
        ("n", "int64"),
        ("accuracy", "double"),
        ("seeds", "int64"),
        ("seed_list", "string"),
    }
    assert types("crossings")["n"] == types("curves")["n"] == "double"
    assert types("forecasts")["n"] == types("crossings")["largest"] == "int64"
    assert {key: types("trials")[key] for key in ("lr", "lr_schedule", "max_epochs", "chosen")} == {
        "lr": "double",
        "lr_schedule": "string",
        "max_epochs": "int64",
        "chosen": "bool",
    }
    # A label may look like a number; precision is a metric here and a word there.
    assert (types("labels")["label"], types("labels")["precision"]) == ("string", "double")
    assert (types("lengths")["words_to"], types("latency")["precision"]) == ("int64", "string")
    assert types("latency")["parameters"] == "int64"
    assert types("latency")["speed_up"] == "double"
    for name, row_class in TABLES.items():
        assert name == "trials" or list(types(name)) == columns(row_class)


def test_values_are_those_of_the_csv_and_what_is_left_out_is_missing(target):
    def rows(name):
        return pq.read_table(target / f"{name}.parquet").to_pylist()

    assert [row["accuracy_low"] for row in rows("accuracies")] == [78.04] * 8
    assert rows("crossings")[0]["n_high"] == math.inf
    assert [row["validation_loss"] for row in rows("trials")] == [0.5, None]
    assert [row["max_epochs"] for row in rows("trials")] == [5, None]
    assert [row["chosen"] for row in rows("trials")] == [True, False]
    assert rows("latency")[0]["speed_up"] is None
    assert rows("gaps")[1]["size"] == "10%"


def test_names_that_look_like_numbers_stay_texts(tmp_path):
    rows = rows_of_study()
    for row in rows["accuracies"]:
        row["model"] = "010" if row["model"] == "big" else "12"
    for row in rows["gaps"]:
        row["model"] = "NA"
    write_tables(tmp_path, rows)
    target = export(tmp_path)
    for name, models in (("accuracies", {"010", "12"}), ("gaps", {"NA"})):
        table = pq.read_table(target / f"{name}.parquet")
        assert set(table["model"].to_pylist()) == models


def test_tables_without_rows_have_the_same_types(target, tmp_path):
    none = tmp_path / "none"
    write_tables(none, {name: [] for name in TABLES})
    empty = export(none)
    for name in (name for name in TABLES if name != "trials"):
        schema = pq.read_schema(target / f"{name}.parquet")
        assert pq.read_schema(empty / f"{name}.parquet").equals(schema), name
        assert pq.read_table(empty / f"{name}.parquet").num_rows == 0
    assert "This study has none" in (empty / "crossings.tex").read_text(encoding="utf-8")


def test_what_a_study_pretrained_is_a_table_too(tmp_path):
    write_tables(tmp_path, rows_of_study())
    cells = {"checkpoint": "own", "start": None, "tokens": 9, "loss_before": None, "passes": 2.5}
    row = make_row(PretrainingRow, cells)
    write_rows(tmp_path / "pretraining.csv", PretrainingRow, [row])
    target = export(tmp_path, [*TABLES, "pretraining"])
    (exported,) = pq.read_table(target / "pretraining.parquet").to_pylist()
    assert exported == {**vars(row), "start": None}


# ---------------------------------------------------------------- LaTeX


def tables_of(text):
    """Return caption, label, column format and cells of each table, checked for their structure."""
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    found = []
    for table in re.findall(r"\\begin\{table\}(.*?)\\end\{table\}", text, re.DOTALL):
        (caption,) = re.findall(r"\\caption\{(.*)\}$", table, re.MULTILINE)
        (label,) = re.findall(r"\\label\{(.*)\}$", table, re.MULTILINE)
        tabular = r"\\begin\{tabular\}\{(.*?)\}(.*)\\end\{tabular\}"
        ((layout, body),) = re.findall(tabular, table, re.DOTALL)
        assert [body.count(f"\\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 1, 1]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        rows = [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in lines]
        assert {len(row) for row in rows} == {len(layout)}
        for words in (caption, *(cell for row in rows for cell in row)):
            # No special character but those of commands and of the minus.
            plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$-\$", "", words)
            assert not set(plain) & set("&%$#_{}~^\\"), words
        found.append((caption, label, layout, rows))
    return found


def test_models_stand_in_rows_and_sizes_in_columns_in_a_table_for_each_data_set(target):
    text = (target / "gaps.tex").read_text(encoding="utf-8")
    first, second = tables_of(text)
    caption, label, layout, rows = first
    assert caption == (
        r"films: Gap to Big \#1 \{base\}, in percentage points, with 95 \% intervals."
    )
    assert (label, layout) == ("tab:gaps-films", "lrr")
    assert rows == [
        ["Model", "250", r"1,234 (10\%)"],
        [
            r"50\%\_a\&b \textbackslash{} \$x\textasciicircum{}2\textasciitilde{}",
            "0.0 ($-$3.2 to 2.5)",
            "0.0 ($-$3.2 to 2.5)",
        ],
    ]
    assert (second[0][:9], second[1]) == (r"books\_2:", "tab:gaps-books_2")
    accuracies = tables_of((target / "accuracies.tex").read_text(encoding="utf-8"))
    assert [row[1] for row in accuracies[0][3]] == ["250", *["80.0 (78.0 to 82.0)"] * 2]


def test_every_file_is_sound_and_says_what_it_needs(target):
    for name in LATEX:
        text = (target / f"{name}.tex").read_text(encoding="utf-8")
        assert text.startswith("% In the preamble: \\usepackage{booktabs}\n")
        assert len(tables_of(text)) == 2


def test_what_is_not_there_is_a_dash(target):
    rows = [make_row(AccuracyRow, cells) for cells in rows_of_study()["accuracies"]]
    films = [row for row in rows if row.dataset == "films"]
    recipe = ReadingRecipe.model_validate(RECIPE)
    ((_, _, _, cells),) = tables_of(paper_tables("accuracies", films[:-1], recipe))
    assert cells[2][1:] == ["80.0 (78.0 to 82.0)", "--"]
    ((_, _, _, cells), _) = tables_of((target / "latency.tex").read_text(encoding="utf-8"))
    assert cells[1][1:] == ["22.3", "3.46*", "5", "7,028", "--"]


def test_crossings_are_as_exact_as_forecasts_are(target):
    ((_, _, _, cells), _) = tables_of((target / "crossings.tex").read_text(encoding="utf-8"))
    assert cells[1][1:] == ["1,200", "260", "not within reach"]


def test_escape_by_hand():
    assert escape("50%_a&b") == r"50\%\_a\&b"
    assert escape(r"\{x}") == r"\textbackslash{}\{x\}"
    assert escape("two\n\nlines -1.5 to 2-3 lstm-2") == "two lines $-$1.5 to 2-3 lstm-2"


def test_a_file_of_no_table_is_told(tmp_path):
    write_tables(tmp_path, rows_of_study())
    with pytest.raises(UserError, match=r"scores\.tex: made from no table; expected the name of"):
        export(tmp_path, latex=["scores"])
    with pytest.raises(UserError, match=r"other\.parquet: made from no table"):
        export(tmp_path, parquet=["other"])
