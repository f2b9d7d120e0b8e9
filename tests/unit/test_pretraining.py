"""Checkpoints that the workflow pretrains: the corpus, the blocks, the model, bad input."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pretrain
import pytest
import torch
from gap.data.vocabulary import FittedVocabulary, PretrainedVocabulary, fit_vocabulary
from gap.models.encoder import load_classifier, load_encoder
from gap.models.family import Job, family_of, load_recipe
from gap.models.own_networks import LstmLanguageModel
from gap.models.pretraining.blocks import MaskedBlocks, NeighbourBlocks, Signs
from gap.models.pretraining.masked_lm import draw_masked_lm
from gap.models.pretraining.networks import network_of
from gap.models.pretraining.tokenizer import fit_tokenizer
from gap.models.pretraining.word_vectors import count_neighbours, fit_vectors, weigh
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.pretraining import (
    EncoderSize,
    LanguageModel,
    MaskedLm,
    TokenizerRecipe,
    WordVectors,
    load_own,
)
from tiny_pretraining import (
    RECIPE,
    collect,
    pretraining_arguments,
    sentences,
    weights,
    write_side,
)
from tiny_training import fp32_only
from transformers import AutoModelForMaskedLM, set_seed

SIGNS = Signs(before=[2], behind=[3], mask=4, special=[0, 1, 2, 3, 4], vocabulary_size=50)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The folder of a corpus of 120 sentences."""
    folder = tmp_path_factory.mktemp("corpus")
    collect(folder, {"films": sentences(120)}, {"films": sentences(20, start=120)})
    return folder


@pytest.fixture(scope="module")
def checkpoint(corpus, tmp_path_factory):
    """The folder into which a checkpoint was pretrained on the corpus."""
    folder = tmp_path_factory.mktemp("checkpoint")
    pretrain.main(pretraining_arguments(corpus, RECIPE, folder))
    return folder


# ---------------------------------------------------------------- the corpus


def test_no_text_of_a_test_set_is_in_the_corpus(tmp_path):
    pool = ["One plain text", "a test text", "A  TEST text.", "another", "Cafe\u0301 noir", "last"]
    tests = {"films": ["a test text"], "books": ["caf\u00e9 NOIR", "a test text."]}
    manifest, kept, _ = collect(tmp_path, {"films": pool}, tests)
    assert kept == ["One plain text", "another", "last"]
    assert manifest["test_texts"] == 3


def test_texts_are_compared_within_the_budget_of_either(tmp_path):
    budgets = {"films": {"words": 3}, "books": {"words": 5}}
    pools = {"books": ["one two three four five", "six seven eight nine", "others stay"]}
    tests = {"films": ["one two three"], "books": ["nothing"]}
    manifest, kept, _ = collect(tmp_path / "longer", pools, tests, budgets)
    assert kept == ["six seven eight nine", "others stay"]
    pools, tests = (
        {"films": ["six seven eight", "others stay", "here"]},
        {"books": pools["books"][:2]},
    )
    manifest, kept, _ = collect(tmp_path / "shorter", pools, tests, budgets)
    assert kept == ["others stay", "here"]
    assert manifest["test_texts"] == 1


def test_a_text_of_several_pools_is_there_once(tmp_path):
    pools = {"films": ["first", "second", "third"], "books": ["Second", "fourth"]}
    manifest, kept, _ = collect(tmp_path, pools, {"films": ["none"]})
    # In the order of the names.
    assert kept == ["Second", "fourth", "first", "third"]
    assert manifest["repeats"] == 1


def test_what_is_held_out_does_not_depend_on_order(tmp_path):
    texts = sentences(50)
    first = collect(tmp_path / "first", {"films": texts}, {"films": ["x"]})
    second = collect(tmp_path / "second", {"films": texts[::-1]}, {"films": ["x"]})
    assert len(first[2]) == first[0]["held_out"] == 5
    assert sorted(first[2]) == sorted(second[2])


def test_labels_are_no_part_of_the_corpus(tmp_path):
    texts = sentences(20)
    before, _, _ = collect(tmp_path, {"films": texts}, {"films": ["x"]})
    write_side(tmp_path, "films", "pool", texts, labels=[1] * 20)
    assert collect(tmp_path, {"films": texts}, {"films": ["x"]})[0] == before


def test_a_corpus_of_test_texts_only(tmp_path):
    texts = sentences(5)
    with pytest.raises(UserError, match="of 5 texts, 5 stand in a test set"):
        collect(tmp_path, {"films": texts}, {"films": texts})


# ---------------------------------------------------------------- blocks


def blocks(tokens=300, size=16, seed=1):
    """Return masked blocks of made-up ids, of which every eleventh is a separator."""
    stream = np.random.default_rng(3).integers(5, 50, tokens).astype(np.uint16)
    stream[::11] = 3
    return MaskedBlocks(stream, SIGNS, size, 0.25, seed)


def test_each_block_has_as_many_masks_and_none_on_special_tokens():
    examples = blocks()
    assert len(examples) == 300 // 14
    for index in range(len(examples)):
        block = examples[index]
        inner = examples.stream[14 * index : 14 * index + 14]
        assert block["input_ids"][[0, -1]].tolist() == [2, 3]
        assert len(set(block["places"])) == examples.targets == 4
        assert block["labels"].tolist() == inner[block["places"] - 1].tolist()
        assert not np.isin(block["labels"], SIGNS.special).any()
        changed = np.flatnonzero(block["input_ids"][1:-1] != inner) + 1
        assert set(changed) <= set(block["places"])


def test_most_masked_tokens_become_the_mask():
    examples = blocks(tokens=30_000)
    given = [examples[index] for index in range(len(examples))]
    ids = np.concatenate([block["input_ids"][block["places"]] for block in given])
    labels = np.concatenate([block["labels"] for block in given])
    assert abs((ids == SIGNS.mask).mean() - 0.8) < 0.02
    assert abs((ids == labels).mean() - 0.1) < 0.02


def test_masks_depend_on_seed_epoch_and_block_only():
    examples, others = blocks(), blocks(seed=2)
    first = examples[5]["places"].tolist()
    assert examples[5]["places"].tolist() == first
    assert others[5]["places"].tolist() != first
    examples.set_epoch(1)
    assert examples[5]["places"].tolist() != first
    examples.set_epoch(0)
    assert examples[5]["places"].tolist() == first


def test_the_head_computes_masked_tokens_as_a_whole_head_does(checkpoint):
    vocabulary = PretrainedVocabulary(checkpoint / "files")
    set_seed(1)
    chosen = draw_masked_lm(EncoderSize(layers=2, width=32, heads=2), 16, vocabulary).eval()
    whole = AutoModelForMaskedLM.from_config(chosen.config).eval()
    whole.load_state_dict(chosen.state_dict())
    examples = blocks()
    batch = examples.collate([examples[index] for index in range(3)])
    places = batch["places"]
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    inputs["input_ids"] %= vocabulary.size
    with torch.no_grad():
        expected = whole(**inputs).logits.flatten(0, 1)[places]
        torch.testing.assert_close(chosen(**inputs, places=places).logits[0], expected)


# ---------------------------------------------------------------- the program


def test_it_learns_and_writes_what_a_fetched_checkpoint_has(checkpoint):
    record = read_json(checkpoint / "origin.json")["pretraining"]
    losses = [evaluation["loss"] for evaluation in record["evaluations"]]
    assert len(losses) == 4
    assert min(losses[1:]) < losses[0] - 0.3
    files = read_json(checkpoint / "manifest.json")["files"]
    names = {file["path"].rpartition("/")[2] for file in files}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    vocabulary = PretrainedVocabulary(checkpoint / "files")
    ids = vocabulary.encode(["the good film"])[0]
    assert vocabulary.unknown_id not in ids
    model = load_classifier(checkpoint / "files", ["bad", "good"])
    assert model.config.max_position_embeddings == 16
    # The weights that were pretrained, not new ones.
    again = load_encoder(checkpoint / "files")
    tables: list[Any] = [each.get_input_embeddings() for each in (model, again)]
    assert torch.equal(tables[0].weight, tables[1].weight)


def test_the_time_of_all_attempts_is_told(corpus, tmp_path, monkeypatch):
    class Hour:
        """A clock on which each look takes an hour."""

        now = 0.0

        def monotonic(self):
            self.now += 3600.0
            return self.now

    monkeypatch.setattr("gap.run.stopwatch.time", Hour())
    monkeypatch.setattr("gap.run.stopwatch.SECONDS_BETWEEN_ENTRIES", 10_000.0)

    def fail(*_):
        raise UserError("broken off")

    arguments = pretraining_arguments(corpus, RECIPE, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(pretrain, "pretrain_network", fail)
        with pytest.raises(UserError, match="broken off"):
            pretrain.main(arguments)
    pretrain.main(arguments)
    record = read_json(tmp_path / "origin.json")["pretraining"]
    # In each of two attempts an hour for tokenizer and encoding, and another one.
    assert record["seconds"] == 4 * 3600
    assert record["core_seconds"] == (2 + 2 * torch.get_num_threads()) * 3600
    assert (record["device"], record["processes"]) == ("cpu", 1)
    assert not list(tmp_path.rglob("time.json"))


def test_the_same_bytes_again(corpus, checkpoint, tmp_path):
    pretrain.main(pretraining_arguments(corpus, RECIPE, tmp_path))
    assert weights(tmp_path) == weights(checkpoint)
    tokenizers = [folder / "files" / "tokenizer.json" for folder in (tmp_path, checkpoint)]
    assert tokenizers[0].read_bytes() == tokenizers[1].read_bytes()


def test_what_was_made_before_is_kept(corpus, checkpoint, capsys):
    before = weights(checkpoint)
    (checkpoint / "manifest.json").unlink()
    pretrain.main(pretraining_arguments(corpus, RECIPE, checkpoint))
    assert "made before of the same inputs by the same code: kept" in capsys.readouterr().out
    assert weights(checkpoint) == before


def test_another_budget_is_said_to_begin_anew(corpus, tmp_path, capsys):
    shorter = RECIPE | {"optimisation": RECIPE["optimisation"] | {"passes": 1}}
    pretrain.main(pretraining_arguments(corpus, shorter, tmp_path))
    assert "begins anew" not in capsys.readouterr().out
    pretrain.main(pretraining_arguments(corpus, RECIPE, tmp_path))
    assert "it was pretrained for 1 passes before" in capsys.readouterr().out
    # What stood under the name before may be of another kind.
    pretrain.main(pretraining_arguments(corpus, LANGUAGE, tmp_path))
    pretrain.main(pretraining_arguments(corpus, VECTORS, tmp_path))
    other = RECIPE | {"masked": 0.3}
    pretrain.main(pretraining_arguments(corpus, other, tmp_path))
    assert "begins anew" not in capsys.readouterr().out


def test_several_blocks_in_turn_are_one_step_up_to_rounding(corpus, checkpoint, tmp_path):
    steps = RECIPE["optimisation"]
    parts = RECIPE | {"optimisation": steps | {"device_batch_size": 3}}
    with fp32_only():
        pretrain.main(pretraining_arguments(corpus, parts, tmp_path / "parts"))
        pretrain.main(pretraining_arguments(corpus, RECIPE, tmp_path / "whole"))
    losses = [
        [evaluation["loss"] for evaluation in record["pretraining"]["evaluations"]]
        for record in (read_json(tmp_path / name / "origin.json") for name in ("parts", "whole"))
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_checkpoint_is_pretrained_further(corpus, checkpoint, tmp_path):
    further = {key: value for key, value in RECIPE.items() if key != "tokenizer"}
    further |= {"start": "films", "optimisation": RECIPE["optimisation"] | {"lr": 0.001}}
    start = checkpoint / "manifest.json"
    pretrain.main(pretraining_arguments(corpus, further, tmp_path, start))
    first, second = (
        read_json(folder / "origin.json")["pretraining"]["evaluations"]
        for folder in (checkpoint, tmp_path)
    )
    best = min(evaluation["loss"] for evaluation in first)
    # It begins where the other one ended: body, head and tokenizer are its own.
    assert second[0]["loss"] == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("algorithm", ["unigram", "char"])
def test_its_tokenizer_has_the_pieces_of_a_vocabulary(algorithm, tmp_path):
    fields = {"algorithm": algorithm, "size": 100, "character_coverage": 1.0}
    recipe = TokenizerRecipe.model_validate(fields)
    texts = [
        *sentences(200),
        "The  GOOD \ufb01lm",
        " a caf\u00e9 ",
        "\u65e5\u672c the",
        "book\tplot",
    ]
    tokens = fit_tokenizer(iter(texts[:150]), recipe, 1, tmp_path / "tokenizer")
    pieces = fit_vocabulary(iter(texts[:150]), recipe, 1, tmp_path / "pieces.model")
    tokenizer = PretrainedVocabulary(tmp_path / "tokenizer")
    assert tokens == tokenizer.size == pieces + 3
    assert tokenizer.encode(texts) == FittedVocabulary(tmp_path / "pieces.model").encode(texts)
    assert (tokenizer.prefix, tokenizer.suffix) == ([pieces], [pieces + 1])
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.mask_id) == (0, 1, pieces + 2)


def test_characters_as_tokens(corpus, tmp_path):
    recipe = RECIPE | {"tokenizer": {"algorithm": "char", "size": 60}}
    pretrain.main(pretraining_arguments(corpus, recipe, tmp_path))
    vocabulary = PretrainedVocabulary(tmp_path / "files")
    assert len(vocabulary.encode(["thefilm"])[0]) == 7


# ---------------------------------------------------------------- LSTM language models

LANGUAGE: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["films"],
    "objective": "language_model",
    "start": {"embedding_size": 16, "width": 12},
    "tokenizer": {"size": 100},
    "predicted": 0.5,
    "block": 16,
    "held_out": 0.1,
    "optimisation": {"passes": 6, "batch_size": 8, "lr": 0.02, "evaluations": 3},
}


@pytest.fixture(scope="module")
def language_model(corpus, tmp_path_factory):
    """The folder into which an LSTM language model was pretrained on the corpus."""
    folder = tmp_path_factory.mktemp("language-model")
    pretrain.main(pretraining_arguments(corpus, LANGUAGE, folder))
    return folder


def test_each_direction_is_asked_for_the_token_that_it_has_not_seen():
    stream = np.arange(5, 50, dtype=np.uint16)
    examples = NeighbourBlocks(stream, SIGNS, 16, 0.5, 2, seed=1)
    block = examples[1]
    count = examples.targets // 2
    forwards, backwards = block["places"][:count], block["places"][count:]
    assert block["labels"][:count].tolist() == block["input_ids"][forwards + 1].tolist()
    assert block["labels"][count:].tolist() == block["input_ids"][backwards - 1].tolist()
    batch = examples.collate([examples[0], examples[1]])
    assert batch["places"].shape == (2, 2 * count)
    flat = batch["input_ids"].flatten()
    both = torch.cat([flat[batch["places"][0] + 1], flat[batch["places"][1] - 1]])
    assert torch.equal(both, batch["labels"])


def test_no_direction_sees_what_it_is_to_tell(language_model):
    model = LstmLanguageModel.from_pretrained(language_model / "files").eval()
    ids = torch.arange(8)[None] + 5
    other = ids.clone()
    other[0, 4] = 20
    mask = torch.ones_like(ids)
    with torch.no_grad():
        before, behind = (model(input_ids=each, attention_mask=mask) for each in (ids, other))
    same = (before.last_hidden_state == behind.last_hidden_state)[0]
    forwards, backwards = same[:, :12].all(1), same[:, 12:].all(1)
    assert forwards.tolist() == [place < 4 for place in range(8)]
    assert backwards.tolist() == [place > 4 for place in range(8)]


def test_a_language_model_learns_and_a_classifier_begins_with_it(language_model):
    record = read_json(language_model / "origin.json")["pretraining"]
    losses = [evaluation["loss"] for evaluation in record["evaluations"]]
    assert min(losses[1:]) < losses[0] - 0.5
    recipe = {"family": "lstm", "checkpoint": "own", "width": 12, "optimisation": {}}
    set_seed(1)
    model = build(recipe, language_model)
    start = LstmLanguageModel.from_pretrained(language_model / "files")
    states, expected = model.state_dict(), start.state_dict()
    taken = [name for name in states if name.startswith(("layers.", "embeddings."))]
    # Embeddings, and four tables of each of two directions.
    assert len(taken) == 9
    assert all(torch.equal(states[name], expected[name]) for name in taken)


def build(recipe: dict[str, Any], checkpoint: Path) -> Any:
    """Return the network of a recipe before it is trained, for ids under 20."""
    job = Job(["bad", "good"], checkpoint=checkpoint / "files")
    family: Any = family_of(load_recipe(recipe), job)
    return family.build(family.recipe, SimpleNamespace(vocabulary_size=20), 1)


def test_a_classifier_of_another_size(language_model):
    recipe = {"family": "lstm", "checkpoint": "own", "width": 13, "optimisation": {}}
    with pytest.raises(UserError, match="its `width` is 12, but that of the model is 13"):
        build(recipe, language_model)


def test_states_of_a_language_model_are_features(language_model):
    encoder = load_encoder(language_model / "files").eval()
    mask = torch.ones(1, 4, dtype=torch.int64)
    output = encoder(input_ids=torch.tensor([[2, 7, 8, 3]]), attention_mask=mask)
    assert output.last_hidden_state.shape == (1, 4, 24)


# ---------------------------------------------------------------- word vectors

VECTORS: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["films"],
    "objective": "static",
    "size": 8,
    "window": 2,
    "tokenizer": {"size": 100},
    "held_out": 0.1,
}


def test_neighbours_are_counted_within_a_text():
    # Two texts, 5 6 7 and 5 5, each ended by 3.
    counts = count_neighbours(np.array([5, 6, 7, 3, 5, 5, 3], np.uint16), 8, 2, [3]).toarray()
    expected = np.zeros((8, 8))
    for first, second, weight in ((5, 6, 1.0), (6, 7, 1.0), (5, 7, 0.5), (5, 5, 1.0)):
        expected[first, second] += weight
        expected[second, first] += weight
    assert counts.tolist() == expected.tolist()


def test_stretches_are_counted_as_the_whole(monkeypatch):
    ids = np.random.default_rng(1).integers(3, 9, 200).astype(np.uint16)
    whole = count_neighbours(ids, 9, 3, [3]).toarray()
    monkeypatch.setattr("gap.models.pretraining.word_vectors.STRETCH", 17)
    np.testing.assert_allclose(count_neighbours(ids, 9, 3, [3]).toarray(), whole)


def test_information_is_what_two_tokens_have_beyond_chance():
    counts = count_neighbours(np.array([5, 6, 3, 5, 6, 3, 7, 4, 3], np.uint16), 8, 1, [3])
    weights = weigh(counts).toarray()
    sums = np.array([0, 0, 0, 0, 1, 2, 2, 1]) ** 0.75
    assert weights[5, 6] == pytest.approx(np.log(2 / (2 * sums[6] / sums.sum())))
    assert weights[5, 7] == 0


def test_tokens_of_like_neighbours_have_like_vectors(corpus, tmp_path):
    pretrain.main(pretraining_arguments(corpus, VECTORS, tmp_path))
    encoder: Any = load_encoder(tmp_path / "files")
    table = encoder.get_input_embeddings().weight.detach().numpy()
    vocabulary = PretrainedVocabulary(tmp_path / "files")
    assert table.shape == (vocabulary.size, 8)
    assert table.std() == pytest.approx(0.1, rel=1e-3)
    assert np.abs(table[vocabulary.mask_id]).max() < 1e-6


def neighbourly_ids():
    """Return ids in which 5 and 6 stand beside 9 to 12, 7 and 8 beside 13 to 16."""
    random = np.random.default_rng(1)
    texts = [
        [middle, random.integers(9, 13) + 4 * (middle > 6), 3]
        for middle in random.integers(5, 9, 4000)
    ]
    return np.concatenate(texts).astype(np.uint16)


VOCABULARY: Any = SimpleNamespace(size=17, prefix=[2], suffix=[3], pad_id=0)


def likeness_of(table):
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return unit @ unit.T


def test_vectors_group_tokens_by_what_stands_near():
    likeness = likeness_of(fit_vectors(neighbourly_ids(), 4, 1, 1, VOCABULARY))
    assert likeness[5, 6] > 0.9 > 0.3 > likeness[5, 7]
    assert likeness[7, 8] > 0.9


@pytest.mark.parametrize("size", [{"heads": 2, "width": 16}, {"embedding_size": 16}])
def test_a_new_network_begins_with_vectors(size):
    objective = "language_model" if "embedding_size" in size else "masked_lm"
    tables = {}
    for kind in ("vectors", "random"):
        entry = {"kind": "pretrained", "corpus": ["films"], "objective": objective}
        recipe = load_own(json.dumps(entry | {"start": size | {"embeddings": kind}}))
        assert not isinstance(recipe, WordVectors)
        torch.manual_seed(1)
        model = network_of(recipe, VOCABULARY, neighbourly_ids(), None)
        table: Any = model.get_input_embeddings().weight
        tables[kind] = table.detach().numpy()
    assert likeness_of(tables["vectors"])[5, 6] > 0.9 > abs(likeness_of(tables["random"])[5, 6])
    # The first five have no neighbours.
    np.testing.assert_array_equal(tables["vectors"][:5], tables["random"][:5])
    assert tables["vectors"].std() == pytest.approx(tables["random"].std(), rel=0.3)


# ---------------------------------------------------------------- bad input


def test_layers_that_would_see_what_they_are_to_tell():
    recipe = LanguageModel.model_validate(LANGUAGE | {"start": {"layers": 2}})
    with pytest.raises(UserError, match=r"own.start: 2 layers that read in both directions"):
        recipe.check("own")


def test_fewer_tokens_than_a_block(corpus, tmp_path):
    recipe = RECIPE | {"block": 4096}
    with pytest.raises(UserError, match="less than a block of 4096; choose a smaller `block`"):
        pretrain.main(pretraining_arguments(corpus, recipe, tmp_path))


def test_a_loss_that_is_not_finite(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(MaskedBlocks, "judge", lambda *_: (float("nan"), 0.0))
    with pytest.raises(UserError, match=r"not finite at step 13, .* lower lr or max_grad_norm"):
        pretrain.main(pretraining_arguments(corpus, RECIPE, tmp_path))


def test_a_tokenizer_without_a_mask(corpus, checkpoint, tmp_path):
    start = tmp_path / "start"
    start.mkdir()
    for file in (checkpoint / "files").iterdir():
        (start / file.name).write_bytes(file.read_bytes())
    settings = json.loads((start / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (start / "tokenizer_config.json").write_text(json.dumps(settings))
    write_json(
        tmp_path / "start.json", {"files": [{"path": str(path)} for path in start.iterdir()]}
    )
    further = {key: value for key, value in RECIPE.items() if key != "tokenizer"}
    further["start"] = "films"
    arguments = pretraining_arguments(corpus, further, tmp_path, tmp_path / "start.json")
    with pytest.raises(UserError, match="has no mask token"):
        pretrain.main(arguments)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"start": "other", "tokenizer": {"size": 100}}, "own.tokenizer: other has its own"),
        ({"start": {"width": 30, "heads": 4}}, "own.start: a width of 30 cannot be shared by 4"),
    ],
)
def test_keys_that_do_not_go_together(changes, line):
    recipe = MaskedLm.model_validate(RECIPE | changes)
    with pytest.raises(UserError, match=line):
        recipe.check("own")
