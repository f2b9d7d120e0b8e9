"""The summary: the sentence for each way a gap can go, and the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import estimate_gap
import gather
import pytest
import write_summary
from gap.tables import read_table, write_table

RECIPE: dict[str, Any] = {
    "reference": "big",
    "margin": 1.0,
    "confidence": 0.95,
    "resamples": 5000,
    "titles": {"big": "MiniLM", "lstm": "the LSTM"},
}
Point = tuple[int, float, float, float]


def gaps(*points: Point, model: str = "lstm", dataset: str = "films") -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "model": model, "reference": "big", "size": str(n), "n": n}
        | {"gap": gap, "gap_low": low, "gap_high": high}
        | {"seeds": 2, "seed_list": "1 2", "within_margin": "no"}
        for n, gap, low, high in points
    ]


def make(rows: list[dict[str, Any]], **recipe: object) -> write_summary.Study:
    accuracies = [
        {"dataset": dataset, "model": model, "size": "250", "n": 250, "accuracy": 80.0}
        | {"accuracy_low": 78.0, "accuracy_high": 82.0, "seeds": 2, "seed_list": "1 2"}
        for dataset in dict.fromkeys(row["dataset"] for row in rows or [{"dataset": "films"}])
        for model in ["big", *dict.fromkeys(row["model"] for row in rows)]
    ]
    scores = [
        {key: row[key] for key in ("dataset", "model", "size", "n")}
        | {"seed": seed, "rows": 500, "accuracy": 0.8, "macro_f1": 0.7 + 0.1 * seed}
        | {"log_loss": 0.5, "calibration_error": 0.05}
        for row in accuracies
        for seed in (1, 2)
    ]
    card = {"dataset": "films", "labels": ["bad", "good"], "pool": {"rows": 47500}}
    card |= {
        "test": {"rows": 2000},
        "rejected": {"no text": 3},
        "text_budget": {"words": 48},
        "origin": "Maas et al. 2011",
    }
    return write_summary.Study(RECIPE | recipe, scores, accuracies, rows, [card])


def answer(*points: Point, **recipe: object) -> str:
    return write_summary.answer(make(gaps(*points), **recipe))


def test_narrowing_gap_above_the_margin() -> None:
    assert answer((250, 18.2, 15.1, 21.3), (1000, 15, 13, 17), (4000, 9.1, 8.0, 10.2)) == (
        "With 250 labels MiniLM is 18.2 points (95 % interval 15.1 to 21.3) ahead of the LSTM; "
        "with 4,000 labels 9.1 (8.0 to 10.2); the gap narrows but has not fallen to 1 point at any "
        "measured size."
    )


@pytest.mark.parametrize(
    ("points", "end"),
    [
        (
            [(250, 9, 7, 11), (1000, 0.2, -0.5, 0.9), (4000, 0.1, -0.4, 0.6)],
            "the gap narrows, and from 1,000 labels on it is at most 1 point.",
        ),
        (
            [(250, 9, 7, 11), (1000, 0.2, -0.5, 0.9), (4000, 3.0, 2.0, 4.0)],
            "the gap narrows, and at the largest size it is above 1 point.",
        ),
        (
            [(250, 9, 7, 11), (4000, 0.4, -0.5, 1.04)],
            "and with 4,000 labels it is 1 point or less, but the interval reaches 1.04.",
        ),
        (
            [(250, 9, 7, 11), (4000, 8, 6, 10)],
            "the gap looks narrower (the intervals overlap) and has not fallen to 1 point at any "
            "measured size.",
        ),
        (
            [(250, 8, 7, 9), (4000, 8.5, 7, 10)],
            "the gap does not narrow and has not fallen to 1 point at any measured size.",
        ),
        (
            [(250, 3, 2, 4), (4000, 9, 7, 11)],
            "the gap widens and has not fallen to 1 point at any measured size.",
        ),
        (
            [(250, 0.5, 0.1, 0.9), (4000, 0.3, -0.2, 0.8)],
            "and at every measured size it is at most 1 point.",
        ),
        (
            [(250, 9, 7, 11), (4000, -2, -3.2, -0.8)],
            "; with 4,000 labels 2.0 (0.8 to 3.2) behind; with 4,000 labels the LSTM is ahead.",
        ),
        (
            [(250, -3, -4, -2), (4000, -5, -6, -4.5)],
            "with 4,000 labels 5.0 (4.5 to 6.0); at every measured size the LSTM is ahead.",
        ),
        (
            [(250, 9, 7, 11)],
            "ahead of the LSTM; only one size was measured, so it is open whether the gap narrows.",
        ),
    ],
)
def test_every_course_of_a_gap(points: list[Point], end: str) -> None:
    assert answer(*points).endswith(end)


def test_what_rounds_to_nought_is_no_minus() -> None:
    text = answer((250, 9, 7, 11), (4000, -0.04, -0.9, 0.04))
    assert "with 4,000 labels 0.0 (-0.9 to 0.0);" in text


def test_no_gap_to_tell() -> None:
    assert answer() == "No gap can be told: no model beside MiniLM was run."
    assert write_summary.summary(make([])).count("##") == 3


def test_margin_and_confidence_are_the_recipes() -> None:
    text = answer((250, 9, 7, 11), (4000, 1.5, 1.1, 1.9), margin=2.0, confidence=0.9)
    assert "(90 % interval 7.0 to 11.0)" in text
    assert text.endswith("with 4,000 labels it is at most 2 points.")


def test_the_main_comparison_is_the_first_or_the_one_compared() -> None:
    rows = gaps((250, 9, 7, 11), model="frozen") + gaps((250, 5, 4, 6))
    assert "ahead of frozen" in write_summary.answer(make(rows))
    assert "ahead of the LSTM" in write_summary.answer(make(rows, compared="lstm"))
    text = write_summary.summary(make(rows, compared="lstm"))
    assert "- With 250 labels MiniLM is 9.0 points (95 % interval 7.0 to 11.0) ahead of" in text


def test_several_data_sets_share_the_first_line() -> None:
    rows = gaps((250, 9, 7, 11)) + gaps((250, 5, 4, 6), dataset="rentals")
    text = write_summary.summary(make(rows))
    first = text.splitlines()[0]
    assert first.startswith("On films with 250 labels MiniLM is 9.0 points")
    assert "; on rentals with 250 labels MiniLM is 5.0 points" in first
    assert text.count("### rentals") == 2
    assert sum(line.startswith("| the LSTM |") for line in text.splitlines()) == 4


def test_a_partial_study_is_told_as_preliminary() -> None:
    rows = gaps((250, 9, 7, 11))
    missing = [
        {"dataset": "films", "model": "lstm", "size": "4000", "seeds": seeds}
        for seeds in ("1-2", "3")
    ]
    text = write_summary.summary(make(rows, missing=missing))
    whole = write_summary.summary(make(rows))
    notice, rest = text.split("\n", 1)
    assert notice == 'Preliminary, as 3 of 7 runs are missing (listed under "What is missing").'
    # The notice and the answer are one paragraph, which is what the end of a run shows.
    assert rest.startswith("With 250 labels MiniLM is 9.0 points")
    section = (
        "## What is missing\n\n"
        "| Data set | Model    | Labels | Seeds  |\n"
        "| -------- | -------- | -----: | ------ |\n"
        "| films    | the LSTM |  4,000 | 1-2, 3 |\n\n"
    )
    assert rest.replace(section, "") == whole
    assert write_summary.summary(make(rows, missing=[])) == whole


def test_what_has_no_gap_is_told() -> None:
    study = make(gaps((250, 9, 7, 11)))
    alone = dict(study.accuracies[-1]) | {"size": "4000", "n": 4000}
    study = write_summary.Study(
        study.recipe,
        [*study.scores, dict(study.scores[-1]) | {"size": "4000", "n": 4000}],
        [*study.accuracies, alone],
        study.gaps,
        study.cards,
    )
    text = write_summary.summary(study)
    assert "No gap, as MiniLM has no run with the same seed: all models at 4,000." in text


def test_a_data_set_without_gaps_has_no_table_of_them() -> None:
    study = make(gaps((250, 9, 7, 11)) + gaps((250, 9, 7, 11), dataset="rentals"))
    films = [row for row in study.gaps if row["dataset"] == "films"]
    study = write_summary.Study(RECIPE, study.scores, study.accuracies, films, study.cards)
    assert "### rentals\n\nNone yet.\n" in write_summary.summary(study)


def test_table_is_aligned_and_escapes_bars() -> None:
    assert write_summary.markdown_table(["Model", "n"], [["a|b", "1"], ["c", "1,000"]], {1}) == (
        "| Model |     n |\n| ----- | ----: |\n| a\\|b  |     1 |\n| c     | 1,000 |"
    )


def test_tables_hold_the_numbers_and_fit_a_terminal() -> None:
    rows = gaps((1000000, 12.34, -10.11, 14.56), model="a rather long name of a model")
    text = write_summary.summary(make(rows))
    assert max(len(line) for line in text.splitlines()[1:]) <= 110
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    gap = ["a rather long name of a model", "1,000,000", "12.3", "-10.1 to 14.6", "2", "no"]
    assert gap in cells
    assert ["MiniLM", "250", "80.0", "78.0 to 82.0", "85.0", "0.500", "5.0", "2"] in cells
    assert ["films", "47,500", "2,000", "3", "48", "bad, good"] in cells
    assert "films: Maas et al. 2011" in text


def test_a_share_is_shown_with_its_n() -> None:
    rows = gaps((4321, 9, 7, 11))
    rows[0]["size"] = "10%"
    assert "| 4,321 (10%) |" in write_summary.summary(make(rows))


def test_program_reads_the_tables_and_writes_the_summary(tmp_path: Path) -> None:
    study = make(gaps((250, 18.25, 15.1, 21.3), (4000, 9.1, 8.0, 10.2)))
    names = {
        "scores": (gather.COLUMNS, study.scores),
        "accuracies": (estimate_gap.ACCURACY_COLUMNS, study.accuracies),
        "gaps": (estimate_gap.GAP_COLUMNS, study.gaps),
    }
    options = []
    for name, (columns, rows) in names.items():
        write_table(tmp_path / f"{name}.csv", columns, [dict(row) for row in rows], decimals=4)
        options += [f"--{name}", str(tmp_path / f"{name}.csv")]
    (tmp_path / "card.json").write_text(json.dumps(study.cards[0]), encoding="utf-8")
    options += ["--cards", str(tmp_path / "card.json"), "--summary", str(tmp_path / "out" / "s.md")]
    write_summary.main(["--recipe", json.dumps(RECIPE), *options])
    assert (tmp_path / "out" / "s.md").read_text(encoding="utf-8") == write_summary.summary(study)
    assert read_table(tmp_path / "gaps.csv")[0] == study.gaps[0]
