"""What is asked of SLURM: whether it would take a job, and to run one again.

No program that makes a result imports this, so a change here makes no result anew.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

from gap.run.errors import UserError

# By sbatch's options: the resources of Snakemake that its SLURM plugin hands over in them.
OPTIONS = {
    "--account": "slurm_account",
    "--partition": "slurm_partition",
    "--qos": "qos",
    "--constraint": "constraint",
    "--clusters": "clusters",
    "--time": "runtime",
    "--mem": "mem_mb",
}
# Runs of one job at most, so that a job that gets nowhere within its time limit comes to an end.
MOST_RUNS = 100


def check_site(site: Mapping[str, object]) -> None:
    """Raise UserError if SLURM would refuse jobs such as a profile's default-resources describe.

    Asked are a job without GPUs and one with as many as a training may take. Nothing is submitted.
    """
    job = {key: site[key] for key in OPTIONS.values() if key in site}
    jobs = [job | {"runtime": site.get("most_minutes"), "mem_mb": None}]
    if site.get("most_gpus"):
        on_gpu = {"gpu": site["most_gpus"], "gpu_model": site.get("gpu_type")}
        if site.get("gpu_partition"):
            on_gpu["slurm_partition"] = site["gpu_partition"]
        jobs.append(jobs[0] | on_gpu)
    for job in jobs:
        refused = refusal(job)
        if refused:
            raise UserError(
                f"{refused}; change default-resources at the top of profiles/slurm/config.yaml"
            )


def refusal(resources: Mapping[str, object]) -> str | None:
    """Return why SLURM refuses a job with these resources; None if it would take it.

    Raises UserError where there is no SLURM, or where it does not answer.
    """
    asked = {option: resources[key] for option, key in OPTIONS.items() if resources.get(key)}
    if resources.get("gpu"):
        kind = resources.get("gpu_model")
        asked["--gpus"] = f"{kind}:{resources['gpu']}" if kind else resources["gpu"]
    named = [f"{option}={value}" for option, value in asked.items()]
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", "--ntasks=1", "--wrap=true", *named],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        raise UserError("there is no sbatch here; call snakemake on a login node") from None
    except subprocess.TimeoutExpired:
        raise UserError("SLURM does not answer: sbatch took a minute; try again later") from None
    if not done.returncode:
        return None
    said = dict.fromkeys(map(_plain, done.stderr.strip().splitlines()))
    return f"SLURM refuses a job with {' '.join(named) or 'no options'}: {'; '.join(said)}"


def _plain(line: str) -> str:
    return re.sub(r"^(sbatch: |error: |allocation failure: )+", "", line.strip())


def current_job() -> dict[str, str]:
    """Return what SLURM says of the job that this process is part of; empty outside of one."""
    number = os.environ.get("SLURM_JOB_ID")
    if number is None:
        return {}
    command = ["scontrol", "--oneliner", "show", "job", number]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(re.findall(r"(\w+)=(\S+)", said))


def queue_again() -> str | None:
    """Have SLURM run this process's job again from its beginning; return why not, if it does not.

    That is for a job whose time is nearly over; not for one that somebody is ending (scancel), that
    SLURM ends for another reason, or that has run MOST_RUNS times.
    """
    job = current_job()
    if job.get("JobState") != "RUNNING":
        return f"the job is {job.get('JobState', 'not known to SLURM')}"
    runs = int(job.get("Restarts", 0)) + 1
    if runs >= MOST_RUNS:
        return f"the job has run {runs} times; is its time limit too short?"
    command = ["scontrol", "requeue", os.environ["SLURM_JOB_ID"]]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip() or "scontrol failed" if done.returncode else None
