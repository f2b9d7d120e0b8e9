"""Pool rows whose text is nearly a text of the test set.

Two texts are near duplicates where their sets of runs of SHINGLE characters have a Jaccard index of
LEAST_LIKENESS or more, by the estimate of a MinHash signature (Broder 1997, On the resemblance and
containment of documents). Runs of characters suit all scripts, also those without spaces. A text
is compared with those of the test set that share LEAST_BANDS whole bands of its signature
(Leskovec, Rajaraman and Ullman 2014, Mining of Massive Datasets, ch. 3), so that of texts with a
common form, such as lines of a log, few have to be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gap.data.preparing.roles import NEAR, POOL, TEST, read_column
from gap.data.preparing.store import Store
from gap.data.preparing.texts import normalise
from gap.run.workers import Workers

SHINGLE = 8
LEAST_LIKENESS = 0.8
BANDS, BAND_ROWS = 32, 4
# As many hashes as may differ in near duplicates can be in as many bands; all others are the same.
# So none is missed.
LEAST_BANDS = BANDS - int((1 - LEAST_LIKENESS) * BANDS * BAND_ROWS)
# Factors and summands of the hashes, (hashes, 1): drawn once and for all, so that results never
# differ.
RANDOM = np.random.default_rng(1997)
FACTORS = 2 * RANDOM.integers(1 << 63, size=(BANDS * BAND_ROWS, 1), dtype=np.uint64) + np.uint64(1)
SUMMANDS = RANDOM.integers(1 << 63, size=(BANDS * BAND_ROWS, 1), dtype=np.uint64)
# Shingles of a text that are hashed at a time: memory is bounded however long a text is.
SHINGLES_AT_ONCE = 512

Signatures = NDArray[np.uint32]
Hashes = NDArray[np.uint64]


class Stretch(NamedTuple):
    """A file of texts of the store, and which of its rows to look at."""

    path: Path
    chosen: NDArray[np.bool_]


def find_near_duplicates(store: Store, threads: int, drop: bool) -> int:
    """Return the number of pool rows that are nearly test rows; `drop`: they leave the pool.

    Each process holds the signatures of the test set with their order, a kilobyte for each text,
    and a batch of texts.
    """
    with Workers(sign, threads) as workers:
        signed = list(workers.in_order(_stretches(store, TEST)))
    index = NearIndex(np.concatenate(signed))
    with Workers(partial(places_of_near, index), threads) as workers:
        near = list(workers.in_order(_stretches(store, POOL)))
    starts = np.cumsum([0, *map(_rows, store.files)])[:-1]
    positions = np.concatenate([start + places for start, places in zip(starts, near, strict=True)])
    if drop:
        _drop(store, positions)
    return len(positions)


def _rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _stretches(store: Store, role: int) -> Iterator[Stretch]:
    position = 0
    for file in store.files:
        rows = _rows(file)
        roles = read_column(store, "role", position, position + rows)
        yield Stretch(file, np.asarray(roles == role))
        position += rows


def _drop(store: Store, positions: NDArray[np.int64]) -> None:
    store.database.register("near", pa.table({"position": positions}))
    store.replace_table(
        "roles",
        f"""SELECT * REPLACE (CASE WHEN position IN (SELECT position FROM near)
            THEN {NEAR} ELSE role END::TINYINT AS role)
        FROM roles ORDER BY position""",
    )
    store.database.unregister("near")


def sign(stretch: Stretch) -> Signatures:
    """Return the signatures of the chosen texts, (texts, hashes)."""
    texts = pq.read_table(stretch.path, columns=["text"])["text"]
    return signatures(texts.filter(pa.array(stretch.chosen)).to_pylist())


def signatures(texts: Sequence[str]) -> Signatures:
    """Return the MinHash signatures of texts, (texts, hashes).

    Each has, for each hash, the smallest value of the text's shingles. A hash is the upper half of
    x * factor + summand modulo 2^64 (Dietzfelbinger and others 1997, Journal of Algorithms 25). A
    text shorter than a shingle is one.
    """
    smallest = np.full((len(texts), len(FACTORS)), np.iinfo(np.uint64).max)
    # One room for all products: a new one for each text would take ten times as long.
    room = np.empty((len(FACTORS), SHINGLES_AT_ONCE), dtype=np.uint64)
    for text, values in zip(texts, smallest, strict=True):
        shingles = shingle(normalise(text))
        for start in range(0, len(shingles), SHINGLES_AT_ONCE):
            part = shingles[start : start + SHINGLES_AT_ONCE]
            products = np.multiply(part, FACTORS, out=room[:, : len(part)])
            products += SUMMANDS
            np.minimum(values, products.min(axis=1), out=values)
    return (smallest >> np.uint64(32)).astype(np.uint32)


def shingle(text: str) -> Hashes:
    """Return the different hashes of all runs of SHINGLE characters, (shingles,)."""
    characters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = max(1, len(characters) - SHINGLE + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(min(SHINGLE, len(characters))):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += characters[place : place + count]
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


class NearIndex:
    """The signatures of the test set, to be looked up by their bands."""

    def __init__(self, signed: Signatures) -> None:
        self.signatures = signed
        bands = hash_bands(signed)
        self.orders = np.argsort(bands, axis=1, kind="stable")
        self.bands = np.take_along_axis(bands, self.orders, axis=1)

    def near(self, signed: Signatures) -> NDArray[np.bool_]:
        """Return which of the signatures (texts, hashes) are near to one of the test set."""
        wanted = list(zip(self.bands, hash_bands(signed), strict=True))
        low = np.stack([np.searchsorted(band, values, side="left") for band, values in wanted])
        high = np.stack([np.searchsorted(band, values, side="right") for band, values in wanted])
        near = np.zeros(len(signed), dtype=np.bool_)
        for place in np.flatnonzero((high > low).sum(axis=0) >= LEAST_BANDS):
            others = self._sharing(low[:, place], high[:, place])
            alike = (self.signatures[others] == signed[place]).mean(axis=1)
            near[place] = (alike >= LEAST_LIKENESS).any()
        return near

    def _sharing(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the texts that share LEAST_BANDS bands, given each band's stretch, (bands,)."""
        stretches = zip(self.orders, low, high, strict=True)
        others = np.concatenate([order[start:stop] for order, start, stop in stretches])
        return np.flatnonzero(np.bincount(others) >= LEAST_BANDS)


def hash_bands(signed: Signatures) -> Hashes:
    """Return one hash of each band of signatures, (bands, texts)."""
    parts = signed.reshape(len(signed), BANDS, BAND_ROWS).astype(np.uint64)
    hashes = np.zeros((len(signed), BANDS), dtype=np.uint64)
    for place in range(BAND_ROWS):
        hashes = (hashes ^ parts[:, :, place]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(31)
    return np.ascontiguousarray(hashes.T)


def places_of_near(index: NearIndex, stretch: Stretch) -> NDArray[np.int64]:
    """Return the places in a file of its chosen texts that are near to one of the test set."""
    return np.flatnonzero(stretch.chosen)[index.near(sign(stretch))]
