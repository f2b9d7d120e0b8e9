"""Read labelled rows out of people's files: CSV, TSV, JSON Lines, JSON, Parquet, plain or gzipped.

The standard library's parsers are used rather than an engine's, because only they tell the exact
row and line of every row, also of those after a multi-line field or a damaged row, and give the
same rows whatever the number of threads. They keep one row in memory, and at about 100 MB a second
they are not what a study waits for.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO, cast

from gap.run.errors import UserError

TEXT_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
EXTENSIONS = (*TEXT_EXTENSIONS, *(f"{kind}.gz" for kind in TEXT_EXTENSIONS), ".parquet")
# Bounds memory where a file is no table at all, or a quotation mark is never closed: a line of
# short fields takes some twenty times its length.
LONGEST_ROW = 16_000_000
LONGEST_LABEL = 1_000
QUICK_BYTES = 64_000_000
QUICK_ROWS = 2_000_000
PARQUET_ROWS = 32
EXCERPT_CHARACTERS = 80

NO_TEXT = "no text"
NO_LABEL = "no label"
UNKNOWN_LABEL = "unknown label"
NOT_UTF8 = "not UTF-8"
WRONG_COLUMNS = "wrong number of columns"
BAD_QUOTES = "quotation marks do not match"
TOO_LONG = f"longer than {LONGEST_ROW:,} characters"
LONG_LABEL = f"label longer than {LONGEST_LABEL:,} characters"
NOT_JSON = "not a JSON object"
DOUBLE_KEY = "a key that is there twice"
# What other files begin with; their endings are often wrong, as spreadsheets' are.
OTHER_FILES = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "zip or Excel",
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"%PDF": "PDF",
}


class AbsentError(UserError):
    """A file of a person's own is not there (yet)."""


class Record(NamedTuple):
    """One row of a file: either text and label, or the reason why it cannot be used.

    `row` counts the data rows of the file from 1, `line` its lines from 1 (None in binary files).
    """

    row: int
    line: int | None
    text: str
    label: str
    reason: str | None = None
    excerpt: str = ""


def visible(text: str) -> str:
    """Return `text` with undecodable bytes, control and invisible characters spelled out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def shorten(text: str) -> str:
    """Return the beginning of `text` on one line, as `visible` has it."""
    readable = visible(" ".join(text[: 4 * EXCERPT_CHARACTERS].split()))
    return (
        readable if len(readable) <= EXCERPT_CHARACTERS else readable[:EXCERPT_CHARACTERS] + "..."
    )


def extension(path: Path) -> str | None:
    """Return the known extension that a file's name ends in ("data.CSV.gz": ".csv.gz"), or None."""
    name = path.name.lower()
    found = [known for known in EXTENSIONS if name.endswith(known)]
    return max(found, key=len) if found else None


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that is gone at the end; one that a killed program left is emptied."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def check_name(path: str | Path) -> None:
    """Raise UserError for a path that a log cannot show, or Snakemake takes for a pattern."""
    if not str(path).isprintable() or set("{}<>") & set(str(path)):
        raise UserError(
            f"{visible(str(path))}: rename it; names here are UTF-8 without control characters "
            "and without {}<>"
        )


def list_data_files(path: str | Path) -> list[Path]:
    """Return the data files that `path` names, sorted by name where it is a folder.

    Raises AbsentError when it does not exist, UserError when it holds no file of a known kind, or
    something that has the name of one and is none (a broken link, a folder, a pipe).
    """
    given = Path(path)
    if not given.exists():
        advice = "; ~ and variables stand for themselves" if set("~$") & set(str(path)) else ""
        raise AbsentError(
            f"{visible(str(path))}: no such file or folder; check `path` (as seen from here)"
            f"{advice}"
        )
    entries = sorted(given.iterdir()) if given.is_dir() else [given]
    known = [file for file in entries if extension(file) and not file.name.startswith(".")]
    if not known:
        raise UserError(f"{given}: no data file found; expected one of {', '.join(EXTENSIONS)}")
    for file in known:
        check_name(file)
        if not file.is_file():
            raise UserError(f"{file}: neither a file nor a link to one; remove or rename it")
    return known


def read_records(
    path: Path, text: str, label: str, delimiter: str | None = None
) -> Iterator[Record]:
    """Yield the rows of one file, in its order, with one row in memory at a time.

    `text` and `label` name the columns; numbers and truth values keep the spelling of the file.
    Raises UserError when a column is missing or twice there, or the file is damaged.
    """
    kind = extension(path) or ""
    with _reading(path, kind):
        if kind.startswith((".csv", ".tsv")):
            yield from _read_delimited(path, text, label, delimiter)
        elif kind == ".parquet":
            yield from _read_parquet(path, text, label)
        else:
            yield from _read_json(path, text, label)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Raise UserError where a file is of another kind than its name says, or a damaged gzip."""
    _check_kind(path, kind)
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None


def _check_kind(path: Path, kind: str) -> None:
    """Raise UserError where the first bytes are those of another kind of file than the name's."""
    named = "Parquet" if kind == ".parquet" else "gzip" if kind.endswith(".gz") else None
    with open(path, "rb") as file:
        start = file.read(4)
    for sign, found in OTHER_FILES.items():
        if start.startswith(sign) and found != named:
            raise UserError(
                f"{path}: begins as a {found} file; convert it, or give it the ending of its kind"
            )


def _open(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def _open_text(path: Path) -> TextIO:
    # surrogateescape carries undecodable bytes through, so that only their rows are set aside.
    return io.TextIOWrapper(_open(path), "utf-8-sig", errors="surrogateescape", newline="")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _record(row: int, line: int | None, text: str | None, label: str | None) -> Record:
    """Return the record of two values, with a reason where they are unusable as text."""
    text, label = text or "", (label or "").strip()
    reason = None
    if len(text) > LONGEST_ROW:
        reason = TOO_LONG
    elif len(label) > LONGEST_LABEL:
        reason = LONG_LABEL
    elif not (_is_unicode(text) and _is_unicode(label)):
        reason = NOT_UTF8
    if reason:
        return Record(row, line, "", "", reason, shorten(f"{label[:EXCERPT_CHARACTERS]} {text}"))
    return Record(row, line, text, label)


def _check_columns(path: Path, names: Sequence[str], text: str, label: str) -> None:
    """Raise UserError unless `names` holds each of the two columns once."""
    for key, name in (("text", text), ("label", label)):
        if name not in names:
            # As they are, spaces included: those are what is easily overlooked.
            there = ", ".join(repr(known[:EXCERPT_CHARACTERS]) for known in names[:30]) or "none"
            raise UserError(
                f"{path}: no column {name!r}; its columns: {there}; set `{key}` to one of them"
            )
        if names.count(name) > 1:
            raise UserError(f"{path}: column {name!r} is there more than once; rename one of them")


def _first_line(error: Exception) -> str:
    return visible(str(error).partition("\n")[0])[:200]


# ---------------------------------------------------------------- CSV and TSV


class _Lines:
    """The lines of a file for the CSV parser, remembering the first one of the current record."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file, self.first = path, file, ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.file.readline(LONGEST_ROW)
        if not line:
            raise StopIteration
        if len(line) == LONGEST_ROW:
            raise UserError(f"{self.path}: a line is {TOO_LONG}; is this a text table?")
        if not self.first:
            self.first = line
        return line


def _parse(lines: Iterable[str], delimiter: str) -> Any:
    csv.field_size_limit(LONGEST_ROW)
    # strict: otherwise text after a closing quotation mark is silently glued to the field.
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _header(path: Path, delimiter: str) -> list[str]:
    with _open_text(path) as file:
        try:
            names: list[str] = next(_parse(_Lines(path, file), delimiter), [])
        except csv.Error:
            names = []
    if not all(_is_unicode(name) for name in names):
        raise UserError(
            f"{path}: the header line is not UTF-8; convert the file, "
            "for instance with: iconv -f WINDOWS-1252 -t UTF-8 (or -f UTF-16)"
        )
    return names


def _find_delimiter(
    path: Path, text: str, label: str, delimiter: str | None
) -> tuple[str, list[str]]:
    """Return the delimiter with which the header holds both columns, and the column names.

    Raises UserError where there is none. Nothing is guessed from the texts themselves.
    """
    if delimiter is not None and len(delimiter) != 1:
        raise UserError(f"delimiter: {delimiter!r} must be a single character")
    tabs = (extension(path) or "").startswith(".tsv")
    candidates = [delimiter] if delimiter else ["\t"] if tabs else [",", ";", "\t", "|"]
    headers = {candidate: _header(path, candidate) for candidate in candidates}
    for candidate, names in headers.items():
        if text in names and label in names:
            _check_columns(path, names, text, label)
            return candidate, names
    _check_columns(path, max(headers.values(), key=len), text, label)
    raise AssertionError("unreachable: the longest header lacks a column")


def _read_delimited(path: Path, text: str, label: str, delimiter: str | None) -> Iterator[Record]:
    delimiter, names = _find_delimiter(path, text, label, delimiter)
    text_column, label_column = names.index(text), names.index(label)
    with _open_text(path) as file:
        lines = _Lines(path, file)
        parser = _parse(lines, delimiter)
        next(parser)
        row = 0
        while True:
            lines.first, line = "", parser.line_num + 1
            try:
                values = next(parser)
            except StopIteration:
                return
            except csv.Error as error:
                # Each line that the damaged record swallowed counts as a row lost: a quotation
                # mark that is never closed must not pass as a single bad row.
                reason = TOO_LONG if "limit" in str(error) else BAD_QUOTES
                for lost in range(line, parser.line_num + 1):
                    row += 1
                    excerpt = shorten(lines.first) if lost == line else f"(part of line {line})"
                    yield Record(row, lost, "", "", reason, excerpt)
                continue
            if not values:
                continue
            row += 1
            if len(values) != len(names):
                yield Record(row, line, "", "", WRONG_COLUMNS, shorten(lines.first))
            else:
                yield _record(row, line, values[text_column], values[label_column])


# ---------------------------------------------------------------- JSON


def _as_text(value: object) -> str | None:
    """Return a JSON value as text; None where it is null, a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


class _DoubleKeyError(ValueError):
    """An object has a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DoubleKeyError
    return found


# Numbers stay as they are spelled: a label 2.0 must not turn into 2, nor 1e3 into 1000.0.
_loads: Callable[[str], Any] = partial(
    json.loads, parse_int=str, parse_float=str, object_pairs_hook=_unique
)


def _json_objects(path: Path) -> Iterator[tuple[int | None, bytes]]:
    """Yield line number (None within a JSON array) and bytes of each object of the file."""
    with _open(path) as file:
        start = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        yield from ((None, item) for item in _json_array(path))
        return
    with _open(path) as file:
        number = 0
        while line := file.readline(LONGEST_ROW):
            number += 1
            if len(line) == LONGEST_ROW:
                raise UserError(f"{path}: a line is {TOO_LONG}; expected one object per line")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line


def _json_array(path: Path) -> Iterator[bytes]:
    """Yield the elements of a file that is one JSON array, without reading it as a whole."""
    import duckdb

    query = "SELECT json FROM read_json_objects(?, format='array', maximum_object_size=?)"
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            # Escaped, because the engine takes a name with * or [ for a pattern.
            connection.execute(query, [glob.escape(str(path)), LONGEST_ROW])
            while rows := connection.fetchmany(64):
                yield from (str(row[0]).encode("utf-8") for row in rows)
        except (duckdb.Error, UnicodeDecodeError) as error:
            line = _first_line(error)
            raise UserError(f"{path}: not a JSON array ({line}); mend the file") from None


def _check_keys(path: Path, text: str, label: str) -> None:
    keys: dict[str, None] = {}
    for _, item in islice(_json_objects(path), 100):
        try:
            content = _loads(item.decode("utf-8"))
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            keys.update(dict.fromkeys(content))
    if not keys:
        raise UserError(
            f"{path}: no JSON object at its beginning; expected one object a line, or one array "
            "of objects, in UTF-8"
        )
    _check_columns(path, list(keys), text, label)


def _read_json(path: Path, text: str, label: str) -> Iterator[Record]:
    _check_keys(path, text, label)
    for row, (line, item) in enumerate(_json_objects(path), start=1):
        content, reason = _json_content(item)
        if reason is None:
            yield _record(row, line, _as_text(content.get(text)), _as_text(content.get(label)))
        else:
            excerpt = shorten(item[:1000].decode("utf-8", "surrogateescape"))
            yield Record(row, line, "", "", reason, excerpt)


def _json_content(item: bytes) -> tuple[dict[str, Any], str | None]:
    """Return an object's content, or nothing and the reason why it is unusable."""
    if len(item) > LONGEST_ROW:
        return {}, TOO_LONG
    try:
        content = _loads(item.decode("utf-8"))
    except UnicodeDecodeError:
        return {}, NOT_UTF8
    except _DoubleKeyError:
        return {}, DOUBLE_KEY
    except (ValueError, RecursionError):
        content = None
    return (content, None) if isinstance(content, dict) else ({}, NOT_JSON)


# ---------------------------------------------------------------- Parquet


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    """Give an open Parquet file; whatever is found damaged in it meanwhile is a UserError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    # A damaged file can fail in any way: wrong types, impossible lengths, names that are no text.
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        line = _first_line(error)
        raise UserError(f"{path}: not a readable Parquet file ({line})") from None


def _read_parquet(path: Path, text: str, label: str) -> Iterator[Record]:
    with _open_parquet(path) as file:
        _check_columns(path, file.schema_arrow.names, text, label)
        row = 0
        # Few rows at a time, as each may be as long as LONGEST_ROW.
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=[text, label]):
            columns = [_column_text(path, batch.column(name), name) for name in (text, label)]
            for values in zip(*columns, strict=True):
                row += 1
                yield _record(row, None, *values)
        if row != file.metadata.num_rows:
            raise UserError(
                f"{path}: damaged Parquet file: it holds {row:,} rows and says "
                f"{file.metadata.num_rows:,}; fetch or write it again"
            )


def _column_text(path: Path, column: Any, name: str) -> Iterator[str | None]:
    """Yield the values of a column as text, with undecodable bytes as `_open_text` has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        # By way of bytes: Arrow neither checks texts when it reads nor decodes the damaged ones.
        texts = pc.cast(column, pa.large_string(), safe=False).cast(pa.large_binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        line = _first_line(error)
        raise UserError(f"{path}: column {name!r} cannot be read as text ({line})") from None
    for scalar in texts:
        value = scalar.as_py()
        yield None if value is None else value.decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- a quick look


def describe_local_source(
    spec: Mapping[str, Any], text: str, label: str, delimiter: str | None = None
) -> int | None:
    """Check a source of kind `file` before any job runs; return its rows, None where large.

    Takes about a second at most. The rows are all those in the files, unusable ones included.
    Raises UserError when the path or a column is missing.
    """
    files = list_data_files(spec["path"])
    for file in files:
        kind = extension(file) or ""
        with _reading(file, kind):
            _check_file(file, kind, text, label, delimiter)
    # Gzipped text unpacks to some four times its size.
    sizes = (file.stat().st_size * (4 if file.suffix == ".gz" else 1) for file in files)
    if sum(sizes) > QUICK_BYTES:
        return None
    rows = [_count_rows(file, text, label, delimiter) for file in files]
    return None if None in rows else sum(filter(None, rows))


def _check_file(path: Path, kind: str, text: str, label: str, delimiter: str | None) -> None:
    if kind.startswith((".csv", ".tsv")):
        _find_delimiter(path, text, label, delimiter)
    elif kind == ".parquet":
        with _open_parquet(path) as file:
            _check_columns(path, file.schema_arrow.names, text, label)
    else:
        _check_keys(path, text, label)


def _count_rows(path: Path, text: str, label: str, delimiter: str | None) -> int | None:
    """Return the rows of a file; None for more than QUICK_ROWS, which a small gzip may hold."""
    if extension(path) == ".parquet":
        with _open_parquet(path) as file:
            return int(file.metadata.num_rows)
    records = read_records(path, text, label, delimiter)
    count = sum(1 for _ in islice(records, QUICK_ROWS + 1))
    return count if count <= QUICK_ROWS else None
