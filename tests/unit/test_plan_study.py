"""What a study costs: by hand, against a real finished study, and the page that is committed."""

import copy
import importlib
import re
import sys
from pathlib import Path

import numpy as np
import plan_study
import pytest
import real_seeds
import yaml
from gap.cluster.expected_gaps import USUAL, UsualSpreads, expected_gaps
from gap.cluster.plan import ONCE, OUTPUTS, Plan, id_bytes, speed_of
from gap.cluster.plan_pretraining import planned_pretrainings
from gap.cluster.plan_tables import number, power_table
from gap.config import check as config_module
from gap.results.study_errors import StudyErrors
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study import pretraining as pretraining_module
from gap.study.cells import Cell
from tiny_study import GRID

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
throughput = importlib.import_module("throughput")
POOL = 18_000_000 - 50_000
CHART = ("html", "svg", "png", "vl.json")


def planned(study):
    """The plan of a study, by what is assumed and measured for the committed page."""
    return Plan(
        plan_study.load_study(study),
        plan_study.read_yaml(ROOT / "docs" / "assumptions.yaml"),
        read_json(ROOT / "benchmarks" / "throughput.json"),
    )


@pytest.fixture
def plan():
    """The plan of a study whose hours and bytes are easy to count by hand."""
    return planned(ROOT / "tests" / "planned.yaml")


def test_the_committed_page_is_what_the_program_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    plan_study.main([f"--page={tmp_path / 'plan.md'}"])
    written = (tmp_path / "plan.md").read_text(encoding="utf-8")
    committed = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    assert written == committed, "run make plan"
    assert "GPU-hours" in capsys.readouterr().out


def test_the_committed_page_is_of_the_papers_size():
    paper = planned(ROOT / "studies" / "paper.yaml")
    assert sum(cell.count for cell in paper.cells) == 3 * 12 * 7 * 3
    assert paper.rows("yelp") == (POOL, 50_000)
    # The public counts of RoBERTa's parameters, without classification head: 125 and 355 million.
    for model, millions in (("roberta-base", 125), ("roberta-large", 356)):
        counted, _ = paper.parameters(model, "yelp")
        assert counted / 1e6 == pytest.approx(millions, rel=0.01)


def test_hours_of_one_cell_by_hand(plan):
    cell = Cell("yelp", "lstm-2-256", "1%", "3")
    # Two layers of two directions with four gates: inputs of 128 and 512, states of 256.
    products = 2 * 4 * 256 * (128 + 256) + 2 * 4 * 256 * (512 + 256)
    training, tokens = round(POOL / 100) - 2000, plan.value("tokens")
    steps = 5 * -(-training // 32)
    read = steps * training / -(-training // 32)
    forward = 2 * products * tokens
    operations = forward * (3 * read + 10 * 2000 + 50_000)
    assert plan.operations(cell) == pytest.approx(operations)
    # 32 texts go through two layers of two directions in 4 x 15 microseconds a position.
    rate = 2 * products * 32 / 60e-6
    assert plan.rate("lstm-2-256") == pytest.approx(rate)
    assert plan.seed_hours(cell) == pytest.approx(operations / rate / 3600)
    hours = plan.hours(model="lstm-2-256", size="1%")
    assert hours == pytest.approx(3 * 5 * operations / rate / 3600)


def test_a_transformers_rate_is_its_measured_share_of_the_gpu(plan):
    measured = plan.measured
    known = measured["models"]["roberta-base"].values()
    share = min(speed_of(one, "cpu_seconds") / one["peak"] for one in known)
    assert 0.1 < share < 1
    expected = 312e12 * share * plan.value("transformer_factor")
    assert plan.rate("roberta-base") == pytest.approx(expected)
    halved = plan.assuming(transformer_factor=plan.value("transformer_factor") / 2)
    assert halved.hours(model="roberta-base") == pytest.approx(2 * plan.hours(model="roberta-base"))
    assert halved.hours(model="lstm-4-256") == plan.hours(model="lstm-4-256")


def test_what_was_measured_on_a_gpu_takes_the_place_of_assumptions(plan):
    one = {"tokens": 1000, "operations_per_token": 10**9, "cpu_seconds": 9, "wall_seconds": 0.5}
    measured = {**plan.measured, "device": "cuda", "peak": 6e14}
    measured["models"] = {model: {"full": one, "mixed": one} for model in plan.config["models"]}
    on_gpu = Plan(plan.config, plan.assumptions, measured)
    assert on_gpu.rate("roberta-base") == on_gpu.rate("lstm-4-512") == 2e12
    assert on_gpu.rate("tfidf") == pytest.approx(1e12 / 9)
    page = plan_study.page(on_gpu, "planned.yaml")
    assert "No GPU has been measured" not in page
    assert "lstm_step" not in page
    assert "No GPU has been measured" in plan_study.page(plan, "planned.yaml")


def test_the_smallest_gap_that_is_told_by_hand(plan):
    # Two means of 5 seeds, on 50,000 rows; 1.96 errors for the claim, 0.84 for four of five.
    n = sum(plan.split("yelp", plan.config["sizes"][0]))
    of_seed = 0.8**2 + 38**2 / 50_000
    error = (of_seed * 2 / 5 + 19**2 / 50_000) ** 0.5
    told = 1 + (1.96 + 0.8416) * error
    assert f"| yelp | {n:,} | 50,000 | 5 | {told:.1f} | " in power_table(plan)


def test_what_seeds_do_falls_with_labels_and_what_rows_do_with_rows():
    spreads = UsualSpreads(seed=0.9, slope=0.5, chance=0, row=0)
    assert spreads.outlook(4000, 2, 100, 0.95).seed_error == pytest.approx(0.9)
    assert spreads.outlook(1000, 2, 100, 0.95).seed_error == pytest.approx(1.8)
    assert spreads.outlook(1000, 8, 100, 0.95).seed_error == pytest.approx(0.9)
    rows = UsualSpreads(seed=0, slope=0.5, chance=0, row=20).outlook(4000, 2, 400, 0.95)
    assert rows.smallest_told(1.0) == pytest.approx(1 + (1.96 + 0.8416) * 1.0, abs=1e-3)
    # A gap of zero is within the margin where its whole interval is.
    sure = UsualSpreads(seed=0, slope=0.5, chance=0, row=1).outlook(4000, 2, 10_000, 0.95)
    assert sure.chance_to_tell_none(1.0) == pytest.approx(1)


def grid(**changes):
    return config_module.complete(copy.deepcopy(GRID) | changes)


def test_a_study_says_before_it_runs_how_small_a_gap_it_tells(tmp_path):
    (line, _) = expected_gaps(grid(), tmp_path)
    told = USUAL.outlook(40, 2, 100, 0.95).smallest_told(1.0)
    assert line == (
        "tickets: 80 % of studies with 100 test rows and 2 seeds tell a single gap to be larger "
        f"than 1 point from so many points on, if seeds differ as they usually do: {told:.1f} with "
        "40 labels"
    )


def test_shares_of_a_pool_are_known_once_it_is_prepared(tmp_path):
    for name, rows in (("pool", 300), ("test", 100)):
        path = tmp_path / "datasets/tickets" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"rows": {rows}}}')
    assert "with 40 and " in expected_gaps(grid(), tmp_path)[0]
    assert " with 75 labels" in expected_gaps(grid(), tmp_path)[0]


def test_nothing_is_said_where_test_rows_are_not_known_or_gaps_are_of_another_metric(tmp_path):
    zoo = copy.deepcopy(GRID["dataset_zoo"])
    zoo["tickets"]["test"] = "15%"
    (line,) = expected_gaps(grid(dataset_zoo=zoo), tmp_path)
    assert line.startswith("notes: ")
    assert expected_gaps(grid(gap={"metric": "macro_f1"}), tmp_path) == []


def with_own(plan, **checkpoints):
    """The same study, with checkpoints of its own in place of fetched ones."""
    zoo = {"roberta-large": plan.config["checkpoint_zoo"]["roberta-large"]}
    own = {"kind": "pretrained", "corpus": ["yelp"], "held_out": 0.1}
    for name, entry in checkpoints.items():
        keys = plan_study.lay_over(own, entry)
        zoo[name] = pretraining_module.own_class(keys).model_validate(keys).plain()
    return plan.choosing(checkpoint_zoo=zoo)


def test_hours_of_pretraining_by_hand(plan):
    size = {"layers": 2, "width": 256, "heads": 4}
    own = with_own(plan, **{"roberta-base": {"start": size, "block": 64}})
    (hours,) = planned_pretrainings(own)
    # 540 characters of a text, four of them a token; 5 passes.
    tokens = 0.9 * POOL * 540 / 4
    assert hours.tokens == pytest.approx(tokens)
    products = 2 * (4 * 256**2 + 3 * 256 * 512)
    # A layer and the table of pieces, for the 15 % of tokens that are masked.
    head = 0.15 * 256 * (256 + 8000)
    forward = 2 * (products + head) + 4 * 64 * 2 * 256
    assert hours.core_hours == pytest.approx(3 * forward * tokens * 5 / 20e9 / 3600)
    assert hours.gpu_hours == pytest.approx(hours.core_hours / 1000)


def test_each_own_checkpoint_is_planned_once_and_what_it_is_made_from(plan):
    size = {"layers": 2, "width": 256, "heads": 4}
    further = {"start": "base"}
    own = with_own(plan, **{"roberta-base": further, "base": {"start": size}})
    planned = {each.checkpoint: each for each in planned_pretrainings(own)}
    assert list(planned) == ["roberta-base", "base"]
    # The same size, as it is that of its start; the corpus is that of another tokenizer, roughly.
    assert planned["roberta-base"].core_hours == planned["base"].core_hours > 0
    words = with_own(plan, **{"roberta-base": {"objective": "static"}})
    (vectors,) = planned_pretrainings(words)
    assert vectors.gpu_hours is None
    assert vectors.core_hours == pytest.approx(vectors.tokens * 5 / 2e6 / 3600)


def test_a_page_tells_of_pretraining_where_there_is_any(plan):
    own = with_own(plan, **{"roberta-base": {"objective": "language_model"}})
    page, without = (plan_study.page(each, "planned.yaml") for each in (own, plan))
    (hours,) = planned_pretrainings(own)
    total = number(hours.core_hours)
    assert f"| core-hours of pretraining, on top | {total} |" in page
    assert f"| roberta-base | language_model | 2,180 | 5 | {total} |" in page
    assert "retraining" not in without


def test_spreads_are_those_of_real_trainings():
    errors = StudyErrors(real_seeds.read_runs(real_seeds.DATA), "tfidf")
    lstm = next(cell for cell in errors.cells if (cell.model, cell.n) == ("lstm-small", 4000))
    beyond = np.sqrt(errors.variances.mean - errors.chances)
    place = errors.cells.index(lstm)
    assert USUAL.seed == pytest.approx(beyond[place], abs=0.05)
    chance = (errors.chances[place] * errors.scores.rows) ** 0.5
    assert USUAL.chance == pytest.approx(chance, abs=0.5)
    n = np.log([cell.n for cell in errors.cells])
    models = np.array([cell.model for cell in errors.cells])
    slopes = [
        np.polyfit(n[models == model], np.log(beyond[models == model]), 1)[0]
        for model in set(models)
    ]
    assert USUAL.slope == pytest.approx(-np.mean(slopes), abs=0.01)
    of_rows = (errors.gap(lstm).row_variance * errors.scores.rows) ** 0.5
    assert USUAL.row == pytest.approx(of_rows, abs=0.5)


def test_bytes_of_one_cell_by_hand(plan):
    products = 2 * 4 * 256 * (128 + 256) + 2 * 4 * 256 * (512 + 256)
    biases, classifier = 2 * 2 * 4 * 256 * 2, (512 + 1) * 5
    weights = 4 * (8000 * 128 + products + biases + classifier)
    assert plan.weight_bytes(Cell("yelp", "lstm-2-256", "1%", "3")) == weights
    disk = plan.disk()
    # Two checkpoints, each text's ids at two bytes and where it begins.
    ids = 3 * 2 * 18e6 * (2 * plan.value("tokens") + 8)
    assert disk["ids, by checkpoint"] == pytest.approx(ids)
    assert disk["predictions"] == pytest.approx(840 * 50_000 * 32, rel=0.01)
    assert id_bytes(65_536) == 2
    assert id_bytes(65_537) == 4
    at_once = 3 * 3 * 32 * 4 * plan.parameters("roberta-large", "yelp").everything
    assert plan.work_bytes() == pytest.approx(at_once)


def test_rules_are_those_of_the_workflow():
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    assert set(re.findall(r"^rule (\w+):", text, re.MULTILINE)) == set(OUTPUTS)
    assert set(ONCE) < set(OUTPUTS)


def test_numbers_are_short():
    shown = [plan_study.number(one) for one in (0, 0.01234, 1.234, 99.6, 123.4, 123_456)]
    assert shown == ["0", "0.012", "1.2", "100", "123", "123,000"]
    assert [plan_study.amount(one) for one in (12, 3.4e6, 5.67e12)] == [
        "0.012 kB",
        "3.4 MB",
        "5.7 TB",
    ]


def test_a_study_is_laid_over_the_default_one(tmp_path):
    (tmp_path / "mine.yaml").write_text("sizes: [100]\nmodel_zoo: {tfidf: {min_texts: 2}}\n")
    config = plan_study.load_study(tmp_path / "mine.yaml")
    assert config["sizes"] == ["100"]
    assert config["datasets"] == ["imdb"]
    assert config["model_zoo"]["tfidf"]["min_texts"] == 2
    assert config["model_zoo"]["tfidf"]["family"] == "linear"


@pytest.mark.parametrize(
    ("content", "said"), [("- one", "expected keys and values"), (None, "cannot be read")]
)
def test_input_that_is_none_is_told(tmp_path, content, said):
    if content is not None:
        (tmp_path / "assumptions.yaml").write_text(content)
    with pytest.raises(UserError, match=said):
        plan_study.read_yaml(tmp_path / "assumptions.yaml")


def test_what_is_missing_is_told(plan):
    with pytest.raises(UserError, match=r"values\.rows\.value is missing"):
        Plan(plan.config, {"values": {}}, plan.measured).rows("yelp")
    unmeasured = Plan(plan.config, plan.assumptions, {**plan.measured, "models": {}})
    with pytest.raises(UserError, match="no throughput of roberta-large was measured"):
        plan_study.page(unmeasured, "planned.yaml")


# ---------------------------------------------------------------- what is measured


def test_throughput_of_a_narrow_study_is_measured_and_planned(tmp_path, monkeypatch):
    """Never how fast; a model that is added keeps what was measured of the others."""
    narrow = {
        "datasets": ["imdb"],
        "models": ["bert", "lstm", "words"],
        "reference": "bert",
        "sizes": ["10%", "100%"],
        "seeds": [1, 2, 3, 4],
        "checkpoint_zoo": {"narrow": {"kind": "file", "path": "unused"}},
        "model_zoo": {
            "bert": {"family": "transformer", "checkpoint": "narrow"},
            "lstm": {"family": "lstm", "vocabulary": "pieces", "width": 8},
            "words": {"family": "linear"},
        },
    }
    (tmp_path / "narrow.yaml").write_text(yaml.safe_dump(narrow))
    assumptions = plan_study.read_yaml(ROOT / "docs" / "assumptions.yaml")
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"intermediate_size": 16, "vocab_size": 100, "max_position_embeddings": 140}
    assumptions["checkpoints"] = {"narrow": shape}
    (tmp_path / "assumptions.yaml").write_text(yaml.safe_dump(assumptions))
    monkeypatch.setattr(throughput, "LINEAR_TEXTS", 200)
    monkeypatch.setattr(throughput, "SIDES", {"cpu": 64, "cuda": 64})
    options = [f"--assumptions={tmp_path / 'assumptions.yaml'}"]
    measure = [f"--config={tmp_path / 'narrow.yaml'}", f"--json={tmp_path / 'speed.json'}"]
    measure += [f"--page={tmp_path / 'page.md'}", "--operations=1"]
    throughput.main([*options, *measure, "--models", "bert"])
    first = read_json(tmp_path / "speed.json")
    throughput.main([*options, *measure, "--models", "lstm", "words"])
    found = read_json(tmp_path / "speed.json")
    assert found["models"]["bert"] == first["models"]["bert"]
    assert found["models"]["bert"]["full"]["tokens"] == 32 * 128
    assert found["models"]["lstm"]["mixed"]["steps"] == 2
    assert found["models"]["words"].keys() == {"words"}
    plan = [f"--configfile={tmp_path / 'narrow.yaml'}", f"--throughput={tmp_path / 'speed.json'}"]
    plan_study.main([*options, *plan])
    page = (tmp_path / "narrow.md").read_text()
    assert "three blocks of seeds in place of 4" in page
    (tmp_path / "speed.json").write_text('{"processor": "another"}')
    with pytest.raises(UserError, match="of another machine"):
        throughput.main([*options, *measure, "--models", "lstm"])


# ---------------------------------------------------------------- a real study


@pytest.fixture(scope="module")
def finished(grid):
    """A finished tiny study: its folder, its config, what snakemake printed."""
    return grid[0].folder, GRID, grid[1]


@pytest.fixture
def tiny(finished):
    """The same study as it is planned, by facts of its data."""
    folder, config, _ = finished
    planned = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    planned = plan_study.lay_over(planned, copy.deepcopy(config))
    config_module.complete(planned)
    dataset = folder / "results" / "datasets" / "tickets"
    ids = read_json(dataset / "ids" / "tiny" / "pool.json")
    values = {"rows": 400, "tokens": ids["tokens"] / ids["rows"], "labels": 2}
    # 15 words of three to five letters.
    values |= {"characters": 73, "compressed": 0.4, "gpus": 1}
    shape = read_json(folder / "tiny-bert" / "config.json")
    assumptions = {"values": {name: {"value": value} for name, value in values.items()}}
    return Plan(planned, assumptions | {"checkpoints": {"tiny": shape}}, {})


def bytes_under(folder, pattern):
    """The bytes of all files that match, one of several names counted once."""
    files = {path.stat().st_ino: path.stat().st_size for path in folder.glob(pattern)}
    return sum(files.values())


@pytest.mark.workflow
def test_jobs_are_those_of_a_real_study(finished, tiny):
    found = re.search(r"^job +count\n-+ +-+\n(.*?)^total", finished[2], re.MULTILINE | re.DOTALL)
    assert found
    jobs = {rule: int(count) for rule, count in map(str.split, found[1].strip().splitlines())}
    assert jobs.pop("all") == 1
    assert tiny.jobs() == jobs


@pytest.mark.workflow
def test_files_are_those_of_a_real_study(finished, tiny):
    folder, files = finished[0], tiny.files()
    real = {
        path.stat().st_ino
        for part in ("results", "logs")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }
    assert sum(files.values()) - files["records"] == pytest.approx(len(real), rel=0.02)
    records = sum(path.is_file() for path in (folder / ".snakemake" / "metadata").rglob("*"))
    assert files["records"] == pytest.approx(records, rel=0.02)


@pytest.mark.workflow
def test_bytes_are_those_of_a_real_study(finished, tiny):
    results, disk = finished[0] / "results", tiny.disk()
    dataset = results / "datasets"
    real = {
        "pool and test": bytes_under(dataset, "*/*.parquet"),
        "ids, by checkpoint": bytes_under(dataset, "*/ids/tiny/texts/*.npy"),
        "vocabularies": bytes_under(dataset, "*/vocabularies/few/*/*/*.model"),
        "records": bytes_under(finished[0], ".snakemake/metadata/*"),
        "charts and small files": sum(bytes_under(results, f"[cg]*.{end}") for end in CHART),
    }
    real["ids, by own vocabulary"] = bytes_under(dataset, "*/ids/few/*/*/texts/*/*.npy")
    # TF-IDF found few of the phrases that it may keep.
    real["weights"] = bytes_under(results, "runs/*/[!t]*/*/*/weights/*/*.safetensors")
    linear = [cell for cell in tiny.cells if not tiny.uses_gpu(cell.model)]
    disk["weights"] -= sum(cell.count * tiny.weight_bytes(cell) for cell in linear)
    for name, size in real.items():
        assert disk[name] == pytest.approx(size, rel=0.2), name
