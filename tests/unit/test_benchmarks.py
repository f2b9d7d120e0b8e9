"""The benchmarks run on made-up data, compare like with like, and add up; never how fast."""

import csv
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from gap.config.check import complete
from gap.data.vocabulary import EncodedTexts
from gap.models.batching import pad
from gap.models.dropout import dropout
from gap.models.encoder_shape import EncoderShape
from gap.models.family import load_recipe
from gap.models.labelled_texts import LabelledTexts
from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
from gap.results import predictions
from gap.results.transfer import ChoiceRow, TransferRow
from gap.run.errors import UserError
from gap.study.recipes import GradientDescent
from table_rows import row_of
from tiny_esm import make_tiny_esm
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
common = importlib.import_module("common")
corpus = importlib.import_module("corpus")
data_path = importlib.import_module("data_path")
fine_tuning = importlib.import_module("fine_tuning")
label_buying = importlib.import_module("label_buying")
lstm_training = importlib.import_module("lstm_training")
real_curves = importlib.import_module("real_curves")
real_seeds = importlib.import_module("real_seeds")
intervals = importlib.import_module("intervals")
metric_intervals = importlib.import_module("metric_intervals")
planning = importlib.import_module("planning")
pretraining = importlib.import_module("pretraining")
sequences = importlib.import_module("sequences")
smallest_gap = importlib.import_module("smallest_gap")
statistics_speed = importlib.import_module("statistics_speed")
study_overhead = importlib.import_module("study_overhead")
student_intervals = importlib.import_module("student_intervals")
study_claims = importlib.import_module("study_claims")
throughput = importlib.import_module("throughput")
transfer = importlib.import_module("transfer")
Timing = common.Timing


@pytest.fixture
def study(tmp_path, tiny_bert, monkeypatch):
    """A study of made-up reviews, as the options that name it; the tiny model reads 64 tokens."""
    monkeypatch.setattr(common, "LONGEST", 32)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    words = ["a", "the", "was", "film", "book", "plot", "good", "great", "bad", "poor", "not"]
    texts = [" ".join(random.choice(words, random.integers(5, 40))) for _ in range(300)]
    rows = [f"{text} {row},{['no', 'yes'][row % 2]}" for row, text in enumerate(texts)]
    (tmp_path / "reviews.csv").write_text("\n".join(["words,liked", *rows]))
    config = {
        "datasets": ["reviews"],
        "models": ["bert", "lstm"],
        "reference": "bert",
        "sizes": [40],
        "seeds": [1],
        "dataset_zoo": {
            "reviews": {
                "source": {"kind": "file", "path": "reviews.csv"},
                "text": "words",
                "label": "liked",
            }
        },
        "checkpoint_zoo": {"tiny": {"kind": "file", "path": str(tiny_bert)}},
        "vocabulary_zoo": {"pieces": {"algorithm": "unigram", "size": 40}},
        "model_zoo": {
            "bert": {"family": "transformer", "checkpoint": "tiny"},
            "lstm": {"family": "lstm", "vocabulary": "pieces", "embedding_size": 8, "width": 8},
        },
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    options = ["--config=study.yaml", "--page=page.md", "--texts=128", "--rounds=2", "--steps=1"]
    return tmp_path, options


def rows_of(page, name):
    """The cells of the page's table rows that begin with a name."""
    lines = [line.strip("| ").split(" | ") for line in page.read_text().splitlines()]
    return [line for line in lines if line[0] == name]


NARROW = EncoderShape(
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    vocab_size=2000,
    max_position_embeddings=140,
)


@pytest.fixture
def narrow(monkeypatch, tmp_path):
    """A narrow model in the place of RoBERTa-base, small matrices in that of large ones."""
    monkeypatch.setattr(fine_tuning, "SHAPE", NARROW)
    monkeypatch.setattr(throughput, "SIDES", {"cpu": 64, "cuda": 64})
    recipe = load_recipe({"family": "transformer", "checkpoint": "narrow"})
    return throughput.build(recipe, NARROW, tmp_path / "encoder")


def test_fine_tuning_is_compared_with_the_default_trainer(study, narrow):
    folder, options = study
    accuracy = ["--accuracy-seeds=2", "--accuracy-texts=64", "--test-texts=30"]
    fine_tuning.main([*options, *accuracy])
    page = folder / "page.md"
    (peer,) = rows_of(page, fine_tuning.PEER)
    assert peer[3].count(" / ") == peer[4].count(" / ") == 2
    assert peer[5].startswith("≥ 4: ")
    assert len(rows_of(page, fine_tuning.OURS)) == 2
    for name, goal in fine_tuning.SHARES.items():
        (best,) = rows_of(page, name)
        assert best[3].count(" / ") == best[4].count(" / ") == 2
        assert best[5].startswith(f"≥ {goal}: ")
    assert "on 30 test texts after the same steps, one epoch of 64 texts" in page.read_text()
    assert not any(path.name.startswith("checkpoint-") for path in folder.iterdir())


def test_the_best_of_the_machine_is_counted_in_tokens(study, narrow):
    _, options = study
    config = common.load_config(fine_tuning.parse(options).config)
    settings = load_recipe(config["model_zoo"]["bert"]).optimisation
    assert isinstance(settings, GradientDescent)
    before = [weight.clone() for weight in narrow.parameters()]
    step = fine_tuning.constant_batches(narrow, settings)(0)
    assert step() == settings.batch_size * fine_tuning.LONGEST
    assert any((a != b).any() for a, b in zip(before, narrow.parameters(), strict=True))
    work = fine_tuning.products(operations_per_token=2000.0)(0)
    assert work() == round(fine_tuning.PRODUCTS * 2 * 64**3 / 2000)


def test_padding_is_that_of_batches_of_like_length():
    lengths = np.array([1, 2, 9, 10, 10, 10])
    vocabulary = EncodedTexts(np.empty(0, np.uint32), np.cumsum([0, *lengths]), None, 0, 9)
    texts = LabelledTexts(vocabulary, np.arange(6), np.zeros(6, np.int32))
    # 1 and 2, 9 and 10, 10 and 10: two tokens of 44.
    assert fine_tuning.padding(texts, 2) == pytest.approx(2 / 44)


def test_ours_is_timed_with_its_own_dropout():
    class Trainer:
        state = SimpleNamespace(num_input_tokens_seen=7)

        def train(self):
            self.dropout = functional.dropout

    trainer = Trainer()
    assert common.train_and_count(trainer) == 7
    assert trainer.dropout is not dropout
    assert common.train_as_project(trainer) == 7
    assert (trainer.dropout is dropout) != torch.cuda.is_available()


def test_the_default_trainer_differs_in_what_is_measured_only(study, tiny_bert, monkeypatch):
    folder, options = study
    monkeypatch.setattr("gap.models.training.fast_bf16", lambda: True)
    given = fine_tuning.parse(options)
    config = common.load_config(given.config)
    settings = load_recipe(config["model_zoo"]["bert"]).optimisation
    labels = common.prepare_texts(config, Path("results"), folder, 20)
    words = [["good", "bad", "plot"][row % 3] + " film" * (row % 7) for row in range(64)]
    from gap.data.vocabulary import PretrainedVocabulary

    texts = common.mixed_texts(
        words, np.arange(64, dtype=np.int32) % 2, PretrainedVocabulary(tiny_bert), 0
    )
    made = fine_tuning.makers(tiny_bert, labels, settings, folder)
    ours, peer = made[fine_tuning.OURS](texts, 4, 1), made[fine_tuning.PEER](texts, 4, 1)
    for name, value in ours.model.state_dict().items():
        assert torch.equal(value, peer.model.state_dict()[name]), name
    same = "learning_rate lr_scheduler_type warmup_steps weight_decay max_grad_norm optim max_steps"
    for name in [*same.split(), "per_device_train_batch_size", "eval_strategy", "save_strategy"]:
        assert getattr(ours.args, name) == getattr(peer.args, name), name
    assert (ours.args.bf16, peer.args.bf16) == (True, False)
    padding = [
        [
            float((batch["attention_mask"] == 0).float().mean())
            for batch in one.get_train_dataloader()
        ]
        for one in (ours, peer)
    ]
    assert np.mean(padding[0]) < np.mean(padding[1])


def test_lstm_training_is_compared_with_padding_and_packing(study):
    folder, options = study
    lstm_training.main([*options, "--sizes", "1x4", "2x8"])
    for name in lstm_training.GOALS:
        rows = rows_of(folder / "page.md", name)
        assert len(rows) == 2
        assert all(row[3].count(" / ") == 2 for row in rows)
    assert "2 layer(s) of 8 units" in (folder / "page.md").read_text()


@pytest.mark.parametrize("packed", [True, False])
def test_the_peers_of_lstm_training_compute_the_same_but_for_padding(packed):
    torch.manual_seed(1)
    sizes = LstmConfig(vocab_size=30, embedding_size=8, width=6, layers=2, num_labels=2)
    ours = LstmForSequenceClassification(sizes).eval()
    peer = lstm_training.PlainLstm(sizes, packed).eval()
    weights = {f"embeddings.{k}": v for k, v in ours.embeddings.state_dict().items()}
    weights |= {f"classifier.{k}": v for k, v in ours.classifier.state_dict().items()}
    for number, layer in enumerate(ours.layers):
        for direction, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            for name, value in direction.state_dict().items():
                weights[f"lstm.{name.removesuffix('_l0')}_l{number}{suffix}"] = value
    peer.load_state_dict(weights)
    batch = pad([np.arange(1, 9), np.arange(4, 7)], 0)
    logits, theirs = ours(**batch).logits, peer(**batch)
    torch.testing.assert_close(theirs[0], logits[0])
    assert torch.allclose(theirs[1], logits[1], atol=1e-6) == packed


def test_lengths_of_mixed_texts_vary_up_to_the_longest():
    class Words:
        size, pad_id, prefix, suffix = 1000, 0, [1], [2]

        def encode(self, texts):
            return [list(range(3, 3 + len(text.split()))) for text in texts]

    texts = common.mixed_texts(["word " * 200] * 2000, np.zeros(2000, np.int32), Words(), 0)
    assert 60 < texts.lengths.mean() < 64
    assert texts.lengths.max() == common.LONGEST == 128
    first = texts[0]["input_ids"]
    assert (first[0], first[-1], first[1]) == (1, 2, 3)


def test_rounds_alternate_after_one_that_warms_up():
    calls = []

    def contestant(name):
        def make_ready(number):
            calls.append((number, name))
            return lambda: 100 + number

        return make_ready

    timings = common.interleave({"a": contestant("a"), "b": contestant("b")}, 2)
    assert calls == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    assert [timing.tokens for timing in timings["a"]] == [101, 102]


def test_ratios_are_of_the_same_round():
    timings = {
        "peer": [Timing(100, 1.0, 2.0), Timing(100, 4.0, 4.0), Timing(100, 2.0, 2.0)],
        "ours": [Timing(300, 1.0, 1.0), Timing(300, 2.0, 2.0), Timing(300, 1.2, 3.0)],
    }
    table = common.comparison(timings, "ours", {"peer": 4.5}).splitlines()
    assert table[2] == (
        "| peer | 50 | 50 | 3.00 / 5.00 / 6.00 | 2.00 / 6.00 / 6.00 | ≥ 4.5: reached |"
    )
    assert "**missed**" in common.comparison(timings, "ours", {"peer": 5.5})


def test_a_section_replaces_the_one_of_its_title_alone(tmp_path):
    page = tmp_path / "page.md"
    for title, body in [("A", "one"), ("B", "two"), ("A", "three\n"), ("A B", "four")]:
        common.write_section(page, title, body)
    text = page.read_text()
    assert text.startswith("# Results")
    assert text[text.index("## ") :] == "## A\n\nthree\n\n## B\n\ntwo\n\n## A B\n\nfour\n"


BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


@pytest.fixture
def clocked(tmp_path):
    """A made-up study: a process that starts a program, which imports for 0.3 s and works 0.2 s."""
    (tmp_path / "slow.py").write_text(BURN.format(0.3))
    (tmp_path / "program.py").write_text(
        f"def main():\n    import slow\nmain()\n{BURN.format(0.2)}import slow\n"
    )
    code = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, sys.argv[1]]))"
    command = [sys.executable, "-c", code, "program.py"]
    return study_overhead.run_timed(command, tmp_path, tmp_path / "records", 2)


def test_the_clock_tells_imports_from_work(clocked):
    (program,) = clocked.programs
    assert program["program"] == "program.py"
    assert program["imports"] > 0.3
    assert 0.2 <= program["cpu"] - program["imports"] < 0.3


def test_parts_of_a_study_add_up_to_its_core_seconds(clocked):
    parts = study_overhead.divide(clocked)
    assert sum(parts.values()) == pytest.approx(2 * clocked.wall_seconds)
    assert min(parts.values()) > 0
    seconds = study_overhead.side_by_side(clocked)
    assert set(seconds) == {0, 1}
    record = clocked.snakemake
    assert sum(seconds.values()) == pytest.approx(record["end"] - record["begin"])
    assert "| program.py | 1 | " in study_overhead.describe(clocked)


def test_a_study_that_fails_is_an_error(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit(3)"]
    with pytest.raises(UserError, match="exit status 3"):
        study_overhead.run_timed(command, tmp_path, tmp_path / "records", 1)
    with pytest.raises(UserError, match="name a new folder"):
        study_overhead.main([f"--folder={tmp_path}"])


def test_the_study_is_run_in_a_copy_without_results(tmp_path):
    (tmp_path / "results" / "sources" / "dataset-x").mkdir(parents=True)
    (tmp_path / "results" / "scores.csv").write_text("")
    study_overhead.copy_repository(tmp_path / "copy", tmp_path / "results")
    assert (tmp_path / "copy" / "Snakefile").exists()
    assert sorted(os.listdir(tmp_path / "copy" / "results")) == ["sources"]
    assert not (tmp_path / "copy" / ".venv").exists()


@pytest.mark.workflow
def test_the_overhead_of_a_tiny_study(study):
    folder, _ = study
    config = yaml.safe_load((folder / "study.yaml").read_text())
    config |= {"models": ["words", "phrases"], "reference": "words"}
    config["model_zoo"] = {name: {"family": "linear"} for name in config["models"]}
    config["dataset_zoo"]["reviews"]["source"]["path"] = str(folder / "reviews.csv")
    (folder / "words.yaml").write_text(yaml.safe_dump(config))
    study_overhead.main(["--configfile=words.yaml", "--page=page.md", "--cores=2"])
    page = folder / "page.md"
    assert "**missed**" in page.read_text()
    (train,) = rows_of(page, "train.py")
    assert train[1] == "2"
    assert not rows_of(page, "download.py")


@pytest.mark.workflow
def test_planning_is_compared_with_the_same_graph_of_plain_rules(tmp_path):
    options = ["--grid", "2", "2", "2", "2", "--rounds=1", f"--page={tmp_path / 'page.md'}"]
    planning.main([*options, f"--folder={tmp_path / 'both'}"])
    (ratio,) = rows_of(tmp_path / "page.md", "ratio")
    assert ratio[1].count(" / ") == ratio[2].count(" / ") == 2
    ours, peer = (
        planning.files_of_study(tmp_path / "both" / name, planning.OPTIONS[option])
        for name, option in [("ours", planning.OURS), ("peer", planning.PEER)]
    )
    assert ours == peer
    assert len([path for path in ours if path.endswith("/training.json")]) == 2**4
    (tmp_path / "both" / "peer" / "results" / "gap.html").unlink()
    with pytest.raises(UserError, match="finds something to do"):
        planning.plan(tmp_path / "both" / "peer", [])


def test_intervals_are_counted_that_hold_the_true_gap():
    options = intervals.argparse.Namespace(studies=4, rows=300, seed=1)
    setting = intervals.SETTINGS[0]
    project, peer = intervals.run(setting, options)
    assert (project.gaps, peer.gaps) == (64, 64)
    assert 80 <= project.coverage <= 100
    assert 0 < project.width < peer.width
    few = next(each for each in intervals.SETTINGS if each.rows == 4)
    results = {setting: (project, peer), few: intervals.run(few, options)}
    assert results[few][0].none_wrong == 0
    text = intervals.report(results, options)
    assert f"| {setting.name} | {project.coverage:.1f} % (" in text


def test_intervals_of_other_metrics_are_counted(tmp_path):
    page = tmp_path / "page.md"
    metric_intervals.main(["--studies=2", "--rows=200", f"--page={page}"])
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines()]
    held = {cells[0].strip("| "): cells[1] for cells in rows if len(cells) == 5}
    assert len(held) == 1 + 6 and 80 <= float(held["macro-F1"].split(" %")[0]) <= 100


def test_true_metrics_are_those_of_many_rows():
    truth = metric_intervals.Truth(1)
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 50_000, p=metric_intervals.SHARES).astype(np.int32)
    noise = rng.normal(0, 1.5, (50_000, 3))
    signals = rng.normal(metric_intervals.SIGNALS[1, 0], truth.spreads[1, 0], 30)
    runs = [metric_intervals.predictions(signal, labels, noise) for signal in signals]
    for name, evaluate in metric_intervals.ROW_VALUES.items():
        mean = np.mean([evaluate(labels, run).metric for run in runs])
        assert mean == pytest.approx(truth.values(name)[1, 0], abs=2.5), name


def test_true_accuracies_are_those_of_many_rows():
    rng = intervals.np.random.default_rng(3)
    scores, truth = intervals.simulate(rng, intervals.SETTINGS[1], 100_000)
    assert abs(scores.means[0] - truth[0, 0]) < 0.5


def test_a_tally_counts_what_is_wrong():
    tally = intervals.Tally()
    ends, truth = intervals.np.array([[0.0, 2.0]] * 3), intervals.np.array([5.0, 0.5, 1.5])
    tally.add(ends, truth, intervals.np.array([1.0, 2.0, 2.0]), ["none", "clear", "unclear"])
    assert (tally.claims, tally.wrong, tally.none_wrong) == (2, 2, 1)
    assert tally.coverage == pytest.approx(200 / 3)


def test_all_statistics_are_timed_beside_gaps_of_the_same_files(tmp_path, monkeypatch):
    tables = {}

    def measure(command):
        importlib.import_module(Path(command[1]).stem).main(command[2:])
        for path in (Path(word.partition("=")[2]) for word in command if word.endswith(".csv")):
            tables[path.stem] = list(csv.DictReader(path.open()))
        return statistics_speed.Cost(2.0, 1.5, 0.5, 100.0)

    monkeypatch.setattr(statistics_speed, "measure", measure)
    shape = statistics_speed.Shape(3, 3, 2, 2, 80, seconds=1.5, memory=90)
    page = tmp_path / "page.md"
    statistics_speed.main(["--rounds=2", f"--page={page}", f"--scratch={tmp_path}"], [shape])
    project, peer = (
        {(row["dataset"], row["model"], row["n"]): float(row["gap"]) for row in tables[name]}
        for name in ("gaps", "alone")
    )
    assert len(peer) == 2 * 2 * 3
    assert project == pytest.approx(peer)
    assert len(tables["crossings"]) == 2 * 2
    assert "2.00 CPU s of all statistics, start-up left out; goal ≤ 1.5: **missed**" in (
        page.read_text()
    )
    assert "- peak memory 100 MiB; goal ≤ 90: **missed**" in page.read_text()
    (whole,) = rows_of(page, "all statistics")
    assert whole[-1] == "2.00 / 2.00 / 2.00"
    assert os.listdir(tmp_path) == ["page.md"]


def test_a_program_is_timed_with_its_imports_and_its_memory(tmp_path):
    (tmp_path / "slow.py").write_text(BURN.format(0.2))
    program = tmp_path / "program.py"
    program.write_text("import slow\nheld = bytearray(60_000_000)\n")
    cost = statistics_speed.measure([sys.executable, str(program)])
    assert 0.2 < cost.imports <= cost.cpu
    assert cost.work == cost.cpu - cost.imports
    assert cost.memory > 60
    program.write_text("raise SystemExit(3)")
    with pytest.raises(UserError, match="exit status 3"):
        statistics_speed.measure([sys.executable, str(program)])


def write_predictions(folder, rng, seeds=6, rows=600):
    """Predictions of two models at two sizes, right as often as a draw for each seed says."""
    labels = rng.integers(0, 2, rows).astype(np.int32)
    right = {}
    for model, level in [("tfidf", 0.8), ("words", 0.7)]:
        for n in (100, 200):
            shares = level + rng.normal(0, 0.02, seeds)
            right[model, n] = rng.random((seeds, rows)) < shares[:, None]
            chosen = np.where(right[model, n], labels, 1 - labels)
            logs = np.log(np.where(chosen[:, :, None] == np.arange(2), 0.9, 0.1))
            cell = {"dataset": "films", "model": model, "size": str(n), "n": n}
            path = folder / model / str(n) / "1-6" / "predictions.parquet"
            scores = dict(enumerate(logs.astype(np.float32), 1))
            predictions.write_predictions(path, cell, scores, labels)
    return right


@pytest.fixture
def six_seeds(tmp_path):
    """The runs of two models at two sizes, and which rows they have right."""
    right = write_predictions(tmp_path / "runs", np.random.default_rng(1))
    real_seeds.write_runs(tmp_path / "runs.parquet", tmp_path / "runs")
    return real_seeds.read_runs(tmp_path / "runs.parquet"), right


def test_runs_are_kept_as_bits(six_seeds):
    runs, right = six_seeds
    assert (runs.rows, set(runs.seeds)) == (600, set(range(6)))
    for (model, n), rows in right.items():
        places = [
            place for place, cell in enumerate(runs.cells) if (cell.model, cell.n) == (model, n)
        ]
        assert np.array_equal(runs.values[places] > 0, rows)


def test_a_draw_is_held_against_the_gaps_of_all_seeds(six_seeds):
    runs, right = six_seeds
    drawn = real_seeds.draw(runs, np.random.default_rng(2), 2, 600)
    truth = [100 * (right["tfidf", n].mean() - right["words", n].mean()) for n in (100, 200)]
    assert drawn.whole == pytest.approx(truth)
    assert drawn.same == pytest.approx(truth)
    fewer = real_seeds.draw(runs, np.random.default_rng(2), 2, 300)
    assert fewer.whole == pytest.approx(truth)
    assert fewer.same != pytest.approx(truth)
    assert (fewer.errors.scores.rows, len(set(fewer.errors.scores.seeds))) == (300, 2)


def test_a_draw_of_all_seeds_and_rows_is_off_by_nothing(six_seeds):
    runs, _ = six_seeds
    drawn = real_seeds.draw(runs, np.random.default_rng(2), 6, 600)
    project, peer = real_seeds.Counts(), real_seeds.Counts()
    real_seeds.count_project(project, drawn)
    real_seeds.count_peer(peer, drawn)
    assert np.allclose(drawn.whole, drawn.same)
    # Nothing is left that a draw could be off by.
    assert project.rest.width == project.seeds.width == peer.rest.width == peer.seeds.width == 0
    assert project.given.width > 1


def test_intervals_of_draws_are_counted_beside_the_gaps_of_all_seeds(tmp_path):
    write_predictions(tmp_path / "runs", np.random.default_rng(1))
    given = [f"--predictions={tmp_path / 'runs'}", f"--runs={tmp_path / 'runs.parquet'}"]
    page = tmp_path / "page.md"
    real_seeds.main([*given, "--draws=30", "--rows=200", "--seeds", "3", f"--page={page}"])
    (row,) = rows_of(page, "3")
    held, rest, seeds_alone = (float(cell.split()[0]) for cell in row[1:4])
    assert 80 <= seeds_alone <= 100
    assert held >= rest >= 80


def test_claims_of_a_study_stand_beside_those_of_each_gap_alone(tmp_path):
    right = write_predictions(tmp_path, np.random.default_rng(1))
    given = [f"--results={tmp_path}", "--reference=tfidf", f"--page={tmp_path / 'page.md'}"]
    study_claims.main([*given, "--seeds=3", "--name=films"])
    page = tmp_path / "page.md"
    assert "## Claims of the films" in page.read_text()
    for (_, _, n, *numbers), size in zip(rows_of(page, "films"), (100, 200), strict=True):
        alone = student_intervals.gap(
            *(dict(enumerate(right[model, size][:3])) for model in ("tfidf", "words"))
        )
        assert n == str(size)
        assert numbers[0] == numbers[3] == f"{alone.value:.1f}"
        assert numbers[4] == f"{alone.half_width(0.95):.1f}"
        assert float(numbers[1]) > 0
    assert "- of 2 gaps: " in page.read_text()


def test_claims_need_a_study_with_the_reference(tmp_path):
    write_predictions(tmp_path / "runs", np.random.default_rng(1))
    with pytest.raises(UserError, match=r"no size at which minilm meets another model"):
        study_claims.main([f"--results={tmp_path}", f"--page={tmp_path / 'page.md'}"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no predictions\.parquet"):
        study_claims.main([f"--results={tmp_path / 'empty'}"])


# ---------------------------------------------------------------- the data path

SENTENCES = {
    "no": ["A bad film.", "The plot was poor, poor, poor.", 'It was not "great"!'],
    "yes": ["A good book.", "The film was great.", "Fine plot;  a good, good book."],
}


def write_reviews(path, rows, seed=1):
    corpus.write_corpus(path, SENTENCES, rows, seed, ("words", "liked"))
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_made_up_corpus_is_the_same_for_the_same_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK", 50)
    header, *rows = write_reviews(tmp_path / "a.csv", 120)
    assert header == ["words", "liked"]
    assert len(rows) == 120
    assert {label for _, label in rows} == set(SENTENCES)
    assert write_reviews(tmp_path / "b.csv", 120)[1:] == rows
    assert write_reviews(tmp_path / "b.csv", 120, seed=2)[1:] != rows
    # A shorter corpus is the beginning of a longer one.
    assert write_reviews(tmp_path / "b.csv", 70)[1:] == rows[:70]


def test_made_up_reviews_are_as_long_and_as_varied_as_they_should_be(tmp_path):
    _, *rows = write_reviews(tmp_path / "a.csv", 4000)
    lengths = [len(text.split()) for text, _ in rows]
    assert 75 < np.mean(lengths) < 105
    # With so few sentences, short reviews come twice by chance.
    long = [text for text, _ in rows if len(text) > 400]
    assert 0.002 < 1 - len(set(long)) / len(long) < 0.01
    known = {word for texts in SENTENCES.values() for text in texts for word in text.split()}
    new = sum(word not in known for text, _ in rows for word in text.split()) / sum(lengths)
    assert 0.005 < new < 0.02


@pytest.fixture
def in_process(monkeypatch):
    """Programs are called here rather than started; returns the list of those that were."""
    called = []

    def measure(command, log):
        called.append(Path(command[1]).stem)
        importlib.import_module(called[-1]).main(command[2:])
        return data_path.Cost(1.0, 2.0, 300.0)

    monkeypatch.setattr(data_path, "measure", measure)
    monkeypatch.setattr(data_path, "make_corpus", lambda given, rows: given.scratch / f"{rows}.csv")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    return called


def test_the_data_path_is_compared_with_datasets(study, in_process):
    folder, options = study
    for rows in (40, 400):
        write_reviews(folder / f"{rows}.csv", rows)
    given = [*options[:2], f"--scratch={folder}", "--rows=400", "--test=5", "--words=20"]
    data_path.main([*given, "--tokens=12"])
    steps = list(data_path.STEPS)
    assert in_process == [*steps, *steps, "datasets_peer"]
    page = (folder / "page.md").read_text()
    assert "the same ids of 3" in page
    assert "- 0.33 times as many rows per second; goal ≥ 3: **missed**" in page
    assert "- time per row 0.10 times that of 40 rows; goal ≤ 1.15: reached" in page
    assert not (folder / "400" / "peer").exists()
    # What is there is not measured again.
    data_path.main([*given, "--tokens=12"])
    assert len(in_process) == 7


def test_other_ids_than_the_peers_are_an_error(study, in_process):
    folder, options = study
    for rows in (40, 400):
        write_reviews(folder / f"{rows}.csv", rows)
    given = [*options[:2], f"--scratch={folder}", "--rows=400", "--test=5"]
    peer = importlib.import_module("datasets_peer")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="other ids than"):
        patch.setattr(peer, "tokenise", lambda batch, **options: {"ids": [[1]] * len(batch["row"])})
        data_path.main(given)


def test_memory_and_time_are_those_of_all_processes_of_a_part(tmp_path):
    hold = "import subprocess, sys, time; held = bytearray(60_000_000); time.sleep(1); "
    child = f"subprocess.run([sys.executable, '-c', {hold + BURN.format(0.2)!r}])"
    cost = data_path.measure([sys.executable, "-c", hold + child], tmp_path / "log")
    assert cost.memory > 110
    assert cost.cpu > 0.2
    assert cost.wall > 2
    with pytest.raises(UserError, match="exit status 3; see"):
        data_path.measure([sys.executable, "-c", "import sys; sys.exit(3)"], tmp_path / "log")


def test_forecasts_of_real_curves_are_compared_with_the_last_gap():
    curves = real_curves.read_curves(real_curves.DATA, "test")
    assert {real_curves.half_of(curve.dataset) for curve in curves} == {"test"}
    some = [curve for curve in curves if curve.dataset < 50]
    design = real_curves.DESIGNS[1]
    results = {design: real_curves.compare(some, design, 3)}
    options = real_curves.argparse.Namespace(half="test", seeds=3, fewest=1)
    text = real_curves.report(results, options)
    first, second = results[design]["all"]
    assert len(first.held) == len(second.held) > 10
    assert f"| all | 4 | {sum(second.project) / len(second.project):.2f} |" in text


def test_encoding_and_fine_tuning_of_proteins(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    checkpoint = make_tiny_esm(tmp_path / "esm")
    page = tmp_path / "page.md"
    options = ["--proteins=60", "--texts=40", "--tokens=40", "--steps=1", "--rounds=2"]
    sequences.main([*options, f"--checkpoint={checkpoint}", f"--page={page}"])
    (peer,) = rows_of(page, sequences.MAPPED)
    assert peer[3].count(" / ") == peer[4].count(" / ") == 2
    assert peer[5].startswith("≥ 3: ")
    (trainer,) = rows_of(page, sequences.PEER)
    assert trainer[3].count(" / ") == 2
    assert len(rows_of(page, sequences.OURS)) == 2
    assert "All ids are equal." in page.read_text()


def test_pretraining_is_compared_with_transformers_own_recipe(study, monkeypatch):
    folder, options = study
    small = {"start": {"layers": 1, "width": 16, "heads": 2}, "tokenizer": {"size": 64}}
    monkeypatch.setattr(pretraining, "RECIPE", pretraining.RECIPE | small | {"block": 16})
    monkeypatch.setattr(pretraining, "LARGE", pretraining.RECIPE)
    pretraining.main([*options, "--large-steps=1", "--large-rounds=2"])
    page = folder / "page.md"
    (peer,) = rows_of(page, pretraining.PEER)
    (peak,) = rows_of(page, pretraining.PEAK)
    assert peak[3].count(" / ") == 2
    assert peak[5].startswith("≥ 0.6: ")
    assert peer[3].count(" / ") == peer[4].count(" / ") == 2
    assert peer[5].startswith("≥ 3: ")
    assert len(rows_of(page, pretraining.OURS)) == 2
    assert "batches of 32 blocks of 16 tokens, 2 rounds of 1 steps." in page.read_text()


def test_both_ways_of_pretraining_read_as_many_tokens(study, monkeypatch, capsys):
    _, options = study
    small = {"start": {"layers": 1, "width": 16, "heads": 2}, "tokenizer": {"size": 64}}
    monkeypatch.setattr(pretraining, "RECIPE", pretraining.RECIPE | small | {"block": 16})
    monkeypatch.setattr(pretraining, "compare_with_the_peak", lambda *_: [])
    pretraining.main(options)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("round ")]
    assert {line.partition(": ")[2].split(",")[0] for line in lines} == {"512 tokens"}


def test_ids_of_proteins_that_differ_end_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr("gap.data.letters.LetterTable.encode", lambda *_: WRONG_IDS)
    checkpoint = make_tiny_esm(tmp_path / "esm")
    options = ["--proteins=1", "--texts=1", "--tokens=40", "--steps=1", "--rounds=1"]
    page = tmp_path / "page.md"
    with pytest.raises(ValueError, match="row 0: ids differ"):
        sequences.main([*options, f"--checkpoint={checkpoint}", f"--page={page}"])


WRONG_IDS = np.array([4], dtype=np.uint32), np.array([1])


# ---------------------------------------------------------------- labels for a target


def real_curve(values, deviation=0.1):
    sizes = [64 * 2**power for power in range(len(values))]
    accuracies = dict(zip(sizes, values, strict=True))
    return real_curves.RealCurve(1, "tree", accuracies, dict.fromkeys(sizes, deviation))


def test_labels_that_are_needed_are_the_first_at_the_target():
    curve = real_curve([60.0, 70.0, 65.0, 80.0])
    assert label_buying.needed(curve, 60.0) == 64
    assert label_buying.needed(curve, 70.0) == pytest.approx(128)
    assert label_buying.needed(curve, 65.0) == pytest.approx(64 * 2**0.5)
    assert label_buying.needed(curve, 72.5) == pytest.approx(256 * 2**0.5)
    assert label_buying.needed(curve, 81.0) == np.inf


def test_a_steep_curve_is_bought_up_to_its_target_and_a_flat_one_is_given_up(monkeypatch):
    monkeypatch.setattr(label_buying, "ABOVE", (3.0, 3.0))
    steep = real_curve([60.0 + 4 * power for power in range(9)])
    result = label_buying.replay([steep], (64, 128, 256, 512, 1024), seeds=3)
    assert result.reached == [True]
    assert 1 <= result.excess[0] < 1.3
    assert result.rounds[0] >= 2
    flat = real_curve([60.0, 70.0, 72.0, 72.2, 72.3, 72.3, 72.3, 72.3])
    result = label_buying.replay([flat], (64, 128, 256, 512, 1024), seeds=3)
    assert (result.given_up, result.reached, result.kept) == (1, [], [False, False])
    assert max(result.promises) < 0.2
    # A curve that ends at the design is no part of it.
    assert (
        label_buying.replay([real_curve([60.0] * 5)], (64, 128, 1024), 3) == label_buying.Replay()
    )


def test_what_was_bought_and_promised_is_told(tmp_path, monkeypatch):
    curves = [
        real_curves.RealCurve(number, "tree", curve.accuracies, curve.deviations)
        for number in range(8)
        for curve in [real_curve([60.0 + 4 * power for power in range(9)])]
    ]
    monkeypatch.setattr(label_buying, "read_curves", lambda path, half: curves)
    monkeypatch.setattr(label_buying, "DESIGNS", ((64, 128, 256, 512, 1024),))
    label_buying.main([f"--page={tmp_path / 'page.md'}"])
    page = (tmp_path / "page.md").read_text()
    assert "| 64, 128, 256, 512, 1024 | 8 | 0.0 % |" in page
    assert "- missed, 10 % promised: 0.0 %, reached" in page


# ---------------------------------------------------------------- made-up tasks


def made_up_rows(path, task, rows=300):
    transfer.write_task(path, task, rows)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_of_a_made_up_task_are_told_by_its_words_and_those_of_an_alike_task_nearly(tmp_path):
    first, near, far = (transfer.Task(0, angle) for angle in (0, 15, 90))
    rows = {task: made_up_rows(tmp_path / "task.csv", task) for task in (first, near, far)}
    for texts in rows.values():
        assert len(texts) == 300
        assert all(len(row["text"].split()) == transfer.LONG for row in texts)
        assert 100 < sum(row["label"] == "above" for row in texts) < 200
    # How often a word stands in texts of the one label, less the other, is nearly the same.
    likeness = [np.corrcoef(leanings(rows[first]), leanings(rows[task]))[0, 1] for task in rows]
    assert likeness[0] == pytest.approx(1)
    assert likeness[1] > likeness[2] + 0.3


def leanings(rows):
    words = transfer.spell_words(0)
    totals = dict.fromkeys(words, 0)
    for row in rows:
        for word in row["text"].split():
            totals[word] += 1 if row["label"] == "above" else -1
    return [totals[word] for word in words]


def test_made_up_languages_share_no_letter():
    first, second = (set("".join(transfer.spell_words(language))) for language in (0, 1))
    assert first and second and not first & second
    tasks = [transfer.Task(0, 15), transfer.Task(0, 90), transfer.Task(1, 15)]
    relations = [transfer.relation(tasks[0], task) for task in tasks[1:]]
    assert relations == ["lines 75 degrees apart", "no word in common"]


def test_what_was_foretold_of_made_up_tasks_is_told():
    row = {"dataset": "language0-0", "model": "m", "size": "60", "n": 60}
    pairs = [
        row_of(TransferRow, source=source, gain=gain, foretold=foretold, **row)
        for source, gain, foretold in (
            ("language1-0", 5.0, 1.0),
            ("language0-15", 0.5, 2.0),
            ("language1-90", 4.0, 3.0),
        )
    ]
    choice = row_of(ChoiceRow, rule="largest", gain=1.25, lost=2.0, ndcg=0.5)
    text = transfer.describe(pairs, [choice])
    assert "| no word in common | 2 | 4.5 | 2.0 |" in text
    assert "| lines 15 degrees apart | 1 | 0.5 | 2.0 |" in text
    assert "| largest | 1.2 | 2.0 |  | 0.50 |  |" in text
    assert "**missed**" in text


def test_the_study_of_made_up_tasks_is_one():
    study = complete(transfer.study(60, 200))
    assert len(study.cells) == 8 * 2 + 8 * 7
    assert len(study.targets_of("on-language0-0")) == 7


def test_what_is_said_before_a_study_is_compared_with_simulations(tmp_path, monkeypatch):
    monkeypatch.setattr(smallest_gap, "SPREADS", {"usual": 0.8})
    smallest_gap.main(["--studies=6", "--rows=300", f"--page={tmp_path / 'page.md'}"])
    lines = (tmp_path / "page.md").read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| usual")]
    assert [row[1].strip() for row in rows] == ["3"] * 4 + ["5"] * 4
    said = [float(row[3]) for row in rows]
    assert said[0] > said[1] > said[2] == said[3] > 1
    assert said[4] < said[0]
