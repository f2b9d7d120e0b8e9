"""The rerun matrix: kinds of change to a finished study, and just the jobs that each one plans."""

import copy
import fnmatch
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gap.run.json import read_json
from tiny_study import GRID, Study

pytestmark = pytest.mark.workflow

RESULTS = Path("results")
RUN = RESULTS / "runs" / "tickets" / "lstm" / "40" / "1-2"


@dataclass
class Copy:
    """A copy of the finished study, to be changed, and how snakemake is to be called in it."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(GRID))
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def plan(self) -> Counter[str]:
        """Return what a dry run says of each job that it plans."""
        call = Study(self.folder, self.environment).snakemake(
            "-n", *self.arguments, config=self.config
        )
        assert call.rc == 0, call.output
        jobs = re.findall(r"^Job \d+: (.*)$", call.output, re.MULTILINE)
        assert jobs or "Nothing to be done" in call.output, call.output
        return Counter(jobs)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands there once."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file}: {old!r} is there {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def model(self, name: str) -> dict[str, Any]:
        return self.config["model_zoo"][name]


@pytest.fixture
def changed(grid, tmp_path):
    """A copy of the finished study, with the times of its files as they were."""
    shutil.copytree(grid[0].folder, tmp_path / "copy", symlinks=True)
    return Copy(tmp_path / "copy")


# ---------------------------------------------------------------- what may be planned

NOTHING: dict[str, int] = {}
GAP_CHART = {"Drawing the gap chart": 1}
COST_CHART = {"Drawing the cost chart": 1}
CHARTS = {**GAP_CHART, **COST_CHART}
REPORT = {"Writing the report": 1}
SUMMARY = {"Writing the answer": 1, **REPORT}
RECORD = {"Recording what made the results": 1, **REPORT}
LATENCY = {"Gathering what inference costs": 1, **COST_CHART, **SUMMARY}
FORECASTS = {"Forecasting the size at which gaps to bert close": 1, **SUMMARY}
ERRORS = {"Examining where models err": 1, **REPORT}
GAPS = {"Estimating gaps to bert": 1, **FORECASTS, **GAP_CHART, **LATENCY}
METRICS = {"Gathering the metrics of all runs": 1, **SUMMARY}
TABLES = {**METRICS, **ERRORS, **GAPS}


def predictions(runs: int, of: str = "") -> dict[str, int]:
    """Predictions of runs whose description has `of`, and all that comes of them."""
    return {f"Scoring *{of}*": runs, f"Metrics of *{of}*": runs, **TABLES, **RECORD}


def measured(count: int) -> dict[str, int]:
    """Data sets whose models are timed anew."""
    return {"Measuring *": count} if count else {}


def trainings(runs: int, of: str = "", timed: int = 2) -> dict[str, int]:
    """Trainings, and all that comes of them; the models of `timed` data sets are timed anew."""
    return {f"Training *{of}*": runs, **predictions(runs, of), **measured(timed)}


def datasets(count: int, of: str = "") -> dict[str, int]:
    """All that comes of data sets."""
    vocabularies = {f"Fitting *{of}*": 2 * count, f"Encoding *{of}*": 3 * count}
    return {f"Drawing *of {of}*": 2 * count, **vocabularies, **trainings(6 * count, of, count)}


def prepared(count: int, of: str = "") -> dict[str, int]:
    """Data sets made anew."""
    return {f"Preparing *{of}*": count, **datasets(count, of)}


def check(found: Counter[str], expected: dict[str, int]) -> None:
    """Each planned job fits a pattern, and each pattern as many jobs as it should."""
    known = {pattern: fnmatch.filter(found, pattern) for pattern in expected}
    assert {pattern: len(jobs) for pattern, jobs in known.items()} == expected, sorted(found)
    assert set(found) == {job for jobs in known.values() for job in jobs}


# ---------------------------------------------------------------- the changes

Change = Callable[[Copy], None]
MATRIX: dict[str, tuple[Change, dict[str, int]]] = {}


def change(expected: dict[str, int]) -> Callable[[Change], Change]:
    """Enter a change into the matrix, with what it may plan."""

    def enter(function: Change) -> Change:
        MATRIX[function.__name__] = (function, expected)
        return function

    return enter


# ------------------------------------ code


@change(NOTHING)
def a_comment(study):
    study.edit("scripts/train.py", "\nfrom pathlib", "\n# a remark\nfrom pathlib")


@change(NOTHING)
def a_docstring(study):
    study.edit("scripts/gap/run/json.py", '"""Return the content', '"""Give the content')


@change(NOTHING)
def another_layout(study):
    files = sorted((study.folder / "scripts").rglob("*.py"))
    done = subprocess.run(["ruff", "format", "--line-length=70", *files], capture_output=True)
    assert b"files reformatted" in done.stdout


@change(NOTHING)
def a_module_that_nobody_imports(study):
    (study.folder / "scripts" / "gap" / "spare.py").write_text("answer = 42\n")


@change(trainings(12))
def the_program_of_the_trainings(study):
    study.edit("scripts/train.py", 'REPORTS = "trials.json"', 'REPORTS = "all-trials.json"')


@change(trainings(8, "[bl][es][rt][tm]"))
def a_statement_three_modules_away_from_training_and_prediction(study):
    # Of the networks only: the linear model reaches no padding.
    study.edit("scripts/gap/models/batching.py", "ids = np.full(mask", "ids = 0 + np.full(mask")


@change(NOTHING)
def an_unused_definition_in_every_module(study):
    scripts = study.folder / "scripts"
    # The summary looks columns up by name, so it takes all that files of families define.
    families = set((scripts / "gap" / "models" / "families").glob("*.py"))
    for path in set(scripts.rglob("*.py")) - families:
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\n\ndef spare(rows):\n    return rows\n", encoding="utf-8")


@change(NOTHING)
def a_definition_moved_to_another_module(study):
    path = study.folder / "scripts" / "gap" / "models" / "batching.py"
    text = path.read_text(encoding="utf-8")
    begin, end = text.index("def divide("), text.index("class PartSampler")
    moved = path.with_name("division.py")
    moved.write_text(f"import itertools\n\n\n{text[begin:end].strip()}\n", encoding="utf-8")
    text = text[:begin] + text[end:]
    place = text.index("# Batches sorted together by length")
    line = "from gap.models.division import divide\n\n"
    path.write_text(text[:place] + line + text[place:], encoding="utf-8")


@change(NOTHING)
def a_module_renamed(study):
    folder = study.folder / "scripts"
    (folder / "gap/models/batching.py").rename(folder / "gap/models/batches.py")
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        renamed = text.replace("from gap.models.batching import", "from gap.models.batches import")
        path.write_text(renamed, encoding="utf-8")


@change(NOTHING)
def a_message_that_no_program_of_a_rule_reaches(study):
    checks = "scripts/gap/config/check_checkpoints.py"
    study.edit(checks, "is no folder with a", "is not a folder with a")


@change({**GAPS, **ERRORS, **RECORD})
def a_module_of_the_statistics(study):
    study.edit(
        "scripts/gap/results/study_errors.py",
        "CORRELATION_SPREAD = 0.1, 0.3",
        "CORRELATION_SPREAD = 0.1, 0.4",
    )


@change({**CHARTS, **SUMMARY, **RECORD})
def a_module_of_the_charts(study):
    study.edit("scripts/gap/report/axes.py", "CHART_WIDTH = 800", "CHART_WIDTH = 801")


@change({**measured(2), **LATENCY, **RECORD})
def a_module_of_the_measurement(study):
    study.edit("scripts/gap/models/latency.py", "ROUNDS = 5", "ROUNDS = 6")


@change({**measured(2), **LATENCY})
def times_taken_again(study):
    study.arguments = ["--forcerun", "measure_latency"]


@change({"Metrics of *": 12, **METRICS, **RECORD})
def the_program_of_the_metrics(study):
    study.edit("scripts/score.py", "BINS = 15", "BINS = 16")


@change(prepared(2))
def the_program_that_prepares(study):
    study.edit(
        "scripts/gap/data/preparing/labels.py", "MOST_LABELS = 10_000", "MOST_LABELS = 20_000"
    )


@change(NOTHING)
def the_text_of_a_rule(study):
    study.edit("rules/train.smk", " > {log} 2>&1", "  >{log} 2>&1")
    study.edit("rules/train.smk", '"Training {', '"Training of {')


# ------------------------------------ config


@change(NOTHING)
def the_order_of_keys(study):
    study.config = dict(reversed(study.config.items()))
    study.config["model_zoo"] = dict(reversed(study.config["model_zoo"].items()))


@change(NOTHING)
def a_default_spelled_out(study):
    study.config |= {"gap": {"margin": 1.0}, "packages": "minor", "partial": False}


@change(NOTHING)
def lr_of_a_model_that_is_not_in_the_study(study):
    study.config["model_zoo"]["spare"] = study.model("lstm") | {"optimisation": {"lr": 0.5}}


@change(trainings(4, "lstm"))
def lr_of_one_model(study):
    study.model("lstm")["optimisation"] = study.model("lstm")["optimisation"] | {"lr": 0.02}


@change(NOTHING)
def values_to_try_spelled_otherwise(study):
    both = study.model("lstm")["optimisation"]["lr"][::-1]
    study.model("lstm")["optimisation"] = study.model("lstm")["optimisation"] | {"lr": both}
    study.model("tfidf")["optimisation"] = {"inverse_regularisation": [100.0, 10.0, 1.0, 0.1]}


@change(trainings(4, "tfidf"))
def one_more_value_to_try(study):
    study.model("tfidf")["optimisation"] = {"inverse_regularisation": [0.1, 1, 10, 100, 1000]}


@change(trainings(4, "lstm"))
def a_draw_of_one_models_values(study):
    study.model("lstm")["dropout"] = [0.1, 0.3, 0.5]


@change({**CHARTS, **SUMMARY, **RECORD})
def a_title(study):
    study.model("bert")["title"] = "A BERT"


@change({**ERRORS, **RECORD})
def the_texts_that_are_shown(study):
    study.config["examples"] = 0


@change({**SUMMARY, **RECORD})
def what_a_checkpoint_is(study):
    study.config["checkpoint_zoo"]["tiny"]["origin"] = "A tiny BERT with random weights"


@change(NOTHING)
def the_weights_of_a_checkpoint_spelled_out(study):
    study.model("bert")["weights"] = "pretrained"


@change({**GAP_CHART, **SUMMARY, **RECORD})
def published_figures(study):
    figure = {"model": "lstm", "size": "100%", "accuracy": 76.37, "source": "Table 2"}
    study.config["dataset_zoo"]["notes"]["published"] = [figure]


@change({**GAPS, **RECORD})
def the_margin(study):
    study.config["gap"] = {"margin": 2.0}


@change({**GAPS, **RECORD})
def the_metric(study):
    study.config["gap"] = {"metric": ["macro_f1", "accuracy"]}


@change({**GAPS, **ERRORS, **RECORD})
def the_confidence(study):
    study.config["gap"] = {"confidence": 0.9}


@change({"Pricing what it takes to reach the target": 1, **SUMMARY, **RECORD})
def a_target_and_prices(study):
    study.config |= {"target": {"accuracy": 85}, "costs": {"label": 0.2, "training_hour": 1.1}}


@change({**CHARTS, **ERRORS, **SUMMARY, **RECORD})
def the_order_of_models(study):
    study.config["models"] = ["tfidf", "bert", "lstm"]


@change(trainings(4, "lstm"))
def an_lstm_that_learns_embeddings_of_a_checkpoints_tokens(study):
    # What config.yaml has under this name would be merged with it.
    study.edit("config.yaml", "    vocabulary: pieces\n", "")
    del study.model("lstm")["vocabulary"]
    study.model("lstm").update(checkpoint="tiny", embeddings="learned")


# A share is larger than any number, so the models that are timed stay the same.
@change({"Drawing 80 *": 2, "Fitting *": 2, "Encoding 80 *": 2, **trainings(6, " 80", timed=0)})
def a_new_size(study):
    study.config["sizes"] = [40, "25%", 80]


@change({**TABLES, **RECORD})
def a_size_removed(study):
    study.config["sizes"] = ["25%"]


@change({"Drawing *seeds 3": 4, **trainings(4, "seeds 3", timed=0)})
def a_new_seed_of_one_model(study):
    study.model("tfidf")["seeds"] = ["1-2", 3]


@change(trainings(4, "words"))
def a_new_model(study):
    study.config["model_zoo"]["words"] = {"family": "linear", "longest_phrase": 1}
    study.config["models"] = [*study.config["models"], "words"]


@change({**measured(2), **TABLES, **RECORD})
def a_model_removed(study):
    study.config["models"] = ["bert", "tfidf"]


@change({**TABLES, **RECORD})
def a_data_set_removed(study):
    study.config["datasets"] = ["tickets"]


@change({"Fetching *more": 1, **prepared(1, "more")})
def a_new_data_set(study):
    shutil.copy(study.folder / "notes.csv", study.folder / "more.csv")
    zoo = study.config["dataset_zoo"]
    zoo["more"] = zoo["notes"] | {"source": {"kind": "file", "path": "more.csv"}}
    study.config["datasets"] = ["tickets", "notes", "more"]


@change({"Drawing [0-9]*": 4, "Fitting *": 4, "Encoding [0-9]*": 4, **trainings(12)})
def the_share_of_validation(study):
    study.config["validation"] = {"share": 0.3}


@change({"Encoding *": 6, **trainings(8, "[bl][es][rt][tm]")})
def the_most_tokens_of_a_text(study):
    for dataset in study.config["dataset_zoo"].values():
        dataset["max_tokens"] = 12


@change({"Fitting *": 4, "Encoding [0-9]*": 4, **trainings(4, "lstm")})
def the_size_of_a_vocabulary(study):
    study.config["vocabulary_zoo"]["few"] = {"algorithm": "unigram", "size": 60}


# ------------------------------------ placement


@change(NOTHING)
def cores_threads_and_resources(study):
    study.arguments = [
        "--cores",
        "1",
        "--set-threads",
        "train=2",
        "--set-resources",
        "train:mem_mb=999",
    ]


@change(NOTHING)
def the_profile(study):
    study.edit("profiles/default/config.yaml", "keep-going: true", "keep-going: false\nretries: 2")


@change(NOTHING)
def the_environments(study):
    study.edit("envs/train.yaml", "torch==", "torch!=")


@change(NOTHING)
def the_words_of_the_schema(study):
    study.edit("scripts/gap/study/published.py", "A published figure; no", "A figure; no")


@change({**trainings(4, "tfidf"), **RECORD})
def a_default_of_the_schema(study):
    study.edit("scripts/gap/models/families/linear.py", "200_000", "100_000")


# ------------------------------------ data


@change({"Fetching *notes": 1, **prepared(1, "notes")})
def one_row_of_a_source(study):
    path = study.folder / "notes.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], lines[-1].replace("a ", "the ", 1)]), encoding="utf-8")


@change(NOTHING)
def a_source_touched(study):
    (study.folder / "tickets.csv").touch()


@change(NOTHING)
def a_source_written_again(study):
    content = (study.folder / "tickets.csv").read_bytes()
    (study.folder / "tickets.csv").unlink()
    (study.folder / "tickets.csv").write_bytes(content)


@change(NOTHING)
def the_pretrained_weights_touched(study):
    for path in (study.folder / "tiny-bert").iterdir():
        path.touch()


# ------------------------------------ files


@change(NOTHING)
def every_result_touched_in_any_order(study):
    files = sorted((study.folder / RESULTS).rglob("*"), key=lambda path: path.name)
    for place, path in enumerate(files):
        if path.is_file():
            os.utime(path, (2e9 + place, 2e9 + place))


@change(NOTHING)
def every_program_checked_out_again(study):
    for path in [*study.folder.glob("scripts/**/*"), *study.folder.glob("rules/*")]:
        os.utime(path)


NO_INPUTS = ("gap.vl.json", "cost.vl.json", "terms.json")


@change(NOTHING)
def copied_with_new_times_where_files_are_large(study):
    for path in study.folder.rglob("*"):
        os.utime(path)
    # Snakemake compares files of more than a megabyte by their times only. No table or manifest
    # grows so large; to this study, what is larger than the largest of them is large.
    manifests = [*study.folder.glob("results/**/*.json"), *study.folder.glob("results/*.csv")]
    largest = max(path.stat().st_size for path in manifests if path.name not in NO_INPUTS)
    study.arguments = ["--max-checksum-file-size", str(largest + 1)]
    trained = [*study.folder.glob("results/**/model.safetensors")]
    assert any(path.stat().st_size > largest for path in trained)


@change(NOTHING)
def intermediates_deleted(study):
    shutil.rmtree(study.folder / RESULTS / "datasets" / "notes" / "ids")
    shutil.rmtree(study.folder / RUN / "weights")
    (study.folder / RUN / "predictions.parquet").unlink()


@change(NOTHING)
def logs_deleted(study):
    shutil.rmtree(study.folder / "logs")


@change(NOTHING)
def kept_work_deleted(study):
    for folder in study.folder.glob("results/**/.state"):
        shutil.rmtree(folder)


@change(REPORT)
def the_page_of_the_report(study):
    study.edit("report/report.html", "<main id=", "<main class=wider id=")


@change(GAP_CHART)
def one_form_of_the_chart_deleted(study):
    (study.folder / RESULTS / "gap.svg").unlink()


# ------------------------------------ environment


def pretend_installed(study, name, version):
    """Let a package seem to be there in another version."""
    folder = study.folder.parent / "packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    study.environment["PYTHONPATH"] = str(folder.parent)


@change(NOTHING)
def a_package_by_a_patch(study):
    from importlib.metadata import version

    major_minor = ".".join(version("torch").split(".")[:2])
    pretend_installed(study, "torch", f"{major_minor}.99")


@change(trainings(12))
def a_package_that_only_models_import(study):
    pretend_installed(study, "torch", "99.1.0")


@change(NOTHING)
def a_package_that_decides_nothing(study):
    pretend_installed(study, "altair", "99.1.0")


@pytest.mark.parametrize("name", MATRIX)
def test_a_change_reruns_just_what_follows_from_it(changed, name):
    function, expected = MATRIX[name]
    function(changed)
    check(changed.plan(), expected)


def test_the_matrix_is_large():
    assert len(MATRIX) >= 30
    assert len([name for name, (_, expected) in MATRIX.items() if expected]) >= 12


# ---------------------------------------------------------------- beyond dry runs


def test_results_without_their_records_are_not_taken_for_current(changed):
    shutil.rmtree(changed.folder / ".snakemake")
    study = Study(changed.folder)
    call = study.snakemake("-n", config=GRID)
    assert call.rc == 1
    assert call.errors == [
        "error: results holds results, but the records of what they were made from "
        "(.snakemake/metadata) are not here; copy that folder along with the results, or, if "
        "config, code and data are those that made them, call "
        "`snakemake --touch --forceall --cores 1`"
    ]
    assert study.snakemake("--touch", "--forceall", "--cores", "1", config=GRID).rc == 0
    assert changed.plan() == Counter()


def test_jobs_behind_a_change_without_effect_end_at_once(changed):
    """Snakemake runs all jobs behind a changed one; those find that nothing has changed."""
    trainings = changed.folder.glob("results/runs/*/*/*/*/training.json")
    before = {path: path.read_bytes() for path in trainings}
    assert len(before) == 12
    changed.edit(
        "scripts/gap/data/preparing/labels.py", "MOST_LABELS = 10_000", "MOST_LABELS = 20_000"
    )
    call = Study(changed.folder).snakemake("--cores", "2", config=GRID)
    assert call.rc == 0, call.output
    # They hold the seconds that the training took, so a second training would show.
    assert {path: path.read_bytes() for path in before} == before
    logs = [path.read_text() for path in changed.folder.glob("logs/predict/**/*.log")]
    assert len(logs) == 12
    assert all("kept" in log for log in logs)
    assert changed.plan() == Counter()


def test_kept_work_that_is_damaged_is_done_again(changed):
    shutil.rmtree(changed.folder / RUN / "weights")
    (changed.folder / RUN / "predictions.parquet").unlink()
    for path in (changed.folder / RUN).rglob("model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    expected = (changed.folder / "results" / "gaps.csv").read_bytes()
    call = Study(changed.folder).snakemake("--cores", "2", config=GRID)
    assert call.rc == 0, call.output
    assert (changed.folder / "results" / "gaps.csv").read_bytes() == expected
    training = read_json(changed.folder / RUN / "training.json")
    assert set(training["seeds"]) == {"1", "2"}
