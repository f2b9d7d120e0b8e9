"""Encode texts word by word, each different word once.

To most tokenizers a space ends a word, whatever stands before and after it. Their texts get the
same ids word by word as they get whole, in a fraction of the time. This does not hold for
SentencePiece: its unigram model adds up the scores of a whole text in 32 bits, so where two splits
of a word are nearly as good, the text before the word may decide which one wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gap.data.vocabulary import Normalizer, TokenizerParts, Vocabulary

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]

# New words that are encoded as one text: an encoding of its own costs more than the word.
JOINED = 64
# At most so many words and ids are remembered: some 200 MB.
MOST_WORDS = 500_000
MOST_IDS = 4_000_000

# Parts of tokenizers that treat each word by itself. These pre-tokenizers drop spaces. A byte-level
# pre-tokenizer keeps a space with the word after it, but looks across several spaces in a row. So
# with it, no normalizer may remove a character.
MODELS = {"BPE", "WordLevel", "WordPiece"}
NORMALIZERS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "StripAccents"}
DROPPING_SPACES = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
REMOVING_NOTHING = {"Lowercase", "NFC"}
# A space after a character that is not white space to Python or Unicode.
WORD_END = "([^\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]) "
SEAM = "\0"

Splitter = Callable[[pa.Array], pa.Array | None]


def split_at_spaces(texts: pa.Array) -> pa.Array:
    """Return the words of each text, without spaces: a list array."""
    return pc.split_pattern(texts, " ")


def split_before_spaces(texts: pa.Array) -> pa.Array | None:
    """Return the words of each text, each but the first with the spaces before it: a list array.

    None where that is not possible. A space behind other white space stays with what precedes it.
    """
    if pc.any(pc.match_substring(texts, SEAM)).as_py():
        return None
    return pc.split_pattern(pc.replace_substring_regex(texts, WORD_END, rf"\1{SEAM} "), SEAM)


def word_splitter(parts: TokenizerParts) -> Splitter | None:
    """Return what splits texts into words, such that the ids of the words make the ids of the text.

    `parts` is a tokenizer as its tokenizer.json has it. None where its texts must be encoded whole.
    """
    kinds = set(_kinds(parts["normalizer"]))
    splitting = parts["pre_tokenizer"]
    model = parts["model"]
    across = any(
        token["rstrip"] or any(map(str.isspace, token["content"]))
        for token in parts["added_tokens"]
    )
    if across or model.get("type") not in MODELS or model.get("dropout"):
        return None
    if splitting is None:
        return None
    if splitting["type"] in DROPPING_SPACES and kinds <= NORMALIZERS:
        return split_at_spaces
    by_bytes = splitting["type"] == "ByteLevel" and splitting.get("use_regex", True)
    return split_before_spaces if by_bytes and kinds <= REMOVING_NOTHING else None


def _kinds(part: Normalizer | None) -> Iterator[str]:
    """Yield the type of a normalizer; of a sequence, the types of those in it."""
    if part is None:
        return
    if part["type"] == "Sequence":
        for member in part["normalizers"]:
            yield from _kinds(member)
    else:
        yield part["type"]


def flatten(encoded: Sequence[Sequence[int]]) -> tuple[Ids, Lengths]:
    """Return all ids one after another, (tokens,), and how many each text has, (texts,)."""
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return np.fromiter(chain.from_iterable(encoded), np.uint32, int(lengths.sum())), lengths


def ranges(starts: Lengths, lengths: Lengths) -> Lengths:
    """Return the numbers from each start on, as many as its length says, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


def partition(parts: TokenizerParts, pad_id: int) -> str | None:
    """Return the padding token if texts that it joins are encoded as if each stood alone."""
    for token in parts["added_tokens"]:
        bound = token["lstrip"] or token["rstrip"] or token["single_word"] or token["normalized"]
        if token["id"] == pad_id and not bound:
            return token["content"]
    return None


def encode_joined(vocabulary: Vocabulary, words: list[str], pad: str) -> tuple[Ids, Lengths]:
    """Return the ids of words as `flatten` does, many encoded as one text, with `pad` between.

    Where a word has padding tokens in itself, those joined with it are encoded one by one.
    """
    groups = [words[start : start + JOINED] for start in range(0, len(words), JOINED)]
    encodings = []
    for group, encoded in zip(groups, vocabulary.encode(list(map(pad.join, groups))), strict=True):
        ids = np.array(encoded, dtype=np.uint32)
        between = np.flatnonzero(ids == vocabulary.pad_id)
        if len(between) == len(group) - 1:
            lengths = np.diff(between, prepend=-1, append=len(ids)) - 1
            encodings.append((np.delete(ids, between), lengths))
        else:
            encodings.append(flatten(vocabulary.encode(group)))
    ids, lengths = (np.concatenate(each) for each in zip(*encodings, strict=True))
    return ids, lengths


class Words:
    """The ids of the words that were met; forgotten when they are too many."""

    def __init__(self, encode: Callable[[list[str]], tuple[Ids, Lengths]]) -> None:
        self._encode = encode
        self._forget()

    def _forget(self) -> None:
        self._places: dict[str, int] = {}
        self._ids, self._lengths = flatten([])
        self._starts = self._lengths

    def encode(self, texts: pa.Array) -> tuple[Ids, Lengths]:
        """Return the ids of texts that are lists of words, as `flatten` does."""
        words = texts.flatten().dictionary_encode()
        places = self._find(words.dictionary.to_pylist())[words.indices.to_numpy()]
        lengths = self._lengths[places]
        ids = self._ids[ranges(self._starts[places], lengths)]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        offsets = texts.offsets.to_numpy()
        return ids, np.diff(ends[offsets - offsets[0]])

    def _find(self, words: list[str]) -> Lengths:
        """Return the places of words, after those that are new have been encoded."""
        if len(self._places) > MOST_WORDS or len(self._ids) > MOST_IDS:
            self._forget()
        new = [word for word in words if word not in self._places]
        if new:
            ids, lengths = self._encode(new)
            start = len(self._ids)
            count = len(self._places)
            self._places.update((word, count + place) for place, word in enumerate(new))
            self._starts = np.concatenate([self._starts, start + np.cumsum(lengths) - lengths])
            self._lengths = np.concatenate([self._lengths, lengths])
            self._ids = np.concatenate([self._ids, ids])
        return np.fromiter(map(self._places.__getitem__, words), np.int64, len(words))
