"""How what is missing in an unfinished study is told."""

from __future__ import annotations

from typing import Any

from gap.results.missing import count_missing, name_missing, name_unpaired, spell_size

TITLES = {"lstm": "LSTM", "films": "Films"}
RECIPE = {"reference": "big", "titles": TITLES}


def row(model: str, size: str, seeds: object = 2, dataset: str = "films") -> dict[str, Any]:
    return {"dataset": dataset, "model": model, "size": size, "seeds": seeds}


def named(missing: list[dict[str, Any]], accuracies: list[dict[str, Any]]) -> list[str]:
    return name_missing(missing, accuracies, TITLES)


def test_runs_are_counted_by_seed() -> None:
    there = [row("big", "250", 5), row("lstm", "250", 1)]
    assert count_missing([row("lstm", "250", "2-5")], there) == "4 of 10 runs are missing"
    assert count_missing([row("lstm", "250", "2")], there) == "1 of 7 runs is missing"


def test_sizes_of_a_model_are_named_together_and_seeds_where_others_are_there() -> None:
    missing = [
        row("lstm", "1000", "1-2"),
        row("lstm", "1000", "3"),
        row("lstm", "4000", "3"),
        row("lstm", "10%", "1-2"),
        row("linear", "250", "1"),
        row("linear", "250", "7-9"),
        row("frozen", "250", "1-2"),
    ]
    there = [row("lstm", "4000"), row("linear", "250")]
    assert named(missing, there) == [
        "LSTM at 1,000, 4,000 (seed 3) and 10%",
        "linear at 250 (seeds 1, 7-9)",
        "all of frozen",
    ]


def test_data_sets_are_named_where_there_are_several() -> None:
    missing = [row("lstm", "250", "1", "rentals")]
    assert named(missing, [row("lstm", "250")]) == ["all of LSTM on rentals"]
    assert named([row("lstm", "250", "1")], [row("lstm", "4000"), row("lstm", "1", 2, "b")]) == [
        "LSTM at 250 on Films"
    ]


def test_a_whole_study_has_nothing_without_a_gap() -> None:
    there = [row("big", "250"), row("lstm", "250")]
    assert name_unpaired(there, [row("lstm", "250")], RECIPE) == []
    assert name_unpaired([row("big", "250")], [], RECIPE) == []


def test_what_has_no_gap_is_named_by_model_or_by_size() -> None:
    models = ("big", "lstm", "linear")
    there = [row(model, size) for size in ("250", "1000", "4000") for model in models[1:]]
    there += [row("big", "250"), row("big", "4000")]
    gaps = [row("lstm", "250"), row("linear", "250"), row("linear", "4000")]
    assert name_unpaired(there, gaps, RECIPE) == ["all models at 1,000", "LSTM at 4,000"]


def test_sizes_are_spelled_with_thousands_and_shares_as_they_are() -> None:
    assert [spell_size(size) for size in ("250", "25000", "2.5%")] == ["250", "25,000", "2.5%"]
