"""Every command of every page is taken by snakemake, as a person would type it."""

import os
import re
import shutil
import subprocess
import sys

import fork_server
import pytest
import yaml
from pages import PAGES, ROOT, blocks, code
from tiny_study import copy_workflow, write_tickets
from workflow.test_study import planned

pytestmark = pytest.mark.workflow

README = ROOT / "README.md"
RUNNING = ROOT / "docs" / "running.md"
# Stands in for snakemake on the PATH: a dry run of the real one, whose end it writes down. A block
# goes on whatever that end was.
SNAKEMAKE = """#!/bin/sh
case " $* " in *" --unlock "*) dry=;; *) dry=--dry-run;; esac
{python} -S {server} call {socket} snakemake "$@" $dry >> {outputs} 2>&1
echo "$? $*" >> {calls}
"""
# What commands say, that take the results of a study, where there are none.
NEEDS_RESULTS = {
    "--report ": "File results/gap.html marked for report but does not exist",
    # A page shows how to add its rule.
    "labels.csv": "No rule to produce results/datasets/imdb/labels.csv",
    "partial=true": "error: config: partial: no run of the study is finished yet",
}
# Blocks that the pages repeat, told apart by what they say.
BLOCKS = {
    block.text: block
    for page in PAGES
    for block in blocks(page)
    if any(command.text.startswith("snakemake ") for command in block.commands)
}


@pytest.fixture
def home(tmp_path):
    """A home folder as the pages have it: the repository, a study and a workflow of one's own."""
    repository = copy_workflow(tmp_path / "pretrain-or-not").folder
    shutil.copytree(ROOT / "studies", repository / "studies")
    shutil.copytree(ROOT / "docs" / "findings", repository / "docs" / "findings")
    (repository / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "real_seeds.yaml", repository / "benchmarks")
    (repository / ".venv" / "bin").mkdir(parents=True)
    (repository / ".venv" / "bin" / "activate").touch()
    for folder in ("tickets", "reports"):
        (tmp_path / folder).mkdir()
        write_tickets(tmp_path / folder / "tickets.csv")
    (tmp_path / "tickets" / "tickets.yaml").write_text(code(README, "yaml"), encoding="utf-8")
    for name, language in (("Snakefile", "python"), ("config.yaml", "yaml")):
        text = code(RUNNING, language, "In a workflow of your own")
        (tmp_path / "reports" / name).write_text(text, encoding="utf-8")
    # Pages that leave the folder open have the study's files in the repository's.
    for path in (tmp_path / "tickets").iterdir():
        shutil.copy(path, repository)
    write_programs(tmp_path)
    return tmp_path


def write_programs(home):
    """Put a stand-in for each program that pages call into ~/bin."""
    (home / "bin").mkdir()
    names = {"python": sys.executable, "calls": home / "calls", "outputs": home / "outputs"}
    names |= {"server": fork_server.__file__, "socket": fork_server.start("snakemake")}
    (home / "bin" / "snakemake").write_text(SNAKEMAKE.format(**names), encoding="utf-8")
    for other in ("make", "pip", "pytest", "python3"):
        (home / "bin" / other).write_text("#!/bin/sh\n", encoding="utf-8")
    for program in (home / "bin").iterdir():
        program.chmod(0o755)


def run(home, block):
    """Type a block into a shell; return how each call of snakemake ended, and what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
    environment |= {"HOME": str(home), "PATH": f"{home / 'bin'}:{environment['PATH']}"}
    shell = subprocess.run(
        ["bash", "-eu"],
        input=block.text,
        cwd=home / "pretrain-or-not",
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert shell.returncode == 0, shell.stdout + shell.stderr
    calls = (home / "calls").read_text(encoding="utf-8").splitlines()
    ends = [(int(status), words) for status, _, words in (call.partition(" ") for call in calls)]
    return ends, (home / "outputs").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: str(block.commands[0])[:60])
def test_snakemake_takes_each_block_of_commands(home, block):
    ends, output = run(home, block)
    expected = sum(command.text.startswith("snakemake ") for command in block.commands)
    assert len(ends) == expected
    assert "usage:" not in output, output
    for status, words in ends:
        missing = [says for option, says in NEEDS_RESULTS.items() if option in words]
        assert (status == 0) if not missing else (missing[0] in output), output


def test_the_config_of_the_readme_plans_a_study_of_ones_own_data(study, tickets):
    block = code(README, "yaml")
    assert len(block.splitlines()) <= 12
    jobs = planned(study.snakemake("-n", config=block))
    assert jobs["train"] == 2 * 5
    assert yaml.safe_load(block)["dataset_zoo"]["tickets"]["source"]["path"] == tickets.name


def test_the_modules_of_the_page_make_both_studies(home):
    (block,) = (block for block in BLOCKS.values() if "everything" in block.text)
    output = run(home, block)[1]
    assert re.search(r"^texts_train +10$", output, re.MULTILINE), output
    assert re.search(r"^mine +1$", output, re.MULTILINE), output
