"""The digest of a program follows its statements and those of what it imports, nothing else."""

import json

import pytest
from gap.run import provenance

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
    yield tmp_path
    forget()


def forget():
    """Let files be read again."""
    for cached in (
        "code_digest",
        "deciding_packages",
        "_imported_names",
        "_local_imports",
        "_statements",
        "_parse",
    ):
        getattr(provenance, cached).cache_clear()


def digest():
    forget()
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


# ---------------------------------------------------------------- packages


def test_only_packages_that_decide_and_are_imported_count(scripts):
    (scripts / "tools" / "parts.py").write_text("import sklearn.linear_model\nimport altair\n")
    forget()
    made = json.loads(provenance.provenance_of("program.py", "exact", VERSIONS))
    assert made["packages"] == {"scikit-learn": "1.9.1", "scipy": "none"}
    assert made["code"] == digest()


VERSIONS = {"scikit-learn": "1.9.1", "torch": "2.13.0+cpu", "altair": "6.3.0"}


@pytest.mark.parametrize(
    ("granularity", "packages"),
    [
        ("exact", {"torch": "2.13.0+cpu"}),
        ("minor", {"torch": "2.13"}),
        ("off", {}),
        (False, {}),
    ],
)
def test_versions_count_as_far_as_the_config_says(scripts, granularity, packages):
    (scripts / "tools" / "parts.py").write_text("from torch import nn\n")
    forget()
    made = json.loads(provenance.provenance_of("program.py", granularity, VERSIONS))
    assert made["packages"] == packages


def test_the_programs_name_the_packages_that_make_their_numbers():
    forget()
    assert {"torch", "transformers", "numpy", "scikit-learn"} <= provenance.deciding_packages(
        "train.py"
    )
    assert {"tokenizers", "sentencepiece"} <= provenance.deciding_packages("encode.py")
    assert "torch" not in provenance.deciding_packages("prepare.py")
    assert "torch" not in provenance.deciding_packages("estimate_gap.py")


def test_a_lock_tells_versions(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("# made by a tool\ntorch==2.13.0 \\\n    --hash=sha256:1\nnumpy==2.4.6 ; x\n")
    assert provenance.locked_packages(lock) == {"torch": "2.13.0", "numpy": "2.4.6"}
