"""What a result was made from: a digest of the code that made it, and versions of packages.

The rule. A program's digest covers the statements of all definitions (functions, classes, constants
of modules) that it reaches: those that its `if __name__ == "__main__"` names, those that they name,
and so on, through whatever modules under scripts/. Each is entered as its syntax, in which numbers
stand for the definitions that names mean, in the order in which the program leads to them. So a
definition may move, a module be renamed, another definition be added beside it, and two of one name
cannot be mistaken for each other. Comments, docstrings, layout, type annotations of functions, and
what stands under TYPE_CHECKING count for nothing.

Where it cannot be told what runs, more is taken rather than less:
- What a module does when it is imported, beside binding names to values of their own, counts for
  all that import it. Where a name is bound twice, that is the whole module in its order.
- A method counts if its class is reached and its name is mentioned in what is reached. All methods
  of a class count that derives from a library's, as the library may call them; so do __methods__,
  those under a decorator that is not known, and those that files, mappings and estimators have.
- Attributes found by a name that is computed: all methods of all classes that are reached.
- A module that is handed on as an object, or asked for a name that it has not: all of it.
- Code that could reach anything (eval, globals, sys.modules) is refused with a ValueError.

Families of models are looked up by the name in a recipe. The caller says which ones the program
works with, and those files are searched as if they were classes: what of them is mentioned counts.
A program that looks them up, and is told of none, raises a ValueError.

Why no stale result passes: code can run in three ways. It is named, it runs when a module is
imported, or a library calls it as a method of a class that derives from its own.
tests/unit/test_reach.py changes what each program reaches and sees its digest move;
tests/workflow/test_reached.py runs a study, writes down each function that is called, and finds it
among what is covered. They could miss one case: a library calls a method of an object whose class
has no bases, nothing here mentions the method, and `CALLED_BY_LIBRARIES` lacks it. Result-deciding
files that code reads (data, templates, the schema) are no code: rules name them as inputs, or their
content is part of a recipe.

What a program reaches is kept in a file beside compiled code, under a digest of all that was read:
every file under scripts/, these modules among them, and the version of Python, whose syntax it is.

The parts: `syntax`, `scope` and `reader` read one statement, `definitions` and `effects` a module,
and `reach` follows the names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

from gap.run.definitions import Code
from gap.run.json import canonical_json, read_json
from gap.run.packages import DECIDING
from gap.run.reach import reach

SCRIPTS = Path(__file__).resolve().parents[2]


def provenance_of(
    program: str,
    granularity: str | bool,
    versions: Mapping[str, str],
    families: Collection[str] = (),
) -> str:
    """Return what makes a program's results, apart from recipe and inputs, as canonical JSON.

    {"code": digest, "packages": {name: version}}, of the packages that decide a result and that
    what the program reaches uses. `granularity` is "exact" (2.13.1+cpu), "minor" (2.13) or "off"
    (no packages; also False, as YAML reads it). `families` are those of the models that it works
    with, see code_digest.
    """
    off = granularity in ("off", False)
    names = frozenset() if off else deciding_packages(program, families)
    packages = {name: versions.get(name, "none") for name in names}
    if granularity == "minor":
        packages = {name: _minor(version) for name, version in packages.items()}
    return canonical_json({"code": code_digest(program, families), "packages": packages})


def _minor(version: str) -> str:
    return ".".join(version.split("+")[0].split(".")[:2])


def deciding_packages(program: str, families: Collection[str] = ()) -> frozenset[str]:
    """Return the packages, of those that can change a number, that a program's code uses."""
    used = _summary(SCRIPTS, program, frozenset(families))["packages"]
    return frozenset(name for key in used for name in DECIDING.get(key, []))


def code_digest(program: str, families: Collection[str] = ()) -> str:
    """Return a digest of all definitions that a program in scripts/ reaches.

    `families` are those of the models that it works with; a program that looks none up needs none.
    Raises ValueError where it does and none are given.
    """
    return _summary(SCRIPTS, program, frozenset(families))["digest"]


class Summary(TypedDict):
    """What is told of all that a program reaches: its digest, and the packages that it uses."""

    digest: str
    packages: list[str]


@cache
def _summary(folder: Path, program: str, families: frozenset[str]) -> Summary:
    kept = _kept(folder)
    key = f"{program}: {sorted(families)}"
    if key not in kept:
        reached = reach(_code(folder), program.removesuffix(".py"), families)
        kept[key] = {"digest": reached.digest, "packages": sorted(reached.packages)}
        _keep(folder, kept)
    return kept[key]


@cache
def _code(folder: Path) -> Code:
    return Code(folder)


@cache
def _kept(folder: Path) -> dict[str, Summary]:
    """Return the summaries that were made before of the very same code."""
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
        kept = read_json(_file_of(folder))
        if kept["code"] == _everything(folder):
            return kept["summaries"]
    return {}


def _keep(folder: Path, summaries: dict[str, Summary]) -> None:
    """Write down the summaries; where nobody may write, the next call makes them again."""
    file = _file_of(folder)
    # Several calls may write at once: each into a file of its own, and one of them is the last.
    partial = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        partial.write_text(canonical_json({"code": _everything(folder), "summaries": summaries}))
        partial.replace(file)


def _file_of(folder: Path) -> Path:
    return folder / "__pycache__" / f"{sys.implementation.cache_tag}.reached.json"


@cache
def _everything(folder: Path) -> str:
    """Return a digest of the names of all that is in a folder, and of the content of its code."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if "__pycache__" not in name.parts:
            content = path.read_bytes() if name.suffix == ".py" and path.is_file() else b""
            digest.update(canonical_json([str(name), len(content)]).encode())
            digest.update(content)
    return digest.hexdigest()
