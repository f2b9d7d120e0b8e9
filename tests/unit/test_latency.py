"""What inference costs: models as they are put to use, how they are timed, and the table.

No test here looks at how long anything took.
"""

import itertools
import time

import gather_latency
import measure_latency
import numpy as np
import pytest
import torch
from gap.models import latency as timing
from gap.models.latency import (
    Round,
    batches_of,
    best_batch_size,
    describe_latency,
    describe_throughput,
)
from gap.models.serving import ServedModel
from gap.results.predictions import read_predictions
from gap.results.rows import AccuracyRow, LatencyRow
from gap.results.tables import read_rows, write_rows
from gap.run.json import read_json, write_json
from tiny_training import as_arguments, make_data, make_recipes, run_prediction, run_training

ON_CHECKPOINTS = ("fine-tuned", "frozen", "mix", "each", "states-lstm", "lstm-tiny", "bridged")
NAMES = (*ON_CHECKPOINTS, "lstm", "tfidf", "composition")


def recipes():
    """Tiny recipes of each family, barely trained."""
    made = make_recipes(max_epochs=1, min_steps=1)
    made["lstm-tiny"]["embeddings"] = "frozen"
    made["bridged"] = made["lstm"] | {"checkpoint": "tiny", "bridge": "copy"}
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_bert):
    """A folder with data, and with a trained model of each family and its predictions."""
    folder = make_data(tmp_path_factory.mktemp("trained"), tiny_bert, seeds="2")
    for name, recipe in recipes().items():
        run_training(folder, recipe, folder / name)
        run_prediction(folder, recipe, folder / name)
    return folder


def arguments_for(folder):
    """The command line that measures the models of `trained`."""
    recipe = {
        "cell": {"dataset": "made-up"},
        "dataset": {"words": 32, "max_tokens": 32, "keep": "head", "pair": False},
        "models": recipes(),
    }
    options = as_arguments(
        recipe=recipe,
        manifest=folder / "test.json",
        test=folder / "test.parquet",
        latency=folder / "latency.json",
    )
    pairs = {
        "trainings": {name: folder / name / "training.json" for name in NAMES},
        "weights": {name: folder / name / "weights" for name in NAMES},
        "checkpoints": dict.fromkeys(ON_CHECKPOINTS, folder / "tiny.json"),
        "vocabularies": dict.fromkeys(("lstm", "bridged"), folder / "vocabulary"),
    }
    for kind, files in pairs.items():
        options += [f"--{kind}", *(f"{name}={path}" for name, path in files.items())]
    return options


@pytest.mark.parametrize("size", [1, 7])
def test_from_raw_text_come_the_scores_that_predict_wrote(trained, size):
    arguments = measure_latency.parse(arguments_for(trained))
    texts = measure_latency.read_texts(arguments.test)
    assert len(texts) == 60
    models = measure_latency.load_models(arguments)
    assert set(models) == set(NAMES)
    for name, model in models.items():
        (block,) = read_predictions(trained / name / "predictions.parquet")
        found = [model(texts[start : start + size]) for start in range(0, len(texts), size)]
        # States in bf16 may be rounded to either side where batches differ.
        near = 2e-3 if name == "states-lstm" else 1e-4
        np.testing.assert_allclose(np.concatenate(found), block.scores, atol=near, err_msg=name)
        assert block.scores.std() > 1e-3, name


def test_parameters_are_counted_with_those_that_were_trained(trained):
    models = measure_latency.load_models(measure_latency.parse(arguments_for(trained)))
    counts = {name: (one.parameters, one.trained_parameters) for name, one in models.items()}
    # Embeddings of 60 tokens and 32 numbers; LSTMs of 16 units in two directions; two labels.
    lstm = 2 * 4 * 16 * (32 + 16 + 2) + (2 * 16 + 1) * 2
    assert counts["lstm-tiny"] == (60 * 32 + lstm, lstm)
    assert counts["fine-tuned"][0] == counts["fine-tuned"][1]
    assert counts["frozen"][1] == (32 + 1) * 2
    assert counts["frozen"][0] == counts["fine-tuned"][0]
    # Three layers with the embeddings; an LSTM on them has their weights and a scale, too.
    assert counts["mix"][1] == counts["each"][1] == (3 * 32 + 1) * 2
    assert counts["states-lstm"][1] == lstm + 3 + 1
    assert counts["bridged"][0] == counts["bridged"][1]
    counted = read_json(trained / "tfidf" / "weights" / "2" / "terms.json").values()
    phrases = sum(len(kind["terms"]) for kind in counted)
    assert counts["tfidf"] == (3 * phrases + 2, 2 * phrases + 2)


def test_the_program_measures_every_model(trained, monkeypatch):
    monkeypatch.setattr(measure_latency, "TEXTS", 3)
    monkeypatch.setattr(timing, "TRIAL_SECONDS", 1e-6)
    measure_latency.main(arguments_for(trained))
    found = read_json(trained / "latency.json")
    assert found["dataset"] == "made-up"
    assert set(found["models"]) == set(NAMES)
    for facts in found["models"].values():
        assert (facts["size"], facts["n"]) == ("80", 80)
        assert facts["hardware"]["threads"] == 1
        assert facts["single"]["milliseconds"] <= facts["single"]["milliseconds_95"]
        assert 0 < facts["single"]["tokenisation"] < 1
        assert facts["batched"]["batch_size"] in (1, 2, 4, 8, 16, 32)
    assert torch.get_num_threads() == 1


# ---------------------------------------------------------------- timing


class Clock:
    """Stands for the clocks: a text takes `step`, and a batch `start` on top, in seconds.

    The process gets `share` of the clock's time.
    """

    def __init__(self, monkeypatch, start=0.0, step=1.0, share=1.0):
        self.now, self.start, self.step, self.share = 0.0, start, step, share
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: self.now * self.share)

    def model(self, most=10**6, log=None, name=""):
        """A model that has memory for `most` texts at once; a quarter of its time tokenises."""

        def tokenise(texts):
            if log is not None:
                log.append((name, tuple(texts)))
            self.now += self._seconds(texts) / 4
            return texts

        def score(texts):
            if len(texts) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
            self.now += 3 * self._seconds(texts) / 4
            return np.zeros((len(texts), 2), dtype=np.float32)

        return ServedModel(tokenise, score, 1, 1)

    def _seconds(self, texts):
        return self.start + self.step * len(texts)


TEXTS = [str(number) for number in range(100)]


@pytest.mark.parametrize(
    ("start", "step", "most_texts", "memory", "expected"),
    [
        # A start of 1000 steps is worth halving as long as there are texts, or leave, or memory.
        (1000.0, 1.0, 10**6, 10**6, 64),
        (1000.0, 1.0, 20, 10**6, 16),
        (1000.0, 1.0, 10**6, 10, 8),
        (0.0, 1.0, 10**6, 10**6, 1),
        # 16 texts take 18 instead of 32 steps, twice as many 34 instead of 36: more than 2 %.
        (2.0, 1.0, 10**6, 10**6, 64),
        (0.2, 1.0, 10**6, 10**6, 8),
    ],
)
def test_the_best_batch_is_searched_until_nothing_is_gained(
    monkeypatch, start, step, most_texts, memory, expected
):
    model = Clock(monkeypatch, start, step).model(memory)
    assert best_batch_size(model, TEXTS, most_texts) == expected


def test_one_bad_trial_does_not_end_the_search(monkeypatch):
    clock = Clock(monkeypatch, start=100.0)
    rate = timing._rate

    def unlucky(model, texts, size):
        return 0.0 if size == 4 else rate(model, texts, size)

    monkeypatch.setattr(timing, "_rate", unlucky)
    assert best_batch_size(clock.model(), TEXTS, 1000) == 64


def test_an_error_that_is_not_of_memory_is_not_hidden(monkeypatch):
    clock = Clock(monkeypatch)

    def score(texts):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        best_batch_size(ServedModel(clock.model().tokenise, score, 1, 1), TEXTS, 8)


def test_batches_begin_anew_where_texts_end():
    assert batches_of(["a", "b", "c"], 2, 5) == [["a", "b"], ["c", "a"], ["b", "c"]]
    assert batches_of(["a", "b", "c"], 1, 3) == [["a"], ["b"], ["c"]]
    assert batches_of(["a", "b", "c"], 2, 1) == [["a", "b"]]


def test_models_take_turns_and_the_first_round_warms_up(monkeypatch):
    clock, log = Clock(monkeypatch), list[tuple[str, tuple[str, ...]]]()
    models = {name: clock.model(log=log, name=name) for name in ("x", "y", "z")}
    rounds = timing.time_in_turns(models, dict.fromkeys(models, (["a"], ["b"])))
    assert {name: len(found) for name, found in rounds.items()} == dict.fromkeys(
        models, timing.ROUNDS
    )
    order = "".join(name for name, texts in log if texts == ("a",))
    assert order == "xyzzyx" * ((timing.ROUNDS + 1) // 2)
    assert len(log) == 2 * len(order)


def test_rounds_are_told_in_milliseconds_and_texts_a_second():
    rounds = [
        Round(4, [0.001, 0.002, 0.002, 0.003], [0.0005] * 4, 0.006),
        Round(4, [0.002, 0.004, 0.004, 0.006], [0.0005] * 4, 0.012),
    ]
    latency = describe_latency(rounds)
    assert latency["milliseconds"] == pytest.approx(2.5)
    assert latency["range"] == pytest.approx([2, 4])
    assert latency["milliseconds_95"] == pytest.approx(5.3)
    assert latency["tokenisation"] == pytest.approx(1 / 6)
    assert latency["cpu_share"] == pytest.approx(0.75)
    throughput = describe_throughput(rounds)
    assert throughput["range"] == pytest.approx([250, 500])
    assert throughput["examples_per_second"] == pytest.approx(375)


# ---------------------------------------------------------------- the table


HARDWARE = {"device": "cpu", "processor": "a CPU", "precision": "fp32", "threads": 1}


def facts(milliseconds=10.0, rate=100.0, cpu=1.0, spread=1.02, family="lstm"):
    """What was measured of a model."""
    shares = {"tokenisation": 0.1, "cpu_share": cpu}
    single = {"milliseconds": milliseconds, "milliseconds_95": 2 * milliseconds}
    batched = {"batch_size": 8, "examples_per_second": rate, "range": [rate, spread * rate]}
    return {
        **{"family": family, "size": "80", "n": 80, "parameters": 1000, "trained_parameters": 900},
        "hardware": {**HARDWARE, "processes": 1},
        "single": single | shares | {"range": [milliseconds, milliseconds]},
        "batched": batched | shares,
    }


def gathered(folder, models, accuracies, reference="big"):
    """Return the rows of the table, as it is read again."""
    write_json(folder / "films.json", {"dataset": "films", "models": models})
    rows = [
        AccuracyRow(
            "films", model, size, 80, value, value - 1, value + 1, None, 1.0, 1, "1", 0, "accuracy"
        )
        for model, value in accuracies.items()
        for size, value in (("80", value), ("40", value - 20))
    ]
    write_rows(folder / "accuracies.csv", AccuracyRow, rows)
    options = as_arguments(
        recipe={"reference": reference},
        accuracies=folder / "accuracies.csv",
        table=folder / "latency.csv",
    )
    gather_latency.main([*options, str(folder / "films.json")])
    return read_rows(folder / "latency.csv", LatencyRow)


def test_the_table_has_speed_ups_and_the_pareto_front(tmp_path):
    models = {
        "tiny": facts(1, 900),
        "odd": facts(20, 50),
        "small": facts(4, 200),
        "big": facts(16, 100, family="transformer"),
    }
    accuracies = {"big": 90.0, "small": 80.0, "tiny": 80.0, "odd": 85.0}
    rows = gathered(tmp_path, models, accuracies)
    assert [row.model for row in rows] == ["big", "odd", "small", "tiny"]
    assert [row.speed_up for row in rows] == [1, 0.8, 4, 16]
    assert [row.batched_speed_up for row in rows] == [1, 0.5, 2, 9]
    # Less accurate than big, and slower; as accurate as tiny, but slower.
    assert [row.pareto for row in rows] == [True, False, False, True]
    assert [row.accuracy for row in rows] == [90, 85, 80, 80]
    assert [row.accuracy_low for row in rows] == [89, 84, 79, 79]
    assert {row.disturbed for row in rows} == {False}


def test_models_alike_are_both_on_the_front():
    accuracy = AccuracyRow(
        "films", "lstm", "80", 80, 80.0, 79.0, 81.0, None, 1.0, 1, "1", 0, "accuracy"
    )
    rows = [gather_latency.latency_row(facts(), accuracy)] * 2
    assert not any(gather_latency.dominates(*pair) for pair in itertools.permutations(rows))


@pytest.mark.parametrize("trouble", [{"cpu": 0.6}, {"spread": 1.5}])
def test_a_disturbed_measurement_is_told(tmp_path, trouble):
    models = {"big": facts(), "small": facts(**trouble)}
    rows = gathered(tmp_path, models, {"big": 90.0, "small": 80.0})
    assert [row.disturbed for row in rows] == [False, True]


def test_a_process_that_waits_for_its_core_shows_in_what_is_measured(monkeypatch):
    rounds = [timing.time_round(Clock(monkeypatch, share=0.6).model(), [["a"], ["b"]])]
    assert describe_latency(rounds)["cpu_share"] == pytest.approx(0.6)
    assert describe_latency(rounds)["tokenisation"] == pytest.approx(0.25)


def test_without_the_reference_there_is_no_speed_up(tmp_path):
    rows = gathered(tmp_path, {"small": facts(4)}, {"small": 80.0})
    assert [(row.speed_up, row.pareto) for row in rows] == [(None, True)]


def test_nothing_measured_yet_is_an_empty_table(tmp_path):
    write_rows(tmp_path / "accuracies.csv", AccuracyRow, [])
    options = {"accuracies": tmp_path / "accuracies.csv", "table": tmp_path / "latency.csv"}
    gather_latency.main(as_arguments(recipe={"reference": "big"}, **options))
    assert read_rows(tmp_path / "latency.csv", LatencyRow) == []
