"""Arguments that are too long for a command line."""

import argparse
import re
from pathlib import Path

import pytest
from gap.run.arguments import LONGEST, within_limit

ROOT = Path(__file__).resolve().parents[2]


def read_back(arguments, folder):
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("--files", nargs="+")
    return parser.parse_args(["--files", *within_limit(arguments, folder)]).files


def test_short_arguments_stay_as_they_are(tmp_path):
    assert within_limit(["a b", "c"], tmp_path / "new") == ["a b", "c"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [f"my results/runs/{number}/scores.json" for number in range(5000)],
        ['{"labels":["' + '","'.join(f"label \\u00e9 {number}" for number in range(9000)) + '"]}'],
    ],
)
def test_long_arguments_go_by_a_file_and_come_back(arguments, tmp_path):
    short = within_limit(arguments, tmp_path / "new")
    assert sum(map(len, short)) < LONGEST
    assert read_back(arguments, tmp_path / "new") == arguments
    assert within_limit(arguments, tmp_path / "new") == short
    assert within_limit([*arguments, "more"], tmp_path / "new") != short
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_where_nothing_may_be_written_a_study_can_still_be_planned(tmp_path):
    (tmp_path / "file").touch()
    assert within_limit(["x" * LONGEST], tmp_path / "file")[0].startswith("@")


def test_every_program_of_a_rule_takes_arguments_from_a_file():
    rules = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("rules/*.smk"))
    programs = set(re.findall(r'program\("(\w+\.py)"\)', rules))
    assert len(programs) > 15
    for name in programs:
        text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
        assert 'fromfile_prefix_chars="@"' in text, name
