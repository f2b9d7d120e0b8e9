"""Texts of letters, such as proteins, get the very ids that ESM's own tokenizer gives them."""

import numpy as np
import pyarrow as pa
import pytest
from gap.data.encoding import Encoder
from gap.data.letters import LetterTable
from gap.data.vocabulary import PretrainedVocabulary
from gap.run.errors import UserError
from gap.run.workers import Workers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_esm import ALPHABET, VOCABULARY, make_tiny_esm, save_tokenizer
from transformers import AddedToken

SPECIAL = ["<cls>", "<pad>", "<eos>", "<unk>", "<mask>", "<null_1>", "<nul", "<", ">", "<cls"]
SPACES = [" ", "  ", "\t", "\n", "\x1c", "\x1f", "\x0b", "\u00a0", "\u3000"]
LETTERS = [*ALPHABET, *"JJabcxyz*?0_12"]
OTHERS = ["é", "日本", "Ω", "\U0001f600", "\x00", "\x7f", "\x80"]
PIECES = st.one_of(*map(st.sampled_from, (LETTERS, LETTERS, LETTERS, SPACES, SPECIAL, OTHERS)))
TEXTS = st.lists(
    st.one_of(
        st.text(ALPHABET, max_size=20),
        st.text("".join(LETTERS) + " ", max_size=20),
        st.lists(PIECES, max_size=12).map("".join),
        st.text(max_size=8),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_esm(tmp_path_factory.mktemp("esm") / "tiny")


@pytest.fixture(scope="module")
def both(folder):
    """Return the vocabulary, and the tokenizer that it has to agree with."""
    vocabulary = PretrainedVocabulary(folder)
    assert vocabulary.letters
    return vocabulary, vocabulary.letters._tokenizer


def expected(tokenizer, texts):
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def sound(texts):
    """Return the texts that UTF-8 can hold."""
    return [text.encode("utf-8", "ignore").decode() for text in texts]


@settings(max_examples=1500)
@given(TEXTS.map(sound))
@example(["", "", ""])
@example(["Mxx", "xxM", "x", "", "x"])
@example(["M<mask>K", "MxK", "<", "é", "MéK"])
@example(["  ", "M K", "a b", "a\x1cb", "a\u00a0b"])
def test_ids_are_those_of_the_tokenizer(both, texts):
    vocabulary, tokenizer = both
    assert vocabulary.encode(texts) == expected(tokenizer, texts)


def test_thousands_of_random_strings(both):
    vocabulary, tokenizer = both
    random = np.random.default_rng(0)
    pieces = [*LETTERS * 6, *SPACES, *SPECIAL, *OTHERS]
    texts = ["".join(random.choice(pieces, random.integers(0, 30))) for _ in range(5000)]
    assert vocabulary.encode(texts) == expected(tokenizer, texts)


@pytest.mark.parametrize(
    "added",
    [
        ["J"],
        ["MK"],
        ["x", "é"],
        ["<x>", "ab"],
        [AddedToken("J", lstrip=True, rstrip=True)],
        [AddedToken("J", single_word=True)],
        [AddedToken("K", lstrip=True, special=True)],
    ],
)
def test_added_tokens(tmp_path, added):
    save_tokenizer(tmp_path, *added)
    (tmp_path / "config.json").write_text('{"model_type": "esm", "pad_token_id": 1}')
    vocabulary = PretrainedVocabulary(tmp_path)
    assert vocabulary.letters
    random = np.random.default_rng(0)
    pieces = [*"MKVJMKxab  ", "é", "<x>", "<mask>"]
    texts = ["".join(random.choice(pieces, random.integers(0, 12))) for _ in range(500)]
    tokenizer = vocabulary.letters._tokenizer
    assert len(tokenizer) == vocabulary.size >= len(VOCABULARY)
    assert vocabulary.encode(texts) == expected(tokenizer, texts)


def test_proteins_never_meet_the_tokenizer(both, monkeypatch):
    vocabulary, tokenizer = both
    monkeypatch.setattr(type(tokenizer), "tokenize", None)
    assert vocabulary.encode(["MKV", "mkv J", ""]) == [[20, 15, 7], [3, 3], []]


def test_special_tokens_stand_around_texts_and_pairs(both):
    vocabulary, tokenizer = both
    (one,) = vocabulary.encode(["MK"])
    assert [*vocabulary.prefix, *one, *vocabulary.suffix] == tokenizer("MK")["input_ids"]
    pair = [*vocabulary.prefix, *one, *vocabulary.separator, *one, *vocabulary.suffix]
    assert pair == tokenizer("MK", "MK")["input_ids"]
    assert (vocabulary.pad_id, vocabulary.unknown_id, vocabulary.typed) == (1, 3, False)


def test_a_part_of_an_array(both):
    """As arrays are cut into pieces, their letters begin anywhere in memory."""
    encoder = Encoder(both[0], 10, "head")
    texts = pa.array(["x", "MKVxx", "", "xxM", "<mask>", "AA"])
    for start in range(len(texts)):
        for count in range(len(texts) - start + 1):
            part = texts.slice(start, count)
            ids, lengths = encoder.encode(part)
            rows = np.split(ids, np.cumsum(lengths))[:-1]
            assert [row.tolist() for row in rows] == both[0].encode(part.to_pylist())


def test_texts_are_cut_and_enclosed(both):
    encoder = Encoder(both[0], 6, "head_and_tail")
    ids, lengths = encoder.complete(encoder.encode(pa.array(["MKVLAG", "A", ""])))
    assert lengths.tolist() == [6, 3, 2]
    assert ids.tolist() == [0, 20, 15, 7, 6, 2, 0, 5, 2, 0, 2]


def test_other_processes_give_the_same(both):
    with Workers(both[0].encode, 2) as workers:
        batches = [["MK", "M<mask>"], ["mkv"]]
        assert list(workers.in_order(batches)) == [[[20, 15], [20, 32]], [[3]]]


def test_a_vocabulary_without_an_unknown_token(tmp_path):
    without = [token for token in VOCABULARY if token != "<unk>"]
    tokenizer = save_tokenizer(tmp_path, vocabulary=without)
    tokenizer._added_tokens_decoder = {}
    tokenizer._added_tokens_encoder = {}
    with pytest.raises(UserError, match=r"my-esm: its vocab.txt has no token <unk>"):
        LetterTable(tokenizer, "my-esm")
