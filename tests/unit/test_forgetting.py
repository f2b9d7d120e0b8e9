"""What fine-tuning forgets: how it is measured, its interval, tables, section and chart."""

import json
from types import SimpleNamespace
from typing import Any

import gather_forgetting
import measure_forgetting
import numpy as np
import pytest
import torch
from gap.models import forgetting
from gap.models.encoder import load_classifier
from gap.models.pretraining.blocks import MaskedBlocks, Signs
from gap.models.pretraining.masked_lm import masked_lm_over
from gap.models.pretraining.networks import open_blocks
from gap.report.forgetting import forgetting as section
from gap.report.forgetting import forgetting_chart, forgetting_figures
from gap.results.findings import Findings
from gap.results.forgetting import ForgettingRow, LayerRow, PlaneRow, interval
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow
from gap.results.tables import field_types, read_rows
from gap.run.json import read_json, write_json
from tiny_pretraining import own_checkpoint
from tiny_training import spread

LABELS = ["neg", "pos"]
CELL = {"dataset": "films", "model": "tuned", "size": "40"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder of a checkpoint that was pretrained on made-up sentences."""
    return own_checkpoint(tmp_path_factory.mktemp("own"))


def network(own, noise=0.0):
    """Return a classifier of the checkpoint; to each weight of its body noise is added."""
    torch.manual_seed(3)
    model = load_classifier(own / "files", LABELS)
    with torch.no_grad():
        for weight in model.base_model.parameters():
            weight.add_(noise * torch.randn_like(weight))
    return model


@pytest.fixture(scope="module")
def measured(own, tmp_path_factory):
    """What was measured of three seeds: two that changed little, and one that changed much."""
    folder = tmp_path_factory.mktemp("measured")
    for seed, noise in enumerate([0.02, 0.02, 0.2], start=1):
        network(own, noise).save_pretrained(folder / "weights" / str(seed))
    write_json(folder / "training.json", {"n": 40, "seeds": {"1": {}, "2": {}, "3": {}}})
    write_json(folder / "manifest.json", {"files": [{"path": str(own / "files" / "config.json")}]})
    options = {
        "cell": json.dumps(CELL),
        "checkpoint": folder / "manifest.json",
        "corpus-ids": own / "ids",
        "training": folder / "training.json",
        "weights": folder / "weights",
        "forgetting": folder / "forgetting.json",
    }
    measure_forgetting.main(
        [part for name, value in options.items() for part in (f"--{name}", str(value))]
    )
    return folder / "forgetting.json"


def test_what_did_not_change_forgot_nothing(own, tmp_path):
    network(own).save_pretrained(tmp_path / "1")
    record = forgetting.measure(own / "files", own / "ids", {"1": tmp_path / "1"})
    assert record["after"]["1"] == record["before"]
    assert record["layers"]["1"] == pytest.approx([1.0] * 3)
    for before_x, before_y, after_x, after_y in record["points"]:
        assert (before_x, before_y) == pytest.approx((after_x, after_y), abs=1e-5)
    best = min(
        evaluation["loss"]
        for evaluation in read_json(own / "origin.json")["pretraining"]["evaluations"]
    )
    assert np.mean(record["before"]["loss"]) == pytest.approx(best, abs=1e-3)


def test_what_changed_more_forgot_more(measured):
    record = read_json(measured)
    losses = [np.mean(record["after"][seed]["loss"]) for seed in "123"]
    assert losses[2] > losses[0] + 0.1
    assert record["layers"]["3"][-1] < record["layers"]["1"][-1]
    assert record["n"] == 40
    assert len(record["before"]["loss"]) == record["blocks"]


def test_disturbances_leave_alone_what_is_to_be_told(own):
    blocks = open_blocks(own / "files", own / "ids", "held-out")
    ((numbers, batch),) = forgetting.batches_of(blocks, np.arange(len(blocks)))
    context = forgetting.is_context(batch, blocks)
    places = batch["places"]
    assert not context.view(-1)[places].any()
    assert not context[:, 0].any()
    assert int(context.sum()) > len(blocks) * 20

    dropped = forgetting.drop(batch, context, numbers)
    hidden = dropped["attention_mask"] == 0
    assert not (hidden & ~context).any()
    assert 0.2 < float(hidden.sum() / context.sum()) < 0.4

    shuffled = forgetting.shuffle(batch, context, numbers)["input_ids"]
    assert torch.equal(shuffled[~context], batch["input_ids"][~context])
    assert not torch.equal(shuffled, batch["input_ids"])
    assert torch.equal(shuffled.sort(1).values, batch["input_ids"].sort(1).values)
    # A block is disturbed alike wherever it stands.
    second = forgetting.drop(
        {name: value[1:] for name, value in batch.items() if value.dim() == 2},
        context[1:],
        numbers[1:],
    )
    assert torch.equal(second["attention_mask"], dropped["attention_mask"][1:])


def test_a_disturbed_context_changes_what_is_told(own):
    # One that was pretrained so briefly hardly looks at what stands around.
    model = spread(masked_lm_over(network(own), own / "files"))
    blocks = open_blocks(own / "files", own / "ids", "held-out")
    recall = forgetting.recall(model, blocks, np.arange(len(blocks)))
    for disturbed in ("shuffled", "dropped"):
        assert np.median(np.abs(np.subtract(recall[disturbed], recall["loss"]))) > 0.05


class Successor(torch.nn.Module):
    """Tells that a token is the one above its left neighbour, where it sees that."""

    def forward(self, input_ids, attention_mask, places):
        before = input_ids.flatten()[places - 1]
        told = torch.nn.functional.one_hot(before + 1, SIGNS.vocabulary_size)
        seen = attention_mask.flatten()[places - 1]
        return SimpleNamespace(logits=(5.0 * told * seen[:, None])[None])


SIGNS = Signs(before=[2], behind=[3], mask=4, special=[0, 1, 2, 3, 4], vocabulary_size=50)


def test_a_disturbed_context_tells_less():
    stream = (5 + np.arange(2000) % 40).astype(np.uint16)
    blocks = MaskedBlocks(stream, SIGNS, 40, 0.15, seed=1)
    model: Any = Successor()
    recall = forgetting.recall(model, blocks, np.arange(len(blocks)))
    for disturbed in ("shuffled", "dropped"):
        assert np.mean(recall[disturbed]) > np.mean(recall["loss"]) + 0.3
    assert np.mean(recall["right"]) > 0.5


def test_likeness_is_linear_alignment_whatever_the_batches():
    random = torch.Generator().manual_seed(1)
    first = torch.randn(6, 5, 4, generator=random)
    second = first @ torch.randn(4, 3, generator=random) + torch.randn(6, 5, 3, generator=random)
    whole = forgetting.Moments.of(first, second)
    parts = forgetting.Moments.of(first[:2], second[:2])
    parts.add(forgetting.Moments.of(first[2:], second[2:]))
    x, y = (states.flatten(0, 1) - states.flatten(0, 1).mean(0) for states in (first, second))
    expected = (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert whole.likeness() == pytest.approx(float(expected), rel=1e-5)
    assert parts.likeness() == pytest.approx(whole.likeness())
    turned = torch.linalg.qr(torch.randn(4, 4, generator=random))[0]
    assert forgetting.Moments.of(first, 3 * first @ turned + 1).likeness() == pytest.approx(1.0)


def test_the_plane_has_the_directions_of_most_spread():
    random = np.random.default_rng(1)
    before = random.normal(size=(40, 6)) * [9, 4, 1, 1, 1, 1]
    after = before + np.array([20, 0, 0, 0, 0, 0])
    places = forgetting.project(before.astype(np.float32), after.astype(np.float32))
    assert places.shape == (40, 4)
    moved = places[:, 2:] - places[:, :2]
    assert np.abs(moved.mean(0)) == pytest.approx([20, 0], abs=1.0)
    both = np.concatenate([places[:, :2], places[:, 2:]])
    assert (both[np.abs(both).argmax(0), [0, 1]] > 0).all()


def test_an_interval_covers_seeds_and_blocks():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        seeds, blocks = random.normal(0, 0.1, (3, 1)), random.normal(0, 0.3, (1, 50))
        value = interval(0.5 + seeds + blocks + random.normal(0, 0.2, (3, 50)), 0.95)
        inside += value.low < 0.5 < value.high
    assert inside / 400 >= 0.93
    one = random.normal(1, 0.3, (1, 50))
    reach = 2.0096 * one.std(ddof=1) / 50**0.5
    assert interval(one, 0.95) == pytest.approx(
        (one.mean(), one.mean() - reach, one.mean() + reach), rel=1e-3
    )
    assert interval(np.ones((2, 3)), 0.95) == (1, 1, 1)


@pytest.fixture(scope="module")
def tables(measured, tmp_path_factory):
    """The folder of the tables, of two blocks of seeds."""
    folder = tmp_path_factory.mktemp("tables")
    record = read_json(measured)
    for name, seeds in (("first", "12"), ("second", "3")):
        part = {key: {seed: record[key][seed] for seed in seeds} for key in ("after", "layers")}
        write_json(folder / f"{name}.json", record | part)
    recipe = {"reference": "tuned", "confidence": 0.95}
    arguments = ["--recipe", json.dumps(recipe)]
    for name in ("forgetting", "layers", "plane"):
        arguments += [f"--{name}", str(folder / f"{name}.csv")]
    gather_forgetting.main([*arguments, str(folder / "first.json"), str(folder / "second.json")])
    return folder


def test_tables_have_all_seeds_of_a_model(measured, tables):
    record = read_json(measured)
    (row,) = read_rows(tables / "forgetting.csv", ForgettingRow)
    assert (row.dataset, row.model, row.size, row.n, row.seeds) == ("films", "tuned", "40", 40, 3)
    after = np.mean([record["after"][seed]["loss"] for seed in "123"])
    before = np.mean(record["before"]["loss"])
    assert row.forgotten == pytest.approx(after - before, abs=1e-4)
    assert row.forgotten_low < row.forgotten < row.forgotten_high
    for disturbance in ("dropped", "shuffled"):
        higher = np.mean([record["after"][seed][disturbance] for seed in "123"]) - after
        assert getattr(row, f"{disturbance}_after") == pytest.approx(higher, abs=1e-4)
        higher = np.mean(record["before"][disturbance]) - before
        assert getattr(row, f"{disturbance}_before") == pytest.approx(higher, abs=1e-4)
    layers = read_rows(tables / "layers.csv", LayerRow)
    assert [layer.layer for layer in layers] == [0, 1, 2]
    assert layers[2].similarity_low == pytest.approx(record["layers"]["3"][2], abs=1e-4)
    plane = read_rows(tables / "plane.csv", PlaneRow)
    assert len(plane) == len(record["points"])


def findings_of(tables, datasets=("films",)):
    """Return findings with these tables, on each of the data sets."""

    def on_each(name, row_class):
        rows = read_rows(tables / f"{name}.csv", row_class)
        return [
            type(row)(**(vars(row) | {"dataset": dataset})) for dataset in datasets for row in rows
        ]

    empty: dict[str, Any] = {
        name: None if optional else kind(0)
        for name, (kind, optional) in field_types(AccuracyRow).items()
    }
    accuracies = [
        AccuracyRow(
            **empty
            | CELL
            | {"dataset": name, "n": 40, "metric": "accuracy"}
            | {"accuracy": 70.0, "accuracy_low": 68.0, "accuracy_high": 72.0}
        )
        for name in datasets
    ]
    recipe = ReadingRecipe(
        reference="tuned", confidence=0.95, margin=1.0, titles={"tuned": "Own encoder"}
    )
    return Findings(
        recipe=recipe,
        accuracies=accuracies,
        forgetting=on_each("forgetting", ForgettingRow),
        layers=on_each("layers", LayerRow),
        plane=on_each("plane", PlaneRow),
    )


def test_the_section_says_what_was_forgotten(tables):
    findings = findings_of(tables)
    (row,) = findings.forgetting
    made = section(findings)
    assert made is not None
    (table,) = [part for part in made.parts if hasattr(part, "rows")]
    assert table.rows[0][0] == "Own encoder"
    assert f"{row.forgotten:.2f}" in table.rows[0]
    assert section(Findings(recipe=findings.recipe, accuracies=findings.accuracies)) is None


def test_the_charts_show_each_model_and_size(tables):
    findings = findings_of(tables, ("films", "books"))
    chart: Any = forgetting_chart(
        findings.forgetting, findings.accuracies, findings.recipe
    ).to_dict()
    assert len(chart["concat"]) == 2
    values = chart["datasets"][chart["concat"][0]["data"]["name"]]
    assert [(value["model"], value["labels"], value["y"]) for value in values] == [
        ("Own encoder", "40", 70.0)
    ]
    figures = forgetting_figures(findings)
    assert len(figures) == 6
    assert all(figure.svg.startswith("<svg") for figure in figures)
