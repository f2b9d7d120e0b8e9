"""Word by word, whole, by one process or several: the ids of a text are those of its tokenizer."""

import copy
import importlib
import os
import subprocess
import sys
from functools import partial

import encode
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data import word_encoding
from gap.data.encoding import Encoder
from gap.data.vocabulary import PretrainedVocabulary
from gap.data.word_encoding import partition, split_at_spaces, split_before_spaces, word_splitter
from gap.run.errors import UserError
from gap.run.workers import Workers
from gap.study.rules import EncodeRecipe
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

CORPUS = [
    "The film isn't good, it's a great film; don't miss it!  Really.",
    "caf\u00e9 \u00c9t\u00e9 na\u00efve \u4e2d\u6587 12 ... -- (bad) \u03a3\u03a3 \u0130a",
    "a  b   c\n\nd \t e\u00a0f \u2003 g\u2028h    i\x1cj\x85k \u3000l\n m",
    "a\n\n  b" * 9,
] * 3
SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "sep_token": "[SEP]", "mask_token": "<mask>"}
# What begins and ends words, what is dropped, joined or taken apart, and all kinds of white space.
SPACES = "    \n\t\r\0\x1c\x1f\x85\u00a0\u2003\u2028\u3000\u200b\u200d\ufeff\ufffd\u00ad"
LETTERS = "aAbegX1.,'!-[]<>\u0301\u0308\u00a8\u00b4\u00e9\u00c9\u0130\u00df\u03a3\u4e2d\u6587"
SIGNS = "[SEP] [UNK] [PAD] <mask> <new> film good n't 's e\u0301 \u0e01\u0e33 \U0001f600"
SIGN = st.sampled_from([*SPACES, *LETTERS, *SIGNS.split(), "  ", "   "])
TEXT = st.lists(SIGN, max_size=14).map("".join) | st.text(max_size=8)


def save(tokenizer, folder):
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(folder)
    return PretrainedVocabulary(folder)


def word_pieces(normalizer):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=8))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=[*SPECIAL.values()], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_pairs(normalizer=None, prefix=False, special=(), **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, **options)
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["[UNK]", "[PAD]", "[SEP]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    # As RoBERTa has it: what stands before a mask belongs to it.
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True), *special])
    return tokenizer


def with_new_words(tokenizer):
    tokenizer.add_tokens([AddedToken("<new>"), AddedToken("goo", single_word=True)])
    return tokenizer


BERT = normalizers.BertNormalizer()
CASED = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
SEVERAL = normalizers.Sequence(
    [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
)
BY_WORDS = {
    "BERT": lambda: with_new_words(word_pieces(BERT)),
    "cased BERT": lambda: word_pieces(CASED),
    "several normalizers": lambda: word_pieces(SEVERAL),
    "RoBERTa": lambda: with_new_words(byte_pairs()),
    "a space put before": lambda: byte_pairs(prefix=True),
    "composed": lambda: byte_pairs(normalizers.NFC()),
}


@pytest.fixture(scope="module", params=BY_WORDS)
def encoder(request, tmp_path_factory):
    vocabulary = save(BY_WORDS[request.param](), tmp_path_factory.mktemp("tokenizer"))
    assert word_splitter(vocabulary.parts())
    assert partition(vocabulary.parts(), vocabulary.pad_id) == "[PAD]"
    return Encoder(vocabulary, 9, "head")


def texts_of(ids, lengths):
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


@given(texts=st.lists(TEXT, min_size=1, max_size=6))
@example(["", " ", "  a", "a  ", "a\n\n  b", "a\u00a0\u00a0  b", "\u0301 \u0301", " ".join(CORPUS)])
@example(["a\0b c", "a b"])
@example(["[PAD] a[PAD]b [PAD", "PAD] [PAD][PAD]  good"])
def test_ids_of_words_are_the_ids_of_texts(encoder, texts):
    expected = encoder.vocabulary.encode(texts)
    assert texts_of(*encoder.encode(pa.array(texts))) == expected


def test_words_are_encoded_once_and_forgotten_in_time(encoder, monkeypatch):
    fresh = Encoder(encoder.vocabulary, 9, "head")
    expected = encoder.vocabulary.encode(CORPUS)
    seen = []
    plain = PretrainedVocabulary.encode

    def encode_and_note(self, texts):
        seen.extend(texts)
        return plain(self, texts)

    monkeypatch.setattr(PretrainedVocabulary, "encode", encode_and_note)
    texts = pa.array(CORPUS)
    for _ in range(2):
        assert texts_of(*fresh.encode(texts)) == expected
    assert len(seen) == len(set(seen))
    monkeypatch.setattr(word_encoding, "MOST_WORDS", 1)
    again = len(seen)
    assert texts_of(*fresh.encode(texts)) == expected
    assert len(seen) == 2 * again


WHOLE = {
    "a normalizer that removes, before bytes": lambda: byte_pairs(SEVERAL),
    "bytes without words": lambda: byte_pairs(use_regex=False),
    "a token with a space": lambda: byte_pairs(special=[AddedToken("good film")]),
    "a token that takes the space behind it": lambda: byte_pairs(
        special=[AddedToken("<new>", rstrip=True)]
    ),
    "a normalizer of another kind": lambda: word_pieces(normalizers.Replace("m ", "n")),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE.keys())
def test_other_tokenizers_encode_whole_texts(tmp_path, make):
    vocabulary = save(make(), tmp_path)
    assert word_splitter(vocabulary.parts()) is None
    texts = [*CORPUS, "<new> good film  good"]
    ids = Encoder(vocabulary, 9, "head").encode(pa.array(texts))
    assert texts_of(*ids) == vocabulary.encode(texts)


def test_a_padding_token_that_looks_around_parts_no_words(tmp_path):
    vocabulary = save(word_pieces(BERT), tmp_path)
    parts = vocabulary.parts()
    assert partition(parts, 999) is None
    for how in ("lstrip", "rstrip", "single_word", "normalized"):
        tokens = [token | {how: True} for token in parts["added_tokens"]]
        assert partition(parts | {"added_tokens": tokens}, vocabulary.pad_id) is None


def test_random_or_unknown_models_encode_whole_texts(tmp_path):
    parts = save(byte_pairs(), tmp_path).parts()
    assert word_splitter(parts) is split_before_spaces
    assert word_splitter(parts | {"model": parts["model"] | {"dropout": 0.1}}) is None
    assert word_splitter(parts | {"model": {"type": "Unigram"}}) is None
    assert word_splitter(parts | {"pre_tokenizer": {"type": "Metaspace"}}) is None
    assert word_splitter(parts | {"pre_tokenizer": None}) is None
    assert word_splitter(parts | {"pre_tokenizer": {"type": "Whitespace"}}) is split_at_spaces


def cut(ids, room, keep):
    """Return at most `room` ids: the head, or the first three quarters of room and the tail."""
    if len(ids) <= room:
        return ids
    head = room if keep == "head" else (3 * room + 3) // 4
    return ids[:head] + ids[len(ids) - (room - head) :]


@given(
    rows=st.lists(st.lists(st.integers(0, 99), max_size=12), min_size=1, max_size=6),
    before=st.lists(st.just(1), max_size=2),
    behind=st.lists(st.just(2), max_size=2),
    room=st.integers(1, 9),
    keep=st.sampled_from(["head", "head_and_tail"]),
)
def test_texts_are_completed_as_one_by_one(rows, before, behind, room, keep):
    class Given:
        unknown_id: int | None = None
        size, pad_id, prefix, suffix = 100, 7, before, behind
        separator: list[int] | None = None
        typed = False

        def encode(self, texts):
            raise NotImplementedError

    encoder = Encoder(Given(), room + len(before) + len(behind), keep)
    expected = [before + cut(row, room, keep) + behind or [7] for row in rows]
    assert texts_of(*encoder.complete(word_encoding.flatten(rows))) == expected


# ---------------------------------------------------------------- several processes


def test_processes_give_the_same_files(tmp_path, tiny_bert, monkeypatch):
    words = ["good", "film", "bad", "a", "the", "plot", "was", "unheard", "dull"]
    texts = [" ".join(words[i % 7 : i % 9 + 1]) + f" {i}" for i in range(100)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "pool.parquet", row_group_size=30)
    monkeypatch.setattr("gap.data.encoded_files.PIECE", 15)
    vocabulary = PretrainedVocabulary(tiny_bert)
    found = []
    for processes in (1, 2):
        stem = tmp_path / str(processes) / "pool"
        facts = encode.encode_file(
            tmp_path / "pool.parquet",
            vocabulary,
            EncodeRecipe(max_tokens=8, keep="head_and_tail"),
            stem,
            tmp_path / f"{processes}.state",
            processes=processes,
        )
        assert facts["rows"] == 100
        found.append({path.name: path.read_bytes() for path in stem.parent.iterdir()})
    assert found[0] == found[1]


WORK = """
import os, time
from gap.run.errors import UserError

def add_one(folder, number):
    if number < 0:
        raise UserError(f"{number} is too small")
    (folder / str(number)).touch()
    time.sleep(0.1 / (number + 1))
    return number + 1, os.getpid()

def die(number):
    os._exit(9)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module that other processes can import. `add_one` is slower for small numbers."""
    (tmp_path / "made_up_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.reload(importlib.import_module("made_up_work"))


def test_results_come_in_the_order_of_the_pieces(tmp_path, work):
    with Workers(partial(work.add_one, tmp_path), 2) as workers:
        results = list(workers.in_order(range(6)))
        assert [result for result, _ in results] == [1, 2, 3, 4, 5, 6]
        assert os.getpid() not in {process for _, process in results}
        with pytest.raises(UserError, match="-1 is too small"):
            list(workers.in_order([1, -1]))


def test_no_more_pieces_are_taken_than_can_be_worked_on(tmp_path, work):
    taken: list[int] = []

    def pieces():
        for number in range(50):
            taken.append(number)
            yield number

    with Workers(partial(work.add_one, tmp_path), 2) as workers:
        results = workers.in_order(pieces())
        next(results)
        assert len(taken) <= 4
        results.close()
        # The processes are there for other pieces.
        assert [result for result, _ in workers.in_order([7, 8, 9])] == [8, 9, 10]


def test_one_piece_or_one_process_needs_no_other(tmp_path, work):
    for processes, pieces in ((2, [5]), (2, []), (1, [5, 6, 7])):
        with Workers(partial(work.add_one, tmp_path), processes) as workers:
            assert {process for _, process in workers.in_order(pieces)} <= {os.getpid()}


def test_a_process_that_is_killed_is_told_in_a_line(work):
    with (
        Workers(work.die, 2) as workers,
        pytest.raises(UserError, match="was killed, perhaps"),
    ):
        list(workers.in_order([1, 2, 3]))


ORPHANS = """
import sys, time
sys.path[:0] = {path!r}
from gap.run.workers import Workers
if __name__ == "__main__":
    with Workers(time.sleep, 2) as workers:
        for _ in workers.in_order([0, 0, 0, 600, 600]):
            print("ready", flush=True)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path):
    import psutil  # type: ignore[import-untyped]

    program = tmp_path / "program.py"
    program.write_text(ORPHANS.format(path=sys.path))
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


def test_an_encoder_sends_no_words_along(encoder):
    encoder.encode(pa.array(["good film"]))
    sent = copy.copy(encoder)
    assert "_words" not in vars(sent)
    assert texts_of(*sent.encode(pa.array(CORPUS))) == encoder.vocabulary.encode(CORPUS)
