"""Write on a page what a study costs on a cluster: GPU-hours, disk, files, jobs.

Nothing is fetched or trained. What no config says is read from a file of assumptions. How fast
models train is read from what benchmarks/throughput.py measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from gap.cluster.plan import Plan
from gap.cluster.plan_page import page
from gap.cluster.plan_tables import amount, number
from gap.config import check as config_module
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run

ROOT = Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- what the plan is made from


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, as in docs/assumptions.yaml")
    return content


def lay_over(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    """Return `below` with what `above` says otherwise, as Snakemake does with --configfile."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = lay_over(under, value)
        else:
            merged[key] = value
    return merged


def load_study(path: Path) -> dict[str, Any]:
    """Return a study's config, laid over config.yaml, with its defaults filled in."""
    config = lay_over(read_yaml(ROOT / "config.yaml"), read_yaml(path))
    config_module.complete(config)
    return config


# ---------------------------------------------------------------- command line


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--configfile", type=Path, default=Path("studies/paper.yaml"), help="a study"
    )
    parser.add_argument("--assumptions", type=Path, default=Path("docs/assumptions.yaml"))
    parser.add_argument(
        "--throughput",
        type=Path,
        default=Path("benchmarks/throughput.json"),
        help="what benchmarks/throughput.py measured, on a CPU or a GPU",
    )
    parser.add_argument("--page", type=Path, help="to write; left out, beside the study, as .md")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    given = parse(argv)
    config = load_study(given.configfile)
    plan = Plan(config, read_yaml(given.assumptions), read_json(given.throughput))
    if not any(plan.uses_gpu(model) for model in config["models"]):
        raise UserError(f"{given.configfile}: no model needs a GPU; there is nothing to plan")
    target = given.page or given.configfile.with_suffix(".md")
    target.write_text(page(plan, given.configfile.as_posix()), encoding="utf-8")
    print(
        f"{target}: {number(plan.hours())} GPU-hours, {amount(sum(plan.disk().values()))}, "
        f"{sum(plan.files().values()):,} files, {sum(plan.jobs().values()):,} jobs"
    )


if __name__ == "__main__":
    run(main)
