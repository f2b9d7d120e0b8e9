"""What the layers of a checkpoint tell: mixed, each by itself, and the states of all tokens."""

import json

import chart_layers
import numpy as np
import pytest
import torch
from gap.data.sampling import read_subsamples
from gap.models import kept_states
from gap.models.batching import pad
from gap.models.encoder import load_encoder
from gap.models.families import frozen, frozen_lstm
from gap.models.family import family_of, load_recipe
from gap.models.inference import features
from gap.models.kept_states import keep_states
from gap.models.layer_regression import HEADS, SHARES, _Mixture, fit_mix, train_each, train_mix
from gap.models.layer_states import count_layers
from gap.models.own_networks import WordVectorsConfig, WordVectorsModel
from gap.models.regression import load_regression
from gap.models.serving import TextReader
from gap.models.workload import Workload
from gap.report.extraction import PETERS, extraction
from gap.report.probes import probes
from gap.report.sections import Table
from gap.results.findings import Findings
from gap.results.predictions import read_predictions
from gap.results.probes import ProbeRow, probe_rows
from gap.results.reading import ReadingRecipe, extractions
from gap.results.records import RunLayers
from gap.results.rows import AccuracyRow, GapRow
from gap.results.tables import read_rows
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.recipes import LogisticRegression
from safetensors.numpy import load_file
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression as Solver
from table_rows import row_of
from tiny_training import (
    family_for,
    folders_at,
    make_data,
    make_recipes,
    run_prediction,
    run_training,
)

SETTINGS = LogisticRegression(standardise=True, inverse_regularisation=0.1, max_iterations=1000)
FITTED = {"inverse_regularisation": 0.1}
PLAIN = SETTINGS.model_copy(update={"standardise": False})


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("layers"), tiny_bert)


@pytest.fixture(scope="module")
def recipes():
    return make_recipes()


def scores_of(folder):
    return {block.seed: block.scores for block in read_predictions(folder / "predictions.parquet")}


def planted(rows=300, layers=4, width=6, telling=2, labels=3, seed=0):
    """Return features (rows, layers * width) of which one layer alone tells the labels (rows,)."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, labels, rows).astype(np.int32)
    states = random.normal(size=(rows, layers, width))
    states[:, telling, :labels] += 1.5 * np.eye(labels)[truth]
    return states.reshape(rows, -1).astype(np.float32), truth


# ---------------------------------------------------------------- the states of all layers


@pytest.mark.parametrize("pooling", ["mean", "max", "first"])
def test_features_are_the_pooled_states_of_each_layer(data, tiny_bert, pooling):
    encoder = load_encoder(tiny_bert).eval()
    assert count_layers(encoder) == 3
    texts = family_for(data, {"family": "frozen", "checkpoint": "tiny"}).job.encoded("test", 0)
    rows = np.arange(7)
    everything = features(encoder, texts, rows, pooling, every_layer=True)
    for row in rows:
        with torch.no_grad():
            batch = pad([texts[row]], texts.pad_id)
            layers = encoder(**batch, output_hidden_states=True).hidden_states
        states = torch.stack([layer[0] for layer in layers])  # (layers, tokens, width)
        pooled = {"mean": states.mean(1), "max": states.amax(1), "first": states[:, 0]}[pooling]
        np.testing.assert_allclose(everything[row], pooled.flatten(), atol=1e-5)
    last = features(encoder, texts, rows, pooling)
    np.testing.assert_array_equal(everything[:, -last.shape[1] :], last)


def test_vectors_of_tokens_have_one_layer(data):
    encoder = WordVectorsModel(WordVectorsConfig(100, 8))
    texts = family_for(data, {"family": "frozen", "checkpoint": "tiny"}).job.encoded("test", 0)
    with pytest.raises(UserError, match="layers: gap-word-vectors has one layer of states, so th"):
        features(encoder, texts, np.arange(3), "mean", every_layer=True)
    with pytest.raises(UserError, match="set layers to last"):
        count_layers(encoder)


# ---------------------------------------------------------------- the mix


@pytest.mark.parametrize("labels", [2, 3])
def test_the_gradient_of_the_mix_is_that_of_its_loss(labels):
    states, truth = planted(rows=40, labels=labels)
    stacked = states.reshape(40, 4, 6).swapaxes(0, 1).astype(np.float64)
    outputs = 1 if labels == 2 else labels
    problem = _Mixture(stacked, truth, outputs, 3.0)
    random = np.random.default_rng(1)
    for _ in range(3):
        point = random.normal(size=outputs * 7 + 4)
        wrong = check_grad(lambda x: problem.loss(x)[0], lambda x: problem.loss(x)[1], point)
        assert wrong < 1e-4


@pytest.mark.parametrize("labels", [2, 3])
def test_a_mix_of_one_layer_is_the_regression_of_scikit_learn(labels):
    states, truth = planted(layers=1, telling=0, labels=labels)
    mix, shares = fit_mix(states[None], truth, PLAIN, labels)
    assert shares.tolist() == [1.0]
    solver = Solver(C=0.1).fit(states, truth)
    ours = states @ mix[:, :-1].T + mix[:, -1]
    probabilities = np.exp(ours) / np.exp(ours).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, solver.predict_proba(states), atol=2e-3)


@pytest.mark.parametrize("settings", [SETTINGS, PLAIN])
@pytest.mark.parametrize("labels", [2, 3])
def test_the_layer_that_tells_has_the_largest_share(tmp_path, settings, labels):
    training, validation = planted(labels=labels), planted(labels=labels, seed=1)
    both = (training[0], validation[0]), (training[1], validation[1])
    said = train_mix(*both, settings, labels, 4, tmp_path)
    shares = read_json(tmp_path / SHARES)["shares"]
    assert sum(shares) == pytest.approx(1)
    assert max(range(4), key=shares.__getitem__) == 2
    assert shares[2] > 0.6
    # What is saved is all that scoring needs, and what was said of it holds.
    scores = load_regression(tmp_path)(validation[0])
    assert (scores.argmax(1) == validation[1]).mean() == pytest.approx(said["accuracy"])
    assert said["loss"] == pytest.approx(-scores[np.arange(300), validation[1]].mean(), abs=1e-4)
    last = Solver(C=0.1).fit(training[0][:, -6:], training[1])
    assert said["accuracy"] > last.score(validation[0][:, -6:], validation[1]) + 0.2


def test_a_label_that_training_never_showed_is_never_said(tmp_path):
    training, validation = planted(labels=2), planted(labels=2, seed=1)
    both = (training[0], validation[0]), (training[1], validation[1])
    train_mix(*both, SETTINGS, 4, 4, tmp_path)
    scores = load_regression(tmp_path)(validation[0])
    assert set(scores.argmax(1)) <= {0, 1}
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
    single = (training[0], validation[0]), (np.zeros(300, np.int32), validation[1])
    train_mix(*single, SETTINGS, 4, 4, tmp_path)
    assert set(load_regression(tmp_path)(validation[0]).argmax(1)) == {0}


# ---------------------------------------------------------------- each layer


def test_each_layer_has_its_own_regression_and_the_best_one_scores(tmp_path):
    training, validation = planted(), planted(seed=1)
    both = (training[0], validation[0]), (training[1], validation[1])
    said = train_each(*both, SETTINGS, 3, 4, tmp_path)
    heads = load_file(tmp_path / HEADS)
    right = []
    for layer in range(4):
        part = slice(6 * layer, 6 * layer + 6)
        scaled = (training[0] - training[0].mean(0)) / training[0].std(0)
        solver = Solver(C=0.1).fit(scaled[:, part], training[1])
        other = ((validation[0] - training[0].mean(0)) / training[0].std(0))[:, part]
        right.append(solver.score(other, validation[1]))
        ours = validation[0][:, part] @ heads["weights"][layer].T + heads["bias"][layer]
        assert (ours.argmax(1) == validation[1]).mean() == pytest.approx(right[-1], abs=0.01)
    assert max(range(4), key=right.__getitem__) == 2
    scores = load_regression(tmp_path)(validation[0])
    assert (scores.argmax(1) == validation[1]).mean() == pytest.approx(said["accuracy"])
    assert said["accuracy"] == pytest.approx(right[2], abs=0.01)


def test_predictions_tell_what_each_layer_came_to(data, recipes, tmp_path):
    run_training(data, recipes["each"], tmp_path)
    run_prediction(data, recipes["each"], tmp_path)
    layers = read_json(tmp_path / "predictions.json")["layers"]
    assert (layers["model"], layers["n"]) == ("model", 80)
    assert list(layers["accuracies"]) == ["1", "2"]
    assert {len(shares) for shares in layers["accuracies"].values()} == {3}
    labels = np.arange(60) % 2
    for seed, scores in scores_of(tmp_path).items():
        accuracy = (scores.argmax(1) == labels).mean()
        assert accuracy in layers["accuracies"][str(seed)]
    run_training(data, recipes["mix"], tmp_path / "mix")
    run_prediction(data, recipes["mix"], tmp_path / "mix")
    assert "layers" not in read_json(tmp_path / "mix" / "predictions.json")


# ---------------------------------------------------------------- the states of all tokens


def test_kept_states_are_those_of_the_encoder(data, tiny_bert, tmp_path, monkeypatch):
    """Wherever a text stands in a batch and in its file, and whatever stands beside it."""
    monkeypatch.setattr(kept_states, "PIECE", 7)
    encoder = load_encoder(tiny_bert).eval()
    texts = family_for(data, {"family": "frozen", "checkpoint": "tiny"}).job.encoded("pool", 0)
    rows = np.sort(np.random.default_rng(0).permutation(200)[:30])
    kept = keep_states(encoder, texts, rows, True, tmp_path)
    assert kept.shape == (3, encoder.config.hidden_size)
    np.testing.assert_array_equal(kept.lengths, texts.lengths[rows])
    chosen = rows[[29, 3, 6, 7, 0]]
    batch = pad([kept[place] for place in kept.positions(chosen)], kept.pad_id, tokens=25)
    states = kept.states(batch).float()
    assert states.shape[:2] == (5, 25)
    for row, mask, of_text in zip(chosen, batch["attention_mask"], states, strict=True):
        with torch.no_grad():
            alone = encoder(**pad([texts[row]], texts.pad_id), output_hidden_states=True)
        layers = torch.stack([layer[0] for layer in alone.hidden_states], dim=1)
        torch.testing.assert_close(of_text[mask.bool()], layers, rtol=0.01, atol=0.02)
        assert not of_text[~mask.bool()].any()
    # In bf16, two bytes a number, and nothing else.
    sizes = sum(path.stat().st_size for path in tmp_path.glob("*.npy"))
    numbers = int(texts.lengths[rows].sum()) * 3 * encoder.config.hidden_size
    assert 2 * numbers < sizes < 2 * numbers + 5 * 200


def test_states_are_computed_once(data, recipes, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_states, "PIECE", 30)
    run_training(data, recipes["states-lstm"], tmp_path / "whole")
    write = kept_states._write_piece
    counted: list[int] = []

    def count(function, encoder, texts, chosen, path):
        if len(counted) == 2:
            raise KeyboardInterrupt
        counted.append(len(chosen))
        write(function, encoder, texts, chosen, path)

    for expected in ([30, 30], [20, 30]):
        counted.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(kept_states, "_write_piece", count)
            run_training(data, recipes["states-lstm"], tmp_path / "broken")
        assert counted == expected
    run_training(data, recipes["states-lstm"], tmp_path / "broken")
    assert run_prediction(data, recipes["states-lstm"], tmp_path / "broken") == run_prediction(
        data, recipes["states-lstm"], tmp_path / "whole"
    )


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("name", ["mix", "each", "states-lstm"])
def test_it_is_served_as_it_scores(data, recipes, tiny_bert, name, weights, tmp_path):
    from gap.data.vocabulary import PretrainedVocabulary
    from pyarrow import parquet

    recipe = recipes[name] | {"weights": weights}
    run_training(data, recipe, tmp_path)
    run_prediction(data, recipe, tmp_path)
    scores = scores_of(tmp_path)
    texts = parquet.read_table(data / "test.parquet")["text"].to_pylist()
    reader = TextReader(PretrainedVocabulary(tiny_bert), 32, "head")
    family = family_for(data, recipe)
    for seed in (1, 2):
        served = family.serve(tmp_path / "weights" / str(seed), reader)
        np.testing.assert_allclose(served(texts), scores[seed], atol=2e-3)
        assert 0 < served.trained_parameters < served.parameters
    assert np.abs(scores[1] - scores[2]).max() > 1e-3


def test_an_lstm_on_states_learns(data, tmp_path):
    """More than the loss of guessing; the encoder is random, but its states tell of the words."""
    recipe = make_recipes(max_epochs=12, min_steps=100)["states-lstm"] | {"dropout": 0.0}
    run_training(data, recipe, tmp_path)
    run_prediction(data, recipe, tmp_path)
    labels = np.arange(60) % 2
    for scores in scores_of(tmp_path).values():
        assert -scores[np.arange(60), labels].mean() < 0.5


def test_what_a_training_keeps_is_what_was_estimated(data, recipes, tmp_path):
    for name in ("mix", "states-lstm"):
        plain = recipes[name] | ({} if name == "states-lstm" else {"optimisation": FITTED})
        family = family_for(data, plain)
        subsample = next(read_subsamples(data / "subsample.parquet"))
        folders = folders_at(tmp_path / name)
        family.train(family.recipe, subsample, folders)
        kept = sum(path.stat().st_size for path in folders.shared.glob("*.npy"))
        texts = family.job.encoded("pool", 0)
        encoder = load_encoder(family.job.checkpoint).config
        chosen = np.concatenate([subsample.training_rows, subsample.validation_rows])
        shape = Workload(0).encoder.of(encoder.to_dict())
        workload = Workload(
            tokens=float(texts.lengths[texts.positions(chosen)].mean()),
            rows=len(subsample.training_rows),
            validation=len(subsample.validation_rows),
            encoder=shape,
        )
        assert family.work_bytes(workload) == pytest.approx(kept, rel=0.02)


# ---------------------------------------------------------------- the config


def test_the_head_chooses_the_family():
    entry = {"family": "frozen", "checkpoint": "tiny"}
    assert isinstance(load_recipe(entry), frozen.Recipe)
    assert load_recipe(entry | {"head": "linear"}) == load_recipe(entry)
    with_lstm = load_recipe(entry | {"head": "lstm", "layers": "mix"})
    assert isinstance(with_lstm, frozen_lstm.Recipe)
    assert with_lstm == load_recipe(
        {"family": "frozen_lstm", "checkpoint": "tiny", "layers": "mix"}
    )
    assert load_recipe(with_lstm.deciding()) == with_lstm


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"layers": "mix"}, "a weighted sum of the states of all layers"),
        ({"layers": "each"}, "the layer that validation chose"),
        ({"head": "lstm"}, "LSTM, 1 layer of 128 units, on the states of tiny, which is not tr"),
        ({"head": "lstm", "layers": "mix"}, "on a weighted sum of all layers of tiny"),
        ({"head": "lstm", "weights": "random"}, "the architecture of tiny with random weights"),
    ],
)
def test_the_methods_say_so(entry, words):
    recipe = load_recipe({"family": "frozen", "checkpoint": "tiny"} | entry)
    assert words in family_of(recipe).describe()


# ---------------------------------------------------------------- the report


RUNS: list[RunLayers] = [
    {"dataset": "one", "model": "m", "size": "9", "n": 9, "accuracies": {"1": [0.5, 0.75, 0.5]}},
    {"dataset": "one", "model": "m", "size": "9", "n": 9, "accuracies": {"2": [0.5, 0.25, 0.7]}},
    {"dataset": "one", "model": "m", "size": "4", "n": 4, "accuracies": {"1": [0.5, 0.5, 0.4]}},
]


def test_the_table_and_the_chart_of_layers(tmp_path):
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path, run in zip(paths, RUNS, strict=True):
        write_json(path, {"seeds": [1], "sha256": "", "layers": run})
    recipe = {"reference": "m", "margin": 1, "confidence": 0.95, "titles": {"m": "Mixed <m>"}}
    outputs = {name: tmp_path / f"layers.{name}" for name in ("html", "svg", "png", "spec")}
    options = [f"--{name}={path}" for name, path in outputs.items()]
    table = tmp_path / "probes.csv"
    chart_layers.main(
        ["--recipe", json.dumps(recipe), f"--table={table}", *options, *map(str, paths)]
    )
    rows = read_rows(table, ProbeRow)
    assert [(row.n, row.layer, row.seeds, row.accuracy) for row in rows] == [
        *[(4, 0, 1, 50.0), (4, 1, 1, 50.0), (4, 2, 1, 40.0)],
        *[(9, 0, 2, 50.0), (9, 1, 2, 50.0), (9, 2, 2, 60.0)],
    ]
    assert (rows[4].accuracy_lowest, rows[4].accuracy_highest) == (25.0, 75.0)
    assert outputs["png"].stat().st_size > 5000
    drawn = outputs["svg"].read_text()
    assert "Where does the task lie?" in drawn
    assert "Mixed &lt;m&gt;" in drawn
    assert "9 labels" in drawn


def test_the_section_names_the_best_layer():
    recipe = ReadingRecipe(reference="m", margin=1, confidence=0.95)
    accuracies = [row_of(AccuracyRow, dataset="one", model="m")]
    section = probes(Findings(recipe, accuracies, probes=probe_rows(RUNS)))
    assert section is not None
    (table,) = [part for part in section.parts if isinstance(part, Table)]
    assert [row[1:] for row in table.rows] == [
        ["9", "2", "2 of 2", "60.0", "60.0", "50.0"],
        ["4", "1", "0 of 2", "50.0", "40.0", "50.0"],
    ]
    assert probes(Findings(recipe, [])) is None


ZOO = {
    "tuned": load_recipe({"family": "transformer", "checkpoint": "a"}),
    "again": load_recipe({"family": "transformer", "checkpoint": "a"}),
    "other": load_recipe({"family": "frozen", "checkpoint": "b"}),
    "mixed": load_recipe({"family": "frozen", "checkpoint": "a", "layers": "mix"}),
    "random": load_recipe({"family": "frozen", "checkpoint": "a", "weights": "random"}),
    "lstm": load_recipe({"family": "frozen_lstm", "checkpoint": "a"}),
    "words": load_recipe({"family": "linear"}),
}


def test_features_are_compared_with_the_model_that_fine_tunes_their_checkpoint():
    assert extractions(ZOO, list(ZOO)) == {"mixed": "tuned", "lstm": "tuned"}
    assert extractions(ZOO, ["mixed", "other", "words"]) == {}


def findings_of(reference, model, *gaps):
    """Findings of gaps of (n, gap, difference); intervals reach one point to each side."""
    rows = [
        row_of(
            GapRow,
            dataset="one",
            model=model,
            reference=reference,
            size=str(n),
            n=n,
            gap=gap,
            gap_low=gap - 1,
            gap_high=gap + 1,
            difference=difference,
        )
        for n, gap, difference in gaps
    ]
    recipe = ReadingRecipe(
        reference=reference,
        margin=1,
        confidence=0.95,
        titles={"mixed": "Mix", "tuned": "Tuned"},
        extractions={"mixed": "tuned"},
    )
    return Findings(recipe, [], gaps=rows)


def test_the_verdict_says_which_is_better_with_how_many_labels():
    gaps = [(100, -4.0, "clear"), (1000, 0.0, "none"), (9000, 3.0, "clear")]
    text, others = extraction(findings_of("tuned", "mixed", *gaps), "one")
    assert text == (
        "Mix takes features of the checkpoint that Tuned fine-tunes; with 100 labels the model is "
        "4.0 points (95 % interval 3.0 to 5.0) ahead of Tuned; with 9,000 labels the model is 3.0 "
        "points (95 % interval 2.0 to 4.0) behind Tuned; with 1,000 labels the model is within 1 "
        "point of Tuned."
    )
    assert others == PETERS
    # The same where features are the reference.
    turned = [(n, -gap, difference) for n, gap, difference in gaps]
    assert extraction(findings_of("mixed", "tuned", *turned), "one")[0] == text
    assert extraction(findings_of("words", "mixed", *gaps), "one") == []
