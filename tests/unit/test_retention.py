"""What keeps a fine-tuned network near its start: mix-review, and decay towards the start."""

import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gap.config.check import check, complete
from gap.data.sampling import read_subsamples
from gap.models import training
from gap.models.batching import Part
from gap.models.encoder import load_classifier, load_trained_classifier
from gap.models.family import Job, family_of, load_recipe
from gap.models.pretraining.masked_lm import masked_lm_over
from gap.models.pretraining.networks import open_blocks
from gap.models.retention import GradualUnfreezing, LayerDecay, Pace, Review, StayNear, depths_of
from gap.models.workload import Workload
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study.recipes import FineTuning
from gap.study.recipes import Review as Settings
from gap.study.tuning import trial
from tiny_pretraining import own_checkpoint
from tiny_training import folders_at, fp32_only, make_data
from transformers import TrainerState

STEPS = {"lr": 0.005, "batch_size": 8, "max_epochs": 2, "min_steps": 24, "evaluations": 4}
MIX = {"ratio": 1.5, "decay": 0.5, "weight": 1.0}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder of a checkpoint that was pretrained on made-up sentences."""
    return own_checkpoint(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def data(tmp_path_factory, own):
    """What training reads, encoded by that checkpoint's tokenizer."""
    return make_data(tmp_path_factory.mktemp("data"), own / "files")


def fine_tune(data, own, state, **optimisation):
    """Return what validation said, and the bytes and the folder of the weights of seed 1."""
    settings = STEPS | {"patience": 4, "warmup": 0.1} | optimisation
    recipe = {"family": "transformer", "checkpoint": "own", "optimisation": settings}
    job = Job(["neg", "pos"], data / "tiny" / "texts", None, own / "files", own / "ids")
    family = family_of(load_recipe(recipe), job)
    subsample, folders = next(read_subsamples(data / "subsample.parquet")), folders_at(state)
    history = family.train(trial(family.recipe, 1).recipe, subsample, folders)
    return history, (folders.weights / "model.safetensors").read_bytes(), folders.weights


def held_out_loss(own, weights):
    """Return the mean loss on the held-out blocks, in nats, of the body of a trained classifier."""
    blocks = open_blocks(own / "files", own / "ids", "held-out")
    model = masked_lm_over(load_trained_classifier(weights), own / "files")
    return blocks.judge(model, np.arange(len(blocks)))[0] / (len(blocks) * blocks.targets)


def test_both_models_have_the_same_body_and_only_that_is_trained(own):
    classifier = load_classifier(own / "files", ["neg", "pos"])
    model = masked_lm_over(classifier, own / "files")
    assert model.base_model is classifier.base_model
    embeddings = classifier.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is embeddings
    trained = {id(weight) for weight in model.parameters() if weight.requires_grad}
    assert trained <= {id(weight) for weight in classifier.parameters()}
    blocks = open_blocks(own / "files", own / "ids", "held-out")
    before = blocks.judge(model, np.arange(len(blocks)))
    ids = torch.tensor([[5, 6, 7]])
    # The classifier, which passes no places, gets the states of all tokens.
    assert classifier(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.shape == (1, 2)
    with torch.no_grad():
        embeddings.mul_(0.5)
    assert blocks.judge(model, np.arange(len(blocks))) != before


def test_it_judges_as_the_pretraining_did(own):
    recorded = read_json(own / "origin.json")["pretraining"]["evaluations"]
    best = min(evaluation["loss"] for evaluation in recorded)
    blocks = open_blocks(own / "files", own / "ids", "held-out")
    model = masked_lm_over(load_classifier(own / "files", ["neg", "pos"]), own / "files")
    loss, _ = blocks.judge(model, np.arange(len(blocks)))
    assert loss / (len(blocks) * blocks.targets) == pytest.approx(best, abs=1e-3)


def review_of(own, examples=20, steps=3, **settings):
    """Return a review for so many examples, in so many steps an epoch."""
    classifier = load_classifier(own / "files", ["neg", "pos"])
    blocks = open_blocks(own / "files", own / "ids", "training", seed=1)
    pace = Pace(Settings(**(MIX | settings)), examples, steps)
    return Review(masked_lm_over(classifier, own / "files"), blocks, pace, seed=1)


def whole(number=0):
    return Part(rows=(0,), first=0, whole=8, tokens=4, number=number, in_turn=0, idle=False)


def test_an_epoch_has_its_blocks_spread_over_its_steps(own):
    review = review_of(own)
    epochs = [
        [review.part(whole(), 1, 3 * epoch + step) for step in range(3)] for epoch in range(4)
    ]
    sizes = [[len(part.rows) if part else 0 for part in parts] for parts in epochs]
    # 1.5 blocks for each of 20 examples, then half as many, rounded.
    assert sizes == [[10, 10, 10], [5, 5, 5], [2, 3, 3], [1, 1, 2]]
    chosen = [row for part in epochs[0] for row in part.rows]
    first = review.order_of(0)
    assert chosen == first.tolist()
    assert first.tolist() != review_of(own, decay=0.4).order_of(1).tolist()


def test_no_block_comes_again_before_all_have_come(own):
    review = review_of(own, ratio=10)
    order, count = review.order_of(0), len(review.blocks)
    assert len(order) == 200 > 2 * count
    assert sorted(order[:count]) == sorted(order[count : 2 * count]) == list(range(count))
    assert order[:count].tolist() != order[count : 2 * count].tolist()


def test_parts_of_a_step_are_the_whole_step(own):
    review = review_of(own)
    undivided = review.part(whole(), 1, step=1)
    parts = [review.part(whole(number), 3, step=1) for number in range(3)]
    assert sum((part.rows for part in parts), ()) == undivided.rows
    review.model.eval()
    shares = sum(review.loss(part) for part in parts)
    assert shares.item() == pytest.approx(review.loss(undivided).item(), rel=1e-4)
    idle = [review.part(whole(number), 12, step=1).idle for number in range(12)]
    assert sum(idle) == 2


def test_a_network_that_is_reviewed_with_forgets_less(data, own, tmp_path):
    fast = {"lr": 0.02, "min_steps": 60, "metric": "loss"}
    _, _, plain = fine_tune(data, own, tmp_path / "plain", **fast)
    mix = MIX | {"decay": 1.0}
    _, _, mixed = fine_tune(data, own, tmp_path / "mixed", mix=mix, **fast)
    _, _, stayed = fine_tune(data, own, tmp_path / "stayed", stay=40.0, **fast)
    losses = {path.name: held_out_loss(own, path) for path in (plain, mixed, stayed)}
    assert losses[mixed.name] < losses[plain.name] - 0.1
    assert losses[stayed.name] < losses[plain.name] - 0.1
    # What predicts has no head of the corpus.
    assert load_trained_classifier(mixed).num_labels == 2


def test_a_decay_of_all_that_a_step_did_leaves_the_body_as_it_was(data, own, tmp_path):
    def body(folder, load):
        model = load(folder)
        return {
            name: weight
            for name, weight in model.base_model.named_parameters()
            if "pooler" not in name
        }

    _, _, weights = fine_tune(
        data, own, tmp_path / "stayed", stay=1000.0, lr_schedule="constant_with_warmup", warmup=0.0
    )
    after = body(weights, load_trained_classifier)
    before = body(own / "files", lambda folder: load_classifier(folder, ["neg", "pos"]))
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_lower_layers_learn_at_lower_rates(own):
    classifier = load_classifier(own / "files", ["neg", "pos"])
    decay = LayerDecay(0.5, depths_of(classifier))
    names = {weight: name for name, weight in classifier.named_parameters()}
    everything = list(classifier.parameters())
    groups = [
        {"params": everything[::2], "weight_decay": 0.1, "lr": 0.008},
        {"params": everything[1::2], "weight_decay": 0.0, "lr": 0.008},
    ]
    rates = {
        names[weight]: (group["lr"], group["weight_decay"])
        for group in decay.split(groups)
        for weight in group["params"]
    }
    assert rates.keys() == set(names.values())
    expected = {
        "model.embeddings.tok_embeddings.weight": 0.001,
        "model.layers.0.attn.Wqkv.weight": 0.002,
        "model.layers.1.attn.Wqkv.weight": 0.004,
        "model.final_norm.weight": 0.004,
        "classifier.weight": 0.008,
    }
    assert {name: rates[name][0] for name in expected} == pytest.approx(expected)
    for number, weight in enumerate(everything):
        assert rates[names[weight]][1] == groups[number % 2]["weight_decay"]


def test_a_small_share_leaves_the_lower_layers_where_they_were(data, own, tmp_path):
    def moved(share):
        _, _, weights = fine_tune(data, own, tmp_path / str(share), layer_decay=share)
        tensors = zip(
            load_trained_classifier(weights).base_model.named_parameters(),
            load_classifier(own / "files", ["neg", "pos"]).base_model.parameters(),
            strict=True,
        )
        return {
            name: float((after - before).detach().abs().mean()) for (name, after), before in tensors
        }

    plain, falling = moved(1.0), moved(0.1)
    lowest, highest = "embeddings.tok_embeddings.weight", "layers.1.mlp.Wi.weight"
    assert falling[lowest] < 0.02 * plain[lowest]
    assert falling[highest] > 0.05 * plain[highest]


@pytest.mark.parametrize(
    ("step", "trained"), [(0, [0]), (19, [0]), (20, [0, 1]), (40, [0, 1, 2]), (60, [0, 1, 2, 3])]
)
def test_layers_join_the_head_one_after_the_other(own, step, trained):
    depths = depths_of(load_classifier(own / "files", ["neg", "pos"]))
    unfreezing: Any = GradualUnfreezing(0.6, depths)
    unfreezing.on_step_begin(None, TrainerState(global_step=step, max_steps=100), None)
    assert sorted({depths[weight] for weight in depths if weight.requires_grad}) == trained


def test_what_has_not_joined_stays_as_it_was(data, own, tmp_path):
    # The embeddings would join at the last of all steps, which are 24.
    _, _, weights = fine_tune(data, own, tmp_path / "late", unfreezing=1.0)
    after = dict(load_trained_classifier(weights).base_model.named_parameters())
    before = dict(load_classifier(own / "files", ["neg", "pos"]).base_model.named_parameters())
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert "layers.1.mlp.Wi.weight" in changed
    assert "embeddings.tok_embeddings.weight" not in changed


def test_a_decay_towards_the_start_goes_by_the_rate_of_each_layer():
    low, high = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    stay: Any = StayNear([low, high], strength=10.0)
    with torch.no_grad():
        low.add_(1.0)
        high.add_(1.0)
    groups = [{"params": [high], "lr": 0.05}, {"params": [low], "lr": 0.01}]
    stay.on_optimizer_step(None, None, None, SimpleNamespace(param_groups=groups))
    assert (low.item(), high.item()) == pytest.approx((0.9, 0.5))


@pytest.mark.parametrize(
    "kept", [{"mix": MIX}, {"stay": 20.0}, {"layer_decay": 0.5, "unfreezing": 0.6}]
)
def test_it_goes_on_from_any_step(data, own, kept, tmp_path, monkeypatch):
    never = fine_tune(data, own, tmp_path / "never", **kept)[:2]
    with monkeypatch.context() as patch:
        patch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", -1)
        patch.setattr(training, "rotate_checkpoints", lambda *_: None)
        assert fine_tune(data, own, tmp_path / "always", **kept)[:2] == never
    for step in (1, 7, 17, 24):
        state = tmp_path / f"from-{step}"
        for checkpoint in (tmp_path / "always").glob("checkpoint-*"):
            if int(checkpoint.name.partition("-")[2]) <= step:
                shutil.copytree(checkpoint, state / checkpoint.name)
        assert fine_tune(data, own, state, **kept)[:2] == never, step


def test_a_batch_done_in_turn_is_the_whole_batch_up_to_rounding(data, own, tmp_path):
    with fp32_only():
        first = fine_tune(data, own, tmp_path / "whole", mix=MIX)[0]
        second = fine_tune(data, own, tmp_path / "parts", mix=MIX, device_batch_size=3)[0]
    losses = [[evaluation["loss"] for evaluation in history] for history in (first, second)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_plans_count_the_blocks():
    def operations(**optimisation):
        recipe = {"family": "transformer", "checkpoint": "own"}
        settings = STEPS | {"patience": 4, "warmup": 0.1} | optimisation
        family = family_of(load_recipe(recipe | {"optimisation": settings}))
        return family, family.trial_operations(workload)

    from gap.models.encoder_shape import EncoderShape

    shape = EncoderShape(64, 2, 2, 256, 1000, 128)
    workload = Workload(
        rows=800, validation=100, tokens=128.0, longest=128, labels=2, encoder=shape
    )
    plain, mixed = (
        operations(max_epochs=1, evaluations=1),
        operations(max_epochs=1, evaluations=1, mix={"ratio": 1.0, "decay": 0.5}),
    )
    # A block of 128 tokens for each text of 128 tokens.
    assert mixed[1] == pytest.approx(2 * plain[1], rel=0.1)
    assert mixed[0].step_bytes(workload, 8, 0) == 2 * plain[0].step_bytes(workload, 8, 0)
    assert "mix-review" in mixed[0].describe()
    assert "mix-review" not in plain[0].describe()


def test_settings_that_keep_may_be_tuned():
    settings = FineTuning.model_validate(STEPS | {"patience": 4, "warmup": 0.1})
    assert settings.keeps is None
    assert settings.model_copy(update={"stay": 0.1}).keeps == "stay"
    recipe = load_recipe(
        {
            "family": "transformer",
            "checkpoint": "own",
            "optimisation": {"stay": [0.0, 0.1], "mix": {"weight": [0.1, 0.3]}},
            "trials": 4,
        }
    )
    assert trial(recipe, 3).settings == {"stay": 0.1, "weight": 0.1}
    chosen = trial(recipe, 4).recipe.optimisation
    assert isinstance(chosen, FineTuning)
    assert chosen.mix is not None
    assert chosen.mix.weight == 0.3


def config_with(optimisation, checkpoint, **recipe):
    """Return a config of two models, one of which is fine-tuned so."""
    source = {"kind": "file", "path": "unused"}
    own = {"kind": "pretrained", "corpus": ["films"]}
    bert = {"kind": "hub", "id": "some/bert", "revision": "0" * 40}
    tuned = {"family": "transformer", "checkpoint": checkpoint, "optimisation": optimisation}
    return {
        "datasets": ["films"],
        "models": ["tuned", "tfidf"],
        "reference": "tuned",
        "sizes": [40],
        "seeds": [1],
        "dataset_zoo": {"films": {"source": source, "text": "text", "label": "label"}},
        "checkpoint_zoo": {"own": own, "bert": bert},
        "model_zoo": {"tuned": tuned | recipe, "tfidf": {"family": "linear"}},
    }


@pytest.mark.parametrize(
    ("optimisation", "checkpoint", "weights", "line"),
    [
        (
            {"mix": {}},
            "bert",
            "pretrained",
            "model_zoo.tuned.optimisation.mix: bert was not pretrained by this study, so there is "
            "no corpus to mix in; leave it out, or choose a checkpoint of kind pretrained and "
            "objective masked_lm",
        ),
        (
            {"stay": 0.1},
            "own",
            "random",
            "model_zoo.tuned.optimisation.stay: random weights have nothing to keep; leave it out, "
            "or begin with the checkpoint's weights",
        ),
    ],
)
def test_what_cannot_be_kept(optimisation, checkpoint, weights, line, tmp_path):
    study = complete(config_with(optimisation, checkpoint, weights=weights))
    with pytest.raises(UserError) as error:
        check(study, tmp_path)
    assert str(error.value) == line


def test_what_can_be_kept():
    study = complete(config_with({"mix": {}, "stay": [0, 0.1]}, "own"))
    assert study.model_zoo["tuned"].reviews
    assert not study.model_zoo["tfidf"].reviews
