"""Turn a source into a pool and a test set: checked, merged, apart from each other, described."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from pathlib import Path
from re import compile as compile_pattern
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from gap.data.readers import (
    NO_LABEL,
    NO_TEXT,
    NOT_UTF8,
    UNKNOWN_LABEL,
    Record,
    extension,
    read_records,
    scratch_folder,
    shorten,
)
from gap.run.digests import sha256_file
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.run.progress import progress
from gap.run.runstate import keep, restore, state_folder
from gap.run.workers import Workers
from numpy.typing import NDArray

POOL, TEST, MERGED, DROPPED = range(4)
MOST_LABELS = 10_000
GROUP_ROWS = 8192
GROUP_BYTES = 32_000_000
# Of the texts that a process works on at a time.
BATCH_CHARACTERS = 8_000_000
TAG = compile_pattern(r"<[^<>]*>")
# Unicode's categories of control and format characters, zero-width ones among them.
INVISIBLE = ("Cc", "Cf")
TEXTS = pa.schema([("text", pa.string()), ("label", pa.int32()), ("source_row", pa.int64())])
ROWS = pa.schema(
    [("row", pa.int64()), ("text", pa.string()), ("label", pa.int32()), ("source_row", pa.int64())]
)
# Texts are compared by 128-bit hashes (two halves), so that no text is held, sorted or joined.
FACTS = (
    "position BIGINT, in_test BOOLEAN, label INTEGER, words INTEGER, characters INTEGER, "
    "text_high UBIGINT, text_low UBIGINT, plain_high UBIGINT, plain_low UBIGINT"
)


def cut_text(text: str, words: int | None, keep: str) -> str:
    """Return `text` within its budget of whitespace-separated words, otherwise unchanged.

    "head" keeps the first `words`; "head_and_tail" the first three quarters (rounded up) and the
    last quarter, with " ... " between, so that the seam makes no pair of words of its own.
    """
    if words is None or len(parts := text.split(None, words)) <= words:
        return text
    first = math.ceil(words * 3 / 4) if keep == "head_and_tail" else words
    if first == words:
        return text[: len(text) - len(parts[-1])].rstrip()
    head = text[: len(text) - len(text.split(None, first)[first])].rstrip()
    rest = text.rstrip().rsplit(None, words - first)[0]
    return f"{head} ... {text.rstrip()[len(rest) :].lstrip()}"


def normalise(text: str) -> str:
    """Return the form in which a pool row and a test row count as the same text."""
    plain = text.lower()
    # ASCII is composed already.
    return " ".join((plain if plain.isascii() else unicodedata.normalize("NFC", plain)).split())


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8"), digest_size=16, person=b"gap texts").digest()


@dataclass
class Labels:
    """The labels in order of appearance; with `given` ones, no others are taken up."""

    given: list[str] | None
    index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label in self.given or []:
            self.index.setdefault(label, len(self.index))

    def find(self, label: str) -> int | None:
        """Return the label's number; None where only given labels count and it is not one."""
        number = self.index.get(label)
        if number is None and self.given is None:
            number = self.index[label] = len(self.index)
            if number >= MOST_LABELS:
                examples = ", ".join(shorten(known) for known in list(self.index)[:3])
                raise UserError(
                    f"more than {MOST_LABELS:,} different labels ({examples}, ...); "
                    "`label` must name a column of classes"
                )
        return number

    def ordered(self) -> list[str]:
        """Return the labels as given, else sorted: as numbers if all are, otherwise as text."""
        if self.given is not None:
            return list(self.index)
        if all(map(numeric, self.index)):
            return sorted(self.index, key=numeric)
        return sorted(self.index)

    def look_alike(self) -> list[list[str]]:
        """Return the groups of labels that differ in case or invisible characters only."""
        groups: dict[str, list[str]] = {}
        for label in self.ordered():
            shown = "".join(sign for sign in label if unicodedata.category(sign) not in INVISIBLE)
            groups.setdefault(normalise(shown), []).append(label)
        return [group for group in groups.values() if len(group) > 1]


def numeric(label: str) -> tuple[float, str] | tuple[()]:
    """Return what numbers are sorted by; nothing where the label is no finite number."""
    try:
        number = float(label)
    except ValueError:
        return ()
    return (number, label) if math.isfinite(number) else ()


Row = tuple[int, str, int]


class Batch(NamedTuple):
    """Usable rows (source row, whole text, label number), and the file to write them to."""

    path: Path
    rows: list[Row]


def take_batch(words: int | None, keep: str, batch: Batch) -> pa.Table:
    """Write a batch with its texts within the budget, and return what is decided upon.

    The columns are those of FACTS, without the first two. Lengths are those of the whole texts.
    """
    source_rows, wholes, labels = zip(*batch.rows, strict=True)
    lengths = [len(whole.split()) for whole in wholes]
    texts = [
        whole if words is None or length <= words else cut_text(whole, words, keep)
        for whole, length in zip(wholes, lengths, strict=True)
    ]
    digests = bytearray()
    for text in texts:
        digests += _digest(text) + _digest(normalise(text))
    table = pa.table([texts, labels, source_rows], schema=TEXTS)
    pq.write_table(table, batch.path, compression="zstd")
    halves = np.frombuffer(bytes(digests), dtype=">u8").astype(np.uint64).reshape(-1, 4)
    facts = {
        "label": table["label"],
        "words": pa.array(lengths, pa.int32()),
        "characters": pa.array(map(len, wholes), pa.int32()),
    }
    names = ("text_high", "text_low", "plain_high", "plain_low")
    return pa.table(facts | {name: halves[:, place] for place, name in enumerate(names)})


class Store:
    """Usable rows on their way: texts in Parquet files, what is decided upon in a database."""

    def __init__(self, folder: Path, memory: str, threads: int) -> None:
        self.folder = folder
        self.database = duckdb.connect(
            config={"threads": threads, "memory_limit": memory, "temp_directory": str(folder)}
        )
        self.database.execute(f"CREATE TABLE facts ({FACTS})")
        self.files: list[Path] = []
        self.rows = 0

    def batches(self, rows: Iterable[Row | None]) -> Iterator[Batch]:
        """Yield the rows of `read_source`, but for the rejected ones, in batches."""
        gathered: list[Row] = []
        characters = 0
        for row in filter(None, rows):
            gathered.append(row)
            characters += len(row[1])
            if len(gathered) >= GROUP_ROWS or characters >= BATCH_CHARACTERS:
                yield self._batch(gathered)
                gathered, characters = [], 0
        if gathered:
            yield self._batch(gathered)

    def _batch(self, rows: list[Row]) -> Batch:
        self.files.append(self.folder / f"{len(self.files)}.parquet")
        return Batch(self.files[-1], rows)

    def add(self, facts: pa.Table, in_test: bool) -> None:
        """Take what is decided upon of the next batch."""
        positions = np.arange(self.rows, self.rows + len(facts))
        facts = facts.add_column(0, "position", pa.array(positions))
        self.database.register("batch", facts)
        self.database.execute(
            f"INSERT INTO facts SELECT position, {in_test}, * EXCLUDE position FROM batch"
        )
        self.database.unregister("batch")
        self.rows += len(facts)

    def one(self, query: str) -> Any:
        """Return the single value that a query gives."""
        row = self.database.execute(query).fetchone()
        return row[0] if row else None


@dataclass
class Rejects:
    """The rows set aside, written to a CSV as they come, and counted by reason."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def __post_init__(self) -> None:
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.file = self.partial.open("w", encoding="utf-8", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(["file", "row", "line", "reason", "excerpt"])

    def add(self, path: Path, record: Record, reason: str) -> None:
        """Set one row aside."""
        excerpt = record.excerpt or shorten(f"{record.label} {record.text}".strip())
        self.writer.writerow([path, record.row, record.line or "", reason, excerpt])
        if not self.example:
            line = f", line {record.line}" if record.line else ""
            self.example = f"{path}, row {record.row}{line}: {reason}: {excerpt!r}"
        self.counts[reason] += 1

    def close(self, path: Path) -> None:
        """Give the finished file its name."""
        self.file.close()
        os.replace(self.partial, path)


def read_source(
    manifest: Mapping[str, Any], recipe: Mapping[str, Any], labels: Labels, rejects: Rejects
) -> Iterator[Row | None]:
    """Yield source row (from 0, over all files), whole text and label number; None if rejected."""
    files = sorted((Path(entry["path"]) for entry in manifest["files"]), key=lambda path: path.name)
    files = [path for path in files if extension(path)]
    if not files:
        raise UserError(f"{recipe['name']}: the source holds no data file")
    source_row = -1
    for path in files:
        records = read_records(path, recipe["text"], recipe["label"], recipe.get("delimiter"))
        for record in records:
            source_row += 1
            text = TAG.sub(" ", record.text) if recipe.get("strip_tags") else record.text
            reason = record.reason
            if reason is None and (not text or text.isspace()):
                reason = NO_TEXT
            elif reason is None and not record.label:
                reason = NO_LABEL
            number = labels.find(record.label) if reason is None else None
            if number is None:
                rejects.add(path, record, reason or UNKNOWN_LABEL)
                yield None
            else:
                yield source_row, text, number


def take_source(
    store: Store,
    workers: Workers[Batch, pa.Table],
    manifest: Mapping[str, Any],
    recipe: Mapping[str, Any],
    labels: Labels,
    rejects: Rejects,
    in_test: bool,
) -> int:
    """Read a source into the store; return its number of rows, the rejected ones included.

    Raises UserError when more of them than `max_rejected` are rejected, or none is left.
    """
    before, kept = rejects.counts.copy(), store.rows
    read = progress(read_source(manifest, recipe, labels, rejects), unit="rows")
    for facts in workers.in_order(store.batches(read)):
        store.add(facts, in_test)
    rejected = rejects.counts - before
    rows = store.rows - kept + rejected.total()
    check_rejected(recipe, rows, rejects, rejected)
    return rows


def check_rejected(
    recipe: Mapping[str, Any], rows: int, rejects: Rejects, counts: Counter[str]
) -> None:
    """Raise UserError when too many of `rows` are among `counts`, saying why and what to do."""
    name, allowed, rejected = recipe["name"], recipe["max_rejected"], counts.total()
    if not rows:
        raise UserError(f"{name}: the source has no rows")
    if rejected < rows and rejected <= allowed * rows:
        return
    listing = rejects.path.with_name(f"{rejects.path.stem}.failed.csv")
    rejects.close(listing)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    advice = {
        NOT_UTF8: "convert the file (for instance: iconv -f WINDOWS-1252 -t UTF-8)",
        UNKNOWN_LABEL: f"add the missing ones to `labels` ({', '.join(recipe['labels'] or [])})",
    }.get(counts.most_common(1)[0][0], "mend those rows")
    raise UserError(
        f"{name}: {rejected:,} of {rows:,} rows cannot be used ({reasons}), and `max_rejected` "
        f"allows {allowed:.1%}; first: {rejects.example}; all of them: {listing}; {advice}, "
        "or raise `max_rejected`"
    )


def count_test_rows(name: str, test: object, rows: int) -> int:
    """Return the number of test rows that `test` (5000, 0.1 or "10%") means, of `rows` rows.

    Raises UserError when it is neither, or leaves no row for either side.
    """
    spelled = str(test).strip()
    percent = spelled.endswith("%")
    try:
        number = Fraction(spelled.rstrip("%")) / (100 if percent else 1)
    except (ValueError, ZeroDivisionError):
        raise UserError(
            f"{name}: test is {test!r}; expected a number of rows (5000) or a share (0.1, '10%')"
        ) from None
    is_share = percent or isinstance(test, float) or number < 1
    count = math.floor(number * rows + Fraction(1, 2)) if is_share else int(number)
    if not 0 < count < rows:
        raise UserError(
            f"{name}: test is {test}, which means {count:,} of {rows:,} usable, different rows; "
            "it must leave rows for both pool and test: choose another number"
        )
    return count


def share_out(name: str, total: int, counts: Sequence[int]) -> list[int]:
    """Return how many of `total` rows each label gives, by largest remainder.

    Ties go to the earlier label. A label's last row stays in the pool. Raises UserError when
    `total` cannot be reached so.
    """
    rows = sum(counts)
    quotas = [total * count // rows for count in counts]
    remainders = [(-(total * count % rows), place) for place, count in enumerate(counts)]
    for _, place in sorted(remainders):
        if sum(quotas) < total and quotas[place] + 1 < counts[place]:
            quotas[place] += 1
    if sum(quotas) < total:
        raise UserError(
            f"{name}: test takes {total:,} of {rows:,} usable, different rows, which would leave "
            "a label without a row in the pool: choose a smaller number"
        )
    return quotas


def count_labels(store: Store, table: str, role: int, labels: int) -> list[int]:
    """Return the rows of one role by label number, zeros included."""
    query = f"SELECT label, count(*) FROM {table} WHERE role = {role} GROUP BY label"
    found = dict(store.database.execute(query).fetchall())
    return [found.get(label, 0) for label in range(labels)]


def assign_roles(store: Store, recipe: Mapping[str, Any], labels: Labels, has_test: bool) -> None:
    """Make the table `roles`: label, lengths and role of each row of the store, by position.

    Exact duplicates are judged on the text within its budget: rows that differ only beyond it are
    one and the same example to every model. A given test set is taken as it is, repeats included,
    so that scores on it compare with those of others.
    """
    same = "PARTITION BY in_test, label, text_high, text_low ORDER BY position"
    replace_table(
        store,
        "facts",
        f"""SELECT * EXCLUDE in_test, CASE WHEN in_test THEN {TEST}
        WHEN row_number() OVER ({same}) = 1 THEN {POOL} ELSE {MERGED} END::TINYINT AS role
        FROM facts""",
    )
    if not has_test:
        draw_test(store, recipe, labels)
    # Ordered, so that the roles of a stretch of positions are found without reading all.
    replace_table(
        store,
        "roles",
        f"""SELECT * REPLACE (CASE WHEN role = {POOL} AND (plain_high, plain_low) IN
            (SELECT (plain_high, plain_low) FROM facts WHERE role = {TEST})
            THEN {DROPPED} ELSE role END::TINYINT AS role)
        FROM facts ORDER BY position""",
    )


def replace_table(store: Store, name: str, query: str) -> None:
    """Put the result of a query in the place of a table: updated rows would pile up in memory."""
    store.database.execute(f"CREATE TABLE following AS {query}")
    store.database.execute(f"DROP TABLE IF EXISTS {name}")
    store.database.execute(f"ALTER TABLE following RENAME TO {name}")


def draw_test(store: Store, recipe: Mapping[str, Any], labels: Labels) -> None:
    """Turn a stratified part of the pool into the test set.

    Within a label, rows are drawn in the order of their texts' hashes, a random one to all
    purposes, so that neither the order of the rows nor the number of threads matters.
    """
    counts = count_labels(store, "facts", POOL, len(labels.index))
    numbers = [labels.index[label] for label in labels.ordered()]
    total = count_test_rows(recipe["name"], recipe["test"], sum(counts))
    quotas = share_out(recipe["name"], total, [counts[number] for number in numbers])
    pairs = ", ".join(f"({number}, {quota})" for number, quota in zip(numbers, quotas, strict=True))
    place = "row_number() OVER (PARTITION BY role, label ORDER BY text_high, text_low)"
    replace_table(
        store,
        "facts",
        f"""SELECT facts.* REPLACE (CASE WHEN role = {POOL} AND {place} <= quota
            THEN {TEST} ELSE role END::TINYINT AS role)
        FROM facts JOIN (VALUES {pairs}) AS quotas(number, quota) ON label = number""",
    )


def check_labels(store: Store, recipe: Mapping[str, Any], labels: Labels) -> None:
    """Raise UserError for fewer than two labels, or one that has no row in the pool."""
    ordered = labels.ordered()
    if len(ordered) < 2:
        raise UserError(
            f"{recipe['name']}: found {len(ordered)} label ({', '.join(map(shorten, ordered))}), "
            f"need 2 or more; is {recipe['label']!r} the column of the labels?"
        )
    pool, test = (count_labels(store, "roles", role, len(ordered)) for role in (POOL, TEST))
    for label in ordered:
        number = labels.index[label]
        if not pool[number]:
            raise UserError(
                f"{recipe['name']}: label {shorten(label)!r} has no row in the pool (test has "
                f"{test[number]:,}); add rows of it, or list the labels to use under `labels`"
            )


class RowWriter:
    """Writes pool or test: rows numbered from 0, in row groups of moderate size."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(path.name + ".partial")
        self.file = pq.ParquetWriter(self.partial, ROWS, compression="zstd")
        self.waiting: list[pa.Table] = []
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append rows that have the columns text, label, source_row."""
        numbers = pa.array(np.arange(self.rows, self.rows + len(rows)))
        self.waiting.append(rows.add_column(0, "row", numbers).cast(ROWS))
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


def write_rows(store: Store, labels: Labels, pool: Path, test: Path) -> None:
    """Write both files in the order of the source, labels as positions in the ordered list."""
    ordered = labels.ordered()
    places = np.zeros(len(labels.index), dtype=np.int32)
    for place, label in enumerate(ordered):
        places[labels.index[label]] = place
    writers = {POOL: RowWriter(pool), TEST: RowWriter(test)}
    position = 0
    for file in store.files:
        rows = pq.read_table(file)
        file.unlink()
        roles = read_roles(store, position, position + len(rows))
        numbers = pa.array(places[rows.column("label").to_numpy()])
        rows = rows.set_column(1, "label", numbers)
        for role, writer in writers.items():
            writer.add(rows.filter(pa.array(roles == role)))
        position += len(rows)
    for writer in writers.values():
        writer.close()


def read_roles(store: Store, start: int, stop: int) -> NDArray[np.int8]:
    """Return the roles of the positions from `start` up to `stop`, shape (stop - start,)."""
    query = "SELECT role FROM roles WHERE position >= ? AND position < ? ORDER BY position"
    roles: NDArray[np.int8] = store.database.execute(query, [start, stop]).fetchnumpy()["role"]
    return roles


def describe_lengths(store: Store, column: str) -> dict[str, float]:
    """Return mean, median and 95th percentile (nearest rank) of a column over pool and test."""
    counts = store.database.execute(
        f"SELECT {column}, count(*) AS rows FROM roles WHERE role IN ({POOL}, {TEST}) "
        f"GROUP BY {column} ORDER BY {column}"
    ).fetchnumpy()
    lengths, rows = counts[column].astype(np.int64), counts["rows"].astype(np.int64)
    ranks = np.cumsum(rows)
    median, high = (int(lengths[np.searchsorted(ranks, q * ranks[-1])]) for q in (0.5, 0.95))
    mean = round(float((lengths * rows).sum() / ranks[-1]), 2)
    return {"mean": mean, "median": median, "percentile_95": high}


def describe_side(store: Store, labels: Labels, role: int, path: Path) -> dict[str, Any]:
    """Return rows, sha256 and label counts of the pool or the test set."""
    counts = count_labels(store, "roles", role, len(labels.index))
    by_label = {label: counts[labels.index[label]] for label in labels.ordered()}
    return {"rows": sum(counts), "sha256": sha256_file(path), "label_counts": by_label}


def describe(
    store: Store, recipe: Mapping[str, Any], labels: Labels, pool: Path, test: Path
) -> dict[str, Any]:
    """Return what the data card says about the rows. Lengths are those before the budget cuts."""
    kept = f"role IN ({POOL}, {TEST})"
    conflicts = store.one(
        f"""SELECT count(*) FROM (SELECT 1 FROM roles WHERE role != {MERGED}
        GROUP BY text_high, text_low HAVING count(DISTINCT label) > 1)"""
    )
    cut = f"count(*) FILTER (words > {recipe['words'] or 'NULL'}) / count(*)"
    return {
        "dataset": recipe["name"],
        "labels": labels.ordered(),
        "labels_that_look_alike": labels.look_alike(),
        "pool": describe_side(store, labels, POOL, pool),
        "test": describe_side(store, labels, TEST, test),
        "merged": store.one(f"SELECT count(*) FROM roles WHERE role = {MERGED}"),
        "dropped_in_test": store.one(f"SELECT count(*) FROM roles WHERE role = {DROPPED}"),
        "texts_with_several_labels": conflicts,
        "words": describe_lengths(store, "words"),
        "characters": describe_lengths(store, "characters"),
        "text_budget": {"words": recipe["words"], "keep": recipe["keep"]},
        "cut_share": round(store.one(f"SELECT {cut} FROM roles WHERE {kept}"), 4),
    }


def complete(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe with its defaults, and labels as text (a config's numbers are not)."""
    defaults: dict[str, Any] = {"labels": None, "test": None, "words": None, "keep": "head"}
    recipe = defaults | {"max_rejected": 0.05, "strip_tags": False} | recipe
    if recipe["labels"] is not None:
        recipe["labels"] = [
            label.strip() if isinstance(label, str) else json.dumps(label)
            for label in recipe["labels"]
        ]
    return recipe


def prepare(args: argparse.Namespace, folder: Path) -> None:
    """Make pool, test, rejects and card, with scratch files in `folder`."""
    started = time.monotonic()
    recipe = complete(json.loads(args.spec))
    labels, rejects = Labels(recipe["labels"]), Rejects(args.rejects)
    store = Store(folder, args.memory, args.threads)
    source = read_json(args.source)
    card: dict[str, Any] = {"source_sha256": source["sha256"]}
    with Workers(partial(take_batch, recipe["words"], recipe["keep"]), args.threads) as workers:
        read = {"pool": take_source(store, workers, source, recipe, labels, rejects, False)}
        read["test"] = 0
        if args.test_source:
            test_source = read_json(args.test_source)
            card["test_source_sha256"] = test_source["sha256"]
            read["test"] = take_source(store, workers, test_source, recipe, labels, rejects, True)
    assign_roles(store, recipe, labels, has_test=args.test_source is not None)
    check_labels(store, recipe, labels)
    write_rows(store, labels, args.pool, args.test)
    card |= describe(store, recipe, labels, args.pool, args.test)
    card["origin"] = recipe.get("origin")
    card |= {"rows_read": read, "rejected": dict(rejects.counts)}
    rejects.close(args.rejects)
    for side, path in (("pool", args.pool), ("test", args.test)):
        # The little that later rules depend on; the card's other facts must not make them rerun.
        facts = {key: card[side][key] for key in ("rows", "sha256")}
        write_json(path.with_suffix(".json"), {"labels": card["labels"], **facts})
    write_json(args.card, card)
    print(
        f"{recipe['name']}: {sum(read.values()):,} rows read; pool {card['pool']['rows']:,}, "
        f"test {card['test']['rows']:,}, rejected {rejects.counts.total():,}, merged "
        f"{card['merged']:,}, dropped for standing in test {card['dropped_in_test']:,}; "
        f"{time.monotonic() - started:.1f} s",
        file=sys.stderr,
    )
    if card["labels_that_look_alike"]:
        alike = "; ".join(ascii(group) for group in card["labels_that_look_alike"][:5])
        print(f"warning: labels that look alike are different labels: {alike}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and prepare one data set."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--spec", required=True, help="the data set's recipe, as JSON")
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--source", required=True, type=Path, help="manifest of the source")
    parser.add_argument("--test-source", type=Path, help="manifest of a given test set")
    parser.add_argument(
        "--pool", required=True, type=Path, help="Parquet file, its manifest beside it"
    )
    parser.add_argument(
        "--test", required=True, type=Path, help="Parquet file, its manifest beside it"
    )
    parser.add_argument("--rejects", required=True, type=Path, help="rows set aside (CSV)")
    parser.add_argument("--card", required=True, type=Path, help="the data card (JSON)")
    parser.add_argument("--threads", type=int, default=1, help="processes that work at once")
    parser.add_argument("--memory", default="1GB", help="beyond it, the database spills to disk")
    args = parser.parse_args(argv)
    for path in (args.pool, args.test, args.rejects, args.card):
        path.parent.mkdir(parents=True, exist_ok=True)
    made_from = [args.source, *filter(None, [args.test_source])]
    state = state_folder(args.card.parent, "prepare", [args.spec, args.provenance], made_from)
    manifests = [path.with_suffix(".json") for path in (args.pool, args.test)]
    outputs = [args.pool, args.test, *manifests, args.rejects, args.card]
    if restore(state, outputs):
        return
    with scratch_folder(state / "unfinished") as folder:
        prepare(args, folder)
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
