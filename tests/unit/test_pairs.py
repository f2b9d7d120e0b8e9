"""Pairs of texts: read from two columns, cut within one budget, encoded as their tokenizer does."""

import csv
import json
from typing import Any

import encode
import examine_errors
import numpy as np
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from gap.data.encoding import Encoder
from gap.data.manifests import TextBudget
from gap.data.pairs import MARK, SEPARATOR, join_pair, share_room, split_pair
from gap.data.preparing.texts import cut_pair
from gap.data.sampling import Subsample
from gap.data.vocabulary import EncodedTexts, PretrainedVocabulary
from gap.data.words import split_words
from gap.models.encoder import fit_to_vocabulary, load_classifier
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.models.serving import TextReader, serve_network
from gap.report.mistakes import LONGEST_TEXT, excerpt
from gap.run.json import read_json
from gap.study.datasets import TextUnit
from gap.study.rules import EncodeRecipe
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import spread
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, AutoTokenizer, BertConfig, PreTrainedTokenizerFast

WORDS = ["good", "bad", "film", "plot", "was", "is", "the", "a", "fine", "dull"]
MARKS = ["<pad>", "<unk>", "<cls>", "<sep>"]
# What BERT, RoBERTa, XLNet, T5 and GPT-2 put around one text and around two.
TEMPLATES = {
    "bert": ("<cls> $A <sep>", "<cls> $A <sep> $B:1 <sep>:1"),
    "roberta": ("<cls> $A <sep>", "<cls> $A <sep> <sep> $B <sep>"),
    "xlnet": ("$A <sep> <cls>", "$A <sep> $B:1 <sep>:1 <cls>:2"),
    "t5": ("$A <sep>", "$A <sep> $B <sep>"),
}


def save(folder, kind):
    ids = {word: number for number, word in enumerate([*MARKS, *WORDS, MARK])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if kind in TEMPLATES:
        single, pair = TEMPLATES[kind]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[("<cls>", 2), ("<sep>", 3)]
        )
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<cls>", "sep_token": "<sep>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "pad_token_id": 0}))
    return PretrainedVocabulary(folder)


def make_checkpoint(folder, tokenizer):
    """Save a tiny BERT whose random weights are so large that texts differ in what comes out."""
    vocabulary = save(folder, tokenizer)
    config = BertConfig(
        vocab_size=vocabulary.size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=0,
    )
    spread(AutoModel.from_config(config)).save_pretrained(folder)
    return vocabulary


@pytest.fixture(scope="module", params=TEMPLATES)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    save(path, request.param)
    return path


TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)


@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), most=st.integers(6, 16))
def test_ids_are_those_of_the_tokenizer(folder, pairs, most):
    vocabulary = PretrainedVocabulary(folder)
    encoder = Encoder(vocabulary, most, "head", pair=True)
    texts = [SEPARATOR.join(pair) for pair in pairs]
    parts = [encoder.encode(part) for part in encoder.parts(pa.array(texts))]
    whole, lengths = encoder.complete(*parts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = [
        tokenizer(*pair, truncation="longest_first", max_length=most)["input_ids"] for pair in pairs
    ]
    assert [part.tolist() for part in np.split(whole, np.cumsum(lengths)[:-1])] == expected
    # A service reads them as `encode` does.
    reader = TextReader(vocabulary, most, "head", pair=True)
    assert [ids.tolist() for ids in reader(texts)] == expected


def test_types_are_those_of_the_tokenizer(folder):
    # XLNet's has a type of its own for what ends a pair; its models look at no table of types.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    types = tokenizer("film", "plot", return_token_type_ids=True)["token_type_ids"]
    encoder = Encoder(PretrainedVocabulary(folder), 16, "head", pair=True)
    assert encoder.pair_separator == (3 if 1 in types else None)
    assert (1 in types) == (folder.name[:-1] in ("bert", "xlnet"))
    assert Encoder(encoder.vocabulary, 16, "head").pair_separator is None


def test_a_tokenizer_without_a_form_for_pairs_has_what_separates_texts(tmp_path):
    assert save(tmp_path, "decoder").separator == [3]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 30))
def test_the_longer_text_is_cut_first(first, second, room):
    rooms = [int(each[0]) for each in share_room(np.array([first]), np.array([second]), room)]
    kept = min(first, rooms[0]), min(second, rooms[1])
    assert sum(kept) == min(first + second, room)
    if first + second > room:
        # None has less than half of the room that has more to say.
        assert kept[0] >= min(first, room // 2) and kept[1] >= min(second, room // 2)
    texts = SEPARATOR.join(" ".join(["a"] * count) or "" for count in (first, second))
    cut = split_pair(cut_pair(texts, room, "head", "word"))
    assert tuple(len(part.split()) for part in cut) == kept


def prepared(folder, rows, **recipe):
    """Return the card that prepare makes of rows, and all texts of pool and test."""
    with open(folder / "a.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("premise", "hypothesis", "label"), *rows])
    source = {"files": [{"path": str(folder / "a.csv")}], "sha256": "0" * 64}
    (folder / "source.json").write_text(json.dumps(source))
    keys = {"name": "films", "text": ["premise", "hypothesis"], "label": "label", "test": "25%"}
    argv = ["--recipe", json.dumps(keys | recipe), "--provenance", "x"]
    for name in ("source", "card", "pool-manifest", "test-manifest"):
        argv += [f"--{name}", str(folder / f"{name}.json")]
    for name in ("pool.parquet", "test.parquet", "rejects.csv"):
        argv += [f"--{name.split('.')[0]}", str(folder / name)]
    prepare.main(argv)
    sides = (pq.read_table(folder / f"{side}.parquet")["text"] for side in ("pool", "test"))
    return read_json(folder / "card.json"), [text for side in sides for text in side.to_pylist()]


def test_two_columns_are_read_as_a_pair(tmp_path):
    rows = [(f"the film {n}", f"it was {'good' if n % 2 else 'bad'} {n}", n % 2) for n in range(40)]
    rows += [("", "alone", 1), ("alone", " ", 0), (f"a {MARK} b", "<br>plot </br> x", 1)]
    card, texts = prepared(tmp_path, rows, pair=True, words=6, strip_tags=True, max_rejected=0.1)
    assert all(text.count(SEPARATOR) == 1 for text in texts)
    # Of seven words one is cut, at the end of the longer text; so both texts are there.
    assert sorted(texts) == sorted(
        [
            *(f"the film {n} {MARK} it was {'good' if n % 2 else 'bad'}" for n in range(40)),
            f"a ||| b {MARK}  plot   x",
        ]
    )
    assert card["rejected"] == {"no text": 2}
    assert card["cut_share"] == pytest.approx(40 / 41, abs=1e-4)
    assert card["words"]["median"] == 7


@pytest.mark.parametrize("second", ["MKVL" * 30, "MKVLA"])
def test_pairs_of_sequences_are_counted_in_characters(tmp_path, second):
    rows = [(f"{n:03}" + "ACDE" * 20, second, n % 2) for n in range(40)]
    card, texts = prepared(tmp_path, rows, pair=True, words=40)
    assert card["text_budget"]["unit"] == "character"
    kept = min(len(second), 20)
    assert len(texts) == 40
    assert {tuple(map(len, split_pair(text))) for text in texts} == {(40 - kept, kept)}


def test_a_report_shows_both_texts_and_counts_neither_mark_nor_more(tmp_path):
    text = join_pair(["premise " * 100, "it was good"])
    assert excerpt(text).endswith(f" ... {MARK} it was good")
    assert len(excerpt(text)) < LONGEST_TEXT
    assert excerpt("a  film\n" * 2) == "a film a film"
    rows = pa.table({"text": [join_pair(["the film", "was good"]), "the film"]})
    pq.write_table(rows, tmp_path / "test.parquet")
    cases: list[tuple[TextUnit, list[int]]] = [("word", [4, 2]), ("character", [14, 7])]
    for unit, lengths in cases:
        budget: TextBudget = {
            "words": 30,
            "unit": unit,
            "called": unit,
            "unit_from_data": False,
            "keep": "head",
        }
        counted = examine_errors.text_lengths(str(tmp_path / "test.parquet"), budget)
        assert counted.tolist() == lengths


def test_models_without_a_tokenizer_of_pairs_read_a_mark():
    text = join_pair(["the film", f"was{MARK} good"])
    assert text == f"the film {MARK} was||| good"
    assert MARK in split_words(text)


# ---------------------------------------------------------------- which text a token belongs to


PAIRS = [(f"the {a} film", f"it was {b}") for a in WORDS for b in WORDS[:4]]


@pytest.fixture
def in_fp32(monkeypatch):
    """Products of matrices are in fp32, also where bf16 is faster, whose rounding hides faults."""
    for module in ("hardware", "training"):
        monkeypatch.setattr(f"gap.models.{module}.fast_bf16", lambda: False)


@pytest.fixture(params=["bert"])
def job(request, tmp_path):
    """A job on pairs that a tiny BERT has encoded, by its tokenizer or another, and the latter."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    vocabulary = make_checkpoint(checkpoint, request.param)
    texts = [SEPARATOR.join(pair) for pair in PAIRS]
    for part in ("pool", "test"):
        pq.write_table(pa.table({"text": texts}), tmp_path / f"{part}.parquet")
        recipe = EncodeRecipe(keep="head", max_tokens=30, pair=True, max_unknown=1)
        encode.encode_file(
            tmp_path / f"{part}.parquet",
            vocabulary,
            recipe,
            tmp_path / "ids" / part,
            tmp_path / f"{part}.state",
        )
    return Job(["no", "yes"], ids=tmp_path / "ids", checkpoint=checkpoint), vocabulary


def by_transformers(model, checkpoint):
    """Return the log-probabilities that the model has of pairs as its own tokenizer gives them."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    batch = tokenizer(
        *map(list, zip(*PAIRS, strict=True)),
        padding=True,
        return_tensors="pt",
        return_token_type_ids=True,
    )
    given = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.inference_mode():
        return torch.log_softmax(model.eval()(**given).logits, 1).numpy()


STEPS = {"batch_size": 8, "max_epochs": 1, "min_steps": 3, "evaluations": 1, "lr": 0.01}
FAMILIES = {
    "transformer": {"optimisation": STEPS},
    "frozen": {"optimisation": {"inverse_regularisation": 0.1}},
}


@pytest.mark.parametrize("job", ["bert", "roberta"], indirect=True)
def test_a_model_is_told_the_types_that_its_tokenizer_has(job, in_fp32):
    job, vocabulary = job
    texts = EncodedTexts.open(job.ids / "pool")
    model = load_classifier(job.checkpoint, ["no", "yes"])
    fit_to_vocabulary(model, texts.pad_id, texts.vocabulary_size, texts.pair_separator)
    reader = TextReader(vocabulary, 30, "head", pair=True)
    scores = serve_network(model, reader)([SEPARATOR.join(pair) for pair in PAIRS])
    model._forward_pre_hooks.clear()
    np.testing.assert_allclose(by_transformers(model, job.checkpoint), scores, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_knows_which_text_a_token_belongs_to(job, in_fp32, tmp_path, family):
    job, vocabulary = job
    assert EncodedTexts.open(tmp_path / "ids" / "pool").pair_separator == 3
    recipe = load_recipe({"family": family, "checkpoint": "tiny", **FAMILIES[family]})
    model: Any = family_of(recipe, job)
    labels = np.array([int(a == b) for a in WORDS for b in WORDS[:4]], dtype=np.int32)
    subsample = Subsample(3, np.arange(30), labels[:30], np.arange(30, 40), labels[30:])
    run = tmp_path / "run"
    model.train(recipe, subsample, Folders(run / "shared", run / "state", run / "weights"))
    scores = model.log_scores(tmp_path / "run" / "weights", 3)
    reader = TextReader(vocabulary, 30, "head", pair=True)
    served = model.serve(tmp_path / "run" / "weights", reader)
    texts = [SEPARATOR.join(pair) for pair in PAIRS]
    np.testing.assert_allclose(served(texts), scores, atol=1e-4)
    # Told otherwise, the model would say something else.
    single = TextReader(vocabulary, 30, "head")
    assert np.abs(model.serve(tmp_path / "run" / "weights", single)(texts) - scores).max() > 1e-3
    if family == "transformer":
        loaded = model.load(tmp_path / "run" / "weights")
        assert loaded.config.pair_separator == 3
        loaded._forward_pre_hooks.clear()
        np.testing.assert_allclose(by_transformers(loaded, job.checkpoint), scores, atol=1e-4)


def test_a_checkpoint_of_pairs_is_none_for_single_texts(job, tmp_path):
    job, _ = job
    model = spread(load_classifier(job.checkpoint, ["no", "yes"]))
    model.config.pair_separator = 3
    model.save_pretrained(tmp_path / "of-pairs")
    again = load_classifier(tmp_path / "of-pairs", ["no", "yes"])
    assert again.config.pair_separator is None and not again._forward_pre_hooks
