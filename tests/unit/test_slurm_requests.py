"""What is asked of SLURM, and what is made of its answers; tests/system asks a real one."""

import os

import pytest
import requeue
from gap.cluster.slurm import MOST_RUNS, check_site, queue_again, refusal
from gap.run.errors import STOPPED, UserError

ANSWER = """#!/bin/sh
echo "$0 $*" | sed 's|.*/||' >> {calls}
{then}
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A function that makes a command of SLURM do what a line of shell says; its calls are kept."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "7")

    def answer(command, then):
        path = tmp_path / command
        path.write_text(ANSWER.format(calls=calls, then=then), encoding="utf-8")
        path.chmod(0o755)
        return lambda: calls.read_text().splitlines() if calls.exists() else []

    return answer


def test_a_job_that_slurm_takes(slurm):
    calls = slurm("sbatch", "exit 0")
    resources = {"slurm_account": "ml", "runtime": 90, "mem_mb": 100, "gpu": 2, "gpu_model": "a100"}
    assert refusal(resources | {"qos": None, "slurm_extra": "--signal=TERM@120"}) is None
    assert calls() == [
        "sbatch --test-only --ntasks=1 --wrap=true --account=ml --time=90 --mem=100 --gpus=a100:2"
    ]


def test_a_job_that_slurm_refuses(slurm):
    slurm(
        "sbatch",
        "printf 'sbatch: error: invalid partition specified: x\\nsbatch: error: "
        "invalid partition specified: x\\nallocation failure: Invalid partition\\n' >&2; exit 1",
    )
    assert refusal({"slurm_partition": "x"}) == (
        "SLURM refuses a job with --partition=x: invalid partition specified: x; Invalid partition"
    )
    with pytest.raises(UserError, match="x; Invalid partition; change default-resources at"):
        check_site({"slurm_partition": "x", "mem_mb": 10})


def test_a_site_is_asked_for_jobs_with_gpus_and_without(slurm):
    calls = slurm("sbatch", "exit 0")
    site = {
        "slurm_partition": "cpu",
        "gpu_partition": "gpu",
        "most_gpus": 4,
        "gpu_type": "h100",
        "most_minutes": 60,
        "mem_mb": 5,
        "runtime": 5,
    }
    check_site(site)
    assert [call.partition("--wrap=true ")[2] for call in calls()] == [
        "--partition=cpu --time=60",
        "--partition=gpu --time=60 --gpus=h100:4",
    ]
    check_site(site | {"most_gpus": 0})
    assert len(calls()) == 3


def test_where_there_is_no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch here; call snakemake on a login node"):
        check_site({})
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert queue_again() == "the job is not known to SLURM"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert queue_again() == "the job is not known to SLURM"


def job(state, restarts):
    return (
        f"[ $1 = requeue ] || echo 'JobId=7 JobState={state} Requeue=1 Restarts={restarts} "
        "BatchFlag=1'"
    )


def test_a_job_that_runs_is_queued_again(slurm):
    calls = slurm("scontrol", job("RUNNING", 3))
    assert queue_again() is None
    assert calls()[-1] == "scontrol requeue 7"


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (job("COMPLETING", 0), "the job is COMPLETING"),
        (job("CANCELLED", 0), "the job is CANCELLED"),
        (job("RUNNING", MOST_RUNS - 1), f"the job has run {MOST_RUNS} times; is its"),
        (
            job("RUNNING", 0) + "\n[ $1 = show ] || { echo 'batch jobs only' >&2; exit 1; }",
            "batch jobs only",
        ),
    ],
)
def test_a_job_that_is_not_queued_again(slurm, then, reason):
    calls = slurm("scontrol", then)
    assert reason in str(queue_again())
    assert ("scontrol requeue 7" in calls()) == (reason == "batch jobs only")


def test_only_a_program_that_was_stopped_is_run_again(slurm, monkeypatch, capsys):
    calls = slurm("scontrol", job("RUNNING", 0))
    waited: list[int] = []
    monkeypatch.setattr(requeue, "sleep", waited.append)
    for status in (1, 143, STOPPED):
        with pytest.raises(SystemExit) as ended:
            requeue.main([str(status)])
        assert ended.value.code == status
    assert waited == [requeue.PATIENCE]
    assert calls().count("scontrol requeue 7") == 1
    assert capsys.readouterr().out == "queued again\n"
