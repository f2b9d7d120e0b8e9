"""A whole study on a tiny grid: what it ends in, what a second call does, what a change reruns."""

import csv
import re
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


def replan(finished, **changes):
    """Return what a dry run plans with changed top-level keys of the config."""
    study, config = finished
    return planned(study.snakemake("-n", config=config | changes))


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


def test_touched_and_regenerated_inputs_rerun_nothing(finished):
    for path in ("tickets.csv", "scripts/train.py", "results/datasets/tickets/pool.parquet"):
        (finished[0].folder / path).touch()
    assert replan(finished) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "rules"),
    [
        (
            "scripts/gap/training.py",
            "    steps, interval",
            "    # noted\n    steps, interval",
            set(),
        ),
        ("scripts/gap/cli.py", '"""Return the content', '"""Give the content', set()),
        ("scripts/gap/charts.py", "CHART_WIDTH = 800", "CHART_WIDTH = 801", {"chart_gap"}),
        ("scripts/train.py", "result = {", 'print("x")\n    result = {', {"train"}),
    ],
)
def test_code_reruns_what_it_decides(finished, file, old, new, rules):
    path = finished[0].folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        # Which jobs follow from a rerun is known only after it: results may come out the same.
        changed = {rule for rule in replan(finished) if rule in ("chart_gap", "train", "prepare")}
    finally:
        path.write_text(text, encoding="utf-8")
    assert rules <= changed
    assert not rules or changed <= rules | {"chart_gap"}
    assert rules or not changed


def test_another_title_redraws_and_retrains_nothing(finished):
    zoo = finished[1]["model_zoo"]
    zoo = zoo | {"bert": zoo["bert"] | {"title": "A BERT"}}
    assert replan(finished, model_zoo=zoo) == {"chart_gap": 1, "write_summary": 1}


def test_an_unused_model_and_the_order_of_keys_rerun_nothing(finished):
    zoo = finished[1]["model_zoo"] | {"spare": {"family": "linear", "min_texts": 2}}
    assert replan(finished, model_zoo=dict(reversed(zoo.items()))) == {}


def test_a_changed_recipe_reruns_that_model_only(finished):
    zoo = finished[1]["model_zoo"]
    zoo = zoo | {"tfidf": zoo["tfidf"] | {"longest_phrase": 1}}
    jobs = replan(finished, model_zoo=zoo)
    assert jobs["train"] == 2
    assert jobs["predict"] == 2
    assert not {"prepare", "subsample", "encode", "fit_vocabulary"} & set(jobs)


def test_a_new_size_trains_the_new_size_only(finished):
    jobs = replan(finished, sizes=[*finished[1]["sizes"], 60])
    assert jobs["train"] == 4
    assert jobs["fit_vocabulary"] == 1
    assert not {"prepare", "encode", "download"} & set(jobs)


def test_a_new_seed_trains_the_new_seed_only(finished):
    zoo = finished[1]["model_zoo"]
    zoo = zoo | {"lstm": zoo["lstm"] | {"seeds": ["1-2", 3]}}
    jobs = replan(finished, model_zoo=zoo)
    assert jobs["train"] == 2
    assert jobs["subsample"] == 0 or jobs["subsample"] == 2


def test_a_larger_size_than_the_pool_is_told_with_its_rows(finished):
    study, config = finished
    call = study.snakemake("-n", config=config | {"sizes": [5000]})
    assert call.rc == 1
    assert "sizes: 5000 is more than the pool of tickets holds" in call.output


def test_the_same_study_again_gives_the_same_numbers(finished):
    study, config = finished
    gaps = study.folder / "results" / "gaps.csv"
    before = gaps.read_bytes()
    call = study.snakemake("--cores", "2", "--forceall", config=config)
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
