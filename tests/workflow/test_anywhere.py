"""The workflow called from other folders than its own, moved, and as a part of another workflow."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import Call, Study, copy_workflow, write_tickets

pytestmark = pytest.mark.workflow

README = Path(__file__).resolve().parents[2] / "README.md"
CONFIG: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["phrases", "words"],
    "reference": "phrases",
    "sizes": [60],
    "seeds": ["1-2"],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "my data/tickets.csv"},
            "text": "body",
            "label": "queue",
            "test": 100,
        }
    },
    "model_zoo": {
        "phrases": {"family": "linear", "title": "Phrasés"},
        "words": {"family": "linear", "longest_phrase": 1, "title": "Mots isolés"},
    },
}


def new_folder(folder: Path) -> Path:
    """Return a folder with nothing of the workflow, but data to study."""
    (folder / "my data").mkdir(parents=True)
    write_tickets(folder / "my data" / "tickets.csv")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    return copy_workflow(tmp_path_factory.mktemp("projects") / "the workflow's folder").folder


@pytest.fixture
def empty(tmp_path, repository) -> Study:
    """A folder with data, in whose name there are spaces, and the workflow elsewhere."""
    return Study(new_folder(tmp_path / "my own study"), snakefile=repository / "Snakefile")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, repository) -> tuple[Study, Call]:
    """A study that was run in such a folder; to be read, and called without a change."""
    folder = new_folder(tmp_path_factory.mktemp("finished") / "my own study")
    study = Study(folder, snakefile=repository / "Snakefile")
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    return study, call


def plan(call: Call) -> dict[str, int]:
    """Return {rule: jobs} of a dry run; empty where nothing is to be done."""
    assert call.rc == 0, call.output
    if "Nothing to be done" in call.output:
        return {}
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", call.output, re.MULTILINE | re.DOTALL)
    assert table, call.output
    return {rule: int(count) for rule, count in map(str.split, table[1].strip().splitlines())}


def config_of_readme() -> str:
    block = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    return block[1].replace("tickets.csv", "my data/tickets.csv")


def test_a_study_runs_in_a_folder_of_its_own(finished, repository):
    study, call = finished
    assert "The chart is results/gap.html" in call.stdout
    assert (study.folder / "results" / "report.html").exists()
    assert {path.name for path in study.folder.iterdir()} == {
        ".snakemake",
        "logs",
        "my data",
        "results",
        "study.yaml",
    }
    assert {path.name for path in repository.iterdir()}.isdisjoint({"results", "logs"})


def test_a_finished_study_plans_nothing_wherever_the_workflow_lies(finished, tmp_path):
    study, _ = finished
    for name in ("one clone", "moved"):
        clone = copy_workflow(tmp_path / name).folder
        call = Study(study.folder, snakefile=clone / "Snakefile").snakemake("-n", config=CONFIG)
        assert plan(call) == {}


def test_an_answer_is_told_on_a_terminal_that_knows_ascii_only(finished, tmp_path):
    shutil.copytree(finished[0].folder, tmp_path / "copy")
    (tmp_path / "copy" / "results" / "gap.svg").unlink()
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    study = Study(tmp_path / "copy", ascii_only, finished[0].snakefile)
    call = study.snakemake("--cores", "1", config=CONFIG)
    assert call.rc == 0, call.output
    assert "Phras?s" in call.stdout


def test_snakemake_may_be_called_from_any_folder(finished, tmp_path):
    study, _ = finished
    caller = Study(tmp_path, snakefile=study.snakefile)
    call = caller.snakemake("-n", "--directory", str(study.folder), config=CONFIG)
    assert plan(call) == {}


def test_a_changed_page_of_the_report_is_noticed_from_elsewhere(finished, tmp_path):
    study, _ = finished
    clone = copy_workflow(tmp_path / "clone").folder
    page = clone / "report" / "report.html"
    page.write_text(page.read_text(encoding="utf-8") + "<!-- more -->", encoding="utf-8")
    call = Study(study.folder, snakefile=clone / "Snakefile").snakemake("-n", config=CONFIG)
    assert plan(call) == {"write_report": 1, "all": 1}


def test_the_config_of_the_readme_is_enough_in_an_empty_folder(empty):
    for cores in ([], ["--cores", "2"]):
        jobs = plan(empty.snakemake("-n", *cores, config=config_of_readme()))
        assert (jobs["train"], jobs["download"]) == (2 * 5, 2)


def test_the_config_of_the_readme_is_enough_for_another_directory(empty, tmp_path):
    caller = Study(tmp_path, snakefile=empty.snakefile)
    directory = ["--directory", str(empty.folder)]
    jobs = plan(caller.snakemake("-n", *directory, config=config_of_readme()))
    assert jobs["train"] == 2 * 5
    assert not any((tmp_path / name).exists() for name in ("results", "logs"))


def test_snakemake_alone_runs_the_default_study(repository):
    call = Study(repository).snakemake("-n")
    assert plan(call)["train"] == 5 * 4
    assert "warning" not in call.output


def test_a_config_that_is_not_read_is_named(empty):
    (empty.folder / "config.yaml").write_text("seeds: [2]\n", encoding="utf-8")
    told = (
        "warning: config.yaml of this folder is not read; if it is this study's, add "
        "--configfile config.yaml"
    )
    assert told in empty.snakemake("-n", config=CONFIG).stderr.splitlines()
    call = empty.snakemake("-n", "--configfile", "config.yaml")
    assert "warning" not in call.output
    assert "Training minilm on 250 of imdb, seeds 2\n" in call.output


def test_a_missing_file_is_told_with_the_path_that_was_given(empty):
    shutil.rmtree(empty.folder / "my data")
    call = empty.snakemake("--cores", "1", config=CONFIG)
    assert call.rc == 1
    assert any("my data/tickets.csv" in line for line in call.errors), call.output


# ---------------------------------------------------------------- as a module

HOST = """
rule mine:
    output:
        "mine.txt",
    shell:
        "python -c 'import train; print(train.NAME)' > {output}"


"""
MODULE = """
module NAME:
    snakefile:
        "SNAKEFILE"
    prefix:
        "NAME"
    config:
        config["NAME"]


use rule * from NAME as NAME_*


"""
LAST = """
rule everything:
    input:
        rules.mine.output,
        GOALS,
"""


def write_host(study: Study, *names: str) -> Study:
    """Return a workflow of one's own in the folder, with the study as modules of these names."""
    text = HOST
    for name in names:
        text += MODULE.replace("NAME", name).replace("SNAKEFILE", str(study.snakefile))
    goals = ",\n        ".join(f"rules.{name}_all.input" for name in names)
    (study.folder / "workflow").mkdir()
    snakefile = study.folder / "workflow" / "Snakefile"
    snakefile.write_text(text + LAST.replace("GOALS", goals), encoding="utf-8")
    # A module of the same name as one of the study's programs.
    (study.folder / "train.py").write_text("NAME = 'my own'\n", encoding="utf-8")
    return Study(study.folder, {"PYTHONPATH": "."}, snakefile)


def test_as_a_module_it_runs_beside_rules_of_ones_own(empty):
    host = write_host(empty, "texts")
    config = {"texts": CONFIG}
    call = host.snakemake("--cores", "2", "everything", config=config)
    assert call.rc == 0, call.output
    assert (host.folder / "mine.txt").read_text() == "my own\n"
    assert (host.folder / "texts" / "results" / "report.html").exists()
    assert not (host.folder / "results").exists()
    assert plan(host.snakemake("-n", "everything", config=config)) == {}
    # The first rule is one's own.
    assert "Nothing to be done" in host.snakemake("-n", config=config).output
    report = host.snakemake("--report", "report.html", "everything", config=config)
    assert report.rc == 0, report.output


def test_a_module_with_the_config_of_the_readme_needs_no_more(empty):
    host = write_host(empty, "texts")
    config = {"texts": yaml.safe_load(config_of_readme())}
    jobs = plan(host.snakemake("-n", "everything", config=config))
    assert (jobs["texts_train"], jobs["mine"]) == (2 * 5, 1)


def test_two_modules_have_two_configs(empty):
    host = write_host(empty, "small", "large")
    small = CONFIG | {"pathvars": {"results": "out"}}
    config = {"small": small, "large": CONFIG | {"sizes": [60, 120], "reference": "words"}}
    call = host.snakemake("-n", "-p", "everything", config=config)
    jobs = plan(call)
    assert (jobs["small_train"], jobs["large_train"]) == (2, 4)
    assert (jobs["small_subsample"], jobs["large_subsample"]) == (1, 2)
    assert "Estimating gaps to phrases" in call.output
    assert "Estimating gaps to words" in call.output
    assert "small/out/runs/tickets/words/60/1-2/" in call.output
    assert "large/results/runs/tickets/words/120/1-2/" in call.output
    assert "small/out/runs/tickets/words/120/1-2/" not in call.output


def test_what_is_wrong_in_a_modules_config_is_told_with_its_name(empty):
    host = write_host(empty, "small", "large")
    call = host.snakemake("-n", config={"small": CONFIG, "large": CONFIG | {"sizes": [5000]}})
    assert call.rc == 1
    assert "module large: config: sizes: 5000 is more than the pool of tickets holds" in call.output
    assert "Traceback" not in call.output


# ---------------------------------------------------------------- commands of any length


def test_nine_thousand_labels_fit_into_every_command(empty):
    labels = [f"a label of some length {number:04}" for number in range(9000)]
    rows = [f"{label[-4:]} {word},{label}\n" for label in labels for word in ("one", "two", "six")]
    (empty.folder / "many.csv").write_text("body,queue\n" + "".join(rows), encoding="utf-8")
    dataset = CONFIG["dataset_zoo"]["tickets"] | {
        "source": {"kind": "file", "path": "many.csv"},
        "labels": labels,
        "test": "10%",
    }
    config = CONFIG | {"dataset_zoo": {"tickets": dataset}, "sizes": [18000]}
    call = empty.snakemake("--cores", "2", "results/datasets/tickets/card.json", config=config)
    assert call.rc == 0, call.output
    call = empty.snakemake("-n", "-p", config=config)
    commands = re.findall(r"^Shell command: (.*)", call.stdout, re.MULTILINE)
    assert any("record_provenance.py" in command for command in commands)
    assert max(map(len, commands)) < 100_000
