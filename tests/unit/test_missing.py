"""How what is missing in an unfinished study is told."""

from __future__ import annotations

from gap.results.missing import count_missing, name_missing, name_unpaired, spell_size
from gap.results.reading import MissingRuns, NamingRecipe
from gap.results.rows import AccuracyRow, GapRow
from table_rows import row_of

TITLES = {"lstm": "LSTM", "films": "Films"}
RECIPE = NamingRecipe(reference="big", confidence=0.95, titles=TITLES)


def absent(model: str, size: str, seeds: str, dataset: str = "films") -> MissingRuns:
    return MissingRuns(dataset=dataset, model=model, size=size, seeds=seeds)


def row(model: str, size: str, seeds: int = 2, dataset: str = "films") -> AccuracyRow:
    return row_of(AccuracyRow, dataset=dataset, model=model, size=size, seeds=seeds)


def gap(model: str, size: str) -> GapRow:
    return row_of(GapRow, dataset="films", model=model, size=size)


def named(missing: list[MissingRuns], accuracies: list[AccuracyRow]) -> list[str]:
    return name_missing(RECIPE.model_copy(update={"missing": missing}), accuracies)


def test_runs_are_counted_by_seed() -> None:
    there = [row("big", "250", 5), row("lstm", "250", 1)]
    assert count_missing([absent("lstm", "250", "2-5")], there) == "4 of 10 runs are missing"
    assert count_missing([absent("lstm", "250", "2")], there) == "1 of 7 runs is missing"


def test_sizes_of_a_model_are_named_together_and_seeds_where_others_are_there() -> None:
    missing = [
        absent("lstm", "1000", "1-2"),
        absent("lstm", "1000", "3"),
        absent("lstm", "4000", "3"),
        absent("lstm", "10%", "1-2"),
        absent("linear", "250", "1"),
        absent("linear", "250", "7-9"),
        absent("frozen", "250", "1-2"),
    ]
    there = [row("lstm", "4000"), row("linear", "250")]
    assert named(missing, there) == [
        "LSTM at 1,000, 4,000 (seed 3) and 10%",
        "linear at 250 (seeds 1, 7-9)",
        "all of frozen",
    ]


def test_data_sets_are_named_where_there_are_several() -> None:
    missing = [absent("lstm", "250", "1", "rentals")]
    assert named(missing, [row("lstm", "250")]) == ["all of LSTM on rentals"]
    assert named([absent("lstm", "250", "1")], [row("lstm", "4000"), row("lstm", "1", 2, "b")]) == [
        "LSTM at 250 on Films"
    ]


def test_a_whole_study_has_nothing_without_a_gap() -> None:
    there = [row("big", "250"), row("lstm", "250")]
    assert name_unpaired(RECIPE, there, [gap("lstm", "250")]) == []
    assert name_unpaired(RECIPE, [row("big", "250")], []) == []


def test_what_has_no_gap_is_named_by_model_or_by_size() -> None:
    models = ("big", "lstm", "linear")
    there = [row(model, size) for size in ("250", "1000", "4000") for model in models[1:]]
    there += [row("big", "250"), row("big", "4000")]
    gaps = [gap("lstm", "250"), gap("linear", "250"), gap("linear", "4000")]
    assert name_unpaired(RECIPE, there, gaps) == ["all models at 1,000", "LSTM at 4,000"]


def test_sizes_are_spelled_with_thousands_and_shares_as_they_are() -> None:
    assert [spell_size(size) for size in ("250", "25000", "2.5%")] == ["250", "25,000", "2.5%"]
