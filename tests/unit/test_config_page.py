"""The JSON schema and the page of all keys: made from the classes, and right."""

import copy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from gap.config.check import complete
from gap.config.generate import PAGE, SCHEMA, schema_file
from gap.config.page import page, sections
from gap.config.schema import config_schema
from gap.config.study import FAMILIES
from gap.models.family import family_names
from gap.study.metrics import METRICS
from gap.study.pretraining import LanguageModel, LstmSize, MaskedLm
from gap.study.prices import Target
from gap.study.recipes import FineTuning, Review
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from snakemake.utils import update_config

ROOT = Path(__file__).resolve().parents[2]
BASE: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["minilm", "lstm"],
    "reference": "minilm",
    "sizes": [250],
    "seeds": [1],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
        }
    },
    "checkpoint_zoo": {"my-encoder": {"kind": "file", "path": "bert"}},
    "vocabulary_zoo": {"pieces": {"algorithm": "unigram"}},
    "model_zoo": {
        "minilm": {"family": "transformer", "checkpoint": "my-encoder"},
        "lstm": {"family": "lstm", "vocabulary": "pieces"},
    },
}
BLOCKS = [section for section in sections() if section.block]
TITLES = [section.title for section in BLOCKS]
REMEDY = "call python scripts/gap/config/generate.py"


def test_the_files_are_those_that_the_classes_make():
    assert SCHEMA.read_text(encoding="utf-8") == schema_file(), REMEDY
    assert PAGE.read_text(encoding="utf-8") == page(), REMEDY


def test_the_command_writes_both_files_from_any_folder(tmp_path):
    before = SCHEMA.read_bytes(), PAGE.read_bytes()
    program = ROOT / "scripts" / "gap" / "config" / "generate.py"
    subprocess.run([sys.executable, program], cwd=tmp_path, check=True)
    assert (SCHEMA.read_bytes(), PAGE.read_bytes()) == before


def with_example(section):
    """A config that has a section's example, at the place that the example names."""
    config = copy.deepcopy(BASE)
    given, place = yaml.safe_load(section.example), config
    if not section.keys:
        return given
    for key in section.keys[:-1]:
        place, given = place.setdefault(key, {}), given[key]
    last = section.keys[-1]
    place[last] = given[last]
    if section.keys[0] == "checkpoint_zoo" and len(section.keys) > 2:
        own = LanguageModel if section.block is LstmSize else MaskedLm
        place |= yaml.safe_load(own.example) | {last: given[last]}
    elif last == "optimisation":
        # That of a model of the section's family.
        family = section.title.split()[-1]
        place |= yaml.safe_load(FAMILIES[family].example) | {last: given[last]}
    elif section.block is Review:
        config["model_zoo"]["my-model"] |= {"family": "transformer", "checkpoint": "my-encoder"}
    if section.block in (FineTuning, Review):
        # What is mixed in is the corpus of a checkpoint that the workflow makes.
        zoo = config["checkpoint_zoo"]
        zoo |= {name: yaml.safe_load(MaskedLm.example) for name in ("my-encoder", "minilm")}
    return config


@pytest.mark.parametrize("section", BLOCKS, ids=TITLES)
def test_each_example_is_fine(section):
    config = with_example(section)
    Draft202012Validator(config_schema()).validate(config)
    complete(config)


@pytest.mark.parametrize("section", BLOCKS, ids=TITLES)
def test_each_example_shows_all_keys(section):
    block = yaml.safe_load(section.block.example)
    shown = set().union(*block) if isinstance(block, list) else set(block)
    hidden = {name for name, field in section.block.model_fields.items() if field.exclude}
    # A model has either of the two, and its number of trials from the study.
    hidden |= {"checkpoint", "vocabulary", "trials"} if "family" in shown else set()
    # A target is of one metric.
    hidden |= set(METRICS) if section.block is Target else set()
    assert set(section.block.model_fields) - shown - hidden == set()


def test_the_page_shows_each_example_and_each_family():
    tokens = MarkdownIt().parse(page())
    shown = [token.content for token in tokens if token.type == "fence"]
    assert shown == [section.example for section in BLOCKS]
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert [f"family: {name}" for name in family_names()] == [
        title for title in headings if title.startswith("family: ")
    ]


@pytest.mark.parametrize("path", ["config.yaml", "studies/smoke.yaml"])
def test_editors_find_nothing_wrong_with_the_studies_of_the_repository(path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    update_config(config, yaml.safe_load((ROOT / path).read_text(encoding="utf-8")))
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(config)


def test_a_new_family_has_a_section_without_a_word_elsewhere(tmp_path):
    """In a copy of the package, as families are found when it is imported."""
    shutil.copytree(ROOT / "scripts" / "gap", tmp_path / "scripts" / "gap")
    for folder in ("schemas", "docs"):
        (tmp_path / folder).mkdir()
    families = tmp_path / "scripts" / "gap" / "models" / "families"
    linear = (families / "linear.py").read_text(encoding="utf-8")
    (families / "counts.py").write_text(linear.replace('"linear"', '"counts"'), encoding="utf-8")
    program = tmp_path / "scripts" / "gap" / "config" / "generate.py"
    subprocess.run([sys.executable, program], check=True)
    assert "### family: counts" in (tmp_path / "docs" / "config.md").read_text(encoding="utf-8")
    schema = yaml.safe_load((tmp_path / "schemas" / "config.schema.yaml").read_text())
    config = BASE | {"model_zoo": BASE["model_zoo"] | {"new": {"family": "counts"}}}
    Draft202012Validator(schema).validate(config)
