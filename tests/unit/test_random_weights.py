"""`weights: random`: a checkpoint's architecture and tokenizer without its pretraining."""

from shutil import copytree

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from gap.config.check import cautions, complete
from gap.data.vocabulary import PretrainedVocabulary
from gap.models import encoder as encoders
from gap.models import weights as weight_files
from gap.models.encoder import load_classifier, load_encoder
from gap.models.families import frozen
from gap.models.family import family_of, load_recipe
from gap.models.frozen_encoder import DRAW
from gap.models.serving import TextReader
from gap.results.predictions import read_predictions
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.prices import Target
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_training import (
    FILLER,
    STEPS,
    WORDS,
    family_for,
    make_data,
    make_recipes,
    run_prediction,
    run_training,
)
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, set_seed

FAMILIES = ("fine-tuned", "frozen")
KINDS = {
    "bert": {"intermediate_size": 64},
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40, "eos_token_id": 3},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    # The weights of the tiny checkpoint are those of seed 1.
    return make_data(tmp_path_factory.mktemp("random"), tiny_bert, seeds="3-4")


@pytest.fixture(scope="module")
def recipes():
    return {name: make_recipes()[name] | {"weights": "random"} for name in FAMILIES}


def scores_of(path):
    return {block.seed: block.scores for block in read_predictions(path)}


def tensors_of(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


# ---------------------------------------------------------------- the config


@pytest.mark.parametrize("family", ["transformer", "frozen"])
def test_what_is_left_out_is_pretrained(family):
    """Older recipes decide what they decided, so nothing is trained again."""
    entry = {"family": family, "checkpoint": "tiny"}
    plain = load_recipe(entry)
    spelled = load_recipe(entry | {"weights": "pretrained"})
    assert "weights" not in plain.deciding()
    assert spelled.deciding() == plain.deciding()
    random = load_recipe(entry | {"weights": "random"})
    assert random.deciding() == plain.deciding() | {"weights": "random"}
    assert load_recipe(random.deciding()) == random
    assert (plain.pretrained, random.pretrained) == ("tiny", None)


def test_the_older_spelling_of_frozen_has_it_too():
    entry = {"family": "transformer", "frozen": True, "checkpoint": "tiny", "weights": "random"}
    assert load_recipe(entry).deciding()["weights"] == "random"


def study_of(reference, *models):
    entries = {
        "pretrained": {"family": "transformer", "checkpoint": "tiny"},
        "random": {"family": "transformer", "checkpoint": "tiny", "weights": "random"},
        "states": {"family": "frozen", "checkpoint": "tiny", "weights": "random"},
        "learned": {"family": "lstm", "checkpoint": "tiny", "embeddings": "learned"},
        "tfidf": {"family": "linear"},
    }
    return complete(
        {
            "datasets": ["one"],
            "models": [reference, *models],
            "reference": reference,
            "sizes": [100],
            "seeds": [1],
            "dataset_zoo": {
                "one": {"source": {"kind": "file", "path": "x"}, "text": "t", "label": "l"}
            },
            "checkpoint_zoo": {"tiny": {"kind": "file", "path": "tiny"}},
            "model_zoo": entries,
        }
    )


def test_a_random_reference_is_told_where_another_is_pretrained():
    (line,) = cautions(study_of("random", "tfidf", "pretrained"))
    assert line.startswith("reference: random does not begin with the weights of tiny, so gaps do")
    assert line.endswith("let pretrained be the reference")
    assert cautions(study_of("learned", "pretrained"))
    assert not cautions(study_of("pretrained", "random", "states"))
    assert not cautions(study_of("random", "states", "tfidf"))
    assert not cautions(study_of("tfidf", "pretrained"))


def test_a_target_that_no_curve_will_tell_of_is_told():
    study = study_of("tfidf", "pretrained")
    assert len(study.sizes) == 1
    target = Target.model_validate({"accuracy": 85.0})
    (line,) = cautions(study.model_copy(update={"target": target}))
    assert line.startswith("target: what it takes is told by curves, which take 3 sizes or more")
    sizes = {"target": target, "sizes": ["100", "200", "300"]}
    assert not cautions(study.model_copy(update=sizes))


def test_the_methods_say_so():
    for family in ("transformer", "frozen"):
        recipe = load_recipe({"family": family, "checkpoint": "tiny", "weights": "random"})
        text = family_of(recipe).describe()
        assert "the architecture" in text
        assert "random weights" in text
        assert "fine-tuned" not in text


# ---------------------------------------------------------------- drawing


def mean_and_spread(model):
    return {
        name: (weights.mean().item(), weights.std().item())
        for name, weights in model.named_parameters()
        if weights.numel() > 500
    }


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_drawn_as_the_architecture_draws_them(tmp_path, kind):
    """Its config alone is read: there are no weights in the folder."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, vocab_size=100, **(shape | KINDS[kind]))
    config.save_pretrained(tmp_path)
    for auto_class, load in (
        (AutoModelForSequenceClassification, lambda: load_classifier(tmp_path, ["x", "y"], True)),
        (AutoModel, lambda: load_encoder(tmp_path, True)),
    ):
        set_seed(5)
        drawn = load()
        set_seed(5)
        again = load()
        set_seed(6)
        other = load()
        model = auto_class.from_config(config)
        whole = model.get_encoder() if kind == "t5" and auto_class is AutoModel else model
        expected = mean_and_spread(whole)
        assert drawn.dtype == torch.float32
        assert not drawn.training
        assert mean_and_spread(drawn).keys() == expected.keys()
        for name, (mean, spread) in mean_and_spread(drawn).items():
            assert mean == pytest.approx(expected[name][0], abs=0.2 * spread + 1e-6)
            assert spread == pytest.approx(expected[name][1], rel=0.2, abs=1e-6)
        assert all(map(torch.equal, drawn.parameters(), again.parameters()))
        assert not all(map(torch.equal, drawn.parameters(), other.parameters()))


def test_the_checkpoints_weights_are_not_read(data, recipes, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(weight_files, "read_tensors", refuse)
    monkeypatch.setattr(encoders, "load_pretrained", refuse)
    for name in FAMILIES:
        run_training(data, recipes[name], tmp_path / name)


# ---------------------------------------------------------------- training and scoring


def test_fine_tuning_begins_anew_for_each_seed(data, tmp_path, tiny_bert):
    """With steps that change nothing, the trained weights are those that were drawn."""
    entry = {"family": "transformer", "checkpoint": "tiny"}
    still = STEPS | {"lr": 1e-30, "weight_decay": 0.0, "min_steps": 1, "max_epochs": 1}
    runs = {}
    for weights in ("pretrained", "random"):
        recipe = entry | {"weights": weights, "optimisation": still}
        run_training(data, recipe, tmp_path / weights)
        for seed in ("3", "4"):
            runs[weights, seed] = tensors_of(tmp_path / weights / "weights" / seed)
    body = "encoder.layer.0.attention.self.query.weight"
    of_checkpoint = tensors_of(tiny_bert)[body]
    assert torch.equal(runs["pretrained", "3"][f"bert.{body}"], of_checkpoint)
    assert torch.equal(runs["pretrained", "4"][f"bert.{body}"], of_checkpoint)
    first, second = (runs["random", seed][f"bert.{body}"] for seed in ("3", "4"))
    for drawn in (first, second):
        # Two independent draws of 32 x 32 numbers; that of a checkpoint correlates with itself.
        pair = torch.stack([drawn.flatten(), of_checkpoint.flatten()])
        assert abs(torch.corrcoef(pair)[0, 1]) < 0.15
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_repeats_itself_and_differs_by_seed(data, recipes, name, tmp_path):
    run_training(data, recipes[name], tmp_path / "first")
    run_training(data, recipes[name], tmp_path / "second")
    first = run_prediction(data, recipes[name], tmp_path / "first")
    assert first == run_prediction(data, recipes[name], tmp_path / "second")
    scores = scores_of(tmp_path / "first" / "predictions.parquet")
    assert np.abs(scores[3] - scores[4]).max() > 1e-4
    plain = {key: value for key, value in recipes[name].items() if key != "weights"}
    run_training(data, plain, tmp_path / "pretrained")
    assert first != run_prediction(data, plain, tmp_path / "pretrained")


def test_a_fine_tuning_shows_what_pretraining_adds(tmp_path, tiny_bert):
    """A body that was trained for the very task needs a few steps; its architecture needs more."""
    (tmp_path / "data").mkdir()
    data = make_data(tmp_path / "data", tiny_bert, pool=400, size=300, seeds="3")
    tuned = {"family": "transformer", "checkpoint": "tiny", "optimisation": STEPS | {"lr": 0.005}}
    run_training(data, tuned, tmp_path / "tuned")
    checkpoint = tmp_path / "checkpoint"
    copytree(tiny_bert, checkpoint)
    body = {
        name.removeprefix("bert."): tensor
        for name, tensor in tensors_of(tmp_path / "tuned" / "weights" / "3").items()
        if name.startswith("bert.")
    }
    save_file(body, checkpoint / "model.safetensors", metadata={"format": "pt"})
    write_json(
        data / "tiny.json", {"files": [{"path": str(path)} for path in checkpoint.iterdir()]}
    )
    losses = {}
    labels = np.arange(60) % 2
    few_steps = STEPS | {"lr": 0.005, "max_epochs": 0.2, "min_steps": 24}
    for weights in ("pretrained", "random"):
        few = tuned | {"weights": weights, "optimisation": few_steps}
        run_training(data, few, tmp_path / weights)
        run_prediction(data, few, tmp_path / weights)
        scores = scores_of(tmp_path / weights / "predictions.parquet")[3]
        losses[weights] = -scores[np.arange(60), labels].mean()
    assert losses["pretrained"] < 0.8 * losses["random"]


def test_a_killed_training_of_states_goes_on(data, recipes, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "PIECE", 30)
    run_training(data, recipes["frozen"], tmp_path / "whole")
    compute = frozen.Model.states
    calls: list[int] = []

    def counted(self, texts, rows, seed):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(seed)
        return compute(self, texts, rows, seed)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(frozen.Model, "states", counted)
        run_training(data, recipes["frozen"], tmp_path / "broken")
    # It was killed between two pieces of seed 4.
    assert calls == [3, 3, 3, 4]
    run_training(data, recipes["frozen"], tmp_path / "broken")
    assert run_prediction(data, recipes["frozen"], tmp_path / "broken") == run_prediction(
        data, recipes["frozen"], tmp_path / "whole"
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_served_as_it_scores(data, recipes, name, tmp_path, tiny_bert):
    run_training(data, recipes[name], tmp_path)
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice([*FILLER, *WORDS["pos"], *WORDS["neg"]], 8)) for _ in range(9)]
    family = family_for(data, recipes[name])
    reader = TextReader(PretrainedVocabulary(tiny_bert), 32, "head")
    served = [family.serve(tmp_path / "weights" / seed, reader)(texts) for seed in ("3", "4", "3")]
    np.testing.assert_allclose(served[0], served[2], atol=1e-6)
    assert np.abs(served[0] - served[1]).max() > 1e-4
    run_prediction(data, recipes[name], tmp_path)
    test = pq.read_table(data / "test.parquet")["text"].to_pylist()
    again = family.serve(tmp_path / "weights" / "4", reader)(test)
    scores = scores_of(tmp_path / "predictions.parquet")[4]
    np.testing.assert_allclose(again, scores, atol=1e-3)


def test_weights_that_are_drawn_otherwise_are_refused(data, recipes, tmp_path):
    """As another version of torch might draw them."""
    run_training(data, recipes["frozen"], tmp_path)
    path = tmp_path / "weights" / "3" / DRAW
    draw = read_json(path)
    assert draw["seed"] == 3
    draw["first_numbers"][-1] += 0.01
    path.unlink()
    write_json(path, draw)
    with pytest.raises(UserError, match="seed 3 draws other random weights here than in the train"):
        run_prediction(data, recipes["frozen"], tmp_path)


def test_each_seed_has_states_of_its_own(data, recipes):
    model = family_for(data, recipes["frozen"], "test")
    assert isinstance(model, frozen.Model)
    texts = model.job.encoded("test", 0)
    first, second, again = (model.states(texts, np.arange(9), seed) for seed in (3, 4, 3))
    assert np.array_equal(first, again)
    assert np.abs(first - second).max() > 0.1
    plain = {key: value for key, value in recipes["frozen"].items() if key != "weights"}
    pretrained = family_for(data, plain, "test")
    assert isinstance(pretrained, frozen.Model)
    states = [pretrained.states(texts, np.arange(9), seed) for seed in (3, 4)]
    assert np.array_equal(states[0], states[1])
    assert np.abs(states[0] - first).max() > 0.1
