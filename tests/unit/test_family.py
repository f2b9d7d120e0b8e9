"""Families are found by their files, are light, and each answers all that is asked."""

import subprocess
import sys
from pathlib import Path

import pytest
from gap.models.family import family_class, family_names, family_of, load_recipe
from gap.models.workload import Workload
from gap.study.tuning import largest

ROOT = Path(__file__).parents[2]
# One entry of each family; a new family has one here, too.
ENTRIES = {
    "transformer": {"family": "transformer", "checkpoint": "tiny"},
    "frozen": {"family": "frozen", "checkpoint": "tiny"},
    "frozen_lstm": {"family": "frozen_lstm", "checkpoint": "tiny"},
    "lstm": {"family": "lstm", "vocabulary": "pieces"},
    "linear": {"family": "linear"},
    "composition": {"family": "composition"},
}


def test_each_file_is_a_family():
    files = {path.stem for path in (ROOT / "scripts/gap/models/families").glob("[!_]*.py")}
    assert set(family_names()) == files == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_it_answers_without_anything_heavy(name):
    """As the report does, where no torch is installed, and rules, which have no time for it."""
    code = (
        "import sys\n"
        "for heavy in ('torch', 'transformers', 'sklearn', 'numpy', 'pyarrow', 'pandas'):\n"
        "    sys.modules[heavy] = None\n"
        "from gap.models.family import family_of, load_recipe\n"
        "from gap.models.workload import Workload\n"
        "from gap.study.tuning import largest\n"
        f"recipe = load_recipe({ENTRIES[name]!r})\n"
        "print(family_of(recipe).describe())\n"
        "family = family_of(largest(recipe))\n"
        "work = Workload(tokens=40, rows=1000, validation=100)\n"
        "print(family.describe(), family.speed_claim(), family.assumption())\n"
        "print(family.trial_operations(work), family.training_memory(work, gpus=1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ENTRIES)
def test_its_estimates_grow_with_the_work(name):
    family = family_of(largest(load_recipe(ENTRIES[name])))
    few, many = (Workload(tokens=40, rows=rows, validation=10) for rows in (5_000, 50_000))
    for estimate in (family.trial_operations, family.prediction_operations):
        assert 0 < estimate(few) < estimate(many)
    assert 0 <= family.shared_operations(few) <= family.shared_operations(many)
    assert sum(family.training_memory(few, 0)) < sum(family.training_memory(many, 0))
    assert family.weight_bytes(few) > 0
    assert family.core_rate(1) > 0
    assert family.divisible <= family.uses_gpu


def test_an_older_spelling_leads_to_the_same_family():
    entry = {"checkpoint": "tiny", "pooling": "max"}
    older = load_recipe(entry | {"family": "transformer", "frozen": True})
    assert older == load_recipe(entry | {"family": "frozen"})
    assert isinstance(family_of(older), family_class("frozen"))


def test_single_seeds_are_read_as_file_names_have_them():
    recipe = load_recipe(ENTRIES["linear"] | {"seeds": ["1", "3-5"]})
    assert recipe.seeds == ["1", "3-5"]
