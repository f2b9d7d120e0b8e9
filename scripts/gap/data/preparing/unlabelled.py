"""Write texts without labels as a Parquet file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from gap.data.manifests import UnlabelledCard
from gap.data.preparing.source import Reader
from gap.data.preparing.store import Store
from gap.data.row_writer import RowWriter
from gap.run.digests import sha256_file
from gap.study.fields import LARGEST_WHOLE
from gap.study.rules import TextsRecipe

ROWS = pa.schema([("row", pa.int64()), ("text", pa.string())])
# Texts that are in memory at a time.
BATCH_ROWS = 256


def budget_of(recipe: TextsRecipe) -> int:
    """Return how many words or characters of a text are kept; more than any has, for all."""
    return LARGEST_WHOLE if recipe.words is None else recipe.words


def write_texts(store: Store, path: Path) -> None:
    """Write the texts of the store in the order of their hashes: that of the source means nothing.

    So the same texts in another order are the same file. Sorting spills to disk.
    """
    writer = RowWriter(path, ROWS)
    files = [str(file) for file in store.files]
    # Its result is streamed, in parts that depend on nothing but the texts.
    store.database.execute("SELECT text FROM read_parquet(?) ORDER BY md5(text)", [files])
    while rows := store.database.fetchmany(BATCH_ROWS):
        writer.add(pa.table({"text": [text for (text,) in rows]}))
    writer.close()


def describe_texts(
    reader: Reader, recipe: TextsRecipe, source_sha256: str, path: Path
) -> UnlabelledCard:
    """Return the card of texts that were written; raise UserError for sequences that contradict."""
    store = reader.store
    oddities = reader.sequences.warnings()
    assert store.unit is not None
    return {
        "name": recipe.name,
        "rows": store.rows,
        "sha256": sha256_file(path),
        "origin": recipe.origin,
        "source_sha256": source_sha256,
        "rows_read": reader.rows_read["pool"],
        "rejected": dict(reader.rejects.counts),
        "text_budget": {
            "words": budget_of(recipe),
            "unit": store.unit,
            "called": store.unit,
            "unit_from_data": recipe.unit is None,
            "keep": recipe.keep,
        },
        "cut_share": round(store.number("SELECT avg(cut::INT) FROM usable"), 4),
        "sequences": reader.sequences.counts(),
        "warnings": [*reader.warnings, *oddities],
    }
