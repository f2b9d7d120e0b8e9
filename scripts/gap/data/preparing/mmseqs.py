"""Pairs of like texts, as the program mmseqs finds them among proteins or nucleotides."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq

from gap.data.excerpts import shorten
from gap.data.preparing.sequences import NUCLEOTIDES
from gap.data.preparing.shared_runs import read_residues, text_parts
from gap.data.preparing.store import Store
from gap.run.errors import UserError

PROGRAM = "mmseqs"
SEQUENCE = re.compile(r"[a-z*]+")
# The kind of a search. Runs as long as mmseqs would take for nucleotides need 8 GB.
NUCLEOTIDE_SEARCH = ["--search-type", "3", "-k", "11"]
PROTEIN_SEARCH = ["--search-type", "1"]
# The share is that of the longer sequence.
OPTIONS = ["--max-seqs", "300", "--seq-id-mode", "2", "-v", "1"]


def check_program(name: str) -> None:
    """Raise UserError where mmseqs is not installed; `name` is the data set's."""
    if shutil.which(PROGRAM) is None:
        raise UserError(
            f"{name}: relatives: `by: mmseqs2` needs the program mmseqs, which is not on the PATH; "
            "install it (on Debian or Ubuntu: apt install mmseqs2; with conda: conda install -c "
            "conda-forge -c bioconda mmseqs2), or write `by: shared_runs`"
        )


class Mmseqs:
    """Finds like texts in the table `texts` of the store with `mmseqs easy-search`.

    Likeness is the share of the longer sequence's residues that the other one has, too, in the best
    local alignment. `name` is the data set's.
    """

    # A search takes minutes, and a seeker has few hundreds of relatives at most.
    both_ways: ClassVar[bool] = False

    def __init__(self, store: Store, threads: int, name: str) -> None:
        check_program(name)
        self.store, self.threads, self.name = store, threads, name
        self.nucleotides = True

    def find(self, seekers: str, targets: str, least: float) -> None:
        """Add to the table `alike` (seeker, target, likeness) texts that are alike by `least`.

        `seekers` and `targets` are tables of positions of texts. Raises UserError for a text that
        is no sequence of letters, and where mmseqs fails.
        """
        folder = self.store.folder / "mmseqs"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        paths = [self._write(table, folder / f"{table}.fasta") for table in (seekers, targets)]
        kind = NUCLEOTIDE_SEARCH if self.nucleotides else PROTEIN_SEARCH
        pairs = folder / "pairs.tsv"
        command = [PROGRAM, "easy-search", *map(str, [*paths, pairs, folder / "scratch"]), *OPTIONS]
        command += [*kind, "--threads", str(self.threads)]
        command += ["--min-seq-id", str(least), "--format-output", "query,target,fident"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
            raise UserError(f"{self.name}: mmseqs failed: {lines[-1]}; try `by: shared_runs`")
        self._take(pairs, least)
        shutil.rmtree(folder)

    def _take(self, pairs: Path, least: float) -> None:
        # mmseqs checks its own rounding of the share, and may find a pair twice.
        self.store.database.execute(
            f"""INSERT INTO alike SELECT least(first, second), greatest(first, second), max(share)
            FROM read_csv('{pairs}', delim = '\t', header = false, auto_detect = false, columns =
                {{'first': 'BIGINT', 'second': 'BIGINT', 'share': 'DOUBLE'}})
            WHERE first != second AND share >= {least} GROUP BY ALL"""
        )

    def _write(self, table: str, path: Path) -> Path:
        """Write the texts of a table as FASTA, each named by its position; return the path."""
        query = f"SELECT position FROM {table} ORDER BY position"
        positions = self.store.database.execute(query).fetchnumpy()["position"]
        with open(path, "w", encoding="ascii") as file:
            for part in text_parts(self.store, positions):
                rows = zip(part.positions.tolist(), read_residues(part), strict=True)
                for position, residues in rows:
                    if not SEQUENCE.fullmatch(residues):
                        raise UserError(self._refusal(part.path, position - part.start, residues))
                    self.nucleotides &= NUCLEOTIDES.issuperset(residues.upper())
                    file.write(f">{position}\n{residues.upper()}\n")
        return path

    def _refusal(self, path: Path, place: int, residues: str) -> str:
        row = pq.read_table(path, columns=["source_row"])["source_row"][place].as_py()
        return (
            f"{self.name}: row {row} ({shorten(residues)!r}) is no sequence of letters, and "
            "`by: mmseqs2` reads proteins and nucleotides only; write `by: shared_runs`"
        )
