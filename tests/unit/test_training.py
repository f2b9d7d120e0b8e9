"""Each family trains and predicts through its programs; the same job twice, also when broken off,
ends in the same numbers."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gap.config import check as study
from gap.data.sampling import read_subsamples
from gap.models import inference, training
from gap.models.families import frozen
from gap.models.family import load_recipe
from gap.models.training import ReportProgress, last_whole_checkpoint
from gap.results.predictions import read_predictions
from gap.run.errors import Stopped
from gap.run.json import read_json, write_json
from gap.run.stopping import stop_at_once
from gap.study.recipes import GradientDescent
from gap.study.schedule import schedule
from gap.study.tuning import trial
from tiny_training import (
    family_for,
    folders_at,
    make_data,
    make_recipes,
    run_prediction,
    run_training,
    training_arguments,
)


@pytest.fixture(scope="module")
def recipes():
    return make_recipes()


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    """A folder with everything that training and prediction read."""
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert)


def train_first_seed(data, recipe, state):
    """Return the history and the weights of seed 1; what the training kept stays in `state`."""
    family = family_for(data, recipe)
    subsample, folders = next(read_subsamples(data / "subsample.parquet")), folders_at(state)
    history = family.train(trial(family.recipe, 1).recipe, subsample, folders)
    return history, (folders.weights / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "name", ["fine-tuned", "frozen", "lstm", "lstm-tiny", "tfidf", "composition"]
)
def test_each_family_learns_and_repeats_itself(data, recipes, name, tmp_path):
    predictions = []
    for attempt in ("first", "second"):
        run_training(data, recipes[name], tmp_path / attempt)
        predictions.append(run_prediction(data, recipes[name], tmp_path / attempt))
    assert predictions[0] == predictions[1]
    blocks = list(read_predictions(tmp_path / "first" / "predictions.parquet"))
    assert [block.seed for block in blocks] == [1, 2]
    for block in blocks:
        np.testing.assert_allclose(np.exp(block.scores).sum(1), 1, atol=1e-3)
        assert block.correct.mean() > 0.75
    assert (blocks[0].scores != blocks[1].scores).any()
    report = read_json(tmp_path / "first" / "training.json")
    assert report["n"] == 80
    assert report["seeds"]["1"]["training_rows"] == 60
    assert report["made_with"]["provenance"]["code"] == "0123456789abcdef"
    assert {"numpy", "torch"} <= set(report["made_with"]["packages"])
    assert report["made_with"]["hardware"]["threads"] == 1
    assert not list((tmp_path / "first").rglob("checkpoints"))


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_a_broken_training_goes_on_to_the_same_numbers(data, recipes, name, tmp_path, monkeypatch):
    run_training(data, recipes[name], tmp_path / "whole")
    whole = run_prediction(data, recipes[name], tmp_path / "whole")

    saves = []

    def die(self, args, state, control, **_):
        saves.append(state.global_step)
        if len(saves) == 3:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ReportProgress, "on_save", die)
        with pytest.raises(KilledError):
            run_training(data, recipes[name], tmp_path / "broken")
    assert list((tmp_path / "broken").glob(".state/train/*/1/trial-1/checkpoints/checkpoint-*"))

    with counted_steps(monkeypatch) as counted:
        run_training(data, recipes[name], tmp_path / "broken")
    # Seed 1 repeats the steps since its last saved state; seed 2 takes all of its steps.
    assert 24 < len(counted) < 48
    assert run_prediction(data, recipes[name], tmp_path / "broken") == whole


def test_a_training_broken_in_its_second_trial_goes_on(data, recipes, tmp_path, monkeypatch):
    settings = recipes["lstm"]["optimisation"] | {"lr": [0.0001, 0.02]}
    tuned = recipes["lstm"] | {"optimisation": settings, "trials": 2}
    run_training(data, tuned, tmp_path / "whole")
    saves = []

    def die(self, args, state, control, **_):
        saves.append(state.global_step)
        if len(saves) == 6:
            raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(ReportProgress, "on_save", die)
        run_training(data, tuned, tmp_path / "broken")
    with counted_steps(monkeypatch) as counted:
        run_training(data, tuned, tmp_path / "broken")
    # What is left: the second half of seed 1's second trial, and both trials of seed 2.
    assert len(counted) == 12 + 2 * 24
    predicted = [run_prediction(data, tuned, tmp_path / name) for name in ("whole", "broken")]
    assert predicted[0] == predicted[1]
    # The better trial is what a recipe with its value alone comes to.
    report = read_json(tmp_path / "broken" / "training.json")["seeds"]["1"]
    assert report["chosen"] == 2
    assert [trial["settings"] for trial in report["trials"]] == [{"lr": 0.0001}, {"lr": 0.02}]
    assert report["trials"][0]["loss"] > report["trials"][1]["loss"]
    run_training(data, recipes["lstm"], tmp_path / "alone")
    alone = read_json(tmp_path / "alone" / "training.json")["seeds"]["1"]
    assert alone["sha256"] == report["sha256"]
    assert alone["trials"][0]["evaluations"] == report["trials"][1]["evaluations"]


class counted_steps:  # noqa: N801 - reads as a function
    """A context whose value is a list that gets an item per step of any training."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def __enter__(self):
        counted: list[int] = []
        self.monkeypatch.setattr(
            ReportProgress, "on_step_end", lambda self, args, state, *_, **__: counted.append(1)
        )
        return counted

    def __exit__(self, *_):
        self.monkeypatch.undo()


# With a patience of 1 the training ends before its last step.
@pytest.mark.parametrize(
    ("name", "optimisation"),
    [("fine-tuned", {}), ("lstm", {}), ("lstm", {"patience": 1, "evaluations": 12})],
)
def test_it_goes_on_from_any_step_in_any_place(data, name, optimisation, tmp_path, monkeypatch):
    recipe = make_recipes(**optimisation)[name]
    never = train_first_seed(data, recipe, tmp_path / "never")
    with monkeypatch.context() as patch:
        patch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", -1)
        patch.setattr(training, "rotate_checkpoints", lambda *_: None)
        always = train_first_seed(data, recipe, tmp_path / "always")
    assert always == never
    steps = len(list((tmp_path / "always").iterdir()))
    assert steps == 24 if not optimisation else 3 < steps < 24

    (tmp_path / "always").rename(tmp_path / "moved")
    for step in range(1, steps + 1):
        newest = tmp_path / "moved" / f"checkpoint-{step}"
        best = read_json(newest / "trainer_state.json")["best_global_step"]
        for kept in {step, best} - {None}:
            copy = tmp_path / f"from-{step}" / f"checkpoint-{kept}"
            shutil.copytree(tmp_path / "moved" / f"checkpoint-{kept}", copy)
        assert train_first_seed(data, recipe, tmp_path / f"from-{step}") == never, step


def test_only_the_best_and_the_newest_checkpoint_stay(data, recipes, tmp_path, monkeypatch):
    seen = []

    def look(self, args, state, control, **_):
        names = {path.name for path in (tmp_path / "state").iterdir()}
        seen.append(
            names == {f"checkpoint-{s}" for s in (state.global_step, state.best_global_step)}
        )

    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr(ReportProgress, "on_save", look)
    train_first_seed(data, recipes["lstm"], tmp_path / "state")
    # Before the first evaluation none is the best.
    assert seen[5:] == [True] * 19


def test_a_checkpoint_that_is_not_whole_does_not_count(data, recipes, tmp_path, monkeypatch):
    whole = train_first_seed(data, recipes["lstm"], tmp_path / "whole")

    class Cut(training.KeepCheckpoints):
        """Killed while the second checkpoint is on its way to the disk."""

        def on_save(self, args, state, control, **_):
            if state.global_step == 12:
                (tmp_path / "cut" / "checkpoint-12" / "model.safetensors").write_bytes(b"")
                raise KilledError
            super().on_save(args, state, control)

    with monkeypatch.context() as patch:
        patch.setattr(training, "KeepCheckpoints", Cut)
        with pytest.raises(KilledError):
            train_first_seed(data, recipes["lstm"], tmp_path / "cut")
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {
        "checkpoint-6",
        "checkpoint-12",
    }
    assert last_whole_checkpoint(tmp_path / "cut") == tmp_path / "cut" / "checkpoint-6"
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["checkpoint-6"]
    assert train_first_seed(data, recipes["lstm"], tmp_path / "cut") == whole
    assert last_whole_checkpoint(tmp_path / "nothing") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_at_once(data, recipes, number, tmp_path, monkeypatch):
    whole = train_first_seed(data, recipes["lstm"], tmp_path / "whole")

    def ask(self, args, state, control, **_):
        if state.global_step == 9:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(ReportProgress, "on_step_begin", ask)
        with pytest.raises(Stopped, match="seed 1, step 10 of 24, checkpoint saved"):
            train_first_seed(data, recipes["lstm"], tmp_path / "asked")
    assert last_whole_checkpoint(tmp_path / "asked") == tmp_path / "asked" / "checkpoint-10"
    with counted_steps(monkeypatch) as counted:
        assert train_first_seed(data, recipes["lstm"], tmp_path / "asked") == whole
    assert len(counted) == 14


def test_elsewhere_it_stops_where_it_is():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGTERM"), stop_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("went on")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_validation_does_not_depend_on_its_batches(data, recipes, name, tmp_path, monkeypatch):
    usual = train_first_seed(data, recipes[name], tmp_path / "usual")
    # Batches of some texts each, then of one text.
    for tokens in (60, 1):
        monkeypatch.setattr(inference, "BATCH_TOKENS", tokens)
        history, weights = train_first_seed(data, recipes[name], tmp_path / f"{tokens}")
        assert weights == usual[1]
        for found, expected in zip(history, usual[0], strict=True):
            assert found["accuracy"] == expected["accuracy"]
            assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_no_step_waits_for_the_device(data, recipes, name, tmp_path, monkeypatch):
    stepping, reads = [], []
    monkeypatch.setattr(ReportProgress, "on_step_begin", lambda *_, **__: stepping.append(1))
    monkeypatch.setattr(ReportProgress, "on_step_end", lambda *_, **__: stepping.clear())

    def watched(own):
        def read(tensor, *arguments, **options):
            if stepping:
                reads.append(Path(sys._getframe(1).f_code.co_filename).name)
            return own(tensor, *arguments, **options)

        return read

    for method in ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(torch.Tensor, method, watched(getattr(torch.Tensor, method)))
    train_first_seed(data, recipes[name], tmp_path / "state")
    # transformers looks, before it computes anything, whether there is padding.
    assert set(reads) == ({"masking_utils.py"} if name == "fine-tuned" else set())


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_what_is_nearly_zero_does_not_slow_it(data, recipes, name, tmp_path, monkeypatch):
    """Backward computations take such numbers for zero, in training only."""
    products: list[float] = []

    def product(gradient):
        products.append(float(torch.tensor(1e-30) * torch.tensor(1e-10)))

    build = type(family_for(data, recipes[name])).build

    def observed(self, recipe, texts, seed):
        model = build(self, recipe, texts, seed)
        next(model.parameters()).register_hook(product)
        return model

    monkeypatch.setattr(type(family_for(data, recipes[name])), "build", observed)
    train_first_seed(data, recipes[name], tmp_path / "state")
    assert set(products) == {0.0}
    product(None)
    assert products[-1] == pytest.approx(1e-40)


def test_features_are_computed_once(data, recipes, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "PIECE", 30)
    run_training(data, recipes["frozen"], tmp_path / "whole")
    compute = frozen.Model.states
    rows: list[int] = []

    def counted(self, texts, some, seed):
        if len(rows) == 2:
            raise KilledError
        rows.append(len(some))
        return compute(self, texts, some, seed)

    for _ in range(2):
        rows.clear()
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(frozen.Model, "states", counted)
            run_training(data, recipes["frozen"], tmp_path / "broken")
    # The second call of seed 1 had its last piece to do, then the first of seed 2.
    assert rows == [20, 30]
    run_training(data, recipes["frozen"], tmp_path / "broken")
    assert run_prediction(data, recipes["frozen"], tmp_path / "broken") == run_prediction(
        data, recipes["frozen"], tmp_path / "whole"
    )


@contextlib.contextmanager
def counted_states(monkeypatch):
    """Give a list that gets the number of texts whenever states are computed."""
    counted: list[int] = []
    compute = frozen.Model.states

    def count(self, texts, rows, seed):
        counted.append(len(rows))
        return compute(self, texts, rows, seed)

    with monkeypatch.context() as patch:
        patch.setattr(frozen.Model, "states", count)
        yield counted


def test_seeds_that_have_the_whole_pool_share_its_states(tiny_bert, recipes, tmp_path, monkeypatch):
    folders = [tmp_path / "both", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    data = make_data(folders[0], tiny_bert, pool=60, size=60, seeds="1-2")
    alone = make_data(folders[1], tiny_bert, pool=60, size=60, seeds="2")
    with counted_states(monkeypatch) as counted:
        run_training(data, recipes["frozen"], tmp_path / "a")
    assert counted == [60]
    run_training(alone, recipes["frozen"], tmp_path / "b")
    together, single = (
        read_json(tmp_path / name / "training.json")["seeds"]["2"]["sha256"] for name in "ab"
    )
    assert together == single


def test_predictions_of_all_sizes_share_the_states_of_the_test_texts(
    tiny_bert, recipes, tmp_path, monkeypatch
):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, size in (("few", 40), ("many", 80)):
        data = make_data(folder, tiny_bert, size=size)
        run_training(data, recipes["frozen"], tmp_path / name)
    with counted_states(monkeypatch) as counted:
        predicted = [
            run_prediction(data, recipes["frozen"], tmp_path / name) for name in ("few", "many")
        ]
    assert counted == [60]
    assert predicted[0] != predicted[1]
    for state in (data / "tiny" / ".state", tmp_path / "many" / ".state"):
        shutil.rmtree(state)
    assert run_prediction(data, recipes["frozen"], tmp_path / "many") == predicted[1]


def test_a_finished_training_is_not_done_again(data, recipes, tmp_path):
    run_training(data, recipes["lstm"], tmp_path)
    report = (tmp_path / "training.json").read_bytes()
    shutil.rmtree(tmp_path / "weights")
    (tmp_path / "training.json").unlink()
    program = "import sys, train; train.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", program, *training_arguments(data, recipes["lstm"], tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": "scripts"}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "training.json").read_bytes() == report
    assert (tmp_path / "weights" / "2" / "model.safetensors").exists()


def test_weights_that_were_damaged_are_trained_again(data, recipes, tmp_path, monkeypatch):
    run_training(data, recipes["lstm"], tmp_path)
    weights = tmp_path / "weights" / "1" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    with counted_steps(monkeypatch) as counted:
        run_training(data, recipes["lstm"], tmp_path)
    assert len(counted) == 24
    assert weights.read_bytes() == whole


def change_recipe(data, recipe):
    return recipe | {"optimisation": recipe["optimisation"] | {"lr": 0.005}}


def change_ids(data, recipe):
    manifest = data / "fitted" / "texts" / "2" / "pool.json"
    write_json(manifest, read_json(manifest) | {"sha256": "another"})
    return recipe


@pytest.mark.parametrize("change", [change_recipe, change_ids])
def test_the_state_of_another_training_is_not_used(data, recipes, change, tmp_path, monkeypatch):
    data = shutil.copytree(data, tmp_path / "data")
    run_training(data, recipes["lstm"], tmp_path / "run")
    recipe = change(data, recipes["lstm"])
    with counted_steps(monkeypatch) as counted:
        run_training(data, recipe, tmp_path / "run")
    assert len(counted) == 48
    assert len(list((tmp_path / "run" / ".state" / "train").iterdir())) == 1


def test_the_schedule_is_one_rule_for_every_size():
    steps = {"batch_size": 32, "max_epochs": 3, "min_steps": 100, "evaluations": 5}
    settings = GradientDescent.model_validate(steps | {"lr": 0.1, "warmup": 0, "patience": 1})
    assert schedule(200, settings) == (100, 20)
    assert schedule(3200, settings) == (300, 60)
    assert schedule(320_000, settings) == (30_000, 6_000)


def test_shipped_recipes_have_all_that_training_reads(recipes):
    with open("config.yaml", encoding="utf-8") as file:
        config = yaml.safe_load(file)
    study.complete(config)
    for name, recipe in config["model_zoo"].items():
        loaded = load_recipe(recipe)
        keys = set(recipe["optimisation"])
        peers = [peer for peer in recipes.values() if load_recipe(peer).family == loaded.family]
        assert peers, name
        assert all(keys == set(peer["optimisation"]) for peer in peers), name
