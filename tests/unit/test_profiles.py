"""Profiles hold options that snakemake knows; a page explains what is a cluster's own."""

import re

import pytest
import yaml
from gap.cluster.requests import Site
from snakemake.cli import get_argument_parser
from tiny_study import ROOT

PROFILES = sorted((ROOT / "profiles").iterdir())
SLURM = ROOT / "profiles" / "slurm" / "config.yaml"


def content(profile):
    return yaml.safe_load((profile / "config.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.name)
def test_every_key_of_a_profile_is_an_option_of_snakemake(profile):
    known = {
        option.removeprefix("--")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }
    assert set(content(profile)) <= known


def test_the_slurm_profile_has_what_the_default_one_has():
    default, slurm = (content(ROOT / "profiles" / name) for name in ("default", "slurm"))
    # How many cores of this machine: a cluster has `jobs`.
    assert default.pop("cores") == "all"
    assert default.items() <= slurm.items()


def test_groups_of_the_profile_are_those_of_the_rules():
    rules = (ROOT / "rules" / "placement.smk").read_text(encoding="utf-8")
    for group in content(SLURM.parent)["group-components"]:
        assert f'"{group}"' in rules


def test_the_page_explains_each_key_that_is_a_clusters_own():
    text = SLURM.read_text(encoding="utf-8")
    site = text.partition("# ---- your cluster")[2].partition("# ---- the rest")[0]
    keys = re.findall(r"^  (?:# )?(\w+):", site, re.MULTILINE)
    assert {"slurm_account", "slurm_partition", "gpu_partition", "most_gpus"} <= set(keys)
    page = (ROOT / "docs" / "slurm.md").read_text(encoding="utf-8")
    assert [key for key in keys if f"`{key}`" not in page] == []
    # With the comments taken off, it is a profile that the workflow understands.
    filled = yaml.safe_load(re.sub(r"^  # (\w+:)", r"  \1", site.partition("\n")[2], flags=re.M))
    assert Site.of(filled) == Site("cpu", "gpu", "a100", 1, 1440)
