"""Pairs of like texts, by the runs of residues that they share.

The way is that of Linclust (Steinegger and Soeding 2018, Nature Communications 9): of each text
the runs of residues with the smallest hashes are kept (a MinHash sketch; Broder 1997); of the texts
that share a run, the longest ones are centres; a text is compared with the centres that share most
runs with it. So the number of comparisons grows with the texts, not with their pairs. The
database sorts and joins, and spills to disk.

Residues are the characters of a text as `normalise` gives it, without spaces. The likeness of two
texts is 1 - d / n, with d the least number of residues that have to be changed, put in or taken out
(Levenshtein), and n the residues of the longer text: the share of residues that are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gap.data.preparing.store import Store
from gap.data.preparing.texts import normalise
from gap.run.workers import Workers

# Runs that are kept of each text, centres of each run, and texts that a text is compared with.
SKETCH, CENTRES, COMPARED = 200, 32, 256
# A long text is compared with fewer: so many residues in all, but FEWEST texts at least.
COMPARED_RESIDUES, FEWEST = 256_000, 4
SHORTEST_RUN, LONGEST_RUN = 3, 24
# Two texts that are so much alike are not so by chance.
CERTAIN = 0.8
# See `likeness`.
CHANCE = 1.5
PAIRS_AT_ONCE = 50_000

Numbers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Part(NamedTuple):
    """A file of texts of the store, the position of its first, and the positions to look at."""

    path: Path
    start: int
    positions: Numbers


class SharedRuns:
    """Finds like texts in the table `texts` of the store by the runs that they share."""

    # A run leads to some of the targets only, so each side looks for itself.
    both_ways: ClassVar[bool] = True

    def __init__(self, store: Store, threads: int) -> None:
        self.store, self.threads = store, threads
        store.database.execute(
            "CREATE TABLE runs (hash UBIGINT, position BIGINT, residues INTEGER)"
        )
        query = "SELECT position FROM texts ORDER BY position"
        parts = text_parts(store, store.database.execute(query).fetchnumpy()["position"])
        with Workers(partial(sketch, run_length(store)), threads) as workers:
            for sketches in workers.in_order(parts):
                store.database.register("sketches", sketches)
                store.database.execute("INSERT INTO runs SELECT * FROM sketches")
                store.database.unregister("sketches")

    def find(self, seekers: str, targets: str, least: float) -> None:
        """Add to the table `alike` (seeker, target, likeness) texts that are alike by `least`.

        `seekers` and `targets` are tables of positions of texts.
        """
        self.store.replace_table("candidates", candidates(seekers, targets, least))
        with Workers(partial(compare, least), self.threads) as workers:
            for pairs in workers.in_order(self._candidates()):
                self.store.database.register("compared", pairs)
                self.store.database.execute("INSERT INTO alike SELECT * FROM compared")
                self.store.database.unregister("compared")

    def _candidates(self) -> Iterator[tuple[Part, Part]]:
        """Yield pairs to compare, so that two files at a time hold the texts of them."""
        files = list(zip(self.store.files, file_bounds(self.store), strict=True))
        for path, (start, stop) in files:
            for other_path, (other_start, other_stop) in files:
                pairs = self.store.database.execute(
                    """SELECT seeker, target FROM candidates WHERE seeker >= ? AND seeker < ?
                    AND target >= ? AND target < ? ORDER BY seeker, target""",
                    [start, stop, other_start, other_stop],
                ).fetchnumpy()
                for place in range(0, len(pairs["seeker"]), PAIRS_AT_ONCE):
                    some = slice(place, place + PAIRS_AT_ONCE)
                    first = Part(path, start, pairs["seeker"][some])
                    yield first, Part(other_path, other_start, pairs["target"][some])


def file_bounds(store: Store) -> list[tuple[int, int]]:
    """Return the positions where each file of the store begins and ends."""
    stops = np.cumsum([pq.read_metadata(file).num_rows for file in store.files]).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True))


def text_parts(store: Store, positions: Numbers) -> Iterator[Part]:
    """Yield the files of the store with these positions (texts,), which are in order."""
    for path, (start, stop) in zip(store.files, file_bounds(store), strict=True):
        first, last = np.searchsorted(positions, [start, stop])
        yield Part(path, start, positions[first:last])


def read_residues(part: Part) -> list[str]:
    """Return the residues of each text of a part, in the order of its positions."""
    places, inverse = np.unique(part.positions - part.start, return_inverse=True)
    texts = pq.read_table(part.path, columns=["text"])["text"].take(pa.array(places)).to_pylist()
    residues = [normalise(text).replace(" ", "") for text in texts]
    return [residues[place] for place in inverse.tolist()]


def run_length(store: Store) -> int:
    """Return how many residues a run has, so that few texts share one by chance.

    There are no more different runs of this length than residues in all texts, by the entropy of
    the residues of the first file.
    """
    characters = "".join(pq.read_table(store.files[0], columns=["text"])["text"].to_pylist())
    codes = np.frombuffer(characters.lower().encode("utf-32-le"), dtype=np.uint32)
    shares = np.unique(codes, return_counts=True)[1] / max(1, len(codes))
    entropy = max(0.1, float(-(shares * np.log2(shares)).sum()))
    total = store.count("SELECT sum(characters) FROM usable")
    return min(LONGEST_RUN, max(SHORTEST_RUN, int(math.log2(max(2, total)) / entropy)))


def sketch(length: int, part: Part) -> pa.Table:
    """Return the smallest hashes of the runs of each text: hash, position, residues."""
    texts = read_residues(part)
    hashes = [hash_runs(text, length)[:SKETCH] for text in texts]
    counts = [len(values) for values in hashes]
    columns = {
        "hash": np.concatenate([np.zeros(0, dtype=np.uint64), *hashes]),
        "position": np.repeat(part.positions, counts),
        "residues": np.repeat(np.array(list(map(len, texts)), dtype=np.int32), counts),
    }
    return pa.table(columns)


def hash_runs(text: str, length: int) -> Hashes:
    """Return the different hashes of all runs of `length` residues in order, (runs,).

    A text shorter than a run is one. The last steps are those of SplitMix64 (Steele, Lea and Flood
    2014), so that the smallest hashes are a random choice.
    """
    residues = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(max(1, len(residues) - length + 1), dtype=np.uint64)
    for place in range(min(length, len(residues))):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += residues[place : place + len(hashes)]
    return np.unique(mix(hashes))


def mix(values: Hashes) -> Hashes:
    """Return well mixed values, the same ones for the same values (SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def candidates(seekers: str, targets: str, least: float) -> str:
    """Return the query of the pairs of texts to compare: seeker, target, each pair once.

    Texts whose lengths alone make them differ by more are left out.
    """
    return f"""
    WITH centres AS (
        SELECT hash, position, residues FROM runs SEMI JOIN {targets} USING (position)
        QUALIFY row_number() OVER (PARTITION BY hash ORDER BY residues DESC, position) <= {CENTRES}
    ), sharing AS (
        SELECT seeking.position AS seeker, centres.position AS target, count(*) AS shared,
            any_value(seeking.residues) AS residues
        FROM (SELECT * FROM runs SEMI JOIN {seekers} USING (position)) AS seeking
        JOIN centres USING (hash)
        WHERE seeking.position != centres.position
            AND least(seeking.residues, centres.residues)
                >= {least} * greatest(seeking.residues, centres.residues)
        GROUP BY seeker, target
    ), chosen AS (
        SELECT seeker, target FROM sharing
        QUALIFY row_number() OVER (PARTITION BY seeker ORDER BY shared DESC, target)
            <= greatest({FEWEST}, least({COMPARED}, {COMPARED_RESIDUES} // residues))
    )
    SELECT DISTINCT least(seeker, target) AS seeker, greatest(seeker, target) AS target
    FROM chosen ORDER BY seeker, target"""


def compare(least: float, pairs: tuple[Part, Part]) -> pa.Table:
    """Return the pairs that are alike by `least` or more: seeker, target, likeness."""
    first, second = pairs
    texts = zip(read_residues(first), read_residues(second), strict=True)
    likenesses = np.array([likeness(text, other, least) for text, other in texts])
    alike = likenesses >= least
    columns = [first.positions[alike], second.positions[alike], likenesses[alike]]
    return pa.table(columns, names=["seeker", "target", "likeness"])


def likeness(text: str, other: str, least: float) -> float:
    """Return the share of residues of two texts that are the same, 0.0 where less than `least`.

    It is also 0.0 where it may be chance: where a text is as much like the other one read
    backwards, or less than CHANCE / sqrt(residues) more. That is three to seven standard deviations
    of this difference between random sequences of 50 to 1,000 residues, of 4 or 20 kinds, that
    share a run.
    """
    from rapidfuzz.distance import Levenshtein

    share = Levenshtein.normalized_similarity(text, other, score_cutoff=least)
    if share < least or share >= CERTAIN:
        return share
    backwards = Levenshtein.normalized_similarity(text, other[::-1])
    return share if share - backwards >= CHANCE / math.sqrt(max(len(text), len(other))) else 0.0
