"""Write rows with texts as a Parquet file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 8192
GROUP_BYTES = 32_000_000


class RowWriter:
    """Writes rows numbered from 0, in row groups of moderate size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.partial = path, path.with_name(path.name + ".partial")
        self.schema = schema
        self.file = pq.ParquetWriter(self.partial, schema, compression="zstd")
        self.waiting: list[pa.Table] = []
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append rows that have the columns of the schema but the first, `row`."""
        numbers = pa.array(np.arange(self.rows, self.rows + len(rows)))
        self.waiting.append(rows.add_column(0, "row", numbers).cast(self.schema))
        self.rows += len(rows)
        full = sum(len(table) for table in self.waiting) >= GROUP_ROWS
        if full or sum(table.nbytes for table in self.waiting) >= GROUP_BYTES:
            self._write()

    def _write(self) -> None:
        if self.waiting:
            table = pa.concat_tables(self.waiting).combine_chunks()
            self.file.write_table(table, row_group_size=len(table))
        self.waiting = []

    def close(self) -> None:
        """Write what waits and give the file its name."""
        self._write()
        self.file.close()
        os.replace(self.partial, self.path)
