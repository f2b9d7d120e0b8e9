"""Encode texts piece by piece, and join the pieces into one memory-mapped file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gap.data.manifests import IdsManifest
from gap.data.pairs import SEPARATOR, share_room
from gap.data.vocabulary import PretrainedVocabulary, TokenizerParts, Vocabulary
from gap.data.word_encoding import (
    Ids,
    Lengths,
    Splitter,
    Words,
    encode_joined,
    flatten,
    partition,
    ranges,
    word_splitter,
)
from gap.run.digests import sha256_file
from gap.run.durable import replace
from gap.run.json import write_json

Hashes = npt.NDArray[np.uint64]

# Texts that are encoded at a time where they are encoded whole.
BATCH = 1024


@dataclass
class Encoder:
    """Makes of texts what models read: their ids within `max_tokens`, special ones around them.

    `keep` says which ids of a longer text are kept: the "head", or by "head_and_tail" the first
    three quarters of what there is room for, and the tail. Of each `pair` of texts the longer one
    is cut first. What an encoder has learned of words it does not pass on to another process.
    """

    vocabulary: Vocabulary
    max_tokens: int
    keep: str
    pair: bool = False

    def __getstate__(self) -> dict[str, object]:
        return {key: getattr(self, key) for key in ("vocabulary", "max_tokens", "keep", "pair")}

    @property
    def separator(self) -> list[int] | None:
        """The special ids between the texts of a pair; None where texts are read as single ones."""
        return self.vocabulary.separator if self.pair else None

    @property
    def pair_separator(self) -> int | None:
        """The id behind which tokens are of the second type; None where there is one type only."""
        return self.separator[0] if self.separator and self.vocabulary.typed else None

    @cached_property
    def _words(self) -> Words:
        return Words(self._encode_words)

    def _encode_words(self, words: list[str]) -> tuple[Ids, Lengths]:
        if self._pad is None:
            return flatten(self.vocabulary.encode(words))
        return encode_joined(self.vocabulary, words, self._pad)

    @cached_property
    def _pad(self) -> str | None:
        return partition(self._parts, self.vocabulary.pad_id) if self._parts else None

    @cached_property
    def _parts(self) -> TokenizerParts | None:
        vocabulary = self.vocabulary
        return vocabulary.parts() if isinstance(vocabulary, PretrainedVocabulary) else None

    @cached_property
    def _split(self) -> Splitter | None:
        return word_splitter(self._parts) if self._parts else None

    def encode(self, texts: pa.Array) -> tuple[Ids, Lengths]:
        """Return the ids of texts (an array of strings) as `flatten` does, all and no others."""
        if isinstance(self.vocabulary, PretrainedVocabulary) and self.vocabulary.letters:
            return self.vocabulary.letters.encode(texts)
        words = self._split(texts) if self._split else None
        if words is not None:
            return self._words.encode(words)
        starts = range(0, len(texts), BATCH)
        batches = (texts.slice(start, BATCH).to_pylist() for start in starts)
        return flatten([ids for batch in batches for ids in self.vocabulary.encode(batch)])

    def parts(self, texts: pa.Array) -> list[pa.Array]:
        """Return what is encoded by itself: texts, or the first and the second ones of pairs."""
        if self.separator is None:
            return [texts]
        both = pc.split_pattern(texts, SEPARATOR, max_splits=1)
        return [pc.list_element(both, place) for place in (0, 1)]

    def complete(self, *parts: tuple[Ids, Lengths]) -> tuple[Ids, Lengths]:
        """Return texts' ids and lengths, shortened where need be, with special ids around them.

        `parts` are those of `parts`, encoded. A text of no tokens gets the padding id once, so that
        no model meets an empty row.
        """
        before, behind = self.vocabulary.prefix, self.vocabulary.suffix
        if self.separator is None:
            ids, lengths = parts[0]
            return self._enclose(ids, lengths, np.full_like(lengths, self.room), before, behind, 1)
        (first, second) = parts
        rooms = share_room(first[1], second[1], self.room)
        return interleave(
            self._enclose(*first, rooms[0], before, self.separator),
            self._enclose(*second, rooms[1], [], behind),
        )

    def _enclose(
        self,
        ids: Ids,
        lengths: Lengths,
        room: Lengths,
        before: list[int],
        behind: list[int],
        least: int = 0,
    ) -> tuple[Ids, Lengths]:
        """Return ids and lengths of texts cut to their room, with special ids on both sides."""
        kept = np.minimum(lengths, room)
        head = kept
        if self.keep != "head":
            head = np.where(lengths > room, (3 * room + 3) // 4, lengths)
        completed = np.maximum(len(before) + kept + len(behind), least)
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
        """The ids that a text, or a pair, has room for besides the special ones."""
        special = [*self.vocabulary.prefix, *(self.separator or []), *self.vocabulary.suffix]
        return self.max_tokens - len(special)


def interleave(first: tuple[Ids, Lengths], second: tuple[Ids, Lengths]) -> tuple[Ids, Lengths]:
    """Return the ids of each second text behind those of its first, and how many they are."""
    lengths = first[1] + second[1]
    starts = np.cumsum(lengths) - lengths
    whole = np.empty(int(lengths.sum()), dtype=np.uint32)
    whole[ranges(starts, first[1])] = first[0]
    whole[ranges(starts + first[1], second[1])] = second[0]
    return whole, lengths


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
        parts = [encoder.encode(part) for part in encoder.parts(texts)]
        counts = np.sum([lengths for _, lengths in parts], axis=0)
        shortened += int((counts > encoder.room).sum())
        tokens += int(counts.sum())
        if unknown_id is not None:
            unknown += sum(int((encoded == unknown_id).sum()) for encoded, _ in parts)
        whole, completed = encoder.complete(*parts)
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
    encoder: Encoder,
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
    vocabulary = encoder.vocabulary
    special = encoder.max_tokens - encoder.room
    kept = int(offsets[-1]) - (len(offsets) - 1) * special
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
        "pair_separator": encoder.pair_separator,
        "sha256": sha256_file(f"{stem}.ids.npy"),
    }
    write_json(f"{stem}.json", manifest)
    return manifest
