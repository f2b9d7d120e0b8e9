"""The runs of a study, and those of them whose models are timed."""

from gap.models.family import load_recipe
from gap.study.cells import Cell, cells_of, kept_sizes, largest_size, timed_cells


def model(seeds, **others):
    return load_recipe({"family": "linear", "seeds": seeds} | others)


DATASETS = {"films": ["250", "1000"], "books": ["250", "1000"]}
MODELS = {"big": model([1, "2-4"]), "small": model([1])}


def test_cells_are_in_the_order_of_the_study():
    cells = cells_of({"films": ["250", "10%"], "books": ["250", "10%"]}, MODELS)
    assert len(cells) == 2 * 2 * 3
    assert cells[:3] == [
        Cell("films", "big", "250", "1"),
        Cell("films", "big", "250", "2-4"),
        Cell("films", "big", "10%", "1"),
    ]
    assert cells[-1] == Cell("books", "small", "10%", "1")
    assert [cell.count for cell in cells[:2]] == [1, 3]
    assert "{dataset}/{model}/{size}/{seeds}".format(**cells[1].wildcards) == "films/big/250/2-4"


def test_a_share_is_larger_than_a_number():
    assert largest_size(["250", "10%", "9%", "4000"]) == "10%"
    assert largest_size(["250", "1000"]) == "1000"


def test_of_each_model_the_first_block_at_the_largest_size_is_timed():
    cells = cells_of(DATASETS, MODELS)
    assert timed_cells(cells) == [
        Cell(dataset, model, "1000", "1")
        for dataset in ("films", "books")
        for model in ("big", "small")
    ]
    assert timed_cells([]) == []


def test_models_keep_to_data_sets_and_sizes_of_their_own():
    models = MODELS | {"some": model([1], datasets=["books"], sizes=[250])}
    cells = cells_of(DATASETS, models)
    assert [cell for cell in cells if cell.model == "some"] == [Cell("books", "some", "250", "1")]
    assert len(cells) == 2 * 2 * 3 + 1
    # Each is timed where it has most labels.
    assert [cell.size for cell in timed_cells(cells)] == ["1000"] * 4 + ["250"]


def test_data_sets_have_sizes_of_their_own():
    cells = cells_of({"films": ["250", "1000"], "books": ["250"]}, MODELS)
    assert [cell.size for cell in cells if cell.dataset == "books"] == ["250"] * 3
    assert [cell.size for cell in timed_cells(cells)] == ["1000"] * 2 + ["250"] * 2
    assert kept_sizes(["250", "1000", "10%"], ["10%", "250"]) == ["250", "10%"]
    assert kept_sizes(["250", "1000"], None) == ["250", "1000"]
