"""Texts become ids and come back from the file as they were; vocabularies adapt to few texts."""

import io
import json
from typing import Any

import encode
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data.encoding import Encoder, encode_piece, join_pieces
from gap.data.vocabulary import EncodedTexts, FittedVocabulary, PretrainedVocabulary, fit_vocabulary
from gap.data.word_encoding import flatten
from gap.run.errors import UserError
from gap.study.datasets import VocabularyRecipe
from gap.study.rules import EncodeRecipe
from hypothesis import given
from hypothesis import strategies as st

TEXTS = [f"text number {i} is about a {word} film" for i, word in enumerate(["good", "bad"] * 30)]
RECIPE = VocabularyRecipe(algorithm="unigram", size=60, character_coverage=1.0, sample_texts=1000)


def cut(ids, room, keep):
    """Return what a text's ids are shortened to, without the marks around them."""
    encoder = Encoder(Letters(), room + 2, keep)
    whole, _ = encoder.complete(flatten([ids]))
    return whole[1:-1].tolist()


@given(st.lists(st.integers(0, 99), max_size=40), st.integers(1, 30))
def test_cutting_keeps_head_and_tail(ids, room):
    assert cut(ids, room, "head") == ids[:room]
    both = cut(ids, room, "head_and_tail")
    assert len(both) == min(room, len(ids))
    if len(ids) > room > 4:
        assert both[0] == ids[0]
        assert both[-1] == ids[-1]
    if len(ids) <= room:
        assert both == ids


class Letters:
    """A vocabulary of letters, with a mark before and after each text."""

    unknown_id: int | None = None
    size, pad_id, prefix, suffix = 200, 0, [1], [2]
    separator: list[int] | None = None
    typed = False

    def encode(self, texts):
        return [[ord(letter) for letter in text] for text in texts]


def write_encoded(pieces, vocabulary, max_tokens, stem, rows=None):
    """Encode pieces of batches of texts; return the manifest."""
    encoder = Encoder(vocabulary, max_tokens, "head")
    paths = [stem.with_name(f"{number}.npz") for number in range(len(pieces))]
    for batches, path in zip(pieces, paths, strict=True):
        encode_piece(map(pa.array, batches), encoder, path)
    return join_pieces(paths, encoder, stem, rows)


@pytest.mark.parametrize(
    "pieces",
    [
        [[["abc", ""], ["abcdefgh"]]],
        [[["abc", ""]], [["abcdefgh"]]],
        [[["abc"]], [[""], ["abcdefgh"]], []],
    ],
)
def test_written_ids_are_read_back(tmp_path, pieces):
    facts = write_encoded(pieces, Letters(), 6, tmp_path / "pool")
    texts = EncodedTexts.open(tmp_path / "pool")
    assert [texts[i].tolist() for i in range(3)] == [
        [1, 97, 98, 99, 2],
        [1, 2],
        [1, 97, 98, 99, 100, 2],
    ]
    assert texts.lengths.tolist() == [5, 2, 6]
    assert (facts["rows"], facts["tokens"], facts["shortened"]) == (3, 13, 1)
    assert isinstance(texts.ids, np.memmap)
    assert texts.ids.dtype == np.uint16


def test_a_part_of_a_data_set_is_found_by_its_rows(tmp_path):
    rows = np.array([3, 5, 9])
    write_encoded([[["a", "bb", "ccc"]]], Letters(), 9, tmp_path / "pool", rows)
    texts = EncodedTexts.open(tmp_path / "pool")
    assert texts.lengths[texts.positions(np.array([9, 3]))].tolist() == [5, 3]


def test_a_text_of_no_ids_becomes_padding(tmp_path):
    class Bare(Letters):
        prefix, suffix = [], []

    write_encoded([[["", "a"]]], Bare(), 9, tmp_path / "pool")
    assert EncodedTexts.open(tmp_path / "pool")[0].tolist() == [Bare.pad_id]


@pytest.mark.parametrize("rows", [None, np.array([0, 2, 5, 6, 9])])
def test_a_broken_encoding_goes_on_where_it_was(tmp_path, monkeypatch, rows):
    texts = [letter * length for length, letter in enumerate("abcdefghij", start=1)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "pool.parquet", row_group_size=4)
    monkeypatch.setattr("gap.data.encoded_files.PIECE", 2)
    recipe = EncodeRecipe(max_tokens=8, keep="head")

    def encode_to(name, letters):
        stem = tmp_path / name / "pool"
        encode.encode_file(
            tmp_path / "pool.parquet", letters, recipe, stem, tmp_path / f"{name}.state", rows
        )
        return {path.name: path.read_bytes() for path in stem.parent.iterdir()}

    class Breaking(Letters):
        calls = 0

        def encode(self, texts):
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().encode(texts)

    breaking = Breaking()
    with pytest.raises(KeyboardInterrupt):
        encode_to("broken", breaking)
    expected = encode_to("whole", Letters())
    assert encode_to("broken", breaking) == expected
    # Two pieces were there.
    assert breaking.calls == 3 + len(range(0, 10 if rows is None else 5, 2)) - 2


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_vocabulary_fits_texts_too_few_for_its_size(tmp_path, algorithm):
    recipe = RECIPE.model_copy(update={"algorithm": algorithm, "size": 8000})
    pieces = fit_vocabulary(iter(TEXTS), recipe, seed=1, path=tmp_path / "model")
    assert 20 < pieces < 8000
    vocabulary = FittedVocabulary(tmp_path / "model")
    ids = vocabulary.encode(["a good film", "a good film"])
    assert ids[0] == ids[1]
    assert vocabulary.pad_id not in ids[0]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_word_without_end_among_the_texts(tmp_path, algorithm):
    recipe = RECIPE.model_copy(update={"algorithm": algorithm, "size": 300})
    letters = np.random.default_rng(1).choice(list("abcdefghijKLMNOP0123456789+/"), 200_000)
    texts = [*TEXTS, "".join(letters)]
    fit_vocabulary(iter(texts), recipe, seed=1, path=tmp_path / "model")
    (ids,) = FittedVocabulary(tmp_path / "model").encode(["a good film"])
    assert not {0, 1} & set(ids)


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_more_characters_than_pieces(tmp_path, algorithm):
    texts = ["".join(map(chr, range(start, start + 50))) for start in range(0x4E00, 0x5000, 50)]
    recipe = RECIPE.model_copy(update={"algorithm": algorithm})
    with pytest.raises(UserError, match=r"more characters, 55\d .*set a larger `size`, or a `char"):
        fit_vocabulary(iter(texts), recipe, seed=1, path=tmp_path / "model")


def test_fitting_twice_gives_the_same_vocabulary(tmp_path):
    for name in ("first", "second"):
        fit_vocabulary(iter(TEXTS), RECIPE, seed=1, path=tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_pretrained_vocabulary_puts_its_special_tokens_around(tiny_bert):
    vocabulary = PretrainedVocabulary(tiny_bert)
    (ids,) = vocabulary.encode(["good film"])
    assert vocabulary.prefix == [2]
    assert vocabulary.suffix == [3]
    assert not {0, 2, 3} & set(ids)
    assert vocabulary.pad_id == 0


@pytest.mark.parametrize(
    ("kind", "name", "marks", "around"),
    [
        ("t5", "spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, (0, 1)),
        ("xlm-roberta", "sentencepiece.bpe.model", {}, (1, 1)),
        ("deberta-v2", "spm.model", {"control_symbols": ["[CLS]", "[SEP]", "[PAD]"]}, (1, 1)),
        ("xlnet", "spiece.model", {"control_symbols": ["<cls>", "<sep>", "<pad>"]}, (0, 2)),
    ],
)
def test_a_sentencepiece_model_alone_is_a_tokenizer(tmp_path, kind, name, marks, around):
    import sentencepiece

    words = ["a", "good", "film", "and", "a", "poor", "plot"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(words[turn:] + words[:turn]) for turn in range(7)] * 20),
        model_writer=model,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
        **marks,
    )
    (tmp_path / name).write_bytes(model.getvalue())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    vocabulary = PretrainedVocabulary(tmp_path)
    assert (len(vocabulary.prefix), len(vocabulary.suffix)) == around
    (ids,) = vocabulary.encode(["a good film"])
    parts: Any = vocabulary.parts()
    pieces = [parts["model"]["vocab"][number][0] for number in ids]
    assert "".join(pieces).replace("\u2581", " ").strip() == "a good film"
