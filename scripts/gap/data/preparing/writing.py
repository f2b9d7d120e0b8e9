"""Write pool and test as Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gap.data.preparing.labels import Labels
from gap.data.preparing.roles import POOL, TEST, read_column
from gap.data.preparing.store import Store
from gap.data.row_writer import RowWriter

ROWS = pa.schema(
    [("row", pa.int64()), ("text", pa.string()), ("label", pa.int32()), ("source_row", pa.int64())]
)


# The group of a test row: groups are numbered from 0, as they come.
GROUP = pa.field("group", pa.int64())


def write_rows(store: Store, labels: Labels, pool: Path, test: Path) -> int:
    """Write both files in the order of the source, labels as positions in the ordered list.

    Returns the number of groups in the test set, whose rows have their numbers where there are any.
    """
    places = np.zeros(len(labels.index), dtype=np.int32)
    places[labels.numbers()] = np.arange(len(labels.index))
    of_test = ROWS.append(GROUP) if store.grouped else ROWS
    writers = {POOL: RowWriter(pool, ROWS), TEST: RowWriter(test, of_test)}
    groups: dict[int, int] = {}
    position = 0
    for file in store.files:
        rows = pq.read_table(file)
        file.unlink()
        stretch = position, position + len(rows)
        roles = read_column(store, "role", *stretch)
        label_places = pa.array(places[rows.column("label").to_numpy()])
        rows = rows.set_column(1, "label", label_places)
        for role, writer in writers.items():
            chosen = rows.filter(pa.array(roles == role))
            if role == TEST and store.grouped:
                hashes = read_column(store, "belongs_to", *stretch)[roles == role].tolist()
                numbers = [groups.setdefault(group, len(groups)) for group in hashes]
                chosen = chosen.append_column(GROUP, pa.array(numbers, pa.int64()))
            writer.add(chosen)
        position += len(rows)
    for writer in writers.values():
        writer.close()
    return len(groups)
