"""The digest of a program follows what it reaches, wherever that stands, and nothing else."""

import json
import re

import pytest
from gap.run import provenance
from gap.run.packages import locked_packages

# One file each: a program, and what it reaches through modules and a package.
FILES = {
    "program.py": '''"""A program."""
from __future__ import annotations

from tools import report
from tools.parts import Scale as Measure
from tools.parts import double

LIMIT = 10

def parse(text: str) -> int:
    """Read a number."""
    return int(text)

def main():
    """Print."""
    print(double(parse("2")))  # a remark
    report.tell(Measure(LIMIT).widen(), "wide")

if __name__ == "__main__":
    main()
''',
    "tools/__init__.py": "",
    "tools/parts.py": '''"""Parts."""
from tools.deep import factor

def double(x):
    return factor() * x

def unused():
    return 1

class Scale:
    kind = "linear"

    def __init__(self, size):
        self.size = size

    def widen(self):
        return self.size + 1

    def describe(self):
        return "a scale"
''',
    "tools/deep.py": "FACTOR = 2\n\ndef factor():\n    return FACTOR\n",
    "tools/report.py": """from tools.other import shorten

def tell(*words):
    from tools.late import ending
    print(shorten(words), ending())
""",
    "tools/other.py": "def shorten(words):\n    return words[:9]\n",
    "tools/late.py": "def ending():\n    return '.'\n",
    "tools/apart.py": "answer = 1\n",
}


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    """Let files be read again."""
    for function in ("_summary", "_code", "_kept", "_everything"):
        getattr(provenance, function).cache_clear()


def digest(families=()):
    forget()
    return provenance.code_digest("program.py", families)


def edit(scripts, file, old, new):
    path = scripts / file
    text = path.read_text()
    assert text.count(old) == 1 or not old, f"{old!r} is {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new) if old else text + new)


# ---------------------------------------------------------------- what was found before


def test_what_was_found_is_found_once(scripts, monkeypatch):
    before = digest()
    monkeypatch.setattr(provenance, "reach", None)
    assert digest() == before


@pytest.mark.parametrize("damaged", ["", "{}", "[]", '{"code": "another", "summaries": {}}'])
def test_what_was_found_in_other_code_counts_for_nothing(scripts, damaged):
    before = digest()
    (kept,) = (scripts / "__pycache__").iterdir()
    kept.write_text(damaged)
    assert digest() == before
    assert kept.read_text() != damaged


def test_where_nothing_can_be_kept_it_is_found_each_time(scripts):
    (scripts / "__pycache__").write_text("no folder")
    assert digest() == digest()
    assert (scripts / "__pycache__").read_text() == "no folder"


# ---------------------------------------------------------------- what does not count


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("program.py", "# a remark", "# another"),
        ("program.py", '"""A program."""', '"""Says more now."""'),
        ("program.py", '    """Print."""\n', ""),
        ("program.py", 'print(double(parse("2")))', 'print(\n        double( parse("2" ))\n    )'),
        ("program.py", "text: str) -> int", "text) -> 'float | int'"),
        ("program.py", "import double", "import double as twice"),
        ("program.py", "", "\nSPARE = 3\n"),
        ("tools/apart.py", "answer = 1", "answer = 2"),
        ("tools/parts.py", "return 1", "return 2"),
        ("tools/parts.py", "", "\nclass Spare:\n    pass\n"),
        ("tools/parts.py", "", "\nSPARE = frozenset([1])\n"),
        ("tools/parts.py", "from tools.deep", "from tools.apart import answer\nfrom tools.deep"),
        ("tools/parts.py", "a scale", "some scale"),
        ("tools/__init__.py", "", "import os\nfrom tools.deep import factor\n"),
        ("tools/deep.py", "", "\nif __name__ == '__main__':\n    factor()\n"),
    ],
)
def test_what_is_not_reached_does_not_count(scripts, file, old, new):
    before = digest()
    edit(scripts, file, old, new)
    if new.endswith("as twice"):
        edit(scripts, file, "print(double", "print(twice")
    assert digest() == before


def test_a_definition_may_move(scripts):
    before = digest()
    edit(scripts, "tools/parts.py", "def double(x):\n    return factor() * x\n\n", "")
    edit(scripts, "tools/deep.py", "", "\ndef double(x):\n    return factor() * x\n")
    edit(scripts, "program.py", "tools.parts import double", "tools.deep import double")
    assert digest() == before


def test_definitions_may_change_places(scripts):
    before = digest()
    text = (scripts / "tools/parts.py").read_text()
    head, double, unused, scale = re.split(r"\n(?=def|class)", text)
    (scripts / "tools/parts.py").write_text("\n".join([head, scale, unused, double]))
    assert digest() == before


def test_modules_and_packages_may_be_renamed(scripts):
    before = digest()
    (scripts / "tools").rename(scripts / "kit")
    (scripts / "kit/deep.py").rename(scripts / "kit/deeper.py")
    (scripts / "kit/report.py").rename(scripts / "kit/telling.py")
    for path in scripts.rglob("*.py"):
        text = re.sub(r"\btools\b", "kit", path.read_text()).replace("kit.deep ", "kit.deeper ")
        path.write_text(text.replace("import report", "import telling as report"))
    assert digest() == before
    edit(scripts, "program.py", "telling as report", "telling")
    edit(scripts, "program.py", "report.tell(", "telling.tell(")
    assert digest() == before


# ---------------------------------------------------------------- what counts


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("program.py", 'parse("2")', 'parse("3")'),
        ("program.py", "LIMIT = 10", "LIMIT = 11"),
        ("program.py", "parse(text: str)", "parse(text: str, base=10)"),
        ("program.py", "    main()\n", "    main()\n    main()\n"),
        ("tools/parts.py", "factor() * x", "x * factor()"),
        ("tools/parts.py", "self.size + 1", "self.size + 2"),
        ("tools/parts.py", 'kind = "linear"', 'kind = "square"'),
        ("tools/parts.py", "self.size = size", "self.size = 2 * size"),
        ("tools/parts.py", "class Scale:", "class Scale(int):"),
        ("tools/deep.py", "FACTOR = 2", "FACTOR = 2.0"),
        ("tools/other.py", "[:9]", "[:8]"),
        ("tools/late.py", "'.'", "'!'"),
        ("tools/__init__.py", "", "import os\nos.environ['LEVEL'] = '1'\n"),
        ("tools/apart.py", "", "\nprint(answer)\n"),
    ],
)
def test_statements_that_are_reached_count(scripts, file, old, new):
    if file == "tools/apart.py":
        edit(scripts, "tools/parts.py", "from tools.deep", "import tools.apart\nfrom tools.deep")
    before = digest()
    edit(scripts, file, old, new)
    assert digest() != before


def test_two_of_one_name_that_change_places_count(scripts):
    edit(scripts, "tools/other.py", "", "\ndef factor():\n    return 7\n")
    edit(scripts, "tools/other.py", "words[:9]", "words[: factor()]")
    before = digest()
    edit(scripts, "tools/other.py", "return 7", "return FACTOR\n\nFACTOR = 2\n")
    edit(scripts, "tools/deep.py", "return FACTOR", "return 7")
    assert digest() != before


def test_names_of_one_statement_that_change_places_count(scripts):
    edit(scripts, "tools/deep.py", "FACTOR = 2", "FACTOR, OTHER = range(2)")
    before = digest()
    edit(scripts, "tools/deep.py", "return FACTOR", "return OTHER")
    assert digest() != before


def test_an_import_that_leads_elsewhere_counts(scripts):
    edit(scripts, "tools/other.py", "", "\ndef factor():\n    return 7\n")
    before = digest()
    edit(scripts, "tools/parts.py", "tools.deep import", "tools.other import")
    assert digest() != before


def test_an_import_of_a_package_that_leads_elsewhere_counts(scripts):
    edit(scripts, "tools/late.py", "def", "from math import ceil as up\n\ndef")
    edit(scripts, "tools/late.py", "'.'", "up(0.5)")
    before = digest()
    edit(scripts, "tools/late.py", "ceil", "floor")
    assert digest() != before


def test_a_name_that_is_bound_twice_makes_the_order_count(scripts):
    edit(scripts, "tools/deep.py", "FACTOR = 2\n", "FACTOR = 2\nPART = FACTOR\nFACTOR = 3\n")
    before = digest()
    edit(scripts, "tools/deep.py", "PART = FACTOR\nFACTOR = 3\n", "FACTOR = 3\nPART = FACTOR\n")
    assert digest() != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def double(x):", "def double(x, y=answer):"),
        ("def double(x):", "def double(x, *, y=answer):"),
        ("def double(x):", "@functools.lru_cache(answer)\ndef double(x):"),
        ("def double(x):", "@print\ndef double(x: answer):"),
        ("class Scale:", "class Scale(answer):"),
        ("class Scale:", "class Scale(type, metaclass=answer):"),
        ("class Scale:", "@dataclasses.dataclass(order=answer)\nclass Scale:"),
        ('kind = "linear"', 'kind: answer = "linear"'),
        ("def widen(self)", "def widen(self, by=answer)"),
        ("self.size + 1", "(lambda by=answer: by)()"),
        ("self.size + 1", "[answer for answer in [answer]]"),
        ("self.size + 1", "[name for name in 'ab' if answer]"),
        ("return factor() * x", "global answer\n    answer = 2"),
        ("return factor() * x", "def inner():\n        return answer\n    return inner()"),
        ("return factor() * x", "class Inner:\n        answer = answer\n    return Inner()"),
    ],
)
def test_a_name_counts_wherever_it_is_used(scripts, old, new):
    imports = "import dataclasses, functools\nfrom tools.apart import answer\n"
    edit(scripts, "tools/parts.py", "from tools.deep", f"{imports}from tools.deep")
    edit(scripts, "tools/parts.py", old, new)
    before = digest()
    edit(scripts, "tools/apart.py", "answer = 1", "answer = 2")
    assert digest() != before


@pytest.mark.parametrize(
    "statement",
    [
        "from tools.apart import change as _",
        "REGISTRY.append(1)",
        "KEPT = REGISTRY.append(1)",
        "@REGISTRY.append\ndef entered():\n    pass",
        "class Entered(Base):\n    pass",
        "try:\n    REGISTRY[0] = 1\nexcept IndexError:\n    pass",
    ],
)
def test_what_a_module_does_when_it_is_imported_counts(scripts, statement):
    base = "class Base:\n    def __init_subclass__(cls):\n        REGISTRY.append(cls)\n"
    edit(scripts, "tools/apart.py", "answer = 1\n", f"REGISTRY = []\n{base}")
    edit(scripts, "tools/deep.py", "", "from tools.apart import REGISTRY, Base\n")
    before = digest()
    edit(scripts, "tools/deep.py", "", f"{statement}\n")
    assert (digest() != before) == (not statement.startswith("from"))


# ---------------------------------------------------------------- methods


@pytest.mark.parametrize(
    "mention",
    [
        "print(Measure(1).describe())",
        "print(getattr(Measure(1), 'describe')())",
        "[getattr(Measure(1), name)() for name in 'describe widen'.split()]",
        "print(getattr(Measure(1), input())())",
        "print(getattr(*[Measure(1), 'describe'])())",
        "print(list(map(getattr, [Measure(1)], ['describe'])))",
        "[getattr(Measure(1), name)() for name in ('describe', 'widen')]",
        "for name in sorted(['describe']):\n        getattr(Measure(1), name)()",
        "import operator\n    operator.methodcaller('describe')(Measure(1))",
        "import operator as o\n    o.attrgetter('describe.real')(Measure(1))",
        "print('{0.describe}'.format(Measure(1)))",
        "match Measure(1):\n        case Measure(describe=x):\n            x()",
        "print(vars(Measure))",
    ],
)
def test_a_method_counts_where_something_may_call_it(scripts, mention):
    edit(scripts, "program.py", "    report.tell(", f"    {mention}\n    report.tell(")
    before = digest()
    edit(scripts, "tools/parts.py", "a scale", "some scale")
    assert digest() != before


@pytest.mark.parametrize(
    "mention",
    [
        "print('describe')",
        "[getattr(Measure, name) for name in ('kind', 'widen')]",
        "import math\n    getattr(math, input())",
        "import argparse\n    options = argparse.ArgumentParser().parse_args()\n"
        "    getattr(options, input())",
        "[getattr(Measure, name) for name in Measure.model_fields]",
    ],
)
def test_a_method_does_not_count_where_nothing_may_call_it(scripts, mention):
    edit(scripts, "program.py", "    report.tell(", f"    {mention}\n    report.tell(")
    before = digest()
    edit(scripts, "tools/parts.py", "a scale", "some scale")
    assert digest() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Scale:", "import abc, argparse\nclass Scale(argparse.Action):"),
        ("class Scale:", "class Scale(metaclass=type(str)):"),
        ("    def describe", "    @print\n    def describe"),
        ("def describe", "def __str__"),
        ("def describe", "def write"),
        (
            "    def describe",
            "    def widen_more(self):\n        return 1\n    size = widen_more\n    def describe",
        ),
    ],
)
def test_a_method_counts_where_a_library_may_call_it(scripts, old, new):
    edit(scripts, "tools/parts.py", old, new)
    before = digest()
    if "widen_more" in new:
        edit(scripts, "tools/parts.py", "return 1\n    size", "return 2\n    size")
    else:
        edit(scripts, "tools/parts.py", "a scale", "some scale")
    assert digest() != before


@pytest.mark.parametrize(
    "statement", ["eval('1')", "globals()['parse']", "object.__subclasses__()"]
)
def test_code_that_hides_what_it_reaches_is_refused(scripts, statement):
    edit(scripts, "program.py", "    print(", f"    {statement}\n    print(")
    with pytest.raises(ValueError, match=r"^program, line 16: \w+ hides what code reaches"):
        digest()


# ---------------------------------------------------------------- families


REGISTRY = """
import importlib
from gap.models import families

def family(name):
    return importlib.import_module(f"{families.__name__}.{name}").Family
"""
FAMILY = """
from gap.models.families.network import fit

WIDTH = 3

class Family:
    def train(self):
        return fit(WIDTH)

    def describe(self):
        return "a family"

class Recipe:
    width = WIDTH
"""


@pytest.fixture
def registry(scripts):
    folder = scripts / "gap/models/families"
    folder.mkdir(parents=True)
    for name in ("gap", "gap/models", "gap/models/families"):
        (scripts / name / "__init__.py").write_text("")
    (scripts / "gap/models/family.py").write_text(REGISTRY)
    (folder / "network.py").write_text("def fit(width):\n    return width\n")
    (folder / "wide.py").write_text(FAMILY)
    (folder / "deep.py").write_text(FAMILY.replace("3", "4"))
    edit(
        scripts,
        "program.py",
        "from tools import",
        "from gap.models.family import family\nfrom tools import",
    )
    edit(
        scripts, "program.py", "    report.tell(", "    family('wide')().train()\n    report.tell("
    )
    return folder


def test_a_family_counts_for_programs_that_are_told_of_it(scripts, registry):
    wide, deep = digest(["wide"]), digest(["deep"])
    assert len({wide, deep, digest(["wide", "deep"])}) == 3
    assert digest(["deep", "wide"]) == digest(["wide", "deep"])
    edit(scripts, "gap/models/families/deep.py", "fit(WIDTH)", "fit(2 * WIDTH)")
    assert digest(["wide"]) == wide
    assert digest(["deep"]) != deep


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("wide", "WIDTH = 3", "WIDTH = 4", True),
        ("wide", "fit(WIDTH)", "fit(1 + WIDTH)", True),
        ("network", "return width", "return width + 1", True),
        ("wide", "a family", "some family", False),
        ("wide", "width = WIDTH", "width = 1 + WIDTH", False),
        ("deep", "WIDTH = 4", "WIDTH = 5", False),
    ],
)
def test_what_of_a_family_is_mentioned_counts(scripts, registry, file, old, new, counts):
    before = digest(["wide"])
    edit(scripts, f"gap/models/families/{file}.py", old, new)
    assert (digest(["wide"]) != before) == counts


def test_a_program_that_looks_families_up_is_told_which(scripts, registry):
    with pytest.raises(ValueError, match="program: looks families of models up; name them"):
        digest()


def test_a_program_that_looks_no_family_up_needs_none(scripts):
    assert digest(["wide"]) == digest()


# ---------------------------------------------------------------- packages


def test_only_packages_that_decide_and_are_used_count(scripts):
    edit(scripts, "tools/late.py", "def", "import duckdb, altair\nimport sklearn.svm\n\ndef")
    edit(scripts, "tools/late.py", "'.'", "sklearn.svm.SVC(altair)")
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
    edit(scripts, "tools/late.py", "return", "from torch import nn\n    return")
    forget()
    made = json.loads(provenance.provenance_of("program.py", granularity, VERSIONS))
    assert made["packages"] == packages


def test_the_programs_name_the_packages_that_make_their_numbers():
    forget()
    families = ["transformer", "frozen", "lstm", "linear", "composition"]
    used = {
        program: provenance.deciding_packages(f"{program}.py", families)
        for program in ("train", "encode", "prepare", "estimate_gap")
    }
    assert {"torch", "transformers", "numpy", "scikit-learn"} <= used["train"]
    assert {"tokenizers", "sentencepiece"} <= used["encode"]
    assert "duckdb" in used["prepare"]
    assert "torch" not in used["prepare"]
    assert "torch" not in used["estimate_gap"]


def test_a_lock_tells_versions(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("# made by a tool\ntorch==2.13.0 \\\n    --hash=sha256:1\nnumpy==2.4.6 ; x\n")
    assert locked_packages(lock) == {"torch": "2.13.0", "numpy": "2.4.6"}
