"""A table of labels by id, for texts whose source has no labels."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gap.data.excerpts import shorten
from gap.data.manifests import SourceManifest
from gap.data.preparing.labels import spell_label
from gap.data.preparing.texts import text_digest
from gap.data.readers import Columns, Record, extension, read_records
from gap.data.readers.records import NO_ID, Tell
from gap.run.errors import UserError
from gap.study.rules import PrepareRecipe

# More different labels are no classes; they would fill the memory.
MOST_LABELS = 1_000_000
DIGEST = "S16"


@dataclass
class LabelTable:
    """The labels of ids.

    An id takes 20 bytes of memory, and 60 while they are sorted: ids are held as hashes of 128
    bits. `digests` has these in their order, (ids,), `places` the label of each in `labels`.
    """

    recipe: PrepareRecipe
    files: list[Path]
    tell: Tell
    labels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: SourceManifest, recipe: PrepareRecipe, tell: Tell) -> LabelTable:
        """Return the table that a source holds. `tell` gets what a person should know of it.

        Raises UserError where an id has several labels, or no row can be used.
        """
        paths = [Path(file["path"]) for file in manifest["files"]]
        files = sorted(filter(extension, paths), key=lambda path: path.name)
        table = cls(recipe, files, tell)
        table._read()
        return table

    def find(self, name: str) -> str | None:
        """Return the label of an id, an empty one where the table has none; None without the id."""
        digest = text_digest(name)
        place = int(self.digests.searchsorted(np.array(digest, dtype=DIGEST)))
        # numpy gives the bytes without zeros at their end.
        if place == len(self.digests) or self.digests[place] != digest.rstrip(b"\0"):
            return None
        return self.names[self.places[place]]

    def _records(self, tell: Tell) -> Iterator[tuple[Path, Record]]:
        """Yield the rows of the table: their text is the id."""
        columns = Columns.of_table(self.recipe)
        for path in self.files:
            for record in read_records(path, columns, tell):
                yield path, record._replace(text=record.text.strip())

    def _read(self) -> None:
        digests, places = bytearray(), array("i")
        refused: Counter[str] = Counter()
        first = ""
        for path, record in self._records(self.tell):
            reason = record.reason or ("" if record.text else NO_ID)
            if reason:
                refused[reason] += 1
                first = first or f"{path}, row {record.row}"
                continue
            digests += text_digest(record.text)
            places.append(self._number(path, record.label))
        if refused:
            self._tell_refused(refused, first, len(places))
        if not places:
            raise UserError(f"{self.recipe.name}: label_table: the source has no rows")
        self._sort(np.frombuffer(digests, dtype=DIGEST), np.frombuffer(places, dtype=np.int32))

    def _number(self, path: Path, label: str) -> int:
        if len(self.labels) > MOST_LABELS:
            raise UserError(
                f"{path}: more than {MOST_LABELS:,} different labels; `label` must name a column "
                "of classes of the label table"
            )
        return self.labels.setdefault(spell_label(label), len(self.labels))

    def _tell_refused(self, refused: Counter[str], first: str, usable: int) -> None:
        """Say how many rows of the table are of no use; raise UserError where all are."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
        line = (
            f"{refused.total():,} of {refused.total() + usable:,} rows of the label table cannot "
            f"be used ({reasons}; first: {first})"
        )
        if not usable:
            raise UserError(f"{self.recipe.name}: label_table: {line}; mend them")
        self.tell(line)

    def _sort(self, digests: NDArray[np.bytes_], places: NDArray[np.int32]) -> None:
        """Take ids and labels in the order of the ids, each once."""
        order = np.argsort(digests)
        digests, places = digests[order], places[order]
        again = digests[1:] == digests[:-1]
        if len(several := np.flatnonzero(again & (places[1:] != places[:-1]))):
            self._refuse(bytes(digests[several[0]]), len(several))
        once = np.append(True, ~again)
        self.digests, self.places, self.names = digests[once], places[once], list(self.labels)

    def _refuse(self, digest: bytes, count: int) -> None:
        """Raise UserError for an id with several labels, which a second reading finds."""
        labels: dict[str, str] = {}
        name = ""
        for path, record in self._records(lambda sentence: None):
            if record.text and text_digest(record.text).rstrip(b"\0") == digest:
                name = shorten(record.text)
                labels.setdefault(record.label, f"{record.label!r} ({path}, row {record.row})")
        raise UserError(
            f"{self.recipe.name}: label_table: id {name!r} has several labels: "
            f"{' and '.join(list(labels.values())[:2])}; {count:,} rows give an id another label; "
            "keep one label of each id"
        )
