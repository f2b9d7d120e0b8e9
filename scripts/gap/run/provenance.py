"""What a result was made from: digests of code and of people's files, versions of packages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from gap.run.definitions import Code
from gap.run.json import canonical_json
from gap.run.packages import DECIDING
from gap.run.reach import Reached, reach

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
    used = _reached(SCRIPTS, program, frozenset(families)).packages
    return frozenset(name for key in used for name in DECIDING.get(key, []))


def code_digest(program: str, families: Collection[str] = ()) -> str:
    """Return a digest of all definitions that a program in scripts/ reaches.

    `families` are those of the models that it works with; a program that looks none up needs none.
    Raises ValueError where it does and none are given.
    """
    return _reached(SCRIPTS, program, frozenset(families)).digest


@cache
def _reached(folder: Path, program: str, families: frozenset[str]) -> Reached:
    return reach(_code(folder), program.removesuffix(".py"), families)


@cache
def _code(folder: Path) -> Code:
    return Code(folder)
