"""Encode texts piece by piece, and join the pieces into one memory-mapped file.

To most tokenizers a space ends a word, whatever stands before and after it. Their texts are encoded
word by word, each different word once, which gives the same ids as a whole text in a fraction of
the time. This does not hold for SentencePiece. Its unigram model adds up the scores of a whole text
in 32 bits. So, where two splits of a word are nearly as good, the text before the word may decide
which one wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gap.data.manifests import IdsManifest
from gap.data.vocabulary import Normalizer, PretrainedVocabulary, TokenizerParts, Vocabulary
from gap.run.digests import sha256_file
from gap.run.durable import replace
from gap.run.json import write_json

Ids = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Lengths = npt.NDArray[np.int64]

# Texts that are encoded at a time where they are encoded whole.
BATCH = 1024
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


@dataclass
class Encoder:
    """Makes of texts what models read: their ids within `max_tokens`, special ones around them.

    `keep` says which ids of a longer text are kept: the "head", or by "head_and_tail" the first
    three quarters of what there is room for, and the tail. What an encoder has learned of words it
    does not pass on to another process.
    """

    vocabulary: Vocabulary
    max_tokens: int
    keep: str

    def __getstate__(self) -> dict[str, object]:
        return {key: getattr(self, key) for key in ("vocabulary", "max_tokens", "keep")}

    @cached_property
    def _words(self) -> Words:
        return Words(self._encode_words)

    def _encode_words(self, words: list[str]) -> tuple[Ids, Lengths]:
        if self._pad is None:
            return flatten(self.vocabulary.encode(words))
        return encode_joined(self.vocabulary, words, self._pad)

    @cached_property
    def _pad(self) -> str | None:
        assert isinstance(self.vocabulary, PretrainedVocabulary)
        return partition(self.vocabulary.parts(), self.vocabulary.pad_id)

    @cached_property
    def _split(self) -> Splitter | None:
        if not isinstance(self.vocabulary, PretrainedVocabulary):
            return None
        return word_splitter(self.vocabulary.parts())

    def encode(self, texts: pa.Array) -> tuple[Ids, Lengths]:
        """Return the ids of texts (an array of strings) as `flatten` does, all and no others."""
        words = self._split(texts) if self._split else None
        if words is not None:
            return self._words.encode(words)
        starts = range(0, len(texts), BATCH)
        batches = (texts.slice(start, BATCH).to_pylist() for start in starts)
        return flatten([ids for batch in batches for ids in self.vocabulary.encode(batch)])

    def complete(self, ids: Ids, lengths: Lengths) -> tuple[Ids, Lengths]:
        """Return texts' ids and lengths, shortened where need be, with special ids around them.

        A text of no tokens gets the padding id once, so that no model meets an empty row.
        """
        before, behind = self.vocabulary.prefix, self.vocabulary.suffix
        kept = np.minimum(lengths, self.room)
        head = kept
        if self.keep != "head":
            head = np.where(lengths > self.room, (3 * self.room + 3) // 4, lengths)
        completed = np.maximum(len(before) + kept + len(behind), 1)
        ends, starts = np.cumsum(lengths), np.cumsum(completed) - completed
        whole = np.full(int(completed.sum()), self.vocabulary.pad_id, dtype=np.uint32)
        inner = starts + len(before)
        whole[ranges(inner, head)] = ids[ranges(ends - lengths, head)]
        tail = kept - head
        whole[ranges(inner + head, tail)] = ids[ranges(ends - tail, tail)]
        for place, special in enumerate(before):
            whole[starts + place] = special
        for place, special in enumerate(behind):
            whole[inner + kept + place] = special
        return whole, completed

    @property
    def room(self) -> int:
        """The ids that a text has room for besides the special ones."""
        return self.max_tokens - len(self.vocabulary.prefix) - len(self.vocabulary.suffix)


def hash_texts(texts: pa.Array) -> Hashes:
    """Return a 64-bit hash of each text, (texts,)."""
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts.to_pylist())
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def hash_ids(ids: Ids, lengths: Lengths) -> Hashes:
    """Return a 64-bit hash of the ids of each text, one or more, (texts,).

    It is the sum of the ids' products with random odd numbers, one for each place in a text
    (multilinear hashing; Lemire and Kaser 2014, The Computer Journal 57:1624-1638).
    """
    if not len(lengths):
        return np.empty(0, dtype=np.uint64)
    starts = np.cumsum(lengths) - lengths
    factors = np.random.default_rng(0).integers(0, 2**64, int(lengths.max()), np.uint64) | 1
    places = ranges(np.zeros_like(lengths), lengths)
    # High bits of the sum depend on all bits of the ids, so an id is not to be 0.
    products = (ids.astype(np.uint64) + np.uint64(1)) * factors[places]
    sums: Hashes = np.add.reduceat(products, starts)
    return sums


def collapsed_share(hashes: Hashes) -> float:
    """Return the share of different texts whose ids are those of an earlier one.

    `hashes`, (2, texts), are those of texts and of their ids.
    """
    _, first = np.unique(hashes[0], return_index=True)
    return 1 - len(np.unique(hashes[1][first])) / len(first) if len(first) else 0.0


def encode_piece(batches: Iterable[pa.Array], encoder: Encoder, path: Path) -> None:
    """Encode texts into one .npz file: ids (tokens,), lengths (texts,), and what is counted.

    These are the `shortened` texts, the `whole` tokens before cutting and the `unknown` ones among
    them; and `texts` and `encodings`, hashes that differ where texts and their ids do, (texts,).
    Memory holds the ids of all texts.
    """
    dtype = np.uint16 if encoder.vocabulary.size <= 1 << 16 else np.uint32
    ids: list[npt.NDArray[np.uint16 | np.uint32]] = [np.empty(0, dtype=dtype)]
    lengths: list[Lengths] = [np.empty(0, dtype=np.int64)]
    hashes: list[Hashes] = [np.empty((2, 0), dtype=np.uint64)]
    shortened = tokens = unknown = 0
    unknown_id = encoder.vocabulary.unknown_id
    for texts in batches:
        encoded, counts = encoder.encode(texts)
        shortened += int((counts > encoder.room).sum())
        tokens += len(encoded)
        if unknown_id is not None:
            unknown += int((encoded == unknown_id).sum())
        whole, completed = encoder.complete(encoded, counts)
        hashes.append(np.stack([hash_texts(texts), hash_ids(whole, completed)]))
        ids.append(whole.astype(dtype))
        lengths.append(completed)
    partial = path.with_name(f"{path.stem}.partial.npz")
    np.savez(
        partial,
        ids=np.concatenate(ids),
        lengths=np.concatenate(lengths),
        hashes=np.concatenate(hashes, axis=1),
        shortened=shortened,
        whole=tokens,
        unknown=unknown,
    )
    replace(partial, path)


def join_pieces(
    pieces: Sequence[Path],
    vocabulary: Vocabulary,
    stem: Path,
    rows: npt.NDArray[np.int64] | None = None,
) -> IdsManifest:
    """Put what `encode_piece` wrote into `stem`.ids.npy and .offsets.npy, one piece at a time.

    `rows`, ascending, says which rows of the data set the texts are, where they are not all.
    Returns the manifest, which is in `stem`.json, too.
    """
    lengths = [np.load(piece)["lengths"] for piece in pieces]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{stem}.ids.npy", "wb") as file:
        descr = np.lib.format.dtype_to_descr(np.load(pieces[0])["ids"].dtype)
        shape = (int(offsets[-1]),)
        np.lib.format.write_array_header_1_0(
            file, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        for piece in pieces:
            np.load(piece)["ids"].tofile(file)
    np.save(f"{stem}.offsets.npy", offsets)
    if rows is not None:
        np.save(f"{stem}.rows.npy", rows)
    counted = {
        name: sum(int(np.load(piece)[name]) for piece in pieces)
        for name in ("shortened", "whole", "unknown")
    }
    kept = int(offsets[-1]) - (len(offsets) - 1) * len([*vocabulary.prefix, *vocabulary.suffix])
    manifest: IdsManifest = {
        "partial": rows is not None,
        "rows": len(offsets) - 1,
        "tokens": int(offsets[-1]),
        "shortened": counted["shortened"],
        "cut_tokens": max(counted["whole"] - kept, 0),
        "unknown_share": round(counted["unknown"] / max(counted["whole"], 1), 4),
        "collapsed_share": round(
            collapsed_share(np.concatenate([np.load(piece)["hashes"] for piece in pieces], axis=1)),
            4,
        ),
        "pad_id": vocabulary.pad_id,
        "vocabulary_size": vocabulary.size,
        "sha256": sha256_file(f"{stem}.ids.npy"),
    }
    write_json(f"{stem}.json", manifest)
    return manifest
