"""Pages: links lead somewhere, and no command stands there that no test runs or checks."""

import re
import shlex
import shutil
import subprocess

import pytest
from pages import CHECKED_BY, PAGES, ROOT, anchors, commands, links

TESTS = ROOT / "tests"


def checker(command):
    """The test that runs or checks a command, or None."""
    return next((test for start, test in CHECKED_BY.items() if re.match(start, command.text)), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    broken = []
    for line, target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{page.relative_to(ROOT)}:{line}: {target}")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            targets = (target.partition("#")[0] for _, target in links(page))
            waiting += [(page.parent / path).resolve() for path in targets if path]
    assert set(PAGES) - reached == set()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160


def test_a_test_runs_or_checks_each_command_of_each_page():
    assert len(commands()) > 30
    assert [str(command) for command in commands() if checker(command) is None] == []


def test_tests_that_are_named_exist():
    for test in CHECKED_BY.values():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (TESTS / path).read_text(encoding="utf-8"), test
    for command in commands():
        for path in re.findall(r"tests/\S+", command.text):
            assert (ROOT / path).exists(), command


def test_make_knows_each_target(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    called = {command.text for command in commands() if re.match("make ", command.text)}
    assert {"make study", "make check", "make test", "make plan"} <= called
    for command in sorted(called):
        program, *words = shlex.split(command)
        call = subprocess.run(
            [program, "--dry-run", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert call.returncode == 0, f"{command}: {call.stderr}"


def test_programs_have_the_options_the_pages_show():
    called = [c for c in commands() if re.match(r"python (scripts|benchmarks)/", c.text)]
    assert len(called) > 10
    for command in called:
        _, program, *words = shlex.split(command.text)
        text = (ROOT / program).read_text(encoding="utf-8")
        for option in (word for word in words if word.startswith("--")):
            assert f'"{option.partition("=")[0]}"' in text or option == "--help", command
