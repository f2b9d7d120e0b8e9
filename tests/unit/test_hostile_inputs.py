"""Files, archives, checkpoints and configs from strangers: the right rows, or one clear line.

Each case says what is right: the rows kept, set aside and merged, or the words of the one line that
a person gets. Nothing may be run, or written beside the folder, and memory stays bounded.
"""

import csv
import gzip
import io
import itertools
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import download
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.config.check import check, complete
from gap.config.spelling import check_spelling
from gap.data import readers as sources
from gap.data.preparing.texts import cut_text, normalise
from gap.data.readers.records import LONG_LABEL
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study.rules import PrepareRecipe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config
from tiny_study import PARTS

ROOT = Path(__file__).resolve().parents[2]
RECIPE: dict[str, Any] = {
    "name": "made-up",
    "text": "text",
    "label": "label",
    "test": "2",
    "words": 2**31 - 1,
    "keep": "head",
    "strip_tags": False,
    "max_rejected": 0.9,
}
# Rows that every table ends with, so that the one under test can be split.
FILL = [(f"plain text {i}", "xy"[i % 2]) for i in range(8)]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder to work in. Afterwards, nothing has been written beside it, and nothing run."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert not list(folder.rglob("pwned*"))


# Another provenance for each call: otherwise a second one would find what the first one made.
CALLS = itertools.count()


@dataclass
class Outcome:
    """What became of the rows of a source."""

    card: dict[str, Any]
    pool: list[dict[str, Any]]
    test: list[dict[str, Any]]
    rejects: list[dict[str, str]]

    @property
    def kept(self):
        return Counter(
            (row["text"], self.card["labels"][row["label"]]) for row in self.pool + self.test
        )


def fetch(spec, role="dataset"):
    argv = ["--files", "source/files", "--manifest", "source/manifest.json", "--role", role]
    download.main([*argv, "--origin", "source/origin.json", "--recipe", json.dumps(spec)])
    return Path("source/manifest.json")


def run(path, **changes):
    """Take a source through download and prepare, and see that no row is lost."""
    manifest = fetch({"kind": "file", "path": str(path)})
    files = {"pool": "pool.parquet", "test": "test.parquet"}
    files |= {"pool-manifest": "pool.json", "test-manifest": "test.json"}
    files |= {"rejects": "rejects.csv", "card": "card.json"}
    argv = ["--recipe", json.dumps(RECIPE | changes), "--source", str(manifest)]
    argv += ["--provenance", str(next(CALLS))]
    prepare.main([*argv, *(f"--{name}=out/{file}" for name, file in files.items())])
    pool, test = (pq.read_table(f"out/{files[side]}").to_pylist() for side in ("pool", "test"))
    with open("out/rejects.csv", encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    outcome = Outcome(read_json("out/card.json"), pool, test, rejects)
    assert_none_lost(outcome)
    return outcome


def assert_none_lost(outcome):
    card, pool, test = outcome.card, outcome.pool, outcome.test
    gone = len(outcome.rejects) + card["merged"] + card["dropped_in_test"]
    assert sum(card["rows_read"].values()) == len(pool) + len(test) + gone
    assert Counter(row["reason"] for row in outcome.rejects) == card["rejected"]
    known = {normalise(row["text"]) for row in test}
    assert not any(normalise(row["text"]) in known for row in pool)


def line_of(call, *arguments, **changes):
    """Return the line of the UserError that a call ends in."""
    with pytest.raises(UserError) as error:
        call(*arguments, **changes)
    line = str(error.value)
    # No line break, and nothing that a terminal would act on.
    assert line.isprintable(), line
    assert len(line) < 1500
    return line


def quick_look(path, **changes):
    """Return the rows that the config's check of a source finds, or its line."""
    recipe = RECIPE | changes
    try:
        columns = sources.Columns.of(PrepareRecipe.from_json(json.dumps(recipe)))
        return sources.describe_local_source(str(path), columns)
    except UserError as error:
        assert str(error).isprintable()
        return str(error)


def both_lines(path, **changes):
    """Return the line that the programs end in; the config's check passes, or has a line too."""
    quick_look(path, **changes)
    return line_of(run, path, **changes)


# ---------------------------------------------------------------- data files: the right rows


def table(*lines, header=b"text,label", end=b"\n"):
    fill = [f"{text},{label}".encode() for text, label in FILL]
    return end.join([header, *lines, *fill, b""])


def jsonl(*lines):
    fill = [json.dumps({"text": text, "label": label}).encode() for text, label in FILL]
    return b"\n".join([*lines, *fill, b""])


def array(*items):
    return b"[" + jsonl(*items).strip().replace(b"\n", b",\n") + b"]"


def parquet(texts, labels, **options):
    """A table of the given columns above the filling rows, whose type follows the labels'."""
    columns = []
    for given_, fill in ((texts, [text for text, _ in FILL]), (labels, [r for _, r in FILL])):
        kind = given_.type
        try:
            columns.append(pa.chunked_array([given_, pa.array(fill).cast(kind)]))
        except pa.ArrowInvalid:
            numbers = pa.array([ord(value) for value in fill])
            columns.append(pa.chunked_array([given_, numbers.cast(kind)]))
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, names=["text", "label"]), sink, **options)
    return sink.getvalue()


def quoted(*values, delimiter=",", end="\n"):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerow(values)
    return file.getvalue().removesuffix(end).encode("utf-8")


@dataclass
class Good:
    """A file of which the rows `kept` come through, besides FILL."""

    name: str
    content: bytes
    kept: list[tuple[str, str]] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    merged: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    fill: list[tuple[str, str]] = field(default_factory=lambda: FILL)


LABELS = ["a,b", 'say "a"', "two\nlines", "nan", "NA", "null", "1", "01", "1,0", "None", "=1+1"]
OBJECT = b'{"text": %s, "label": %s}'
GOOD = {
    # ---- characters
    "NUL in text and label": Good("a.csv", table(b"a\0b,x\0"), [("a\0b", "x\0")]),
    "NUL in JSON": Good("a.jsonl", jsonl(OBJECT % (b'"a\\u0000b"', b'"x"')), [("a\0b", "x")]),
    "lone surrogate in JSON": Good(
        "a.jsonl", jsonl(OBJECT % (b'"\\ud800"', b'"x"')), rejected={"not UTF-8": 1}
    ),
    "lone surrogate in a JSON label": Good(
        "a.jsonl", jsonl(OBJECT % (b'"a"', b'"\\udfff"')), rejected={"not UTF-8": 1}
    ),
    "pair of surrogates in JSON": Good(
        "a.jsonl", jsonl(OBJECT % (b'"\\ud83d\\ude00"', b'"x"')), [("\U0001f600", "x")]
    ),
    "surrogate encoded in CSV": Good(
        "a.csv", table(b"a \xed\xa0\x80,x"), rejected={"not UTF-8": 1}
    ),
    "Latin-1 rows": Good("a.csv", table(b"caf\xe9,x", b"tea,x"), [("tea", "x")], {"not UTF-8": 1}),
    "Latin-1 label": Good("a.csv", table(b"cafe,\xe9"), rejected={"not UTF-8": 1}),
    "Latin-1 in an unused column": Good(
        "a.csv",
        b"text,label,note\n" + b"".join(f"{t},{r},\n".encode() for t, r in FILL) + b"a,x,\xe9\n",
        [("a", "x")],
    ),
    "right-to-left and zero-width marks": Good(
        "a.csv",
        table("\u202eabc\u202c \u200b\u200d,x\u200b".encode()),
        [("\u202eabc\u202c \u200b\u200d", "x\u200b")],
    ),
    "a text of zero-width characters alone": Good(
        "a.csv", table("\u200b\u200b,x".encode()), [("\u200b\u200b", "x")]
    ),
    "emoji and combining marks": Good(
        "a.csv",
        table("👩\u200d👩\u200d👧 e\u0301,🙂".encode()),
        [("👩\u200d👩\u200d👧 e\u0301", "🙂")],
    ),
    "control characters": Good("a.csv", table(b"\x1b[31mred\x07,x"), [("\x1b[31mred\x07", "x")]),
    "white space alone": Good("a.csv", table(" \t\u3000,x".encode()), rejected={"no text": 1}),
    # ---- rows of a text table
    "line breaks and quotes in a field": Good(
        "a.csv", table(quoted('say "hi",\r\nand\nbye\r!', "x")), [('say "hi",\r\nand\nbye\r!', "x")]
    ),
    "BOM, CRLF and no line break at the end": Good(
        "a.csv", b"\xef\xbb\xbf" + table(b"a,x", end=b"\r\n").strip(), [("a", "x")]
    ),
    "CR only": Good("a.csv", table(b"a,x", end=b"\r"), [("a", "x")]),
    "mixed line ends": Good(
        "a.csv",
        table(b"a,x\r\nb,y\rc,x\n\r\n\rd,y"),
        [(t, r) for t, r in zip("abcd", "xyxy", strict=True)],
    ),
    "blank lines": Good("a.csv", table(b"", b"", b"a,x", b"", b""), [("a", "x")]),
    "a quote never closed": Good(
        "a.csv",
        table(b'"a, b",x') + b'"open,x\nb,y\n',
        [("a, b", "x")],
        rejected={"quotation marks do not match": 2},
        recipe={"quoting": "double"},
    ),
    "a stray quote in the middle": Good(
        "a.csv",
        table(b'"a" b,x', b'a "b",x', b'"a, b",x', b'"c, d",x'),
        [('a "b"', "x"), ("a, b", "x"), ("c, d", "x")],
        {"quotation marks do not match": 1},
    ),
    "ragged rows": Good(
        "a.csv", table(b"a", b"a,x,", b"b,x"), [("b", "x")], {"wrong number of columns": 2}
    ),
    "semicolons": Good("a.csv", table().replace(b",", b";") + b"a,b;x\n", [("a,b", "x")]),
    "pipes, and more commas than columns": Good(
        "a.csv", b"text|label|a,b,c\n" + b"".join(f"{t}|{r}|\n".encode() for t, r in FILL)
    ),
    "a delimiter of its own": Good(
        "a.csv", table().replace(b",", b"\x01"), recipe={"delimiter": "\x01"}
    ),
    "a delimiter beyond ASCII": Good(
        "a.csv", table().replace(b",", "·".encode()), recipe={"delimiter": "·"}
    ),
    "odd names of columns": Good(
        "a.csv",
        table(header=quoted('te xt\'s "é"', "$(touch pwned)")),
        recipe={"text": 'te xt\'s "é"', "label": "$(touch pwned)"},
    ),
    "unnamed columns twice": Good(
        "a.csv", b"text,label,,\n" + b"".join(f"{t},{r},,\n".encode() for t, r in FILL)
    ),
    "a row of 10 MB": Good("a.csv", table(b"w" * 10_000_000 + b",x"), [("w" * 10_000_000, "x")]),
    # ---- labels
    "labels as they are spelled": Good(
        "a.csv",
        table(*(quoted(f"text {label}", label) for label in LABELS)),
        [(f"text {label}", label) for label in LABELS],
    ),
    "spaces around labels": Good("a.csv", table(b"a, x ", b"b,x\t"), [("a", "x"), ("b", "x")]),
    "a label that is a text": Good(
        "a.csv",
        table(b"a," + b"l" * 1001, b"b," + b"l" * 1000),
        [("b", "l" * 1000)],
        {LONG_LABEL: 1},
    ),
    "given labels with spaces": Good("a.csv", table(), recipe={"labels": [" x", "y "]}),
    "10,000 labels": Good(
        "a.csv",
        b"text,label\n" + b"".join(b"t%d,l%d\n" % (i, i % 10_000) for i in range(20_000)),
        [(f"t{i}", f"l{i % 10_000}") for i in range(20_000)],
        fill=[],
    ),
    "the same text in other normal forms": Good(
        "a.csv",
        table("caf\u00e9,z".encode(), "cafe\u0301,z".encode(), "caf\u00e9,z".encode()),
        [("caf\u00e9", "z"), ("cafe\u0301", "z")],
        merged=1,
        recipe={"test": "1"},
    ),
    # ---- JSON
    "numbers and truth values as label": Good(
        "a.jsonl",
        jsonl(*(OBJECT % (b'"t"', value) for value in (b"1", b"1.0", b"1e400", b"true"))),
        [("t", "1"), ("t", "1e400"), ("t", "true")],
        merged=1,
    ),
    "an integer of 5,000 digits": Good(
        "a.jsonl", jsonl(OBJECT % (b"9" * 5000, b'"x"')), [("9" * 5000, "x")]
    ),
    "null, NaN and infinity": Good(
        "a.jsonl",
        jsonl(*(OBJECT % (b'"t"', value) for value in (b"null", b"NaN", b"-Infinity"))),
        rejected={"no label": 3},
    ),
    "nested text": Good(
        "a.jsonl",
        jsonl(OBJECT % (b'{"a": 1}', b'"x"'), OBJECT % (b'["a"]', b'"x"')),
        rejected={"no text": 2},
    ),
    "a key twice": Good(
        "a.jsonl",
        jsonl(b'{"text": "a", "text": "b", "label": "x"}'),
        rejected={"a key that is there twice": 1},
    ),
    "nested beyond recursion": Good(
        "a.jsonl",
        jsonl(OBJECT % (b"[" * 100_000 + b"]" * 100_000, b'"x"'), b"[" * 100_000),
        rejected={"not a JSON object": 2},
    ),
    "scalars and lists between objects": Good(
        "a.jsonl", jsonl(b"5", b'"a"', b"[1]", b"null", b"{"), rejected={"not a JSON object": 5}
    ),
    "an array with elements of other types": Good(
        "a.json",
        array(b"5", b'["text"]', b"null", OBJECT % (b'"a"', b"2.0")),
        [("a", "2")],
        {"not a JSON object": 3},
    ),
    "lone surrogate in an array": Good(
        "a.json", array(OBJECT % (b'"\\ud800"', b'"x"')), rejected={"not UTF-8": 1}
    ),
    "UTF-16 with its mark": Good("a.csv", table(b"a,x").decode().encode("utf-16"), [("a", "x")]),
    "UTF-16 JSON with its mark": Good("a.jsonl", jsonl().decode().encode("utf-16")),
    "an array with a BOM": Good("a.json", b"\xef\xbb\xbf\n" + array()),
    # ---- Parquet
    "nulls": Good(
        "a.parquet",
        parquet(pa.array([None, "a"]), pa.array(["x", None])),
        rejected={"no text": 1, "no label": 1},
    ),
    "dictionaries": Good(
        "a.parquet",
        parquet(pa.array(["a"]).dictionary_encode(), pa.array(["x"]).dictionary_encode()),
        [("a", "x")],
    ),
    "large strings and integers": Good(
        "a.parquet",
        parquet(pa.array(["a"], pa.large_string()), pa.array([-5], pa.int64())),
        [("a", "-5")],
        fill=[(text, str(ord(label))) for text, label in FILL],
    ),
    "bytes, some of which are no text": Good(
        "a.parquet",
        parquet(pa.array([b"a\0", b"caf\xe9"], pa.binary()), pa.array(["x", "x"])),
        [("a\0", "x")],
        {"not UTF-8": 1},
    ),
    "strings that are no text": Good(
        "a.parquet",
        parquet(pa.array([b"\xff\xfe"]).cast(pa.string(), safe=False), pa.array(["x"])),
        rejected={"not UTF-8": 1},
    ),
    "row groups without rows": Good(
        "a.parquet", parquet(pa.array(["a"]), pa.array(["x"]), row_group_size=3), [("a", "x")]
    ),
    # ---- gzip
    "members one after another": Good(
        "a.csv.gz",
        gzip.compress(table()) + gzip.compress(b"") + gzip.compress(b"a,x\n"),
        [("a", "x")],
    ),
    # ---- names of files
    "a name for a shell": Good("a b;$(touch pwned) `touch pwned` '\".csv", table()),
    "a name for an engine": Good("a[b]*?.json", array()),
    "a name that is an option": Good("--help.csv", table()),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD.keys())
def test_the_right_rows(work, case):
    path = Path(case.name)
    path.write_bytes(case.content)
    outcome = run(path, **case.recipe)
    assert outcome.kept == Counter(case.fill + case.kept)
    assert outcome.card["rejected"] == case.rejected
    assert outcome.card["merged"] == case.merged
    assert quick_look(path, **case.recipe) == outcome.card["rows_read"]["pool"]


def test_labels_that_look_alike_are_told(work, capfd):
    Path("a.csv").write_bytes(table(b"a,Spam", "b,sp\u200bam".encode(), b"c,spam", b"d,ham"))
    outcome = run("a.csv")
    assert outcome.card["labels_that_look_alike"] == [["Spam", "spam", "sp\u200bam"]]
    line = outcome.card["warnings"][0]
    assert line.startswith(r"3 labels look like 1 and are taken as different ones ('Spam' = 'spam'")
    assert f"warning: {line}\n" in capfd.readouterr().err


# ---------------------------------------------------------------- data files: one line


def sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)


def truncated_gzip():
    return gzip.compress(table(*(os.urandom(9).hex().encode() + b",x" for _ in range(9999))))[:-99]


NESTED = pa.table({"text": [{"a": 1}], "label": ["x"]})


def write_parquet(values, cut=None):
    sink = io.BytesIO()
    pq.write_table(values, sink)
    return sink.getvalue()[:cut]


def says_more_rows():
    """A Parquet file of 20 rows, the footer of which says 21."""
    few, many = (
        write_parquet(pa.table({"text": ["a"] * rows, "label": ["x"] * rows})) for rows in (20, 21)
    )
    changed = (
        few[:place] + many[place : place + 1] + few[place + 1 :]
        for place, byte in enumerate(few)
        if many[place] != byte
    )
    return next(one for one in changed if pq.ParquetFile(io.BytesIO(one)).metadata.num_rows == 21)


BAD = {
    # ---- no rows, no labels
    "empty file": ("a.csv", b"", "a.csv: no column 'text'; its columns: none"),
    "header alone": ("a.csv", b"text,label\n", "the source has no rows"),
    "no usable row": ("a.csv", b"text,label\n,x\n ,y\n", "2 of 2 rows .*2 no text.*a.csv, row 1"),
    "one label": ("a.csv", b"text,label\na,x\nb,x\nc,x\n", r"found 1 label \(x\), need 2"),
    "10,001 labels": (
        "a.csv",
        b"text,label\n" + b"".join(b"t%d,l%d\n" % (i, i) for i in range(10_001)),
        "more than 10,000 different labels .*must name a column of classes",
    ),
    "the text column as label": (
        "a.csv",
        b"text,label\n" + (b"w" * 2000 + b"," + b"w" * 2000 + b"\n") * 20,
        "20 of 20 rows .*label longer than 1,000",
    ),
    # ---- columns
    "a column twice": ("a.csv", b"text,label,text\na,x,b\n", "'text' is there more than once"),
    "a column missing": ("a.csv", b"body,label\na,x\n", "no column 'text'; its columns: 'body'"),
    "a space in the name of a column": (
        "a.csv",
        b"text, label\na,x\n",
        "no column 'label'; its columns: 'text', ' label'",
    ),
    "control characters in the name of a column": (
        "a.csv",
        b"\x1b[2Jtext,label\na,x\n",
        r"no column 'text'; its columns: '\\x1b\[2Jtext'",
    ),
    "a header that is never closed": ("a.csv", b'"text,label\na,x\n', "its columns: none"),
    # ---- encodings
    "UTF-16 without a mark": (
        "a.csv",
        "text,label\n".encode("utf-16-le"),
        "header line is not UTF-8; .*set `encoding: utf-16-le`",
    ),
    "UTF-16 cut short": ("a.csv", "text,label\n".encode("utf-16")[:-1], "in its encoding"),
    "Latin-1 header": ("a.csv", "t\xeaxt,label\n".encode("latin-1"), "header line is not UTF-8"),
    # ---- not what the name says
    "Parquet by another name": ("a.csv", write_parquet(NESTED), "begins as a Parquet file"),
    "PNG by another name": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(99), "begins as a PNG file"),
    "Excel by another name": ("a.csv", b"PK\x03\x04" + bytes(99), "begins as a zip or Excel file"),
    "gzip without the ending": ("a.csv", gzip.compress(table()), "begins as a gzip file"),
    "text with the ending of gzip": ("a.csv.gz", table(), "damaged gzip file"),
    "text with the ending of Parquet": ("a.parquet", table(), "not a readable Parquet file"),
    "zip with the ending of gzip": ("a.csv.gz", b"PK\x03\x04" + bytes(99), "begins as a zip"),
    # ---- damaged
    "gzip cut short": ("a.csv.gz", truncated_gzip(), "damaged gzip file"),
    "gzip of another method": ("a.csv.gz", b"\x1f\x8b\x07" + bytes(20), "damaged gzip file"),
    "gzip with rubbish behind": ("a.csv.gz", gzip.compress(table()) + b"!!", "damaged gzip file"),
    "JSON gzip cut short": ("a.json.gz", gzip.compress(array())[:-9], "a.json.gz: "),
    "Parquet cut short": ("a.parquet", write_parquet(NESTED, -20), "not a readable Parquet file"),
    "Parquet of eight bytes": ("a.parquet", b"PAR1PAR1", "not a readable Parquet file"),
    "Parquet that says more": (
        "a.parquet",
        says_more_rows(),
        "damaged Parquet file: it holds 20 rows and says 21",
    ),
    "Parquet without rows": (
        "a.parquet",
        write_parquet(
            pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})
        ),
        "the source has no rows",
    ),
    "Parquet of nulls": (
        "a.parquet",
        write_parquet(pa.table({"text": pa.nulls(3), "label": pa.nulls(3)})),
        "3 of 3 rows .*3 no text",
    ),
    "nested Parquet": ("a.parquet", write_parquet(NESTED), "column 'text' cannot be read as text"),
    "an array cut short": ("a.json", array()[:-20], "not the JSON .*mend the file"),
    "lines after lists": (
        "a.jsonl",
        b'["a", "x"]\n["b", "y"]\n',
        "something stands behind the rows",
    ),
    "an array of arrays": ("a.json", b'[["a", "x"], ["b", "y"]]', "no JSON object"),
    "a scalar": ("a.json", b"5", "no JSON object"),
    "one object over several lines": ("a.json", b'{\n"text": "a"\n}', "no JSON object"),
    "nothing but brackets": ("a.json", b"[" * 100_000, "nested too deeply"),
    "empty JSON": ("a.jsonl", b"", "no JSON object"),
    "empty array": ("a.json", b"[]", "no JSON object"),
    # ---- without end
    "a line of 100 MB": ("a.csv", 100_000_000, "a line is longer than 16,000,000 characters"),
    "a line of 100 MB of JSON": ("a.jsonl", 100_000_000, "a line is longer than 16,000,000"),
    "a row of 20 MB": ("a.csv", table(b"w" * 20_000_000 + b",x"), "a line is longer than"),
    "a gzip bomb": ("a.csv.gz", gzip.compress(bytes(100_000_000), 9), "a line is longer than"),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD.values(), ids=BAD.keys())
def test_one_line_for_a_file(work, name, content, words):
    if isinstance(content, int):
        sparse(name, content)
    else:
        Path(name).write_bytes(content)
    assert re.search(words, both_lines(name))


def test_a_quick_look_at_a_small_gzip_of_many_rows_stays_quick(work, monkeypatch):
    monkeypatch.setattr(sources, "QUICK_ROWS", 1000)
    Path("a.csv.gz").write_bytes(gzip.compress(table() + b"a,x\n" * 1000))
    assert sources.describe_local_source("a.csv.gz", sources.Columns(("text",), "label")) is None


# ---------------------------------------------------------------- folders and names


def test_a_folder_of_all_sorts(work):
    folder = Path("a folder")
    (folder / "inside").mkdir(parents=True)
    (folder / "b.csv").write_bytes(table())
    (folder / "a.jsonl").write_bytes(OBJECT % (b'"a"', b'"x"'))
    for name in (".hidden.csv", "._b.csv", "README", "notes.txt", "inside/c.csv"):
        (folder / name).write_bytes(b"\x00\xff")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    assert run(folder).kept == Counter([*FILL, ("a", "x")])


def make_loop(path):
    path.symlink_to(path.name)


ODD = {
    "a folder": (Path.mkdir, "a.csv", "neither a file nor a link to one"),
    "a pipe": (os.mkfifo, "a.csv", "neither a file nor a link to one"),
    "a loop of links": (make_loop, "a.csv", "neither a file nor a link to one"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "a.csv", "neither a file nor"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "a.csv", "neither a file nor"),
    "a line break": (Path.touch, "a\nb.csv", r"a\\nb\.csv: rename it;"),
    "a name that is not UTF-8": (Path.touch, "caf\udce9.csv", r"caf\\udce9\.csv: rename it;"),
}


@pytest.mark.parametrize(("make", "name", "words"), ODD.values(), ids=ODD.keys())
def test_one_line_for_an_odd_entry_of_a_folder(work, make, name, words):
    Path("data").mkdir()
    Path("data/z.csv").write_bytes(table())
    make(Path("data") / name)
    assert re.search(words, both_lines("data"))


PATHS = {
    "a pipe": ("pipe.csv", "neither a file nor a link to one"),
    "a home": ("~/a.csv", "no such file or folder.*~ and variables stand for themselves"),
    "a variable": ("$HOME/a.csv", "no such file.*variables stand for themselves"),
    "a NUL": ("a\0.csv", r"a\\x00\.csv: no such file"),
    "a command": ("; touch pwned.csv", "no such file"),
    "a pattern of Snakemake": ("{a}.csv", "rename it; names here"),
    "an empty folder": ("empty", "no data file found"),
    "a loop of links": ("loop.csv", "no such file"),
}


@pytest.mark.parametrize(("path", "words"), PATHS.values(), ids=PATHS.keys())
def test_one_line_for_a_path(work, path, words):
    os.mkfifo("pipe.csv")
    Path("empty").mkdir()
    Path("loop.csv").symlink_to("loop.csv")
    Path("{a}.csv").write_bytes(table())
    assert re.search(words, both_lines(path))


# ---------------------------------------------------------------- wheels


def write_wheel(*members):
    """Write a zip archive of (name or ZipInfo, content), and return its path."""
    path = Path("made_up-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def patch_size(path, offset, field, size):
    """Write another size into the headers: at `offset` of the central, `field` of the local one."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", offset), (b"PK\x03\x04", field)):
        start = content.rindex(mark) + place
        content[start : start + 4] = struct.pack("<I", size)
    path.write_bytes(content)


def linked():
    link = zipfile.ZipInfo("data/a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    write_wheel((link, "/etc/hostname"))


def encrypted():
    path = write_wheel(("data/a.csv", table()))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_wheel(("data/a.csv", table()), ("data/a.csv", b"other"))


def bomb():
    write_wheel(("data/a.csv", bytes(100_000_000)))


def says_less():
    patch_size(write_wheel(("data/a.csv", bytes(10_000_000))), 24, 22, 1000)


def says_more():
    patch_size(write_wheel(("data/a.csv", table())), 24, 22, 4_000_000_000)


def cut_short():
    path = write_wheel(("data/a.csv", table()))
    path.write_bytes(path.read_bytes()[:-30])


def damaged():
    path = write_wheel(("data/a.csv", table()))
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10
    path.write_bytes(content)


def of(*names):
    return lambda: write_wheel(*((name, b"evil") for name in names))


WHEELS = {
    "a parent": (of("data/../../pwned.csv"), "unsafe member"),
    "an absolute path": (of("data//pwned.csv"), "unsafe member"),
    "a link": (linked, "unsafe member 'data/a.csv'"),
    "backslashes": (of("data/..\\..\\pwned.csv"), "unsafe member"),
    "a drive": (of("data/C:pwned.csv"), "unsafe member"),
    "a control character": (of("data/a\n.csv"), "unsafe member"),
    "a member twice": (twice, "unsafe member"),
    "a password": (encrypted, "cannot be unpacked .*password"),
    "a bomb": (bomb, "97,[0-9,]+ bytes would unpack to 100,000,000"),
    "a size that is too small": (says_less, "cannot be unpacked .*CRC"),
    "a size that is too large": (says_more, "would unpack to 4,000,000,000"),
    "no archive": (lambda: write_wheel().write_bytes(b"not a zip" * 99), "cannot be unpacked"),
    "cut short": (cut_short, "cannot be unpacked"),
    "a damaged member": (damaged, "cannot be unpacked"),
    "no member": (of("\x1b[2J"), r"no member 'data/'; it holds: \\x1b\[2J"),
}


@pytest.mark.parametrize(("make", "words"), WHEELS.values(), ids=WHEELS.keys())
def test_one_line_for_a_wheel(work, monkeypatch, make, words):
    make()
    wheel = Path("made_up-1.0-py3-none-any.whl").resolve()
    monkeypatch.setattr(download, "download_wheel", lambda spec, scratch: wheel)
    spec = {"kind": "wheel", "name": "made-up", "version": "1.0", "member": "data/"}
    line = line_of(fetch, spec | {"sha256": {}})
    assert re.search(words, line)
    assert sum(file.stat().st_size for file in Path("source").rglob("*")) < 100_000


def test_a_wheel_that_does_not_fit_on_the_disk(work, monkeypatch):
    wheel = write_wheel(("data/a.csv", os.urandom(10_000)))
    usage = shutil.disk_usage(".")._replace(free=9_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(download, "download_wheel", lambda spec, scratch: wheel)
    spec = {"kind": "wheel", "name": "made-up", "version": "1.0", "member": "data/a.csv"}
    assert "there is room for 9,999; make room" in line_of(fetch, spec)


@pytest.mark.parametrize("name", ["..", "a%0Ab.csv", "%00.csv", "C:a.csv"])
def test_one_line_for_the_name_in_a_url(work, name):
    spec = {"kind": "url", "url": f"http://localhost:1/{name}", "sha256": "0" * 64}
    assert "is no name for a file" in line_of(fetch, spec)


# ---------------------------------------------------------------- checkpoints

TOKENIZER_MAP = {"AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"]}
CODE = (
    "from pathlib import Path\nPath('pwned').touch()\nclass Config: pass\nclass Tokenizer: pass\n"
)


class Pickled:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def change_json(name, **changes):
    path = Path("bert") / name
    path.write_text(json.dumps(read_json(path) | changes))


def pickle_only():
    import pickle

    Path("bert/model.safetensors").unlink()
    Path("bert/pytorch_model.bin").write_bytes(pickle.dumps(Pickled()))


def adapter():
    Path("bert/model.safetensors").rename("bert/adapter_model.safetensors")
    Path("bert/adapter_config.json").write_text('{"peft_type": "LORA"}')


def pickle_by_another_name():
    import pickle

    Path("bert/model.safetensors").write_bytes(pickle.dumps(Pickled()))


def remote_model():
    Path("bert/code.py").write_text(CODE)
    change_json("config.json", model_type="made-up", auto_map={"AutoConfig": "code.Config"})


def remote_tokenizer():
    Path("bert/code.py").write_text(CODE)
    Path("bert/tokenizer.json").unlink()
    change_json("tokenizer_config.json", tokenizer_class="Tokenizer", auto_map=TOKENIZER_MAP)


def no_tokenizer():
    for path in Path("bert").glob("tokenizer*"):
        path.unlink()


def cut_weights():
    path = Path("bert/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])


def long_header():
    Path("bert/model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


CHECKPOINTS = {
    "a pickle alone": (
        pickle_only,
        r"pytorch_model.bin: not read, as it is damaged or holds more than",
    ),
    "an adapter": (adapter, "this is an adapter .LoRA., .* merge the two first"),
    "no weights": (lambda: Path("bert/model.safetensors").unlink(), r"no \.safetensors file"),
    "a pickle by another name": (pickle_by_another_name, "no whole safetensors file"),
    "a model with code": (remote_model, "cannot be loaded"),
    "a tokenizer with code": (remote_tokenizer, "cannot be loaded.*needs no code of its own"),
    "weights cut short": (cut_weights, "no whole safetensors file"),
    "weights with a header of 4 EB": (long_header, "no whole safetensors file"),
    "no config": (lambda: Path("bert/config.json").unlink(), "no config.json"),
    "a broken config": (lambda: Path("bert/config.json").write_text("{"), "cannot be loaded"),
    "a config that is a list": (lambda: Path("bert/config.json").write_text("[]"), "cannot be"),
    "a broken tokenizer": (
        lambda: Path("bert/tokenizer.json").write_text("{}"),
        "bert: its tokenizer cannot be loaded",
    ),
    "no tokenizer": (
        no_tokenizer,
        "bert: no tokenizer .expected .*tokenizer.json",
    ),
}


def load_checkpoint():
    from gap.data.checkpoints import checkpoint_folder
    from gap.data.vocabulary import PretrainedVocabulary
    from gap.models.encoder import load_classifier

    folder = checkpoint_folder(fetch({"kind": "file", "path": "bert"}, role="checkpoint"))
    PretrainedVocabulary(folder)
    load_classifier(folder, ["x", "y"])


@pytest.mark.parametrize(("spoil", "words"), CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_one_line_for_a_checkpoint(work, tiny_bert, spoil, words):
    shutil.copytree(tiny_bert, "bert")
    spoil()
    assert re.search(words, line_of(load_checkpoint))


def test_what_lies_beside_the_weights_is_not_looked_at(work, tiny_bert):
    import pickle

    shutil.copytree(tiny_bert, "bert")
    Path("bert/pytorch_model.bin").write_bytes(pickle.dumps(Pickled()))
    Path("bert/code.py").write_text(CODE)
    change_json("config.json", auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Config"})
    change_json("tokenizer_config.json", tokenizer_class="Tokenizer", auto_map=TOKENIZER_MAP)
    load_checkpoint()
    names = [Path(file["path"]).name for file in read_json("source/manifest.json")["files"]]
    assert "code.py" not in names
    assert "pytorch_model.bin" not in names


# ---------------------------------------------------------------- configs

OWN = """
datasets: [tickets]
sizes: [4]
validation: {min: 1}
dataset_zoo: {tickets: {source: {kind: file, path: tickets.csv}, text: text, label: label}}
"""


def config_line(content):
    """Return the line that a config, laid over OWN and the default, ends in; None if it is fine."""
    Path("tickets.csv").write_bytes(table())
    Path("own.yaml").write_text(OWN)
    Path("study.yaml").write_text(content, newline="")
    config = load_configfile(ROOT / "config.yaml")
    try:
        for path in ("own.yaml", "study.yaml"):
            update_config(config, load_configfile(path))
        check_spelling([ROOT / "config.yaml", "own.yaml", "study.yaml"])
        study = complete(config)
        absent = check(study, Path(study.pathvars.results))
    except (UserError, WorkflowError) as error:
        return str(error)
    return absent[0] if absent else None


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{this}: &{this} [*{last}, *{last}, *{last}, *{last}, *{last}]\n"
    for last, this in itertools.pairwise("abcdefghijklmnop")
)
CONFIGS = {
    # ---- YAML
    "code in a tag": ("x: !!python/object/apply:os.system ['touch pwned']", "not valid"),
    "a name in a tag": (
        "sizes: !!python/name:os.system",
        r"study.yaml, line 1: found the tag tag:",
    ),
    "a tag of one's own": ("sizes: !mine [4]", "not valid JSON or YAML"),
    "a key twice": (
        "sizes: [4]\nseeds: [1]\nsizes: [5]",
        "study.yaml, line 3: key 'sizes' is in line 1, too; keep one of them",
    ),
    "a key twice, deep": (
        "dataset_zoo:\n  a: {text: x}\n  b: {text: x}\n  a: {text: y}\n",
        "study.yaml, line 4: key 'a' is in line 2, too",
    ),
    "a key twice in JSON": ('{"sizes": [4],\n\t"sizes": [5]}', "line 2: key 'sizes' is in line 1"),
    "tabs": ("sizes:\n\t- 4", "not valid JSON or YAML"),
    "a list": ("[1, 2]", "with keys at top level"),
    "nothing": ("", "with keys at top level"),
    "two documents": ("sizes: [4]\n---\nsizes: [5]", "not valid JSON or YAML"),
    "a billion laughs": (LAUGHS, "aliases .* make this endless"),
    "a billion laughs at a known key": (LAUGHS + "sizes: *p", "aliases .* make this endless"),
    "an alias in itself": ("sizes: &a [*a]", "line 1: aliases .* make this endless"),
    "a program": ("__use_yte__: false\nsizes: [4]", "found __use_yte__; a config is no program"),
    "a key that is a date": ("dataset_zoo: {2024-01-01: {}}", "dataset_zoo, a name: found"),
    "no key": ("dataset_zoo: {null: {}}", "dataset_zoo, a name: found nothing"),
    # ---- numbers
    "not a number": ("gap: {margin: .nan}", "gap.margin: found NaN; expected a number"),
    "infinity": ("gap: {margin: .inf}", "gap.margin: found Infinity; expected a number"),
    "a huge integer": (
        f"dataset_zoo: {{imdb: {{words: {10**30}}}}}",
        "words: found 10{30}; expected a whole number .*; at most 2,147,483,647",
    ),
    "a huge size": (f"sizes: [{10**4000}]", r"sizes, item 1: found 10{79}\.\.\.; expected"),
    "size 0": ("sizes: [0]", "sizes, item 1: found 0; expected a number of rows, 4 or more"),
    "a negative size": ("sizes: [-5]", "found -5"),
    "no share": ("sizes: ['0%']", "sizes: found 0%; expected a share above 0% and up to 100%"),
    "more than all": ("sizes: ['101%']", "found 101%"),
    "more than all, written out": ("sizes: ['" + "9" * 400 + "%']", "expected a share"),
    "a share with a line break": ('sizes: ["10%\\n"]', r"found '10%\\n'; expected"),
    "a truth value for a size": ("sizes: [true]", "found true; expected a number of rows"),
    "minutes": ("sizes: [1:30]", "more than the pool"),
    # ---- text
    "a truth value for text": (
        "dataset_zoo: {tickets: {text: yes}}",
        "text: found true; expected text .*put the word in quotes",
    ),
    "a date for text": ("dataset_zoo: {tickets: {label: 2024-01-01}}", "expected text.*in quotes"),
    "Norway": ("dataset_zoo: {imdb: {labels: [no, se]}}", "item 1: found false; .*in quotes"),
    "a list for text": (
        "dataset_zoo: {imdb: {text: [[a]]}}",
        r"found \[\[\"a\"\]\]; expected text",
    ),
    "a delimiter with a line break": (
        'dataset_zoo: {imdb: {delimiter: ",\\n"}}',
        r"delimiter: found ',\\n'; expected the one character",
    ),
    # ---- names, which become folders
    **{
        f"the name {name!r}": (
            f"dataset_zoo: {{{json.dumps(name)}: {{}}}}",
            "dataset_zoo, a name: found .*; expected",
        )
        for name in (
            "a/b",
            "..",
            "../a",
            ".a",
            "a b",
            "a\n",
            "a;b",
            "$(a)",
            "ä",
            "",
            "-a",
            "a" * 101,
        )
    },
    **{
        f"the results in {folder!r}": (
            f"pathvars: {{results: {json.dumps(folder)}}}",
            "pathvars.results: found .*; expected a path of letters",
        )
        for folder in (
            "a b",
            "~/a",
            "; touch pwned",
            "$(touch pwned)",
            "{a}",
            "<logs>",
            "-rf",
            "a\n",
        )
    },
    "results that are a number": ("pathvars: {results: 5}", "pathvars.results: found 5; expected"),
    "pathvars that are text": ("pathvars: results", "pathvars: found 'results'; expected keys"),
    "a title of two lines": ('model_zoo: {lstm: {title: "a\\nb"}}', "expected one line of text"),
    # ---- paths
    "a path with a NUL": (
        'dataset_zoo: {tickets: {source: {path: "a\\0b.csv"}}}',
        r"tickets.source: a\\x00b.csv: no such file",
    ),
    "a path too long": (
        f"dataset_zoo: {{tickets: {{source: {{path: {'a' * 5000}.csv}}}}}}",
        "cannot be read: File name too long",
    ),
    "a checkpoint with a NUL": (
        '{checkpoint_zoo: {b: {kind: file, path: "a\\0b"}}, model_zoo: {minilm: {checkpoint: b}}}',
        r"checkpoint_zoo.b.path: a\\x00b: rename it",
    ),
    "a checkpoint too long": (
        f"{{checkpoint_zoo: {{b: {{kind: file, path: {'a' * 5000}}}}},"
        " model_zoo: {minilm: {checkpoint: b}}}",
        "is no folder with a .safetensors file",
    ),
    "a damaged source": (
        "dataset_zoo: {tickets: {source: {path: study.csv.gz}}}",
        "tickets.source: study.csv.gz: damaged gzip file",
    ),
}


@pytest.mark.parametrize(("content", "words"), CONFIGS.values(), ids=CONFIGS.keys())
def test_one_line_for_a_config(work, content, words):
    Path("study.csv.gz").write_bytes(gzip.compress(table())[:-20])
    line = config_line(content)
    assert line is not None
    assert re.search(words, line), line


def test_anchors_and_merge_keys_are_fine(work):
    content = """
model_zoo:
  tfidf: &linear {family: linear}
  other: {<<: *linear, longest_phrase: 1}
  minilm: {seeds: &seeds [1, 2]}
  lstm: {seeds: *seeds}
"""
    assert config_line(content) is None


# ---------------------------------------------------------------- the shell, and memory


@pytest.mark.workflow
def test_no_text_of_a_config_reaches_the_shell(work):
    """Through the rules themselves, whose commands quote what they are given."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, part)
        else:
            shutil.copy2(ROOT / part, part)
    evil = "a'\"; touch pwned; $(touch pwned) `touch pwned` {input} > pwned"
    text, label = f"text {evil}", f"label {evil}"
    rows = [(f"text {i}", f"{evil} {i % 2}") for i in range(40)]
    path = f"{evil}.csv".replace("{input} >", "")
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="`").writerows([(text, label), *rows])
    dataset = {"source": {"kind": "file", "path": path}, "text": text, "label": label}
    dataset |= {"labels": [f"{evil} 0", f"{evil} 1"], "delimiter": "`", "origin": evil}
    own = {"datasets": ["own"], "sizes": [20], "validation": {"min": 1}}
    # JSON is a config, too.
    Path("study.json").write_text(json.dumps(own | {"dataset_zoo": {"own": dataset}}))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    command += ["results/datasets/own/pool.parquet", "--configfile", "study.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    card = read_json("results/datasets/own/card.json")
    assert card["labels"] == [f"{evil} 0", f"{evil} 1"]
    assert card["pool"]["rows"] == 32


def gzip_of(path, header, piece, times):
    """Pack a header, and a piece of text that comes many times."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header)
        for _ in range(times // 1000):
            file.write(piece * 1000)


# 300 MB of rows that are all the same, 100 MB in one open quote, 300 MB of fields in one line.
OUTPUTS = ("pool", "pool-manifest", "test", "test-manifest", "rejects", "card")
BIG = {
    "rows": (b"text,label\n", b"w" * 2000 + b",x\n", 150_000, "2 of 1 usable, different rows"),
    "an open quote": (b'text,label\n"', b"w" * 999 + b"\n", 100_000, "rows cannot be used"),
    "a line of fields": (b"text,label\n", b"ab,", 100_000_000, "a line is longer than"),
}
PROBE = """
import prepare
try:
    prepare.main()
except Exception as error:
    print(error)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
@pytest.mark.parametrize(("header", "piece", "times", "words"), BIG.values(), ids=BIG.keys())
def test_memory_does_not_grow_with_what_a_gzip_unpacks_to(work, header, piece, times, words):
    gzip_of("a.csv.gz", header, piece, times)
    assert Path("a.csv.gz").stat().st_size < 3_000_000
    manifest = fetch({"kind": "file", "path": "a.csv.gz"})
    argv = ["--recipe", json.dumps(RECIPE), "--source", str(manifest), "--provenance", "{}"]
    argv += [f"--{name}=out/{name}" for name in OUTPUTS]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *argv], env=environment, capture_output=True, text=True
    )
    line, peak = done.stdout.split("\n", 1)
    assert words in line
    # Python, numpy, Arrow and DuckDB take half of it.
    assert int(peak.split()[1]) < 400_000, peak


# ---------------------------------------------------------------- all that one did not think of

LETTERS = st.sampled_from("ab ,;|\t\n\r\"'\\\0\x1a\x1c\x85\u2028\u200b\ufefféÉe\u0301İ😀\ud800")
NASTY = st.text(LETTERS, max_size=8) | st.text(max_size=5)
# Texts that are not the same, but count as the same where pool and test are kept apart.
TWINS = st.sampled_from(["é", "É", "e\u0301", " E\u0301", "é\n"])
ROWS = st.lists(st.tuples(NASTY | TWINS, st.sampled_from("xy") | NASTY, NASTY), max_size=20)
ONE_FOLDER = [HealthCheck.function_scoped_fixture]


def write_delimited(path, rows, draw):
    path, delimiter = path.with_suffix(".csv"), draw(st.sampled_from(",;\t|"))
    # The writer does not quote a line break that is not its own.
    style = draw(st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (1, "\r")]))
    with open(
        path, "w", encoding=draw(st.sampled_from(["utf-8", "utf-8-sig"])), newline=""
    ) as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=style[0], lineterminator=style[1])
        writer.writerows([("text", "label", "note"), *rows])
    return path


def write_lines(path, rows, draw):
    objects = [dict(zip(("text", "label", "note"), row, strict=True)) for row in rows]
    surrogates = any("\ud800" in value for row in rows for value in row)
    lines = [json.dumps(one, ensure_ascii=surrogates or draw(st.booleans())) for one in objects]
    if surrogates or draw(st.booleans()):
        content = "\n\n".join(lines) if draw(st.booleans()) else "\r\n".join(lines)
        path = path.with_suffix(".jsonl")
    else:
        content = "[" + ",".join(lines) + "]"
        path = path.with_suffix(".json")
    path.write_text(content, encoding="utf-8", newline="")
    return path


def write_columns(path, rows, draw):
    kinds = st.sampled_from([pa.string(), pa.large_string(), pa.binary()])
    columns = [pa.array(column).cast(draw(kinds)) for column in zip(*rows, strict=True)]
    columns[1] = columns[1].dictionary_encode() if draw(st.booleans()) else columns[1]
    options = {"row_group_size": draw(st.integers(1, 30)), "use_dictionary": draw(st.booleans())}
    path = path.with_suffix(".parquet")
    pq.write_table(pa.table(columns, names=["text", "label", "note"]), path, **options)
    return path


def write_source(rows, draw):
    """Write rows of (text, label, note) as a file of a random kind; return path and rows."""
    write = draw(st.sampled_from([write_delimited, write_lines, write_columns]))
    if write is not write_lines:
        rows = [tuple(value.replace("\ud800", "?") for value in row) for row in rows]
    path = write(Path("a"), rows, draw)
    if write is not write_columns and draw(st.booleans()):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    return path, rows


def reason_of(text, label):
    if "\ud800" in text + label:
        return "not UTF-8"
    return "no text" if not text.strip() else "no label" if not label.strip() else None


@settings(max_examples=60, suppress_health_check=ONE_FOLDER)
@given(rows=ROWS, words=st.just(RECIPE["words"]) | st.integers(3, 6), data=st.data())
def test_rows_in_are_rows_out(work, rows, words, data):
    path, rows = write_source([*rows, *((*row, "") for row in FILL)], data.draw)
    try:
        outcome = run(path, words=words, test=str(data.draw(st.integers(1, 4))))
    except UserError as error:
        # A rare label may have no row to spare, or stand in the test set with another one.
        assert "row in the pool" in str(error)
        return
    assert outcome.card["rows_read"] == {"pool": len(rows), "test": 0}
    reasons = [reason_of(text, label) for text, label, _ in rows]
    assert [(int(row["row"]), row["reason"]) for row in outcome.rejects] == [
        (number, reason) for number, reason in enumerate(reasons, start=1) if reason
    ]
    # What is left of a usable row: its text within the budget, its label.
    usable = [
        None if reason else (cut_text(text, words, "head"), label.strip())
        for reason, (text, label, _) in zip(reasons, rows, strict=True)
    ]
    for row in outcome.pool + outcome.test:
        kept = (row["text"], outcome.card["labels"][row["label"]])
        # Where several rows are the same, the first is kept.
        assert usable.index(kept) == row["source_row"]
    different = Counter(set(usable) - {None})
    assert outcome.card["merged"] == reasons.count(None) - len(different)
    known = {normalise(row["text"]) for row in outcome.test}
    dropped = different - outcome.kept
    assert outcome.card["dropped_in_test"] == len(dropped)
    assert all(normalise(text) in known for text, _ in dropped)


def damage(content, data):
    """Return bytes of which some are flipped, deleted, inserted, repeated or cut off."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = start + data.draw(st.integers(0, 8))
        how = data.draw(st.sampled_from(["flip", "delete", "insert", "repeat", "cut"]))
        if how == "flip" and start < len(content):
            content[start] ^= data.draw(st.integers(1, 255))
        elif how == "delete":
            del content[start:stop]
        elif how == "insert":
            content[start:start] = data.draw(st.binary(max_size=8))
        elif how == "repeat":
            content[start:start] = content[start:stop] * data.draw(st.integers(1, 50))
        elif how == "cut":
            del content[start:]
    return bytes(content)


def whole_files():
    rows = [(text, label, "note") for text, label in [*FILL, ("two\nlines, é", "x")]]
    lines = [json.dumps(dict(zip(("text", "label", "note"), row, strict=True))) for row in rows]
    tables = {}
    for end, delimiter in ((".csv", ","), (".tsv", "\t")):
        table = [("text", "label", "note"), *rows]
        tables[end] = b"\n".join(quoted(*row, delimiter=delimiter) for row in table)
    texts = tables | {
        ".jsonl": "\n".join(lines).encode(),
        ".json": ("[" + ",".join(lines) + "]").encode(),
    }
    packed = {kind + ".gz": gzip.compress(content, mtime=0) for kind, content in texts.items()}
    table = pa.table([*map(pa.array, zip(*rows, strict=True))], names=["text", "label", "note"])
    plain, small = io.BytesIO(), io.BytesIO()
    pq.write_table(table, plain, compression="none", use_dictionary=False)
    pq.write_table(table, small, compression="zstd", row_group_size=4)
    columns = [(".parquet", plain.getvalue()), (".parquet", small.getvalue())]
    return [*texts.items(), *packed.items(), *columns, *columns]


WHOLE = whole_files()


@settings(max_examples=150, suppress_health_check=ONE_FOLDER)
@given(whole=st.sampled_from(WHOLE), data=st.data())
def test_a_damaged_file_gives_a_line_or_all_its_rows(work, whole, data):
    kind, content = whole
    path = Path(f"a{kind}")
    path.write_bytes(damage(content, data))
    quick = quick_look(path)
    try:
        outcome = run(path)
    except UserError as error:
        assert str(error).isprintable()
        return
    assert quick == outcome.card["rows_read"]["pool"]
