"""What a person should know of the sequences of FASTA files: letters, kinds, ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from gap.data.excerpts import shorten
from gap.data.manifests import SequenceCounts
from gap.data.preparing.texts import text_digest
from gap.data.readers import Record
from gap.run.errors import UserError
from gap.study.rules import RowsRecipe

NUCLEOTIDES = frozenset("ACGTUN")
# Nucleotides, and the codes of IUPAC for several of them.
NUCLEOTIDE_CODES = NUCLEOTIDES | frozenset("RYSWKMBDHV")
# Shorter peptides may happen to be of the letters of nucleotides.
SHORTEST_NUCLEIC_ACID = 30
# Codes of unknown amino acids; those of unknown nucleotides are all but ACGTU.
UNKNOWN_AMINO_ACIDS = "BJXZ"
MUCH_UNKNOWN = 0.05
BATCH_ROWS = 8192
IDS = pa.schema(
    [("high", pa.uint64()), ("low", pa.uint64()), ("text", pa.uint64()), ("id", pa.string())]
)


@dataclass
class Sequences:
    """Counts of the sequences of FASTA files; what ids stand before is held by the database."""

    recipe: RowsRecipe
    database: duckdb.DuckDBPyConnection
    rows: int = 0
    proteins: int = 0
    nucleic_acids: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    waiting: list[tuple[int, int, int, str]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Count the sequence of a record."""
        sequence = record.text
        if not self.rows:
            self.database.execute(
                "CREATE TABLE ids (high UBIGINT, low UBIGINT, text UBIGINT, id VARCHAR)"
            )
        self.rows += 1
        letters = set(sequence)
        for letter in letters:
            self.letters[letter] += sequence.count(letter)
        self.proteins += not letters <= NUCLEOTIDE_CODES
        long = len(sequence) >= SHORTEST_NUCLEIC_ACID
        self.nucleic_acids += long and letters <= NUCLEOTIDES
        name, text = text_digest(record.id), text_digest(sequence)
        high, low, digest = (int.from_bytes(half, "big") for half in (name[:8], name[8:], text[:8]))
        self.waiting.append((high, low, digest, shorten(record.id)))
        if len(self.waiting) == BATCH_ROWS:
            self._store()

    def _store(self) -> None:
        if self.waiting:
            batch = pa.table(list(map(list, zip(*self.waiting, strict=True))), schema=IDS)
            self.database.register("batch_of_ids", batch)
            self.database.execute("INSERT INTO ids SELECT * FROM batch_of_ids")
            self.database.unregister("batch_of_ids")
        self.waiting = []

    def counts(self) -> SequenceCounts | None:
        """Return what the data card says of them; None where no row is of a FASTA file."""
        if not self.rows:
            return None
        return {
            "rows": self.rows,
            "proteins": self.proteins,
            "nucleic_acids": self.nucleic_acids,
            "letters": dict(sorted(self.letters.items())),
        }

    def warnings(self) -> list[str]:
        """Return a sentence about each thing that is odd.

        Raises UserError where ids of a table of labels stand before different sequences.
        """
        return [*self._kinds(), *self._unknown(), *self._ids()] if self.rows else []

    def _kinds(self) -> list[str]:
        """Return a sentence where proteins and nucleic acids are mixed."""
        proteins, nucleic_acids = self.proteins, self.nucleic_acids
        if not proteins or not nucleic_acids:
            return []
        if nucleic_acids <= proteins:
            return [
                f"{nucleic_acids:,} of {self.rows:,} sequences look like DNA or RNA among proteins "
                f"({SHORTEST_NUCLEIC_ACID} letters or more, all of ACGTUN); take them out if they "
                "are"
            ]
        return [
            f"{proteins:,} of {self.rows:,} sequences hold letters that are no code of a "
            "nucleotide, and most others look like DNA or RNA; take them out if they are proteins"
        ]

    def _unknown(self) -> list[str]:
        """Return a sentence where many letters stand for unknown residues."""
        known = "ACGTU" if self.nucleic_acids > self.proteins else None
        unknown = {
            letter: count
            for letter, count in sorted(self.letters.items())
            if (letter not in known if known else letter in UNKNOWN_AMINO_ACIDS)
        }
        share = sum(unknown.values()) / self.letters.total()
        if share <= MUCH_UNKNOWN:
            return []
        counts = ", ".join(f"{letter} {count:,}" for letter, count in unknown.items())
        return [f"{share:.1%} of the letters of sequences stand for unknown residues ({counts})"]

    def _ids(self) -> list[str]:
        """Return a sentence where an id stands before different sequences."""
        self._store()
        row = self.database.execute(
            "SELECT count(*), min(id) FROM (SELECT min(id) AS id FROM ids GROUP BY high, low "
            "HAVING min(text) != max(text))"
        ).fetchone()
        assert row is not None
        count, example = row
        if not count:
            return []
        line = f"{count:,} ids stand before different sequences (such as {example!r})"
        # Where the ids of a table are found by a pattern, they may be those of many sequences.
        if self.recipe.id == "id":
            raise UserError(
                f"{self.recipe.name}: {line}, so that it is unclear which of them `label_table` "
                "means; give each sequence an id of its own"
            )
        return [line]
