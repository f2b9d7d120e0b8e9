"""On a real SLURM: the study through the profile, whatever happens to its jobs, and its end."""

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from slurm_cluster import ACCOUNT, job_of, running_cluster, wait_until, why_not
from tiny_study import STEPS, TINY_STUDY, Study, new_study, write_words

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(why_not() is not None, reason=f"no SLURM here: {why_not()}"),
]

# As in the README, but that a test does not wait as long between two looks at the queue.
COMMAND = [
    "--workflow-profile",
    "profiles/slurm",
    "--slurm-init-seconds-before-status-checks",
    "3",
    "--slurm-keep-successful-logs",
]
# The jobs of BERT have three minutes, of which SLURM's signal leaves them 30 to 60 seconds; the
# first attempt of the linear models has too little memory.
MEMORY = "mem_mb=(100 if attempt == 1 else 2000) if wildcards.model == 'tfidf' else 4000"
MINUTES = "runtime=1 if wildcards.model == 'bert' else 20"
TROUBLE = [f"{rule}:{ask}" for rule in ("train", "predict", "score") for ask in (MEMORY, MINUTES)]
# Longer than that, also what is left of it after a minute: 11,000 steps took 85 seconds where they
# were fast, and a job that went on with the rest was done before its time was over.
LONG = {"batch_size": 8, "min_steps": 18000, "max_epochs": 1, "evaluations": 10, "lr": 0.001}

# A checkpoint that the workflow makes, in some hundred steps.
MANIFEST = "results/sources/checkpoint-own/manifest.json"
OWN = {
    "kind": "pretrained",
    "corpus": ["tickets"],
    "tokenizer": {"size": 64},
    "held_out": 0.1,
    "block": 32,
    "start": {"layers": 1, "width": 16, "heads": 2},
    "optimisation": {"passes": 100, "batch_size": 8, "evaluations": 40, "patience": 40},
}


def long_study():
    config = copy.deepcopy(TINY_STUDY) | {"sizes": [40]}
    config["model_zoo"]["bert"]["optimisation"] = LONG
    return config


@pytest.fixture(scope="module")
def cluster():
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_bert, cluster):
    """The workflow as a user of this cluster has it: the profile's first lines filled in."""
    study = new_study(tmp_path_factory.mktemp("slurm") / "study", tiny_bert)
    fill_in(study, slurm_account=ACCOUNT, gpu_partition="gpu", gpu_type="test")
    (study.folder / "study.yaml").write_text(yaml.safe_dump(long_study()), encoding="utf-8")
    return Study(study.folder, cluster.environment)


def fill_in(study, **site):
    """Edit the profile as the README says."""
    path = study.folder / "profiles" / "slurm" / "config.yaml"
    text = path.read_text(encoding="utf-8")
    for key, value in ({"most_minutes": 600, "cpus_per_gpu": 1} | site).items():
        text, count = re.subn(rf"^  (# )?{key}: \S+", f"  {key}: {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    path.write_text(text, encoding="utf-8")


def start(study, *arguments):
    """Call snakemake in the background, with what it says in snakemake.log."""
    # Where the tests themselves run in the background, SIGINT is ignored, also by what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(study.folder / "snakemake.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *COMMAND, *arguments],
            cwd=study.folder,
            env=os.environ | study.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("slurm_account", "nobody", "--account=nobody --time=600: Invalid account"),
        ("gpu_partition", "nowhere", "invalid partition specified: nowhere"),
        ("gpu_type", "a100", "--gpus=a100:1: Requested node configuration is not available"),
    ],
)
def test_what_the_cluster_does_not_have_is_told_in_one_line(tmp_path, study, key, value, said):
    other = Study(tmp_path / "study", study.environment)
    subprocess.run(["cp", "-r", study.folder, other.folder], check=True)
    fill_in(other, **{key: value})
    call = other.snakemake(*COMMAND, config=long_study())
    assert call.rc == 1
    assert len(call.errors) == 1, call.output
    assert said in call.errors[0]
    assert "profiles/slurm/config.yaml" in call.errors[0]
    assert "Traceback" not in call.output
    assert not (other.folder / "logs").exists()


def test_ctrl_c_leaves_no_job_behind(study, cluster):
    process = start(study, "--configfile", "study.yaml")
    wait_until(lambda: "RUNNING" in cluster.queue().values(), 90, "a job runs")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    wait_until(lambda: not cluster.queue(), 30, "the queue is empty")


def test_whatever_happens_to_jobs_the_numbers_are_the_same(tmp_path, tiny_bert, study, cluster):
    process = start(study, "--configfile", "study.yaml", "--set-resources", *TROUBLE)
    try:
        cancelled, _ = training(study, process, 1)
        cluster.run("scancel", cancelled)
        job, node = training(study, process, 2)
        cluster.fail_node(node)
        wait_until(lambda: cluster.states()[node].startswith("down"), 60, "the node is down")
        # Given to a node that has just come back, a job once waited for ever.
        wait_until(lambda: cluster.queue().get(job) == "RUNNING", 300, "another node has the job")
        cluster.start_node(node)
        wait_until(lambda: "\nqueued again\n" in logs(study), 600, "a job has no time left")
        # On a slow machine there would be many more such times.
        wait_until(lambda: ended(process, cluster), 1800, "the study is done")
        assert process.returncode == 0, (study.folder / "snakemake.log").read_text()
    finally:
        process.kill()
        print(cluster.history())
    history = cluster.history()
    for state in ("COMPLETED", "CANCELLED"):
        assert state in history
    # SLURM tells of too little memory in one of these ways, as it comes.
    assert re.search("OUT_OF_ME|FAILED", history)

    whole = new_study(tmp_path / "whole", tiny_bert)
    call = whole.snakemake("--cores", "2", config=long_study())
    assert call.rc == 0, call.output
    for name in ("gaps.csv", "scores.csv", "accuracies.csv"):
        expected = (whole.folder / "results" / name).read_bytes()
        assert (study.folder / "results" / name).read_bytes() == expected, name
    call = study.snakemake(*COMMAND, config=long_study())
    assert "Nothing to be done" in call.output
    assert not cluster.queue()


def test_a_cancelled_pretraining_goes_on_to_the_same_bytes(tmp_path, tiny_bert, study, cluster):
    config = long_study()
    config["checkpoint_zoo"] = {**config["checkpoint_zoo"], "own": OWN}
    config["model_zoo"]["bert"]["checkpoint"] = "own"
    (study.folder / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    process = start(study, "--configfile", "own.yaml", "--", MANIFEST)
    try:
        saved = "results/sources/checkpoint-own/.state/**/checkpoint-*/whole"
        job, _ = under_way(study, process, r"scripts/pretrain\.py", saved)
        assert "gpu:test:1" in cluster.run("scontrol", "show", "job", job).stdout
        cluster.run("scancel", job)
        wait_until(lambda: process.poll() is not None, 400, "the checkpoint is made")
        assert process.returncode == 0, (study.folder / "snakemake.log").read_text()
    finally:
        process.kill()
    whole = new_study(tmp_path / "whole", tiny_bert)
    call = whole.snakemake(MANIFEST, "--cores", "2", config=config)
    assert call.rc == 0, call.output
    weights = Path(MANIFEST).parent / "files" / "model.safetensors"
    assert (study.folder / weights).read_bytes() == (whole.folder / weights).read_bytes()


def neighbours():
    """A study of what models take from elsewhere: another data set, and layers of a checkpoint."""
    config = copy.deepcopy(TINY_STUDY) | {"sizes": [40], "seeds": ["1-2"], "reference": "small"}
    tickets = config["dataset_zoo"]["tickets"]
    config["dataset_zoo"]["notes"] = tickets | {"source": {"kind": "file", "path": "notes.csv"}}
    run = {"kind": "trained", "dataset": "notes", "model": "small", "size": 40}
    vectors = {"kind": "pretrained", "objective": "static", "corpus": ["notes"], "size": 8}
    vectors |= {"tokenizer": {"size": 120}, "held_out": 0.1}
    config["checkpoint_zoo"] |= {"on-notes": run, "vectors": vectors}
    small = {"family": "lstm", "width": 8, "optimisation": STEPS}
    config["model_zoo"] = {
        "small": small | {"vocabulary": "few"},
        "from-notes": small | {"checkpoint": "on-notes", "datasets": ["tickets"]},
        "bridged": small | {"vocabulary": "few", "checkpoint": "vectors", "bridge": "generator"},
        "each": {"family": "frozen", "checkpoint": "tiny", "layers": "each"},
        "states": small | {"family": "frozen_lstm", "checkpoint": "tiny", "layers": "mix"},
    }
    names = {"datasets": ["tickets", "notes"], "models": list(config["model_zoo"])}
    return config | names | {"transfer": ["from-notes"]}


def test_what_is_taken_from_elsewhere_is_the_same_on_a_cluster(tmp_path, tiny_bert, study):
    """Behind a run there are jobs that other runs wait for, which must not be of one group."""
    tables = [f"results/{name}.csv" for name in ("gaps", "transfer", "bridges", "probes")]
    elsewhere, whole = (new_study(tmp_path / name, tiny_bert) for name in ("slurm", "whole"))
    for folder in (elsewhere.folder, whole.folder):
        write_words(folder / "tickets.csv")
        write_words(folder / "notes.csv", seed=2)
    shutil.copytree(study.folder / "profiles", elsewhere.folder / "profiles", dirs_exist_ok=True)
    on_cluster = Study(elsewhere.folder, study.environment)
    call = on_cluster.snakemake(*COMMAND, *tables, config=neighbours())
    assert call.rc == 0, call.output
    call = whole.snakemake("--cores", "2", *tables, config=neighbours())
    assert call.rc == 0, call.output
    for table in tables:
        assert (on_cluster.folder / table).read_bytes() == (whole.folder / table).read_bytes()


def ended(process, cluster):
    """Return whether snakemake has ended; if not, give each job an hour, and wait some seconds."""
    for job in cluster.queue():
        cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    return process.poll() is not None


def logs(study):
    """Return what all SLURM jobs have written."""
    paths = (study.folder / ".snakemake" / "slurm_logs").rglob("*.log")
    return "".join(path.read_text(errors="replace") for path in paths)


def training(study, process, seed):
    """Return (job, node) of a training of BERT that has saved a checkpoint."""
    run = f"results/runs/tickets/bert/40/{seed}"
    program = rf"scripts/train\.py .*--state {run}\b"
    return under_way(study, process, program, f"{run}/.state/train/*/*/*/checkpoints/*/whole")


def under_way(study, process, program, checkpoints):
    """Return (job, node) of a program that has saved one of these checkpoints."""
    found: list[tuple[str, str]] = []

    def is_under_way():
        assert process.poll() is None, (study.folder / "snakemake.log").read_text()
        job = job_of(program)
        found[:] = [job] if job and list(study.folder.glob(checkpoints)) else []
        return found

    wait_until(is_under_way, 400, f"{program} has saved a checkpoint")
    return found[0]
