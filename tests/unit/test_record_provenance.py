"""The record of what a study was made from, and what a comparison of two records tells."""

import json
import random
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import compare_provenance
import gap
import numpy as np
import pytest
import record_provenance
from gap.models import hardware
from gap.results.predictions import write_predictions
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from pages import ROOT

DIGESTS = [character * 64 for character in "abcdef"]
CONFIG: dict[str, Any] = {
    "datasets": ["films", "books"],
    "models": ["bert", "tfidf"],
    "sizes": ["250", "10%"],
    "dataset_zoo": {"films": {"words": 32}, "books": {"words": 32}},
    "model_zoo": {
        "bert": {"checkpoint": "mini", "optimisation": {"lr": 0.1}, "seeds": ["1-2"]},
        "tfidf": {"family": "linear", "seeds": ["1-2"]},
    },
}
PACKAGES = {"numpy": "2.4.6", "torch": "2.13.0"}
RULES: dict[str, Any] = {
    rule: {"code": "1" * 16, "packages": {"torch": "2.13"}} for rule in ("chart_gap", "train")
}
HARDWARE = {"device": "cpu", "processor": "EPYC", "precision": "fp32", "threads": 1}


@pytest.fixture
def study(tmp_path):
    """The folder of a finished study's results: 2 data sets, 2 models, 2 sizes, 2 seeds."""
    folder = tmp_path / "results"
    source = folder / "sources" / "checkpoint-mini"
    files = [(source / "files" / "onnx" / "model.safetensors", 0), (Path("/home/a/b.json"), 1)]
    entries = [{"path": str(path), "bytes": 3, "sha256": DIGESTS[i]} for path, i in files]
    write_json(source / "manifest.json", {"files": entries})
    spec = {"kind": "hub", "id": "a/mini", "revision": "v1"}
    write_json(source / "origin.json", {"spec": spec, "commit": "c" * 40})
    for dataset in CONFIG["datasets"]:
        pool, test = ({"rows": n, "sha256": DIGESTS[n]} for n in (2, 3))
        card = {"dataset": dataset, "pool": pool, "test": test, "labels": ["a", "b"]}
        write_json(folder / "datasets" / dataset / "card.json", card)
        for model in CONFIG["models"]:
            for size in CONFIG["sizes"]:
                write_training(folder / "runs" / dataset / model / size / "1-2")
    return folder


def write_training(folder):
    rows = {"training_rows": 200, "validation_rows": 50}
    weights = {"model.safetensors": DIGESTS[4]}
    seed = {**rows, "seconds": random.random(), "sha256": weights, "evaluations": []}
    provenance = {"code": "1" * 16, "packages": {"torch": "2.13"}}
    made_with = {"packages": PACKAGES, "hardware": HARDWARE, "provenance": provenance}
    training = {"n": 250, "seeds": {"1": seed, "2": seed}, "made_with": made_with}
    write_json(folder / "training.json", cell_of(folder) | training)
    save_predictions(folder, {1: 0.5, 2: 0.25})


def cell_of(folder):
    """What the runs are of that stand in a folder of the study."""
    return dict(zip(("dataset", "model", "size"), folder.parts[-4:-1], strict=True))


def save_predictions(folder, of_seeds):
    cell = cell_of(folder) | {"n": 250}
    scores = {seed: np.log([[p, 1 - p]] * 3) for seed, p in of_seeds.items()}
    write_predictions(folder / "predictions.parquet", cell, scores, np.zeros(3, dtype=np.int32))


def record(folder, target, config=CONFIG, rules=RULES, order=sorted):
    lists = []
    for option, pattern in [
        ("--sources", "sources/*/manifest.json"),
        ("--cards", "datasets/*/card.json"),
        ("--origins", "sources/*/origin.json"),
        ("--trainings", "runs/*/*/*/*/training.json"),
        ("--predictions", "runs/*/*/*/*/predictions.parquet"),
    ]:
        listing = target.with_name(f"{target.name}{option}")
        listing.parent.mkdir(exist_ok=True)
        listing.write_text("\n".join(map(str, order(folder.glob(pattern)))))
        lists += [option, f"@{listing}"]
    names = [path.parent.name for path in order(folder.glob("sources/*/origin.json"))]
    texts = ["--config", json.dumps(config), "--rules", json.dumps(rules), "--names", *names]
    record_provenance.main([*texts, *lists, "--record", str(target)])
    return read_json(target)


def change(path, edit):
    """Edit the content of a JSON file."""
    content = read_json(path)
    edit(content)
    write_json(path, content)


def trainings(folder, model="*"):
    return sorted(folder.glob(f"runs/*/{model}/*/*/training.json"))


def compare(capsys, old, new):
    """The exit status of the program and what it printed."""
    try:
        compare_provenance.main([str(old), str(new)])
    except SystemExit as end:
        return end.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_record_names_each_run_and_each_environment_once(study, tmp_path):
    content = record(study, tmp_path / "provenance.json")
    assert content["config"] == CONFIG
    assert content["rules"] == RULES
    assert content["environments"] == {
        "1": {"code": "1" * 16, "hardware": HARDWARE, "packages": PACKAGES}
    }
    assert content["version"] == gap.__version__
    assert len(content["runs"]) == 16
    run = content["runs"]["films/bert/10%/2"]
    predictions = run.pop("predictions")
    assert run == {
        "n": 250,
        "training_rows": 200,
        "validation_rows": 50,
        "weights": {"model.safetensors": DIGESTS[4]},
        "environment": "1",
    }
    # Seeds are told apart, and the same scores are known again elsewhere.
    assert predictions != content["runs"]["films/bert/10%/1"]["predictions"]
    assert predictions == content["runs"]["books/tfidf/250/2"]["predictions"]
    assert content["datasets"]["films"] == {
        "pool": {"rows": 2, "sha256": DIGESTS[2]},
        "test": {"rows": 3, "sha256": DIGESTS[3]},
    }
    assert content["sources"]["checkpoint-mini"] == {
        "spec": {"kind": "hub", "id": "a/mini", "revision": "v1"},
        "commit": "c" * 40,
        "files": {"onnx/model.safetensors": DIGESTS[0], "/home/a/b.json": DIGESTS[1]},
    }


def test_the_same_study_gives_the_same_bytes(study, tmp_path):
    """Whatever the order of the files and the seconds that it took."""
    change(trainings(study)[0], lambda one: one["made_with"]["hardware"].update(threads=8))
    record(study, tmp_path / "a")
    for path in trainings(study):
        change(path, lambda one: one["seeds"]["1"].update(seconds=random.random()))
    record(study, tmp_path / "b", order=lambda paths: sorted(paths, reverse=True))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(read_json(tmp_path / "a")["environments"]) == 2


def test_predictions_of_a_seed_do_not_depend_on_its_block(study, tmp_path):
    before = record(study, tmp_path / "a")["runs"]["books/bert/250/2"]["predictions"]
    for seed, p in {1: 0.5, 2: 0.25}.items():
        folder = study / "runs" / "books" / "bert" / "250" / str(seed)
        write_training(folder)
        change(folder / "training.json", lambda one, seed=seed: one["seeds"].pop(str(3 - seed)))
        save_predictions(folder, {seed: p})
    for path in (study / "runs" / "books" / "bert" / "250" / "1-2").iterdir():
        path.unlink()
    assert record(study, tmp_path / "b")["runs"]["books/bert/250/2"]["predictions"] == before


def test_training_without_made_with_is_told(study, tmp_path):
    change(trainings(study)[0], lambda one: one.pop("made_with"))
    with pytest.raises(UserError, match=r"training\.json: no made_with; .* train again"):
        record(study, tmp_path / "a")


def test_equal_studies(study, tmp_path, capsys):
    record(study, study / "provenance.json")
    record(study, tmp_path / "b")
    same = "the same: config, code, packages, sources, data, hardware, and the 16 runs\n"
    # A folder of results stands for its record.
    assert compare(capsys, study, tmp_path / "b") == (0, same)


def test_the_command_of_the_page_compares_two_studies(study, tmp_path, capsys, monkeypatch):
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    command = re.search(r"^python scripts/compare_provenance\.py (\S+) (\S+)$", page, re.M)
    assert command
    monkeypatch.chdir(tmp_path)
    for folder, config in zip(command.groups(), (CONFIG, CONFIG | {"sizes": ["9"]}), strict=True):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        record(study, tmp_path / folder / "provenance.json", config)
    assert compare(capsys, command[1], command[1])[0] == 0
    status, output = compare(capsys, *command.groups())
    assert status == 1
    assert "sizes" in output


def test_the_place_of_files_names_nothing(study, tmp_path):
    """What a run, a source or a data set is called stands in files and options."""
    record(study, tmp_path / "a")
    moved = tmp_path / "x" / "runs" / "some" / "where" / "else" / "1-2"
    moved.parent.mkdir(parents=True)
    (study / "runs" / "books" / "bert" / "250" / "1-2").rename(moved)
    (tmp_path / "x" / "runs" / "books").mkdir()
    for name in ("sources", "datasets"):
        (study / name).rename(tmp_path / "x" / name)
    (tmp_path / "x" / "datasets" / "books").rename(tmp_path / "x" / "datasets" / "b")
    for path in [*study.glob("runs/*/*/*/*")]:
        target = tmp_path / "x" / path.relative_to(study)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    before, after = read_json(tmp_path / "a"), record(tmp_path / "x", tmp_path / "b")
    for name in ("runs", "datasets"):
        assert after[name] == before[name]


def test_a_run_without_predictions_is_told(study, tmp_path):
    for path in study.glob("runs/films/bert/250/*/predictions.parquet"):
        path.unlink()
    with pytest.raises(UserError, match="films/bert/250/1: no predictions; expected a file of"):
        record(study, tmp_path / "a")


def test_another_version_is_told(study, tmp_path, capsys, monkeypatch):
    record(study, tmp_path / "a")
    monkeypatch.setattr(gap, "__version__", "9.0.0")
    before = read_json(tmp_path / "a")["version"]
    record(study, tmp_path / "b")
    told = f"version\n  {before} -> 9.0.0\n"
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == (1, told)


def other_config(config):
    config["model_zoo"]["bert"]["optimisation"] = {"lr": 0.2, "warmup": 0.5}
    config["sizes"].append("1000")
    config["dataset_zoo"]["tickets"] = {"words": 5}


def test_config_and_rules_that_differ(study, tmp_path, capsys):
    record(study, tmp_path / "a")
    config, rules = deepcopy(CONFIG), deepcopy(RULES)
    other_config(config)
    rules["chart_gap"]["code"] = "2" * 16
    for rule in rules.values():
        rule["packages"]["torch"] = "2.14"
    record(study, tmp_path / "b", config, rules)
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == (
        1,
        "config\n"
        "  dataset_zoo.tickets: only in B\n"
        "  model_zoo.bert.optimisation.lr: 0.1 -> 0.2\n"
        "  model_zoo.bert.optimisation.warmup: only in B: 0.5\n"
        '  sizes: ["250", "10%"] -> ["250", "10%", "1000"]\n'
        "rules\n"
        "  chart_gap: code: differs\n"
        "  chart_gap, train: packages.torch: 2.13 -> 2.14\n",
    )


def test_sources_and_data_that_differ(study, tmp_path, capsys):
    record(study, tmp_path / "a")
    manifest = study / "sources" / "checkpoint-mini" / "manifest.json"
    change(manifest.with_name("origin.json"), lambda one: one["spec"].update(revision="v2"))
    change(manifest, lambda one: one["files"][0].update(sha256=DIGESTS[5]))
    for card in study.glob("datasets/*/card.json"):
        change(card, lambda one: one["pool"].update(rows=999, sha256=DIGESTS[5]))
    record(study, tmp_path / "b")
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == (
        1,
        "sources\n"
        "  checkpoint-mini: files.onnx/model.safetensors: differs\n"
        "  checkpoint-mini: spec.revision: v1 -> v2\n"
        "datasets\n"
        "  books, films: pool.rows: 2 -> 999\n"
        "  books, films: pool.sha256: differs\n",
    )


def test_same_differences_of_many_runs_are_one_line(study, tmp_path, capsys):
    record(study, tmp_path / "a")
    for path in trainings(study):
        change(path, lambda one: one["made_with"]["packages"].update(torch="2.14.0"))
    for path in trainings(study, "bert"):
        change(path, lambda one: one["made_with"]["hardware"].update(processor="H100"))
    change(trainings(study)[0], lambda one: one["made_with"]["provenance"].update(code="2" * 16))
    record(study, tmp_path / "b")
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == (
        1,
        "runs\n"
        "  code: differs (books/bert/10%/1, books/bert/10%/2)\n"
        "  hardware.processor: EPYC -> H100 (8 runs: books/bert 4, films/bert 4)\n"
        "  packages.torch: 2.13.0 -> 2.14.0 (all 16 runs in both)\n",
    )


def test_runs_of_one_study_only(study, tmp_path, capsys):
    record(study, tmp_path / "a")
    for path in trainings(study, "tfidf"):
        path.unlink()
    record(study, tmp_path / "b")
    line = "runs\n  only in {} (8 runs: books/tfidf 4, films/tfidf 4)\n"
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == (1, line.format("A"))
    assert compare(capsys, tmp_path / "b", tmp_path / "a") == (1, line.format("B"))


SAME = "made with the same recipe, data, checkpoint, code, packages, hardware"


@pytest.mark.parametrize(
    ("edit_config", "edit_rules", "cause"),
    [
        (lambda config: None, lambda rules: None, SAME),
        # What decides no run is no cause.
        (
            lambda config: config["model_zoo"]["bert"].update(title="BERT", seeds=["1-2", "3"]),
            lambda rules: rules["chart_gap"].update(code="2" * 16),
            SAME,
        ),
        (
            lambda config: config["model_zoo"]["bert"]["optimisation"].update(lr=0.2),
            lambda rules: rules.update(predict={"code": "2" * 16, "packages": {}}),
            "made with other recipe, code",
        ),
    ],
)
def test_results_that_differ_come_with_their_cause(
    study, tmp_path, capsys, edit_config, edit_rules, cause
):
    record(study, tmp_path / "a")
    config, rules = deepcopy(CONFIG), deepcopy(RULES)
    edit_config(config)
    edit_rules(rules)
    folder = study / "runs" / "films" / "bert" / "250" / "1-2"
    save_predictions(folder, {1: 0.5, 2: 0.26})
    weights = {"model.safetensors": DIGESTS[5]}
    change(folder / "training.json", lambda one: one["seeds"]["1"].update(sha256=weights))
    record(study, tmp_path / "b", config, rules)
    status, output = compare(capsys, tmp_path / "a", tmp_path / "b")
    assert status == 1
    assert output.endswith(
        "runs\n"
        f"  weights.model.safetensors: differs, {cause} (films/bert/250/1)\n"
        f"  predictions: differs, {cause} (films/bert/250/2)\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory; expected a finished study's results"),
        ("{", "no whole record of provenance"),
        ("[]", "no whole record of provenance"),
        ('{"runs": {}}', "no whole record of provenance"),
        ('{"runs": {"a/b/1/1": {"environment": "1"}}}', "no whole record of provenance"),
    ],
)
def test_missing_or_broken_record_is_trouble_not_a_difference(study, tmp_path, content, message):
    record(study, tmp_path / "a")
    if content is not None:
        (tmp_path / "b").write_text(content)
    program = [sys.executable, compare_provenance.__file__, tmp_path / "a", tmp_path / "b"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"error: argument B: {tmp_path / 'b'}: {message}" in done.stderr
    assert "Traceback" not in done.stderr


def test_hardware_is_that_of_the_training(monkeypatch):
    facts = hardware.describe_hardware()
    assert facts["precision"] == ("bf16" if hardware.fast_bf16() else "fp32")
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(hardware.torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(hardware, "fast_bf16", lambda: True)
    threads = hardware.torch.get_num_threads()
    assert hardware.describe_hardware() == {
        "device": "cuda",
        "processor": "H100",
        "precision": "bf16",
        "processes": 1,
        "threads": threads,
    }
    together = hardware.describe_hardware(processes=2)
    assert (together["processes"], together["threads"]) == (2, max(1, threads // 2))
    # A linear model leaves the GPU alone.
    linear = hardware.describe_hardware(network=False)
    assert (linear["device"], linear["precision"]) == ("cpu", "fp32")
    assert linear["processor"] != "H100"


@pytest.mark.parametrize(
    ("abilities", "fast"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"cpu_name": "Apple M2"}, False),
    ],
)
def test_products_are_in_bf16_where_that_is_faster(monkeypatch, abilities, fast):
    monkeypatch.setattr(hardware.torch.cpu, "get_capabilities", lambda: abilities)
    assert hardware.fast_bf16() is fast


def test_cpu_is_named_with_its_instructions(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: AMD EPYC 9654 \nflags\t\t: fpu\n" * 2)
    assert hardware._cpu_name(facts) == "AMD EPYC 9654 (AVX2)"
    # ARM's names no model, and only Linux has the file.
    facts.write_text("processor\t: 0\n")
    monkeypatch.setattr(hardware.platform, "processor", lambda: "")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    assert hardware._cpu_name(facts) == "arm64 (AVX2)"
    assert hardware._cpu_name(tmp_path / "absent") == "arm64 (AVX2)"
