"""How many SLURM jobs, and how long, 200 short steps take with the profile, and ungrouped."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from common import PAGE, machine, write_section
from gap.run.errors import UserError
from gap.run.program import run
from study_overhead import copy_repository

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from slurm_cluster import ACCOUNT, Cluster, running_cluster, why_not

OURS, PEER = "the profile", "the profile, ungrouped"
ROWS = 1000
WORDS: dict[str, Any] = {"family": "linear"}


@dataclass(frozen=True)
class Counts:
    """What a study took: SLURM's jobs, and seconds by the clock."""

    jobs: int
    seconds: float


def write_study(folder: Path, seeds: int) -> int:
    """Write study.yaml, two linear models with one job per seed, and return its short steps."""
    rows = [f"text {row} of them,{'no' if row % 2 else 'yes'}" for row in range(ROWS)]
    (folder / "texts.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    source = {"kind": "file", "path": "texts.csv"}
    config = {
        "datasets": ["texts"],
        "models": ["words", "phrases"],
        "reference": "words",
        "sizes": [100],
        "seeds": list(range(1, seeds + 1)),
        "dataset_zoo": {"texts": {"source": source, "text": "text", "label": "label"}},
        "model_zoo": {"words": WORDS | {"longest_phrase": 1}, "phrases": WORDS},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    # Drawing rows; training, prediction and scoring of each model.
    return seeds * (1 + 3 * 2)


def fill_in_profile(folder: Path) -> None:
    """Name the account and the time limit, as a user does."""
    profile = folder / "profiles" / "slurm" / "config.yaml"
    text = profile.read_text(encoding="utf-8")
    text = text.replace("# slurm_account: my-account", f"slurm_account: {ACCOUNT}")
    text = text.replace("most_minutes: 1440", "most_minutes: 600")
    profile.write_text(text, encoding="utf-8")


def ungroup(folder: Path) -> None:
    """Take the groups out of all rules, so that each step is a job."""
    for path in folder.glob("rules/*.smk"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"^    group:\n        .*\n", "", text, flags=re.MULTILINE))


def run_study(folder: Path, cluster: Cluster) -> Counts:
    """Run the study through the profile, and return what it took."""
    before = jobs_so_far(cluster)
    begin = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm"]
    environment: Mapping[str, str] = os.environ | cluster.environment
    with (folder / "snakemake.log").open("wb") as log:
        done = subprocess.run(
            [*command, "--configfile", "study.yaml"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    if done.returncode:
        # The folder goes when the program ends.
        last = (folder / "snakemake.log").read_text(encoding="utf-8").splitlines()[-40:]
        raise UserError(
            "\n".join([f"{folder.name}: the study failed; snakemake's last lines:", *last])
        )
    return Counts(jobs_so_far(cluster) - before, time.monotonic() - begin)


def jobs_so_far(cluster: Cluster) -> int:
    """Return how many jobs the cluster has been given."""
    return len(cluster.run("sacct", "-X", "-n", "-o", "jobid").stdout.split())


def section(steps: int, counts: Mapping[str, Counts]) -> str:
    """Return the page's section."""
    ours, peer = counts[OURS], counts[PEER]
    lines = [
        f"{steps} short steps of a study (drawing rows; training, prediction and scoring of linear "
        "models), and what comes before and after them, on a SLURM of two nodes with two CPUs "
        "each, all of them on this machine. One run each.",
        "",
        "| | SLURM jobs | s |",
        "|---|---|---|",
        *(f"| {name} | {count.jobs} | {count.seconds:.0f} |" for name, count in counts.items()),
        f"| ratio | {peer.jobs / ours.jobs:.1f} | {peer.seconds / ours.seconds:.1f} |",
        "",
        f"Machine: {machine(threads=None)}.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30, help="seven short steps each")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    arguments = parser.parse_args(argv)
    reason = why_not()
    if reason:
        raise UserError(f"no SLURM can be started here: {reason}")
    counts = {}
    with tempfile.TemporaryDirectory() as name, running_cluster() as cluster:
        for contestant in (OURS, PEER):
            folder = Path(name) / contestant.replace(" ", "-")
            copy_repository(folder, Path(name) / "nothing")
            steps = write_study(folder, arguments.seeds)
            fill_in_profile(folder)
            if contestant == PEER:
                ungroup(folder)
            counts[contestant] = run_study(folder, cluster)
            print(contestant, counts[contestant], flush=True)
    write_section(arguments.page, "Jobs of a cluster", section(steps, counts))


if __name__ == "__main__":
    run(main)
