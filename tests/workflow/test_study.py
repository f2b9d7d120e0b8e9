"""A whole study on a tiny grid: what it ends in, what a second call does, what a change reruns."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from gap.cli import read_json

pytestmark = pytest.mark.workflow

README = Path(__file__).resolve().parents[2] / "README.md"
CELL = "results/runs/tickets"


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def planned(call):
    """Return {rule: jobs} of a dry run; empty where nothing is to be done."""
    assert call.rc == 0, call.output
    if "Nothing to be done" in call.output:
        return {}
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", call.output, re.MULTILINE | re.DOTALL)
    assert table, call.output
    jobs = dict(line.split() for line in table[1].strip().splitlines())
    return {rule: int(count) for rule, count in jobs.items() if rule != "all"}


def test_it_ends_in_chart_tables_and_an_answer(finished):
    results = finished[0].folder / "results"
    for name in ("gap.html", "gap.svg", "gap.png", "gap.vl.json", "summary.md"):
        assert (results / name).stat().st_size > 500, name
    html = (results / "gap.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=.https?:", html)
    gaps = rows(results / "gaps.csv")
    assert {"dataset", "model", "size", "gap", "gap_low", "gap_high", "seeds"} <= set(gaps[0])
    assert {(row["model"], row["size"]) for row in gaps} == {
        (model, size) for model in ("lstm", "tfidf") for size in ("40", "25%")
    }
    summary = (results / "summary.md").read_text(encoding="utf-8")
    assert "Tiny BERT" in summary.partition("\n")[0]


def test_gaps_are_differences_of_scores_over_shared_seeds(finished):
    results = finished[0].folder / "results"
    accuracy = {
        (row["model"], row["size"], row["seed"]): float(row["accuracy"])
        for row in rows(results / "scores.csv")
    }
    assert len(accuracy) == 3 * 2 * 2
    for row in rows(results / "gaps.csv"):
        differences = [
            accuracy["bert", row["size"], seed] - accuracy[row["model"], row["size"], seed]
            for seed in ("1", "2")
        ]
        assert float(row["gap"]) == pytest.approx(50 * sum(differences), abs=1e-3)
        assert float(row["gap_low"]) <= float(row["gap"]) <= float(row["gap_high"])
        assert row["seeds"] == "2"


def test_no_text_of_the_pool_stands_in_the_test_set(finished):
    folder = finished[0].folder / "results" / "datasets" / "tickets"
    card = read_json(folder / "card.json")
    assert card["pool"]["rows"] + card["test"]["rows"] == 400
    assert card["test"]["rows"] == 100


def test_a_finished_study_tells_where_to_look_and_has_nothing_more_to_do(finished):
    study, config = finished
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0
    assert "Nothing to be done" in call.output


def test_a_larger_size_than_the_pool_is_told_with_its_rows(finished):
    study, config = finished
    call = study.snakemake("-n", config=config | {"sizes": [5000]})
    assert call.rc == 1
    assert "sizes: 5000 is more than the pool of tickets holds" in call.output


def test_the_same_study_again_gives_the_same_numbers(finished):
    study, config = finished
    gaps = study.folder / "results" / "gaps.csv"
    before = gaps.read_bytes()
    # All of it: a job that finds what it made before would make nothing again.
    shutil.rmtree(study.folder / "results")
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    assert "The chart is results/gap.html" in call.output
    assert gaps.read_bytes() == before


def test_shipped_studies_are_sound(study):
    for path in sorted((README.parent / "studies").glob("*.yaml")):
        jobs = planned(study.snakemake("-n", config=path.read_text(encoding="utf-8")))
        assert jobs["train"] >= 5, path
        assert jobs["chart_gap"] == 1, path


def test_the_config_of_the_readme_plans_a_study_of_ones_own_data(study, tickets):
    block = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    assert len(block[1].splitlines()) <= 12
    jobs = planned(study.snakemake("-n", config=block[1]))
    assert jobs["train"] == 2 * 5
    assert yaml.safe_load(block[1])["dataset_zoo"]["tickets"]["source"]["path"] == tickets.name


def test_snakemake_takes_the_commands_of_the_readme(study, tickets):
    text = README.read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block
    (study.folder / "tickets.yaml").write_text(block[1], encoding="utf-8")
    shutil.copytree(README.parent / "studies", study.folder / "studies")
    commands = set(re.findall(r"\bsnakemake( -[^`\n#]*)", text))
    assert len(commands) >= 5
    for command in sorted(commands):
        dry = [] if "--unlock" in command else ["-n"]
        call = study.snakemake(*shlex.split(command), *dry)
        assert call.rc == 0 or "partial" in command, call.output
        assert "usage:" not in call.output, call.output
