"""Training over processes, and in parts done in turn, is the undivided training up to rounding."""

import itertools
import os

import numpy as np
import pytest
import torch
import train
from explosion import explode
from gap.models.batching import Division, LengthGroupedSampler, Part, PartSampler, divide
from gap.models.dropout import DividedDropout, fast_dropout
from gap.models.family import load_recipe
from gap.models.training import division_of
from gap.run import processes
from gap.run.errors import Stopped, UserError
from gap.run.json import read_json, write_json
from gap.run.processes import in_processes
from gap.study.recipes import GradientDescent
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import (
    family_for,
    fp32_only,
    make_data,
    make_recipes,
    train_all_recording,
    training_arguments,
)
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.nn import functional

# Ways to divide a batch of 12: over two processes, and in several turns.
DIVIDED = {
    "alone in turns": {"device_batch_size": 6},
    "alone in many turns": {"device_batch_size": 5},
}
TOGETHER = {"together": {}, "together in turns": {"device_batch_size": 3}}
# fp32 rounds by 6e-8 of a number. A loss is a sum of some dozens of rounded numbers, in another
# order, of weights that differ likewise after the first step: some ten such errors, of either sign.
# Ten times that; a wrong scale, shard, padding or mask shows at 1e-4 and more.
ROUNDING = 6e-6


def recipes_of(kinds):
    """Return {"MODEL KIND": recipe} for both kinds of network."""
    made = {kind: make_recipes(batch_size=12, **options) for kind, options in kinds.items()}
    return {
        f"{name} {kind}": recipes[name]
        for kind, recipes in made.items()
        for name in ("fine-tuned", "lstm")
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    """Texts of which 61 are trained on: the last of six batches holds one."""
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert, size=81)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """What train_recording returns, of the undivided trainings and all others."""
    folder = tmp_path_factory.mktemp("trained")
    alone = train_all_recording(data, recipes_of({"undivided": {}} | DIVIDED), folder)
    return alone | in_processes(2, train_all_recording, data, recipes_of(TOGETHER), folder)


@pytest.mark.parametrize("kind", [*DIVIDED, *TOGETHER])
@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_the_loss_curve_is_the_same(trained, name, kind):
    losses, history, _ = trained[f"{name} {kind}"]
    expected_losses, expected_history, _ = trained[f"{name} undivided"]
    assert len(losses) == len(expected_losses) == 24
    np.testing.assert_allclose(losses, expected_losses, rtol=ROUNDING)
    for found, expected in zip(history, expected_history, strict=True):
        assert found["step"] == expected["step"]
        assert found["accuracy"] == expected["accuracy"]
        assert found["loss"] == pytest.approx(expected["loss"], rel=ROUNDING)


@pytest.mark.parametrize("name", ["fine-tuned", "lstm"])
def test_predictions_are_the_same(data, trained, name):
    scores = {}
    for kind in ("undivided", "together", "together in turns"):
        family = family_for(data, make_recipes()[name], part="test")
        with fp32_only():
            scores[kind] = family.log_scores(trained[f"{name} {kind}"][2].parent, seed=1)
    for kind in ("together", "together in turns"):
        # They are sums like the losses, and of the order of 1.
        np.testing.assert_allclose(scores[kind], scores["undivided"], atol=2 * ROUNDING)
        assert (scores[kind].argmax(1) == scores["undivided"].argmax(1)).all()


@given(st.integers(0, 200), st.integers(1, 50))
def test_a_batch_is_divided_evenly(count, parts):
    ranges = divide(count, parts)
    assert list(itertools.chain(*ranges)) == list(range(count))
    sizes = [len(each) for each in ranges]
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
    st.integers(1, 13),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_all_parts_together_are_the_batches(lengths, batch_size, count, turns):
    grouped = LengthGroupedSampler(np.array(lengths), batch_size, seed=1)
    order = list(grouped)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    samplers = [PartSampler(grouped, Division(rank, count, turns)) for rank in range(count)]
    streams = [list(sampler) for sampler in samplers]
    assert {len(stream) for stream in streams} == {len(batches) * turns} == {len(samplers[0])}
    for step, batch in enumerate(batches):
        parts = [part for s in streams for part in s[step * turns : (step + 1) * turns]]
        assert [part.number for part in parts] == list(range(count * turns))
        at_work = [part for part in parts if not part.idle]
        assert [row for part in at_work for row in part.rows] == batch
        assert sum(len(part.rows) / part.whole for part in at_work) == pytest.approx(1)
        for part in parts:
            assert part.whole == len(batch)
            assert part.tokens == max(lengths[row] for row in batch)
            assert part.rows == tuple(batch[part.first : part.first + len(part.rows)])
            assert len(part.rows) >= 1


def test_memory_decides_the_turns_and_the_batch_stays():
    settings = load_recipe(make_recipes(batch_size=32)["lstm"]).optimisation
    assert isinstance(settings, GradientDescent)
    assert division_of(settings) == Division(0, 1, 1)
    for at_once, turns in ((64, 1), (32, 1), (31, 2), (16, 2), (10, 4), (1, 32)):
        limited = settings.model_copy(update={"device_batch_size": at_once})
        assert division_of(limited).turns == turns


def parts_of(count, parts):
    """Return the parts of a batch of `count` examples as a single process takes them in turn."""
    lengths = np.full(count, 7)
    sampler = PartSampler(LengthGroupedSampler(lengths, count, seed=1), Division(0, 1, parts))
    return list(sampler.parts_of(list(range(count))))


@pytest.mark.parametrize("shape", [(5, 8), (5, 7, 8), (5, 2, 7, 7)])
@pytest.mark.parametrize("name", ["dropout", "dropout1d"])
def test_parts_have_the_masks_of_the_whole(name, shape):
    states = torch.randn(shape, dtype=torch.float32)
    if name == "dropout1d" and len(shape) != 3:
        pytest.skip("it takes (batch, channels, places)")
    for parts in (1, 2, 3, 8):
        with fast_dropout():
            torch.manual_seed(3)
            whole = getattr(functional, name)(states, 0.4)
            after = torch.rand(1)
            torch.manual_seed(3)
            divided, masks = [], DividedDropout()
            for part in parts_of(5, parts):
                with masks.of(part):
                    mine = states[part.first : part.first + len(part.rows)]
                    divided.append(getattr(functional, name)(mine, 0.4)[: 0 if part.idle else None])
        assert torch.equal(torch.cat(divided), whole)
        assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("name", ["dropout", "scaled_dot_product_attention"])
def test_masks_that_cannot_be_divided_differ_by_part(name):
    def drop():
        if name == "dropout":
            return functional.dropout(torch.ones(40, 10))
        query = torch.ones(1, 4, 4)
        return functional.scaled_dot_product_attention(
            query, query, torch.eye(4)[None], dropout_p=0.5
        )

    dropped, after = [], []
    masks = DividedDropout()
    torch.manual_seed(3)
    for part in parts_of(6, 3):
        with masks.of(part):
            dropped.append(drop())
            after.append(torch.rand(1))
    assert not torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[1], dropped[2])
    # In step for what comes after, layers that are left out say.
    assert after[0] == after[1] == after[2]


def test_masks_are_drawn_as_usual_afterwards():
    own = functional.dropout, functional.dropout1d, functional.scaled_dot_product_attention
    with pytest.raises(KeyError), DividedDropout().of(Part((1,), 0, 1, 7, 0, 0, False)):
        assert functional.dropout is not own[0]
        raise KeyError
    assert (
        functional.dropout,
        functional.dropout1d,
        functional.scaled_dot_product_attention,
    ) == own


@pytest.mark.parametrize("name", ["frozen", "tfidf"])
def test_models_without_steps_are_trained_by_one_process(data, name, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "in_processes", lambda *_: pytest.fail("were started"))
    recipe = make_recipes()[name]
    train.main([*training_arguments(data, recipe, tmp_path), "--processes", "2"])
    assert read_json(tmp_path / "training.json")["made_with"]["hardware"]["processes"] == 1


def test_no_processes_at_all_are_a_mistake(data, tmp_path, capsys):
    arguments = training_arguments(data, make_recipes()["lstm"], tmp_path)
    with pytest.raises(SystemExit):
        train.main([*arguments, "--processes", "0"])
    assert "--processes: 0 must be 1 or more" in capsys.readouterr().err


def test_there_must_be_a_gpu_for_each_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="--processes 2: found 1 GPU, expected one for each"):
        in_processes(2, os.getpid)


def test_an_error_of_all_processes_is_one_error(capfd):
    with pytest.raises(UserError, match=r"^the texts are too long$"):
        in_processes(2, explode, UserError("the texts are too long"))
    assert capfd.readouterr().err == ""


def failure(exitcode):
    one = ProcessFailure(local_rank=1, pid=0, exitcode=exitcode, error_file="none")
    return ChildFailedError("work", {1: one})


def test_what_processes_end_by(tmp_path):
    killed = processes._reason(tmp_path, 2, failure(-9))
    assert isinstance(killed, UserError)
    assert "process 1 of 2 was killed by SIGKILL" in str(killed)
    unexpected = processes._reason(tmp_path, 2, failure(1))
    assert isinstance(unexpected, RuntimeError)
    assert "process 1 of 2 failed first" in str(unexpected)
    write_json(tmp_path / "0.json", {"stopped": "step 3"})
    stopped = processes._reason(tmp_path, 2, failure(75))
    assert isinstance(stopped, Stopped)
    assert str(stopped) == "step 3"
    # The launcher stops the others when one failed.
    assert isinstance(processes._reason(tmp_path, 2, failure(1)), RuntimeError)
    write_json(tmp_path / "1.json", {"error": "no space"})
    assert str(processes._reason(tmp_path, 2, failure(1))) == "no space"
