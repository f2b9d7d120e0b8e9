"""A whole study on a tiny grid: what it ends in, what a second call does, what a change reruns."""

import csv
import itertools
import re
import shutil
import subprocess
import sys

import pytest
from gap.run.json import read_json
from tiny_study import GRID, ROOT, TINY_STUDY, Study

pytestmark = pytest.mark.workflow

STUDIES = ROOT / "studies"
CHART = ("html", "svg", "png", "vl.json")


@pytest.fixture(scope="module")
def finished(grid, tmp_path_factory):
    """A finished study, in which snakemake may be called, and its config."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    shutil.copytree(grid[0].folder, folder, symlinks=True)
    return Study(folder), GRID


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


def test_snakemake_looks_for_jobs_when_one_has_ended_and_at_no_other_time(finished):
    study, config = finished
    selection = ("--forcerun", "score", "--until", "score")
    call = study.snakemake("--cores", "2", "--verbose", *selection, config=config)
    assert call.rc == 0, call.output
    scored, looks = (call.output.count(words) for words in ("Finished jobid", "Ready jobs: "))
    assert scored > 10
    assert looks <= scored + 1
    # A rate that is asked for is kept to.
    rate = ("--max-jobs-per-timespan", "1/1s")
    call = study.snakemake("--cores", "2", *rate, *selection, config=config)
    assert "Job rate limit reached" in call.output


def test_it_ends_in_chart_tables_and_an_answer(finished):
    results = finished[0].folder / "results"
    charts = [f"{chart}.{end}" for chart in ("gap", "cost") for end in CHART]
    for name in (*charts, "summary.md", "report.html"):
        assert (results / name).stat().st_size > 500, name
    for page in ("gap", "cost", "report"):
        html = (results / f"{page}.html").read_text(encoding="utf-8")
        assert not re.search(r"(src|href)=.https?:", html)
    gaps = rows(results / "gaps.csv")
    assert {"dataset", "model", "size", "gap", "gap_low", "gap_high", "seeds"} <= set(gaps[0])
    assert {(row["dataset"], row["model"], row["size"]) for row in gaps} == set(
        itertools.product(("tickets", "notes"), ("lstm", "tfidf"), ("40", "25%"))
    )
    summary = (results / "summary.md").read_text(encoding="utf-8")
    assert "Tiny BERT" in summary.partition("\n")[0]


def test_gaps_are_differences_of_scores_over_shared_seeds(finished):
    results = finished[0].folder / "results"
    accuracy = {
        (row["dataset"], row["model"], row["size"], row["seed"]): float(row["accuracy"])
        for row in rows(results / "scores.csv")
    }
    assert len(accuracy) == 2 * 3 * 2 * 2
    for row in rows(results / "gaps.csv"):
        differences = [
            accuracy[row["dataset"], "bert", row["size"], seed]
            - accuracy[row["dataset"], row["model"], row["size"], seed]
            for seed in ("1", "2")
        ]
        assert float(row["gap"]) == pytest.approx(50 * sum(differences), abs=1e-3)
        assert float(row["gap_low"]) <= float(row["gap"]) <= float(row["gap_high"])
        assert row["seeds"] == "2"


def test_each_run_goes_on_with_its_best_trial_and_all_are_told(finished):
    results = finished[0].folder / "results"
    runs: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows(results / "trials.csv"):
        cell = row["dataset"], row["model"], row["size"], row["seed"]
        runs.setdefault(cell, []).append(row)
    assert len(runs) == 2 * 3 * 2 * 2
    for (_, model, _, _), trials in runs.items():
        assert len(trials) == (8 if model == "tfidf" else 2)
        chosen = [row for row in trials if row["chosen"] == "yes"]
        assert chosen == [min(trials, key=lambda row: float(row["validation_loss"]))]
    # The same draw for all sizes of a seed.
    lstm = {(size, seed): runs["notes", "lstm", size, seed] for _, _, size, seed in runs}
    tried = {cell: [(row["dropout"], row["lr"]) for row in own] for cell, own in lstm.items()}
    assert tried["40", "1"] == tried["25%", "1"]
    summary = (results / "summary.md").read_text(encoding="utf-8")
    table = summary.partition("## What was tried")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert ["Model", "Labels", "Trials", "1", "2", "4", "8"] in cells
    assert [row[2] for row in cells if len(row) > 2 and row[2].isdigit()] == ["2", "2", "8"] * 2


def test_every_model_is_timed_at_the_largest_size(finished):
    study, config = finished
    table = rows(study.folder / "results" / "latency.csv")
    cells = list(itertools.product(config["datasets"], config["models"]))
    assert [(row["dataset"], row["model"]) for row in table] == cells
    accuracy = {
        (row["dataset"], row["model"]): row["accuracy"]
        for row in rows(study.folder / "results" / "accuracies.csv")
        if row["size"] == "25%"
    }
    assert {row["size"] for row in table} == {"25%"}
    assert {(row["dataset"], row["model"]): row["accuracy"] for row in table} == accuracy
    assert table[0]["speed_up"] == table[0]["batched_speed_up"] == "1.0000"
    assert {row["threads"] for row in table} == {"1"}
    assert "yes" in {row["pareto"] for row in table}
    summary = (study.folder / "results" / "summary.md").read_text(encoding="utf-8")
    assert "## What inference costs" in summary


def test_nothing_runs_beside_a_measurement(finished):
    log = min((finished[0].folder / ".snakemake" / "log").glob("*.log"))
    running, measurements, most = set[str](), 0, 0
    for line in log.read_text(encoding="utf-8").splitlines():
        if start := re.match(r"Job (\d+): (.*)", line):
            measuring = start[2].startswith("Measuring")
            assert not (running & {"measuring"} or (measuring and running)), line
            running.add("measuring" if measuring else start[1])
            measurements += measuring
        elif end := re.match(r"Finished jobid: (\d+) \(Rule: (\w+)\)", line):
            # The last rule has no job: only its end is told.
            running.discard("measuring" if end[2] == "measure_latency" else end[1])
        most = max(most, len(running))
    assert (measurements, most) == (2, 2)


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


def test_snakemakes_own_report_holds_pages_tables_and_captions(finished):
    study, config = finished
    call = study.snakemake("--report", "study.html", config=config)
    assert call.rc == 0, call.output
    page = (study.folder / "study.html").read_text(encoding="utf-8")
    for name in ("report.html", "summary.md", "gap.html", "cost.html", "gaps.csv", "latency.csv"):
        assert f"results/{name}" in page
    for words in (
        "bert against the other models on tickets, notes",
        "the dashed line is the margin",
    ):
        assert words in " ".join(page.split())
    assert not re.search(r"(src|href)=.https?:", page.partition("<body")[0])


def test_a_finished_study_is_exported_and_compared(finished):
    study, config = finished
    export = study.snakemake("--cores", "1", "export", config=config)
    assert export.rc == 0, export.output
    assert "1 of 1 steps (100%) done" in export.output
    tables = {path.name for path in (study.folder / "results" / "tables").iterdir()}
    assert len(tables) == 15 + 4
    assert {"scores.parquet", "gaps.parquet", "gaps.tex"} <= tables
    again = study.snakemake("--cores", "1", "export", config=config)
    assert "Nothing to be done" in again.output
    shutil.copytree(study.folder / "results", study.folder / "results-copy")
    program = [sys.executable, "scripts/compare_studies.py", "--folder", "both"]
    call = subprocess.run(
        [*program, "--compare", "results", "results-copy"],
        cwd=study.folder,
        capture_output=True,
        text=True,
    )
    assert call.returncode == 0, call.stderr
    assert all((study.folder / "both" / f"gap.{end}").exists() for end in CHART)
    # A difference of two gaps that are the same.
    assert len(re.findall(r"\| +0\.0 \(-\d+\.\d to \d+\.\d\) \| unclear", call.stdout)) == 2 * 2 * 2


def test_a_larger_size_than_the_pool_is_told_with_its_rows(finished):
    study, config = finished
    call = study.snakemake("-n", config=config | {"sizes": [5000]})
    assert call.rc == 1
    assert "sizes: 5000 is more than the pool of tickets holds" in call.output


def test_a_study_made_again_elsewhere_has_the_same_numbers(finished):
    """One data set and size of it: each run is a matter of its own cell."""
    study, config = finished
    part = {"datasets": ["notes"], "sizes": [40], "pathvars": {"results": "again"}}
    call = study.snakemake("--cores", "2", config=config | part)
    assert call.rc == 0, call.output
    assert "The chart is again/gap.html" in call.output
    runs = sorted(study.folder.glob("again/runs/*/*/*/*/predictions.json"))
    assert len(runs) == 3
    for path in runs:
        before = study.folder / "results" / path.relative_to(study.folder / "again")
        assert path.read_bytes() == before.read_bytes()
    before, after = (
        [row for row in rows(study.folder / folder / "scores.csv") if row["dataset"] == "notes"]
        for folder in ("results", "again")
    )
    assert after == [row for row in before if row["size"] == "40"]


# Data sets x models x sizes x blocks of seeds.
SHIPPED = {
    "bridge": 5 * 4,
    "imdb": 4 * 5,
    "layers": 6 * 5,
    "paper": 3 * 12 * 7 * 3,
    "pretraining": 1 * 9 * 4,
    "proteins": 3 * 6 * 3,
    "ratings": 5 * 3,
    "smoke": 5,
    "transfer": 6 * 4 + 6 * 5 * 3,
}


@pytest.mark.parametrize("name", sorted(path.stem for path in STUDIES.iterdir()))
def test_shipped_studies_can_be_planned_without_network_and_data(study, name):
    path = STUDIES / f"{name}.yaml"
    jobs = planned(study.snakemake("-n", config=path.read_text(encoding="utf-8")))
    assert jobs["train"] == SHIPPED[name]
    assert jobs["chart_gap"] == 1


@pytest.mark.parametrize("option", ["-n", "--dry-run", "-np"])
def test_a_dry_run_says_how_small_a_gap_the_study_tells(study, tickets, option):
    config = TINY_STUDY | {"models": ["lstm", "tfidf"], "reference": "lstm"}
    note = "note: tickets: 80 % of studies with 100 test rows and 2 seeds tell a single gap"
    call = study.snakemake(option, config=config)
    assert note in call.stderr
    assert " with 40 labels\n" in call.stderr
    # A list of rules is no dry run.
    assert "note: " not in study.snakemake("--list-rules", config=config).output
