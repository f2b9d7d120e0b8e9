"""What docs/architecture.md shows how to add works as it stands there."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from gap.run.json import read_json
from pages import ROOT, codes
from tiny_study import GRID, Study, copy_workflow
from workflow.test_study import planned

pytestmark = pytest.mark.workflow

PAGE = ROOT / "docs" / "architecture.md"
FAMILY, ENTRY = (codes(PAGE, language, "Add a family")[0] for language in ("python", "yaml"))


@pytest.fixture
def study(grid, tmp_path):
    """A copy of the finished study, with the times of its files as they were."""
    shutil.copytree(grid[0].folder, tmp_path / "copy", symlinks=True)
    return Study(tmp_path / "copy")


def add_family(study):
    path = study.folder / "scripts" / "gap" / "models" / "families" / "characters.py"
    path.write_text(FAMILY, encoding="utf-8")


def config_with_family(**others):
    """The config of the finished study with one more model, that of the page."""
    entry = yaml.safe_load(ENTRY)
    zoo = GRID["model_zoo"] | entry["model_zoo"]
    return GRID | {"models": [*GRID["models"], "characters"], "model_zoo": zoo} | others


def test_a_new_family_reruns_no_finished_run(study):
    add_family(study)
    assert planned(study.snakemake("-n", config=GRID)) == {}
    call = study.snakemake("-n", config=config_with_family())
    jobs = planned(call)
    # Two data sets, two sizes, a block of seeds; what all models share is there.
    assert (jobs["train"], jobs["predict"], jobs["score"]) == (4, 4, 4)
    assert not {"download", "prepare", "subsample", "encode", "encode_subsample"} & set(jobs)
    trained = re.findall(r"^Job \d+: Training (\w+) ", call.output, re.MULTILINE)
    assert set(trained) == {"characters"}


def test_a_new_family_is_in_all_that_a_study_ends_in(study):
    add_family(study)
    config = config_with_family(datasets=["notes"], sizes=[40])
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    results = study.folder / "results"
    report = (results / "report.html").read_text(encoding="utf-8")
    assert "sequences of up to one of 2, 3 characters" in " ".join(report.split())
    for table in ("gaps.csv", "latency.csv", "trials.csv"):
        assert "characters," in (results / table).read_text(encoding="utf-8"), table
    assert "Characters" in (results / "summary.md").read_text(encoding="utf-8")
    record = read_json(results / "provenance.json")
    assert {name for name in record["runs"] if "/characters/" in name}


def test_a_new_family_is_planned_for_a_cluster(study):
    add_family(study)
    config = config_with_family()
    profile = ["--workflow-profile", "profiles/slurm", "-n"]
    assert planned(study.snakemake(*profile, config=config))["train"] == 4
    (study.folder / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(ROOT / "docs", study.folder / "docs")
    shutil.copytree(ROOT / "benchmarks", study.folder / "benchmarks")
    measured = study.folder / "benchmarks" / "throughput.json"
    speeds = read_json(measured)
    # Which speeds does not matter here.
    speeds["models"] = dict.fromkeys(config["models"], next(iter(speeds["models"].values())))
    measured.write_text(json.dumps(speeds), encoding="utf-8")
    command = [sys.executable, "scripts/plan_study.py", "--configfile", "study.yaml"]
    call = subprocess.run(
        [*command, "--page", "plan.md"], cwd=study.folder, capture_output=True, text=True
    )
    assert call.returncode == 0, call.stderr
    assert "| characters" in (study.folder / "plan.md").read_text(encoding="utf-8")


def apply(folder, diff):
    """Put the added lines of a diff into the file that it names, beside the one that is there."""
    head, *lines = diff.splitlines()
    path = folder / head.removeprefix("--- ")
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
    after = "".join(f"{line[1:]}\n" for line in lines)
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path}: {before!r} is there {text.count(before)} times"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture
def archive(tmp_path):
    """The address of a zip archive with notes.csv on a server, and its sha256."""
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "notes.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/notes.csv", "body,queue\ngood,praise\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digest = hashlib.sha256((served / "notes.zip").read_bytes()).hexdigest()
    yield f"http://127.0.0.1:{server.server_port}/notes.zip", digest
    server.shutdown()


def test_a_new_kind_of_source_is_fetched(tmp_path, archive):
    study = copy_workflow(tmp_path / "study")
    for diff in codes(PAGE, "diff", "Add a kind of source"):
        apply(study.folder, diff)
    url, digest = archive
    source = {"kind": "zip", "url": url, "member": "folder/notes.csv", "sha256": digest}
    dataset = GRID["dataset_zoo"]["tickets"] | {"source": source}
    config = {"datasets": ["notes"], "dataset_zoo": {"notes": dataset}}
    assert planned(study.snakemake("-n", config=config))["download"] == 2
    manifest = "results/sources/dataset-notes/manifest.json"
    call = study.snakemake("--cores", "1", manifest, config=config)
    assert call.rc == 0, call.output
    (entry,) = json.loads((study.folder / manifest).read_text(encoding="utf-8"))["files"]
    assert (study.folder / entry["path"]).read_text(encoding="utf-8").startswith("body,queue\n")
    dataset["source"] = source | {"member": ""}
    call = study.snakemake("-n", config=config)
    assert call.rc == 1
    assert call.errors[0].startswith("error: config: dataset_zoo.notes.source.member: ")


def test_a_new_rule_runs_once(study):
    program, rule = codes(PAGE, "python", "Add a rule")
    (study.folder / "scripts" / "count_labels.py").write_text(program, encoding="utf-8")
    for diff in codes(PAGE, "diff", "Add a rule"):
        apply(study.folder, diff)
    with (study.folder / "rules" / "data.smk").open("a", encoding="utf-8") as rules:
        rules.write(f"\n\n{rule}")
    table = "results/datasets/notes/labels.csv"
    call = study.snakemake("--cores", "1", table, config=GRID)
    assert call.rc == 0, call.output
    lines = (study.folder / table).read_text(encoding="utf-8").splitlines()
    assert lines == ["label,rows", "complaint,150", "praise,150"]
    assert planned(study.snakemake("-n", table, config=GRID)) == {}
    path = study.folder / "scripts" / "count_labels.py"
    path.write_text(program.replace("label,rows", "label,texts"), encoding="utf-8")
    assert planned(study.snakemake("-n", table, config=GRID)) == {"count_labels": 1}
