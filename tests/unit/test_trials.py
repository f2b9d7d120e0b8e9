"""The trials of a seed: the best one's weights stay, and a job broken anywhere goes on."""

import json
from typing import Any

import numpy as np
import pytest
import train
from gap.data.sampling import Subsample
from gap.models.families.lstm import Model as Lstm
from gap.models.families.lstm import Recipe
from gap.run.errors import UserError

# By lr: validation loss and accuracy at each evaluation.
SAID: dict[float, list[tuple[float | None, float]]] = {
    0.1: [(0.5, 0.7), (0.4, 0.6)],
    0.2: [(0.6, 0.5), (0.3, 0.8)],
    0.3: [(None, 0.5), (None, 0.5)],
    0.4: [(0.3, 0.8), (0.2, 0.7)],
}
ROWS, LABELS = np.arange(4), np.zeros(4, dtype=np.int32)
ONE = Subsample(1, ROWS[:3], LABELS[:3], ROWS[3:], LABELS[3:])


class BrokenError(Exception):
    """Stands for a killed process."""


class StandIn(Lstm):
    """Trains nothing, but leaves files like a family that does."""

    def __init__(self, recipe, folder):
        super().__init__(recipe)
        self.folder = folder
        self.trained: list[float] = []

    def train(self, recipe, subsample, folders):
        lr = recipe.optimisation.lr
        self.trained.append(lr)
        # Other trials have left the weights of the best so far, at most.
        others = [
            path for path in self.folder.glob("trial-*/*") if path.parent != folders.state.parent
        ]
        assert [path.name for path in others] in ([], ["weights"])
        for folder in (folders.shared, folders.state, folders.weights):
            folder.mkdir(parents=True, exist_ok=True)
        (folders.weights / "model.safetensors").write_text(str(lr))
        return [{"loss": loss, "accuracy": accuracy} for loss, accuracy in SAID[lr]]


def recipe(*values, metric="accuracy"):
    settings = {"lr": list(values), "metric": metric}
    keys = {"family": "lstm", "vocabulary": "pieces", "trials": len(values)}
    return Recipe.model_validate(keys | {"optimisation": settings})


def run(folder, recipe, family=None):
    """Return what a training of one seed comes to, without its seconds."""
    # Programs take a family of any recipe; this one is of one recipe.
    family_of_any: Any = family or StandIn(recipe, folder)
    training = train.Training(family_of_any)
    report, weights = train.train_seed(training, ONE, folder)
    timeless = [{k: v for k, v in t.items() if k != "seconds"} for t in report["trials"]]
    return {**report, "trials": timeless}, (weights / "model.safetensors").read_text()


def test_the_lowest_loss_goes_on_at_the_evaluation_that_its_weights_are_from(tmp_path):
    report, weights = run(tmp_path, recipe(0.1, 0.2, 0.3, 0.4))
    assert (report["chosen"], weights) == (2, "0.2")
    # By accuracy, as the metric says; so 0.4 has the weights of its first evaluation: a tie.
    assert [trial["loss"] for trial in report["trials"]] == [0.5, 0.3, None, 0.3]
    assert [trial["accuracy"] for trial in report["trials"]] == [0.7, 0.8, 0.5, 0.8]
    assert report["trials"][1]["settings"] == {"lr": 0.2}
    assert (report["training_rows"], report["validation_rows"]) == (3, 1)
    assert run(tmp_path / "by-loss", recipe(0.1, 0.4, metric="loss"))[1] == "0.4"


def test_only_the_best_weights_are_left(tmp_path):
    run(tmp_path, recipe(0.1, 0.2, 0.4))
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")} == {
        "trial-2/weights"
    }


def test_a_finished_seed_is_not_trained_again(tmp_path):
    first, family = run(tmp_path, recipe(0.1, 0.2)), StandIn(recipe(0.1, 0.2), tmp_path)
    assert run(tmp_path, recipe(0.1, 0.2), family) == first
    assert family.trained == []


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.4), (0.4, 0.1), (0.3, 0.1)])
def test_broken_at_any_point_it_comes_to_the_same(tmp_path, monkeypatch, values):
    whole = run(tmp_path / "whole", recipe(*values))
    # Whatever touches files; each call of each of them breaks once, before or after its work.
    names = ("train_together", "flush", "digests", "write_json", "tidy")
    calls: list[Any] = []
    for place in range(100):
        for late in (False, True):
            folder = tmp_path / f"broken-{place}-{late}"
            calls.clear()
            with monkeypatch.context() as patch:
                for name in names:
                    patch.setattr(train, name, breaking(getattr(train, name), calls, place, late))
                try:
                    run(folder, recipe(*values))
                except BrokenError:
                    assert run(folder, recipe(*values)) == whole, (place, late)
                else:
                    assert len(calls) == place == 5 * len(values)
                    return
    pytest.fail("it was never unbroken")


def breaking(function, calls, place, late):
    """Return the function, which breaks if it is the call number `place`."""

    def call(*arguments):
        calls.append(function)
        now = len(calls) == place + 1
        if now and not late:
            raise BrokenError
        result = function(*arguments)
        if now:
            raise BrokenError
        return result

    return call


def test_damaged_weights_are_trained_again_with_all_that_they_were_compared_to(tmp_path):
    whole = run(tmp_path, recipe(0.1, 0.2))
    (tmp_path / "trial-2" / "weights" / "model.safetensors").write_text("damaged")
    family = StandIn(recipe(0.1, 0.2), tmp_path)
    assert run(tmp_path, recipe(0.1, 0.2), family) == whole
    assert family.trained == [0.1, 0.2]


def test_where_all_diverge_an_error_says_so(tmp_path):
    with pytest.raises(UserError, match=r"seed 1: the validation loss .* lower lr"):
        run(tmp_path, recipe(0.3))


def test_reports_are_json(tmp_path):
    report, _ = run(tmp_path, recipe(0.1, 0.3))
    json.dumps(report, allow_nan=False)
