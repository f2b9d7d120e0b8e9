"""The version, the locked requirements, the conda environments, and the set-up."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pages import code

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
LOCKS = ("requirements.txt", "torch-cpu.txt", "torch-cuda.txt")
PROGRAMS = {
    "data": [
        "download",
        "prepare",
        "prepare_texts",
        "subsample",
        "fit_vocabulary",
        "encode",
        "collect_corpus",
    ],
    "train": [
        "train",
        "predict",
        "measure_latency",
        "pretrain",
        "make_checkpoint",
        "measure_similarity",
        "foretell_transfer",
        "fit_bridge",
        "measure_forgetting",
    ],
    "summary": [
        "score",
        "gather",
        "estimate_gap",
        "forecast_gap",
        "price_target",
        "examine_errors",
        "gather_latency",
        "gather_forgetting",
        "chart_forgetting",
        "chart_layers",
        "chart_transfer",
        "chart_gap",
        "chart_cost",
        "write_summary",
        "record_provenance",
        "write_report",
        "export_tables",
        "compare_studies",
    ],
}
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}


def statements(name: str) -> list[str]:
    """The requirements of a file, each with its hashes on one line."""
    text = re.sub(r"#.*", "", (ENVS / name).read_text()).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def requirements(name: str) -> list[Requirement]:
    return [Requirement(line.split("--hash")[0].strip()) for line in statements(name)]


def locked(*names: str) -> dict[str, Version]:
    """The version of each package that these locks install with Python 3.11 on Linux."""
    environment = LINUX | {"python_full_version": "3.11.9"}
    return {
        requirement.name: Version(str(requirement.specifier).removeprefix("=="))
        for name in names
        for requirement in requirements(name)
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


def pins(family: str) -> dict[str, Version]:
    """The pip packages of a conda environment."""
    *_, packages = yaml.safe_load((ENVS / f"{family}.yaml").read_text())["dependencies"]
    return {
        requirement.name: Version(str(requirement.specifier).removeprefix("=="))
        for requirement in map(Requirement, packages["pip"])
    }


@cache
def names_imported(path: Path, at_the_top: bool = False) -> frozenset[str]:
    """Every module that a file names in an import, or in one that is done when it is loaded."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def imported_modules(program: Path, trains: bool = True) -> set[str]:
    """Every module that a program names in an import, its own local modules' imports included.

    A family of models imports torch and the like inside the methods that train and score, which
    programs that only describe models never call: their imports are left out unless `trains`.
    """
    names: set[str] = set()
    waiting, seen = [program], {program}
    while waiting:
        path = waiting.pop()
        imported = names_imported(path, at_the_top=not trains and "models" in path.parts)
        names |= imported
        local = {path for name in imported for path in local_files(name)} - seen
        seen |= local
        waiting.extend(local)
    return names


def local_files(module: str) -> Iterator[Path]:
    base = ROOT / "scripts" / module.replace(".", "/")
    yield from (p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())


# It reads a list of files of every package that is installed.
DISTRIBUTIONS = cache(packages_distributions)


def packages_of(program: Path, trains: bool = True) -> set[str]:
    """The distributions, as pip names them, whose modules a program imports."""
    known = DISTRIBUTIONS()
    tops = {name.split(".")[0] for name in imported_modules(program, trains)}
    foreign = {top for top in tops - sys.stdlib_module_names if not any(local_files(top))}
    return {canonicalize_name(known[top][0]) for top in foreign}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_with_its_hashes(name: str) -> None:
    assert statements(name)
    for line in statements(name):
        assert re.fullmatch(r"[\w.-]+==[^ ]+( ; [^=].*?)?( +--hash=sha256:[0-9a-f]{64})+", line), (
            line
        )


@pytest.mark.parametrize("path", sorted(ENVS.glob("*.*")), ids=lambda path: path.name)
def test_no_host_or_place_is_named(path: Path) -> None:
    assert not re.search(r"https?:|file:|//|index-url|find-links|trusted-host", path.read_text())


def test_lock_fulfils_the_direct_requirements() -> None:
    versions = locked("requirements.txt", "torch-cuda.txt")
    for requirement in requirements("requirements.in"):
        assert requirement.specifier.contains(versions[requirement.name]), requirement


def test_both_builds_are_of_one_torch_version() -> None:
    cpu, cuda = (locked(f"torch-{build}.txt")["torch"] for build in ("cpu", "cuda"))
    assert cpu.public == cuda.public
    assert "torch" not in locked("requirements.txt")


@pytest.mark.parametrize("family", PROGRAMS)
def test_environment_has_the_versions_of_the_lock(family: str) -> None:
    versions = locked("requirements.txt", "torch-cuda.txt")
    assert pins(family) == {name: versions[name] for name in pins(family)}


@pytest.mark.parametrize("family", PROGRAMS)
def test_environment_has_what_its_programs_import(family: str) -> None:
    for name in PROGRAMS[family]:
        program = ROOT / "scripts" / f"{name}.py"
        missing = packages_of(program, trains=family == "train") - pins(family).keys()
        assert not missing, f"{name}.py imports what envs/{family}.yaml lacks"


def test_direct_requirements_name_every_import() -> None:
    direct = {requirement.name for requirement in requirements("requirements.in")}
    for program in (ROOT / "scripts").rglob("*.py"):
        assert packages_of(program) <= direct, program


# A Python that only makes a .venv whose pip writes down its arguments and knows no CPU build.
PIP = """#!/bin/sh
echo "$*" >> pip.log
case "$*" in *torch-cpu*) exit {status};; esac
"""
PYTHON = """#!/bin/sh
case "$1" in
-c) {check};;
-m) mkdir -p .venv/bin && cp pip .venv/bin/ && echo 'PATH=.venv/bin:$PATH' > .venv/bin/activate;;
--version) echo Python 3.9.0;;
esac
"""


def make_setup(
    folder: Path, *settings: str, status: int = 0, check: str = f'exec {sys.executable} "$@"'
) -> subprocess.CompletedProcess[str]:
    """Run `make setup` in a copy of the project where nothing is installed for real.

    `status` is what pip ends with for the CPU build, `check` what answers `python -c`.
    """
    shutil.copytree(ENVS, folder / "envs", dirs_exist_ok=True)
    shutil.copy(ROOT / "Makefile", folder)
    for name, text in {"pip": PIP, "python": PYTHON}.items():
        (folder / name).write_text(text.format(status=status, check=check))
        (folder / name).chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    command = ["make", "setup", "PYTHON=./python", "GPU=", *settings]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_setup_installs_the_cpu_build_once(tmp_path: Path) -> None:
    assert make_setup(tmp_path).returncode == 0
    assert "Nothing to be done" in make_setup(tmp_path).stdout
    expected = "install --require-hashes -r envs/torch-cpu.txt -r envs/requirements.txt\n"
    assert (tmp_path / "pip.log").read_text() == expected


def test_pages_set_up_as_make_does(tmp_path: Path) -> None:
    block = code(ROOT / "docs" / "running.md", "sh", "Set-up without make")
    typed = [re.sub(" +#.*", "", line) for line in block.splitlines()]
    assert typed[:2] == ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert make_setup(tmp_path).returncode == 0
    assert typed[2] == f"pip {(tmp_path / 'pip.log').read_text().strip()}"


def test_the_container_installs_the_same_as_make() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    installed = re.search(r"^RUN pip install (.*)$", text, re.MULTILINE)
    assert installed
    assert "--require-hashes" in installed[1]
    for lock in re.findall(r"-r (\S+)", installed[1]):
        for build in re.findall(r"^ARG TORCH=(\w+)$", text, re.MULTILINE):
            assert (ROOT / lock.replace("${TORCH}", build)).exists()
    for copied in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / path).exists() for path in copied.split())


def test_ci_of_the_hub_runs_what_runs_anywhere() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)


def test_setup_takes_the_cuda_build_where_there_is_no_cpu_build(tmp_path: Path) -> None:
    assert make_setup(tmp_path, status=1).returncode == 0
    builds = re.findall(r"torch-(\w+)", (tmp_path / "pip.log").read_text())
    assert builds == ["cpu", "cuda"]


@pytest.mark.parametrize("setting", ["GPU=/dev/nvidia0", "TORCH=cuda"])
def test_setup_takes_the_cuda_build_at_once(tmp_path: Path, setting: str) -> None:
    assert make_setup(tmp_path, setting).returncode == 0
    assert re.findall(r"torch-(\w+)", (tmp_path / "pip.log").read_text()) == ["cuda"]


def test_setup_that_fails_is_tried_again(tmp_path: Path) -> None:
    assert make_setup(tmp_path, "TORCH=cpu", status=1).returncode != 0
    assert make_setup(tmp_path, "TORCH=cpu").returncode == 0
    assert (tmp_path / "pip.log").read_text().count("torch-cpu") == 2


def test_setup_refuses_an_old_python(tmp_path: Path) -> None:
    result = make_setup(tmp_path, check="exit 1")
    assert result.returncode != 0
    assert "error: ./python must be Python 3.11 to 3.14, found Python 3.9.0" in result.stdout
    assert not (tmp_path / ".venv").exists()
