"""The digest of a program follows its statements and those of what it imports, nothing else."""

import pytest
from gap import provenance
from gap.cli import write_json
from gap.runstate import state_folder

PROGRAM = '''"""A program."""
from tools.parts import double

def main():
    """Print."""
    print(double(2))  # a remark
'''


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("")
    (tmp_path / "tools" / "parts.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "tools" / "other.py").write_text("answer = 1\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)
    return tmp_path


def digest():
    provenance.code_digest.cache_clear()
    provenance._parse.cache_clear()
    return provenance.code_digest("program.py")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("program.py", "# a remark", "# another"),
        ("program.py", '"""A program."""', '"""Says more now."""'),
        ("program.py", '    """Print."""\n', ""),
        ("program.py", "print(double(2))", "print(\n        double( 2 )\n    )"),
        ("tools/other.py", "answer = 1", "answer = 2"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_do_not_count(scripts, file, old, new):
    before = digest()
    text = (scripts / file).read_text()
    assert old in text
    (scripts / file).write_text(text.replace(old, new))
    assert digest() == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("program.py", "double(2)", "double(3)"),
        ("tools/parts.py", "2 * x", "x + x"),
        ("tools/__init__.py", "", "import os\n"),
    ],
)
def test_statements_count_also_in_what_is_imported(scripts, file, old, new):
    before = digest()
    text = (scripts / file).read_text()
    (scripts / file).write_text(text.replace(old, new) if old else new)
    assert digest() != before


def test_imports_inside_functions_count(scripts):
    text = PROGRAM.replace("    print", "    from tools import other\n    print")
    (scripts / "program.py").write_text(text)
    before = digest()
    (scripts / "tools" / "other.py").write_text("answer = 2\n")
    assert digest() != before


def test_a_state_is_found_again_by_the_same_job_only(tmp_path, scripts):
    digest()
    source = tmp_path / "source.json"
    write_json(source, {"sha256": "1"})
    first = state_folder(tmp_path / "run", "program.py", {"lr": 1.0}, [source])
    (first / "kept").touch()
    assert state_folder(tmp_path / "run", "program.py", {"lr": 1.0}, [source]) == first
    assert (first / "kept").exists()
    other = state_folder(tmp_path / "run", "program.py", {"lr": 2.0}, [source])
    assert other != first
    assert not first.exists()
    write_json(source, {"sha256": "2"})
    assert state_folder(tmp_path / "run", "program.py", {"lr": 2.0}, [source]) != other
