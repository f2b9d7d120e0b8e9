"""Rows of a source, read into the store; those that cannot be used are set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from gap.data.manifests import RowsRead, SourceManifest
from gap.data.pairs import join_pair, split_pair
from gap.data.preparing.label_table import LabelTable
from gap.data.preparing.labels import Labels
from gap.data.preparing.rejects import Rejects, check_rejected
from gap.data.preparing.sequences import Sequences
from gap.data.preparing.store import Batch, Row, Store
from gap.data.preparing.texts import TAG
from gap.data.readers import Columns, Record, check_one_kind, extension, is_fasta, read_records
from gap.data.readers.fasta import SEQUENCE
from gap.data.readers.records import (
    NO_GROUP,
    NO_ID,
    NO_LABEL,
    NO_TEXT,
    NOT_IN_TABLE,
    UNKNOWN_LABEL,
)
from gap.run.errors import UserError
from gap.run.progress import progress
from gap.run.workers import Workers
from gap.study.rules import RowsRecipe, TextsRecipe


@dataclass
class Reader:
    """Reads the sources of a data set; their rows go to `store`, or set aside to `rejects`.

    `rows_read` counts all of them. `warnings` has sentences about files that a person should read.
    `table` has the labels where rows have ids in their place. Texts without labels have `labels` of
    None, and are all of label 0.
    """

    recipe: RowsRecipe
    store: Store
    labels: Labels | None
    rejects: Rejects
    rows_read: RowsRead = field(default_factory=lambda: RowsRead(pool=0, test=0))
    warnings: list[str] = field(default_factory=list)
    table: LabelTable | None = None
    sequences: Sequences = field(init=False)

    def __post_init__(self) -> None:
        self.sequences = Sequences(self.recipe, self.store.database)

    def take(
        self, manifest: SourceManifest, workers: Workers[Batch, pa.Table], in_test: bool
    ) -> None:
        """Read a source into the store.

        Raises UserError when more of them than `max_rejected` are rejected, or none is left.
        """
        counts, stored = self.rejects.counts.copy(), self.store.rows
        rows = progress(self.read(manifest), unit="rows")
        for columns in workers.in_order(self.store.batches(rows)):
            self.store.add(columns, in_test)
        rejected = self.rejects.counts - counts
        total = self.store.rows - stored + rejected.total()
        check_rejected(self.recipe, total, self.rejects, rejected, self._files(manifest))
        self.rows_read["test" if in_test else "pool"] = total

    def read(self, manifest: SourceManifest) -> Iterator[Row | None]:
        """Yield the rows of all files, numbered from 0; None for a rejected one."""
        columns, source_row = _columns_of(self.recipe), 0
        for path in self._files(manifest):
            of_sequences = is_fasta(path) and columns.text == (SEQUENCE,)
            for record in read_records(path, columns, self.warnings.append):
                row = self._row(path, record, source_row)
                if row and of_sequences:
                    self.sequences.add(record)
                yield row
                source_row += 1

    def _files(self, manifest: SourceManifest) -> list[Path]:
        paths = [Path(file["path"]) for file in manifest["files"]]
        plain = self.labels is None
        files = sorted(
            (path for path in paths if extension(path, plain)), key=lambda path: path.name
        )
        if not files:
            raise UserError(f"{self.recipe.name}: the source holds no data file")
        check_one_kind(files)
        return files

    def _row(self, path: Path, record: Record, source_row: int) -> Row | None:
        """Return a row with its whole text; where it cannot be used, set it aside."""
        text = record.text
        if self.recipe.strip_tags:
            parts = split_pair(text) if self.recipe.pair else [text]
            parts = [TAG.sub(" ", part) for part in parts]
            text = join_pair(parts) if self.recipe.pair else parts[0]
        name, reason = record.label, record.reason
        if reason is None and (not text or text.isspace()):
            reason = NO_TEXT
        elif reason is None and self.table is not None:
            name, reason = self._look_up(record.label)
        elif reason is None and self.labels is not None and not name:
            reason = NO_LABEL
        if reason is None and self.recipe.group is not None and not record.group:
            reason = NO_GROUP
        label = None
        if reason is None:
            label = 0 if self.labels is None else self.labels.find(name)
        if label is None:
            self.rejects.add(path, record, reason or UNKNOWN_LABEL)
            return None
        return source_row, text, label, record.group

    def _look_up(self, row_id: str) -> tuple[str, str | None]:
        """Return the label of an id in the table, and the reason where there is none."""
        assert self.table is not None
        label = self.table.find(row_id) if row_id else None
        if label:
            return label, None
        return "", NO_ID if not row_id else NOT_IN_TABLE if label is None else NO_LABEL


def _columns_of(recipe: RowsRecipe) -> Columns:
    return Columns.of_texts(recipe) if isinstance(recipe, TextsRecipe) else Columns.of(recipe)
