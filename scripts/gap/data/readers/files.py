"""Data files by their names: which there are, of which kind, and whether they are what they say."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO, cast

from gap.data.excerpts import first_line, visible
from gap.run.errors import UserError

FASTA_EXTENSIONS = (".fasta", ".fa", ".faa", ".fna", ".fas")
TEXT_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", *FASTA_EXTENSIONS)
EXTENSIONS = (*TEXT_EXTENSIONS, *(f"{kind}.gz" for kind in TEXT_EXTENSIONS), ".parquet")
# Plain text has no labels: it is read where none are asked for. Elsewhere it may be notes.
PLAIN_EXTENSIONS = (".txt", ".txt.gz")
# What other files begin with; their endings are often wrong, as spreadsheets' are.
OTHER_FILES = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "zip or Excel",
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"%PDF": "PDF",
}


# Python's name for UTF-8 with or without a mark.
UTF8 = "utf-8-sig"
# The mark of UTF-32 begins as that of UTF-16 does.
MARKED = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class AbsentError(UserError):
    """A person's own file is not there (yet)."""


def extension(path: Path, plain: bool = False) -> str | None:
    """Return the known extension that a file's name ends in ("data.CSV.gz": ".csv.gz"), or None.

    Those of `plain` text are known where it is asked for.
    """
    name = path.name.lower()
    return max(filter(name.endswith, known_extensions(plain)), key=len, default=None)


def known_extensions(plain: bool) -> tuple[str, ...]:
    """Return the extensions of data files, those of `plain` text among them where asked for."""
    return (*EXTENSIONS, *PLAIN_EXTENSIONS) if plain else EXTENSIONS


def check_name(path: str | Path) -> None:
    """Raise UserError for a path that a log cannot show, or Snakemake takes for a pattern."""
    if not str(path).isprintable() or set("{}<>") & set(str(path)):
        raise UserError(
            f"{visible(str(path))}: rename it; names here are UTF-8 without control characters "
            "and without {}<>"
        )


def list_data_files(path: str | Path, plain: bool = False) -> list[Path]:
    """Return the data files that `path` names, sorted by name where it is a folder.

    Files of `plain` text are among them where asked for. Raises AbsentError when it does not exist.
    Raises UserError when it holds no file of a known kind, or something that is named like one and
    is not a file (a broken link, a folder, a pipe).
    """
    place = Path(path)
    if not place.exists():
        advice = "; ~ and variables stand for themselves" if set("~$") & set(str(path)) else ""
        raise AbsentError(
            f"{visible(str(path))}: no such file or folder; check `path` (as seen from here)"
            f"{advice}"
        )
    entries = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [file for file in entries if extension(file, plain) and not file.name.startswith(".")]
    if not files:
        hint = fasta_hint(place) if place.is_file() else ""
        raise UserError(
            f"{place}: no data file found; expected one of {', '.join(known_extensions(plain))}"
            f"{hint}"
        )
    for file in files:
        check_name(file)
        if not file.is_file():
            raise UserError(f"{file}: neither a file nor a link to one; remove or rename it")
    check_one_kind(files)
    return files


def check_one_kind(files: Sequence[Path]) -> None:
    """Raise UserError where plain text stands beside other data files: it may be notes on them."""
    others = [file for file in files if extension(file)]
    plain = [file for file in files if not extension(file)]
    if plain and others:
        raise UserError(
            f"{plain[0].parent}: {plain[0].name} is plain text and {others[0].name} is not; move "
            "those of one kind elsewhere, or name a single file"
        )


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Raise UserError where a file is of another kind than its name says, or a damaged gzip.

    Other errors of files that may be FASTA say so.
    """
    _check_kind(path, kind)
    try:
        yield
    except UserError as error:
        if hint := "" if kind.startswith(FASTA_EXTENSIONS) else fasta_hint(path):
            raise type(error)(f"{error}{hint}") from None
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None
    except UnicodeError as error:
        raise UserError(
            f"{path}: cannot be read in its encoding ({first_line(error)}); set another `encoding`"
        ) from None


def _check_kind(path: Path, kind: str) -> None:
    """Raise UserError where the first bytes do not fit the kind of file that the name promises."""
    kind_by_name = "Parquet" if kind == ".parquet" else "gzip" if kind.endswith(".gz") else None
    with open(path, "rb") as file:
        start = file.read(4)
    for sign, kind_by_content in OTHER_FILES.items():
        if start.startswith(sign) and kind_by_content != kind_by_name:
            raise UserError(
                f"{path}: begins as a {kind_by_content} file; convert it, or give it the ending of "
                "its kind"
            )


def fasta_hint(path: Path) -> str:
    """Return what to do about a file whose name is not that of FASTA, if it begins as FASTA does.

    Nothing where it does not, or cannot be read.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(1)
    except (OSError, EOFError, zlib.error):
        return ""
    return "; it begins with '>': if it is FASTA, let its name end in .fasta" * (start == b">")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, unpacked where its name ends in .gz."""
    if path.name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def open_text(path: Path, encoding: str | None = None, newline: str | None = "") -> TextIO:
    """Open a text file, in `encoding` where it has no mark of its own, else in UTF-8.

    Undecodable bytes become surrogates. `newline` is that of `open`.
    """
    file = open_bytes(path)
    try:
        start = file.read(4)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    # With surrogates, only the rows with such bytes are set aside.
    name = encoding_of(start, encoding)
    return io.TextIOWrapper(file, name, errors="surrogateescape", newline=newline)


def encoding_of(start: bytes, encoding: str | None) -> str:
    """Return the encoding of a file with this start: that of its mark, else the given one."""
    for mark, name in MARKED.items():
        if start.startswith(mark):
            return name
    return encoding if encoding not in (None, "utf-8") else UTF8
