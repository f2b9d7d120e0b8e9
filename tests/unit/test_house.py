"""How the code is built: rooms, families, functions that fit on a page."""

import shutil

import pytest
from house import branches_in_rules, measure, modules, runs_back
from pages import ROOT


def test_no_room_imports_from_one_that_stands_on_it():
    arrows = [(module.name, arrow) for module in modules(ROOT) for arrow in module.arrows()]
    assert len(arrows) > 100
    assert not [(name, arrow) for name, arrow in arrows if runs_back(arrow)]


def test_nobody_outside_its_file_asks_which_family_a_model_is_of():
    assert not [place for module in modules(ROOT) for place in module.branches()]
    assert not branches_in_rules(ROOT)


def test_functions_and_files_are_short_and_names_and_types_say_what_they_hold():
    house = measure(ROOT)
    assert house.longest_function <= 60
    assert house.files_over_400_lines == 0
    assert house.any_in_annotations < 0.02
    assert house.pronouns_among_names < 0.005


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('def f(recipe):\n    return recipe.family == "lstm"\n', 1),
        ("def f(model):\n    return isinstance(model, Lstm)\n", 1),
        ("from gap.report.charts import save_chart\n", 1),
        ("def f(recipe):\n    return recipe.family\n", 0),
    ],
)
def test_what_is_counted(tmp_path, text, count):
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    room = tmp_path / "scripts" / "gap" / "data"
    room.mkdir(parents=True)
    (room / "new.py").write_text(f"def nothing(rows: int) -> int:\n    return rows\n\n\n{text}")
    house = measure(tmp_path)
    assert house.branches_on_the_family + house.arrows_that_run_back == count
