"""The texts that a checkpoint is pretrained on: of pools and others, but none of a test set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gap.data.cards import read_card
from gap.data.manifests import CorpusManifest, TextBudget
from gap.data.pairs import SEPARATOR
from gap.data.prepared import count_texts, iterate_texts
from gap.data.preparing.texts import cut_pair, cut_text, normalise, text_digest
from gap.data.row_writer import RowWriter
from gap.run.arguments import named_paths
from gap.run.digests import sha256_file
from gap.run.errors import UserError
from gap.study.datasets import TextUnit

ROWS = pa.schema([("row", pa.int64()), ("text", pa.string()), ("held_out", pa.bool_())])

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """A pool, a test set or texts without labels: the file, and the budget of its texts."""

    path: Path
    budget: TextBudget

    @cached_property
    def hashes(self) -> Hashes:
        """The hash of each text, (texts,)."""
        return hash_all(every_text(self.path))

    def cut(self, text: str) -> str:
        """Return a text within this budget."""
        return (cut_pair if SEPARATOR in text else cut_text)(text, *self._budget)

    def cuts_as(self, other: Texts) -> bool:
        """Return whether two budgets are the same; reports may call their units what they like."""
        return self._budget == other._budget

    @property
    def _budget(self) -> tuple[int, str, TextUnit]:
        return self.budget["words"], self.budget["keep"], self.budget["unit"]


def named_texts(files: Sequence[str], cards: Mapping[str, Path]) -> dict[str, Texts]:
    """Return {name: texts} of "NAME=PATH", each with the budget that its card tells, by name."""
    named = named_paths(files)
    return {
        name: Texts(named[name], read_card(cards[name])["text_budget"]) for name in sorted(named)
    }


def hash_text(text: str) -> int:
    """Return a 64-bit hash of a text, in which case, spaces and composition count for nothing.

    Two of 20 million texts and a million others have the same hash by a chance of a millionth.
    """
    return int.from_bytes(text_digest(normalise(text))[:8], "little")


def hash_all(texts: Iterable[str]) -> Hashes:
    """Return the hash of each text, (texts,)."""
    return np.fromiter(map(hash_text, texts), dtype=np.uint64)


def every_text(path: Path) -> Iterator[str]:
    """Yield the texts of a Parquet file."""
    return (text for texts in iterate_texts(path) for text in texts)


def in_tests(pool: Texts, tests: Iterable[Texts]) -> Flags:
    """Return which texts of a pool stand in a test set, (texts,).

    Texts are compared whole, and where budgets differ also within the budget of either.
    """
    pools, forbidden = [pool.hashes], [np.empty(0, dtype=np.uint64)]
    for test in tests:
        forbidden.append(test.hashes)
        if not pool.cuts_as(test):
            forbidden.append(hash_all(map(pool.cut, every_text(test.path))))
            pools.append(hash_all(map(test.cut, every_text(pool.path))))
    every = np.unique(np.concatenate(forbidden))
    return np.logical_or.reduce([np.isin(hashes, every) for hashes in pools])


def choose_held_out(hashes: Hashes, share: float) -> Flags:
    """Return which texts, by their hashes, are held out: a share of them, one at least, (texts,).

    They are those of the lowest hashes, which is as good as random: the order of texts decides
    nothing.
    """
    count = max(1, round(share * len(hashes)))
    flags = np.zeros(len(hashes), dtype=np.bool_)
    flags[np.argsort(hashes, kind="stable")[:count]] = True
    return flags


def write_corpus(
    pools: dict[str, Texts], tests: dict[str, Texts], share: float, path: Path
) -> CorpusManifest:
    """Write the texts of pools that stand in no test set, each once; return the manifest.

    A share of them is held out. Memory takes some 40 bytes for each text. Raises UserError where
    fewer than two texts are left.
    """
    leaks = np.concatenate([in_tests(pool, tests.values()) for pool in pools.values()])
    hashes = np.concatenate([pool.hashes for pool in pools.values()])
    first = np.zeros(len(hashes), dtype=np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    kept = np.flatnonzero(first & ~leaks)
    if len(kept) < 2:
        raise UserError(
            f"corpus of {', '.join(pools)}: of {len(hashes):,} texts, {int(leaks.sum()):,} stand "
            f"in a test set of the study, and {len(kept)} are left; name a data set with others"
        )
    held_out = np.zeros(len(hashes), dtype=np.bool_)
    held_out[kept] = choose_held_out(hashes[kept], share)
    characters = _write(pools.values(), kept, held_out, path)
    return {
        "texts": len(kept) - int(held_out.sum()),
        "held_out": int(held_out.sum()),
        "characters": characters,
        "test_texts": int(leaks.sum()),
        "repeats": int((~first & ~leaks).sum()),
        "texts_of": _count_by_name(pools, kept[~held_out[kept]]),
        "sha256": sha256_file(path),
    }


def _count_by_name(pools: dict[str, Texts], places: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return how many texts of each pool are at these places, sorted, of all of them."""
    ends = np.cumsum([len(pool.hashes) for pool in pools.values()])
    counts = np.diff(np.searchsorted(places, ends), prepend=0)
    return dict(zip(pools, counts.tolist(), strict=True))


def _write(pools: Iterable[Texts], kept: npt.NDArray[np.int64], held_out: Flags, path: Path) -> int:
    """Write the texts at the places `kept` of all pools; return how many characters they have."""
    writer, start, characters = RowWriter(path, ROWS), 0, 0
    for pool in pools:
        count = count_texts(pool.path)
        rows = kept[(kept >= start) & (kept < start + count)] - start
        place = 0
        for texts in iterate_texts(pool.path, rows):
            plain = [text.replace(SEPARATOR, " ") for text in texts]
            flags = held_out[start + rows[place : place + len(texts)]]
            writer.add(pa.table({"text": plain, "held_out": flags}))
            characters += sum(map(len, plain))
            place += len(texts)
        start += count
    writer.close()
    return characters
