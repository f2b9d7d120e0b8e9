"""Usable rows on their way: texts in Parquet files, what they are compared by in a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gap.data.pairs import SEPARATOR
from gap.data.preparing.texts import count_pair, cut_pair, cut_text, normalise, text_digest
from gap.data.units import count_units, find_unit
from gap.study.datasets import TextUnit

# Rows, and characters of their texts, that a process works on at a time.
BATCH_ROWS = 8192
BATCH_CHARACTERS = 8_000_000
TEXTS = pa.schema([("text", pa.string()), ("label", pa.int32()), ("source_row", pa.int64())])
# Texts are compared by 128-bit hashes (two halves), so that no text is held, sorted or joined.
HASHES = ("text_high", "text_low", "plain_high", "plain_low")
COLUMNS = (
    "position BIGINT, in_test BOOLEAN, label INTEGER, words INTEGER, characters INTEGER, "
    "cut BOOLEAN, " + ", ".join(f"{name} UBIGINT" for name in HASHES)
)

# Half of a hash of the group that a row belongs to.
GROUP = "belongs_to UBIGINT"


# A usable row: its number in the source, its whole text, the number of its label, its group (empty
# without groups). It is a plain tuple because millions of them are sent to other processes.
Row = tuple[int, str, int, str]


class Batch(NamedTuple):
    """Usable rows, the file to write them to, and the unit in which the text budget counts."""

    path: Path
    rows: list[Row]
    unit: TextUnit


def take_batch(words: int, keep: str, grouped: bool, pair: bool, batch: Batch) -> pa.Table:
    """Write a batch with its texts within the budget; return the columns used for deduplication.

    They are COLUMNS without the first two, and GROUP where rows are `grouped`. Lengths are those of
    the whole texts; `cut` says whether they are beyond the budget.
    """
    source_rows, wholes, labels, groups = zip(*batch.rows, strict=True)
    count, cut = (count_pair, cut_pair) if pair else (count_units, cut_text)
    lengths = [count(whole, "word") for whole in wholes]
    units = lengths
    if batch.unit != "word":
        units = [count(whole, batch.unit) for whole in wholes]
    texts = [
        whole if length <= words else cut(whole, words, keep, batch.unit)
        for whole, length in zip(wholes, units, strict=True)
    ]
    table = pa.table([texts, labels, source_rows], schema=TEXTS)
    pq.write_table(table, batch.path, compression="zstd")
    columns = {
        "label": table["label"],
        "words": pa.array(lengths, pa.int32()),
        "characters": pa.array(map(len, wholes), pa.int32()),
        "cut": pa.array([length > words for length in units]),
    }
    columns |= _hashes(texts)
    if grouped:
        digests = b"".join(map(text_digest, groups))
        columns["belongs_to"] = pa.array(np.frombuffer(digests, dtype=np.uint64)[::2])
    return pa.table(columns)


def _hashes(texts: list[str]) -> dict[str, pa.Array]:
    """Return the halves of the hashes of texts, and of their normalised forms, by column."""
    digests = bytearray()
    for text in texts:
        digests += text_digest(text) + text_digest(normalise(text))
    halves = np.frombuffer(bytes(digests), dtype=">u8").astype(np.uint64).reshape(-1, len(HASHES))
    return {name: pa.array(halves[:, place]) for place, name in enumerate(HASHES)}


class Store:
    """The rows of a data set in a folder; its database spills to disk beyond `memory`.

    `grouped` says whether each row has a group. `unit` is what the text budget counts; where it is
    None, the first batch decides, which has the same rows whatever the number of processes.
    """

    def __init__(
        self, folder: Path, memory: str, threads: int, grouped: bool, unit: TextUnit | None = None
    ) -> None:
        self.folder, self.grouped, self.unit = folder, grouped, unit
        self.database = duckdb.connect(
            config={"threads": threads, "memory_limit": memory, "temp_directory": str(folder)}
        )
        columns = f"{COLUMNS}, {GROUP}" if grouped else COLUMNS
        self.database.execute(f"CREATE TABLE usable ({columns})")
        self.files: list[Path] = []
        self.rows = 0

    def batches(self, rows: Iterable[Row | None]) -> Iterator[Batch]:
        """Yield the rows of `read_source`, but for the rejected ones, in batches."""
        gathered: list[Row] = []
        characters = 0
        for row in filter(None, rows):
            gathered.append(row)
            characters += len(row[1])
            if len(gathered) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield self._batch(gathered)
                gathered, characters = [], 0
        if gathered:
            yield self._batch(gathered)

    def _batch(self, rows: list[Row]) -> Batch:
        self.files.append(self.folder / f"{len(self.files)}.parquet")
        # A pair of proteins is two sequences; the longer text of a pair tells.
        longer = (max(text.split(SEPARATOR), key=len) for _, text, _, _ in rows)
        self.unit = self.unit or find_unit(list(longer))
        return Batch(self.files[-1], rows, self.unit)

    def add(self, columns: pa.Table, in_test: bool) -> None:
        """Take the columns that `take_batch` returned for the next batch."""
        positions = np.arange(self.rows, self.rows + len(columns))
        self.database.register("batch", columns.add_column(0, "position", pa.array(positions)))
        self.database.execute(
            f"INSERT INTO usable SELECT position, {in_test}, * EXCLUDE position FROM batch"
        )
        self.database.unregister("batch")
        self.rows += len(columns)

    def replace_table(self, name: str, query: str) -> None:
        """Put the result of a query in the place of a table: updates would pile up in memory."""
        self.database.execute(f"CREATE TABLE following AS {query}")
        self.database.execute(f"DROP TABLE IF EXISTS {name}")
        self.database.execute(f"ALTER TABLE following RENAME TO {name}")

    def number(self, query: str) -> float:
        """Return the single number that a query gives."""
        # All of the result is fetched: the database takes no table in while one is half read.
        ((number,),) = self.database.execute(query).fetchall()
        return float(number)

    def count(self, query: str) -> int:
        """Return the single whole number that a query gives."""
        return int(self.number(query))
