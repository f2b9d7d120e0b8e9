"""The runs of a study, and those of them whose models are timed."""

from gap.study.cells import Cell, cells_of, largest_size, timed_cells

BLOCKS = {"big": ["1", "2-4"], "small": ["1"]}


def test_cells_are_in_the_order_of_the_study():
    cells = cells_of(["films", "books"], BLOCKS, ["250", "10%"])
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
    cells = cells_of(["films", "books"], BLOCKS, ["250", "1000"])
    assert timed_cells(cells) == [
        Cell(dataset, model, "1000", "1")
        for dataset in ("films", "books")
        for model in ("big", "small")
    ]
    assert timed_cells([]) == []
