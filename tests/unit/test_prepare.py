"""prepare: what is read, set aside, merged, drawn and dropped; and reading it back."""

import csv
import gzip
import hashlib
import itertools
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data import prepared as data
from gap.data import readers as sources
from gap.data.preparing import labels as label_numbers
from gap.data.preparing.roles import count_test_rows, share_out
from gap.data.preparing.texts import TAG, cut_text
from gap.data.readers import delimited
from gap.run.errors import UserError
from gap.run.json import read_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RECIPE = {"name": "made-up", "text": "text", "label": "label", "test": "25%", "max_rejected": 0.9}
RECIPE |= {"words": 100, "keep": "head", "strip_tags": False, "origin": "made up"}
# More words than any text here has.
ALL_WORDS = 2**31 - 1
OUTPUTS = {"pool": "pool.parquet", "pool-manifest": "pool.json"}
OUTPUTS |= {"test": "test.parquet", "test-manifest": "test.json"}
OUTPUTS |= {"rejects": "rejects.csv", "card": "card.json"}
COLUMNS = sources.Columns(("text",), "label")
TABLES = [kind for kind in sources.EXTENSIONS if not kind.startswith((".parquet", ".fa", ".fna"))]
# Another provenance for each call: otherwise a second one would find what the first one made.
CALLS = itertools.count()


def manifest(folder, files, name="manifest"):
    path = folder / f"{name}.json"
    entries = [{"path": str(file)} for file in files]
    path.write_text(json.dumps({"files": entries, "sha256": "0" * 64}))
    return path


def run(folder, files, test_files=None, threads=1, **changes):
    """Run prepare on files; return the card and the result folder."""
    out = folder / "out"
    argv = ["--recipe", json.dumps(RECIPE | changes), "--source", str(manifest(folder, files))]
    argv += ["--provenance", str(next(CALLS))]
    if test_files:
        argv += ["--test-source", str(manifest(folder, test_files, "test-manifest"))]
    for option, name in OUTPUTS.items():
        argv += [f"--{option}", str(out / name)]
    prepare.main([*argv, "--threads", str(threads)])
    return read_json(out / "card.json"), out


def write_csv(path, rows, columns=("text", "label"), **options):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, **options).writerows([columns, *rows])
    return path


def rows_of(out, side):
    return pq.read_table(out / f"{side}.parquet").to_pylist()


def rejects_of(out):
    with open(out / "rejects.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def many(count, labels=("good", "bad")):
    return [(f"text number {i}", labels[i % len(labels)]) for i in range(count)]


# ---------------------------------------------------------------- invariants

WORDS = st.sampled_from(["a", "A", "b", "é", "É", "e\u0301", "<br>", "\n", " ", "\u00a0", "", '"'])
TEXT = st.lists(WORDS, max_size=4).map(" ".join)
LABEL = st.sampled_from(["x", "y", " x", "", "other"])
# Each example writes over the files of the one before, so one folder serves them all.
ONE_FOLDER = [HealthCheck.function_scoped_fixture]


@settings(max_examples=40, suppress_health_check=ONE_FOLDER)
@given(
    rows=st.lists(st.tuples(TEXT, LABEL), max_size=30),
    test_rows=st.none() | st.lists(st.tuples(TEXT, LABEL), min_size=1, max_size=10),
    words=st.just(ALL_WORDS) | st.integers(1, 4),
    strip_tags=st.booleans(),
)
def test_every_row_ends_in_one_place(tmp_path, rows, test_rows, words, strip_tags):
    rows = [*rows, *(("text " + str(i), "xy"[i % 2]) for i in range(8))]
    files = [write_csv(tmp_path / "a.csv", rows)]
    test_files = None
    if test_rows is not None:
        test_rows = [*test_rows, ("a", "x")]
        test_files = [write_csv(tmp_path / "t.csv", test_rows)]
    # A budget of one word would merge the numbered texts that fill up the pool.
    budget = min(words + 1, ALL_WORDS)
    card, out = run(
        tmp_path,
        files,
        test_files,
        labels=["x", "y"],
        words=budget,
        strip_tags=strip_tags,
        max_rejected=0.99,
    )
    pool, test = rows_of(out, "pool"), rows_of(out, "test")
    rejected = rejects_of(out)
    read = len(rows) + len(test_rows or [])
    assert card["rows_read"] == {"pool": len(rows), "test": len(test_rows or [])}
    assert read == len(pool) + len(test) + len(rejected) + card["merged"] + card["dropped_in_test"]
    assert Counter(row["reason"] for row in rejected) == card["rejected"]
    assert len({(row["text"], row["label"]) for row in pool}) == len(pool)
    plain = {plainly(row["text"]) for row in test}
    assert not any(plainly(row["text"]) in plain for row in pool)
    for side in (pool, test):
        assert [row["row"] for row in side] == list(range(len(side)))
        assert all(row["text"].strip() for row in side)
        order = [row["source_row"] for row in side]
        assert order == sorted(set(order))
    for row in pool:
        text, label = rows[row["source_row"]]
        assert card["labels"][row["label"]] == label.strip()
        text = TAG.sub(" ", text) if strip_tags else text
        assert row["text"] == cut_text(text, budget, "head")


def plainly(text):
    return " ".join(unicodedata.normalize("NFC", text.lower()).split())


@settings(max_examples=200)
@given(
    text=st.text(alphabet="ab \n\t\u00a0\u2003", max_size=30),
    words=st.integers(1, 6),
    keep=st.sampled_from(["head", "head_and_tail"]),
)
def test_a_text_is_cut_between_words_only(text, words, keep):
    cut = cut_text(text, words, keep)
    if len(text.split()) <= words:
        assert cut == text
        return
    first = -(-3 * words // 4) if keep == "head_and_tail" else words
    head, _, tail = cut.partition(" ... ")
    assert text.startswith(head)
    assert head.split() == text.split()[:first]
    assert text.rstrip().endswith(tail)
    assert tail.split() == text.split()[len(text.split()) - (words - first) :]


@given(counts=st.lists(st.integers(1, 50), min_size=2, max_size=6), share=st.floats(0.01, 0.99))
def test_the_draw_is_stratified(counts, share):
    total = max(1, int(share * (sum(counts) - len(counts))))
    try:
        quotas = share_out("made-up", total, counts)
    except UserError:
        # Only where rare labels must keep their last row is there no room.
        assert min(counts) <= total / sum(counts) * min(counts) + 1
        return
    assert sum(quotas) == total
    for quota, count in zip(quotas, counts, strict=True):
        assert quota < count
        assert abs(quota - total * count / sum(counts)) < 1


# ---------------------------------------------------------------- determinism


def test_neither_threads_nor_a_second_run_change_a_byte(tmp_path):
    rows = many(30_000, ("good", "bad", "so-so")) + many(500)
    path = write_csv(tmp_path / "a.csv", rows)
    digests = []
    for threads in (1, 2, 2):
        _, out = run(tmp_path, [path], threads=threads)
        names = ("pool.parquet", "test.parquet", "card.json", "rejects.csv")
        digests.append([hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names])
    assert digests[0] == digests[1] == digests[2]
    assert pq.ParquetFile(tmp_path / "out" / "pool.parquet").num_row_groups > 1


def test_the_draw_does_not_depend_on_the_order_of_rows(tmp_path):
    rows = many(200)
    drawn = []
    for order in (rows, rows[::-1]):
        _, out = run(tmp_path, [write_csv(tmp_path / "a.csv", order)], test="50")
        drawn.append({row["text"] for row in rows_of(out, "test")})
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 50


def test_a_small_memory_limit_gives_the_same(tmp_path):
    path = write_csv(tmp_path / "a.csv", many(20_000))
    spec = json.dumps(RECIPE)
    pools = []
    for memory in ("2GB", "100MB"):
        argv = ["--recipe", spec, "--source", str(manifest(tmp_path, [path])), "--memory", memory]
        argv += ["--provenance", str(next(CALLS))]
        argv += [f"--{name}={tmp_path / name}" for name in OUTPUTS]
        prepare.main(argv)
        pools.append((tmp_path / "pool").read_bytes())
    assert pools[0] == pools[1]
    assert not list(tmp_path.glob(".state/*/*/unfinished"))


# ---------------------------------------------------------------- formats


def table_rows():
    return [("Ein Text,\nzwei Zeilen", "2"), ('mit "Zitat"', "2.0"), ("été; tab\there", "true")] * 4


def write_kind(folder, kind, rows):
    path = folder / f"a{kind}"
    plain = kind.removesuffix(".gz")
    if plain in (".csv", ".tsv"):
        delimiter = "\t" if plain == ".tsv" else ","
        write_csv(folder / "plain", rows, delimiter=delimiter)
        content = (folder / "plain").read_bytes()
    else:
        objects = [f'{{"label": {label}, "text": {json.dumps(text)}}}' for text, label in rows]
        whole = "[" + ",\n".join(objects) + "]" if plain == ".json" else "\n".join(objects)
        content = whole.encode()
    path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("kind", TABLES)
def test_each_kind_gives_the_same_rows(tmp_path, kind):
    path = write_kind(tmp_path, kind, table_rows())
    records = list(sources.read_records(path, COLUMNS))
    assert [(record.text, record.label) for record in records] == table_rows()
    assert [record.row for record in records] == list(range(1, 13))
    assert sources.describe_local_source(str(path), COLUMNS) == 12


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([1, 2, None]), ["1", "2", ""]),
        (pa.array([1.5, 2.5, None]), ["1.5", "2.5", ""]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", ""]),
        (pa.array(["a", "b", None], pa.large_string()), ["a", "b", ""]),
    ],
)
def test_parquet_columns_of_any_plain_type(tmp_path, labels, expected):
    pq.write_table(pa.table({"text": ["x", "y", "z"], "label": labels}), tmp_path / "a.parquet")
    records = list(sources.read_records(tmp_path / "a.parquet", COLUMNS))
    assert [record.label for record in records] == expected


def test_semicolons_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbftext;label\r\n"one\r\n, two";x\r\n\r\nthree;y\r\n')
    records = list(sources.read_records(path, COLUMNS))
    assert [(r.row, r.line, r.text, r.label) for r in records] == [
        (1, 2, "one\r\n, two", "x"),
        (2, 5, "three", "y"),
    ]


def test_several_files_are_read_in_the_order_of_their_names(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("b.csv", "c.jsonl", "a.csv"):
        rows = [(f"{name} {i}", "xy"[i % 2]) for i in range(4)]
        if name.endswith("csv"):
            write_csv(folder / name, rows)
        else:
            lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
            (folder / name).write_text("\n".join(lines))
    (folder / "README.txt").write_text("not data")
    files = sources.list_data_files(folder)
    assert [file.name for file in files] == ["a.csv", "b.csv", "c.jsonl"]
    _, out = run(tmp_path, files, test="2")
    rows = rows_of(out, "pool") + rows_of(out, "test")
    ordered = sorted(rows, key=lambda row: row["source_row"])
    assert [row["text"][0] for row in ordered] == list("aaaabbbbcccc")


def test_a_row_of_ten_megabytes(tmp_path):
    path = write_csv(tmp_path / "a.csv", [*many(20), ("word " * 2_000_000 + '"\n', "good")])
    card, out = run(tmp_path, [path], words=ALL_WORDS)
    assert card["pool"]["rows"] + card["test"]["rows"] == 21
    longest = max(len(row["text"]) for row in rows_of(out, "pool") + rows_of(out, "test"))
    assert longest == 10_000_002


# ---------------------------------------------------------------- rejects


def test_rejected_rows_say_where_and_why(tmp_path):
    path = tmp_path / "a.csv"
    lines = [
        b"text,label",
        b"fine,x",
        b'"two',
        b'lines",y',
        b"caf\xe9 noir,x",
        b",x",
        b'" <br> ",x',
        b"no label,",
        b"wrong,z",
        b"short",
        b"too,many,columns",
        b'"quoted" rest,x',
        b"NA,y",
        b"last,x",
        b"",
    ]
    path.write_bytes(b"\r\n".join(lines))
    card, out = run(tmp_path, [path], labels=["y", "x"], strip_tags=True, test="1")
    found = [(r["row"], r["line"], r["reason"], r["excerpt"]) for r in rejects_of(out)]
    assert found == [
        ("3", "5", "not UTF-8", "x caf\\udce9 noir"),
        ("4", "6", "no text", "x"),
        ("5", "7", "no text", "x <br>"),
        ("6", "8", "no label", "no label"),
        ("7", "9", "unknown label", "z wrong"),
        ("8", "10", "wrong number of columns", "short"),
        ("9", "11", "wrong number of columns", "too,many,columns"),
        ("10", "12", "quotation marks do not match", '"quoted" rest,x'),
    ]
    assert card["labels"] == ["y", "x"]
    kept = rows_of(out, "pool") + rows_of(out, "test")
    places = {row["text"]: row["source_row"] for row in kept}
    assert places == {"fine": 0, "two\r\nlines": 1, "NA": 10, "last": 11}


def test_an_open_quotation_mark_loses_no_row_silently(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"text {i},{'xy'[i % 2]}" for i in range(100)]
    lines[50] = '"' + lines[50]
    path.write_text("\n".join(["text,label", *lines]))
    with pytest.raises(UserError, match=r"50 of 100 rows .*row 51, line 52: quotation marks"):
        run(tmp_path, [path], max_rejected=0.05, quoting="double")


def test_damaged_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    good = [json.dumps({"text": text, "label": label}).encode() for text, label in many(8)]
    bad = [
        b'{"text": "cut off',
        b'["a", "list"]',
        b'{"text": "caf\xe9", "label": "good"}',
        b'{"text": ["nested"], "label": "good"}',
        b'{"text": "no label"}',
        b'{"text": "half \\ud83d", "label": "good"}',
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([*good, b"", *bad]))
    _, out = run(tmp_path, [path])
    assert [(r["row"], r["line"], r["reason"]) for r in rejects_of(out)] == [
        ("9", "10", "not a JSON object"),
        ("10", "11", "not a JSON object"),
        ("11", "12", "not UTF-8"),
        ("12", "13", "no text"),
        ("13", "14", "no label"),
        ("14", "15", "not UTF-8"),
    ]


# ---------------------------------------------------------------- labels, draw, leakage


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["10", "9", "2.5"], ["2.5", "9", "10"]),
        (["b", "10", "9"], ["10", "9", "b"]),
        (["nan", "10", "9"], ["10", "9", "nan"]),
    ],
)
def test_labels_are_sorted_as_numbers_or_as_text(tmp_path, found, expected):
    card, out = run(tmp_path, [write_csv(tmp_path / "a.csv", many(60, found))])
    assert card["labels"] == expected
    for row in rows_of(out, "pool"):
        number = int(row["text"].split()[-1])
        assert card["labels"][row["label"]] == found[number % 3]
    counts = np.bincount(data.load_labels(out / "pool.parquet"), minlength=3)
    assert card["pool"]["label_counts"] == dict(zip(expected, counts.tolist(), strict=True))


def test_labels_given_as_numbers_in_the_config(tmp_path):
    card, _ = run(tmp_path, [write_csv(tmp_path / "a.csv", many(8, ("1", "0")))], labels=[1, 0])
    assert card["labels"] == ["1", "0"]


def test_duplicates_conflicts_and_the_text_budget(tmp_path):
    rows = [
        *many(20),
        ("text number 0", "good"),
        ("text number 1 and more beyond the budget", "bad"),
        ("text number 2", "bad"),
    ]
    card, _ = run(tmp_path, [write_csv(tmp_path / "a.csv", rows)], words=3)
    assert card["merged"] == 2
    assert card["texts_with_several_labels"] == 1
    assert card["rows_read"]["pool"] == 23
    # The row that is cut was merged with the one before, so that no kept text is cut.
    assert card["cut_share"] == 0


def test_lengths_are_those_before_the_cut(tmp_path):
    rows = [(" ".join([f"w{i}"] * (i + 1)), "xy"[i % 2]) for i in range(20)]
    card, out = run(tmp_path, [write_csv(tmp_path / "a.csv", rows)], words=5)
    for row in rows_of(out, "pool") + rows_of(out, "test"):
        assert len(row["text"].split()) == min(row["source_row"] + 1, 5)
    assert card["words"] == {"mean": 10.5, "median": 10, "percentile_95": 19}
    assert card["cut_share"] == 0.75


# What tells the label stands in the last ten of 610 signs; nothing stands between them.
CHINESE = "天上里午附火后看坐在今小回近买然多"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def long_texts(signs, telling, rows=60):
    """Return rows of 600 random signs and ten that tell, without spaces."""
    random = np.random.default_rng(1)
    labels = ["good", "bad"] * (rows // 2)
    ends = {label: sign * 10 for label, sign in zip(("good", "bad"), telling, strict=True)}
    return [("".join(random.choice([*signs], 600)) + ends[label], label) for label in labels]


@pytest.mark.parametrize(
    ("words", "keep", "kept"),
    [
        (64, "head", (64, 0)),
        (64, "head_and_tail", (48, 16)),
        (609, "head", (609, 0)),
        (610, "head", (610, 0)),
    ],
)
@pytest.mark.parametrize("signs", [CHINESE, RESIDUES])
def test_a_text_without_spaces_is_cut_as_the_budget_says(tmp_path, signs, words, keep, kept):
    rows = long_texts(signs, "好坏" if signs == CHINESE else "MW")
    head, tail = kept
    card, out = run(tmp_path, [write_csv(tmp_path / "a.csv", rows)], words=words, keep=keep)
    for row in rows_of(out, "pool") + rows_of(out, "test"):
        text = rows[row["source_row"]][0]
        assert row["text"] == text[:head] + (f" ... {text[-tail:]}" if tail else "")
    unit = "word" if signs == CHINESE else "character"
    budget = {"words": words, "unit": unit, "called": unit, "unit_from_data": True, "keep": keep}
    assert card["text_budget"] == budget
    assert card["cut_share"] == (head < 610)
    assert card["words"]["median"] == (610 if signs == CHINESE else 1)
    assert card["characters"]["median"] == 610
    told = "so the text budget is" in " ".join(card["warnings"])
    assert told == (unit == "character")


def test_the_config_may_say_what_the_budget_counts(tmp_path):
    path = write_csv(tmp_path / "a.csv", long_texts(RESIDUES, "MW"))
    card, out = run(tmp_path, [path], words=64, unit="word")
    assert (card["text_budget"]["unit"], card["text_budget"]["unit_from_data"]) == ("word", False)
    assert (card["cut_share"], card["warnings"]) == (0, [])
    assert {len(row["text"]) for row in rows_of(out, "pool")} == {610}


def test_the_first_rows_tell_the_unit_whatever_the_number_of_processes(tmp_path):
    # After the first batch there are more texts of words than sequences; the test set has words.
    rows = [(f"{number:05}{'MKT' * 20}", "xy"[number % 2]) for number in range(8192)]
    path = write_csv(tmp_path / "a.csv", rows + many(20_000, "xy"))
    test = write_csv(tmp_path / "t.csv", [("a text of some words", "x"), ("and another", "y")])
    units = []
    for threads in (1, 2):
        card, out = run(tmp_path, [path], [test], threads, words=7)
        units.append(card["text_budget"]["unit"])
        assert [row["text"] for row in rows_of(out, "test")] == ["a text of", "and anot"]
    assert units == ["character"] * 2


def test_a_given_test_set_is_taken_as_it_is(tmp_path):
    pool = [*many(20), ("Text  NUMBER 3\n", "good"), ("CAFE\u0301", "good"), ("cafe\u0301!", "bad")]
    test = [("text number 3", "bad"), ("text number 3", "bad"), ("caf\u00e9", "good")]
    card, out = run(
        tmp_path,
        [write_csv(tmp_path / "a.csv", pool)],
        [write_csv(tmp_path / "t.csv", test)],
        test=None,
    )
    assert [row["text"] for row in rows_of(out, "test")] == [text for text, _ in test]
    assert card["dropped_in_test"] == 3
    assert card["pool"]["rows"] == 20
    assert card["origin"] == "made up"


@pytest.mark.parametrize(
    ("test", "rows", "expected"),
    [(7, 100, 7), ("7", 100, 7), (0.1, 105, 11), ("0.1", 100, 10), ("12.5%", 80, 10)],
)
def test_sizes_of_the_test_set(test, rows, expected):
    assert count_test_rows("made-up", test, rows) == expected


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        (many(20), {"text": "review"}, r"no column 'review'; its columns: 'text', 'label'; set `t"),
        (many(20), {"label": "stars"}, r"no column 'stars'.*set `label` to one of them"),
        (many(20), {"test": "20"}, r"test is 20, which means 20 of 20 usable"),
        (many(20), {"test": "all"}, r"test is 'all'; expected a number of rows"),
        (many(20), {"test": None}, r"test is None; expected"),
        (many(20, ["x"]), {}, r"found 1 label \(x\), need 2 or more"),
        (many(20), {"labels": ["good", "bad", "ugly"]}, r"label 'ugly' has no row in the pool"),
        (
            many(20),
            {"labels": ["x", "y"]},
            r"20 of 20 rows.*20 unknown label.*add the missing ones",
        ),
        (
            many(20),
            {"labels": ["good", "ugly"], "max_rejected": 0.1},
            r"10 of 20.*allows 10\.0%.*row 2,",
        ),
        ([], {}, r"no rows"),
    ],
)
def test_mistakes_are_named(tmp_path, rows, changes, message):
    with pytest.raises(UserError, match=message) as error:
        run(tmp_path, [write_csv(tmp_path / "a.csv", rows)], **changes)
    assert "\n" not in str(error.value)


def test_a_delimiter_is_one_character(tmp_path):
    path = write_csv(tmp_path / "a.csv", many(20))
    with pytest.raises(UserError, match="must be a single character"):
        list(sources.read_records(path, sources.Columns(("text",), "label", delimiter="\\t")))


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "a.csv"
    text = "text,label\n" + "".join(f"café {i},{'xy'[i % 2]}\n" for i in range(10))
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"10 not UTF-8.*iconv") as error:
        run(tmp_path, [path])
    listing = tmp_path / "out" / "rejects.failed.csv"
    assert str(listing) in str(error.value)
    assert len(listing.read_text().splitlines()) == 11


def test_a_header_that_is_not_utf8(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("t\u00eaxt,label\na,x\n".encode("latin-1"))
    with pytest.raises(UserError, match="header line is not UTF-8"):
        run(tmp_path, [path])


def test_a_column_that_is_there_twice(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("a", "b", "c")], columns=("text", "label", "text"))
    with pytest.raises(UserError, match="column 'text' is there more than once"):
        run(tmp_path, [path])


def test_a_label_that_only_the_test_set_has(tmp_path):
    pool, test = write_csv(tmp_path / "a.csv", many(9)), write_csv(tmp_path / "t.csv", [("t", "q")])
    with pytest.raises(UserError, match=r"label 'q' has no row in the pool \(test has 1\)"):
        run(tmp_path, [pool], [test], test=None)


def test_too_many_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(label_numbers, "MOST_LABELS", 10)
    rows = [(f"t {i}", f"label {i}") for i in range(20)]
    with pytest.raises(UserError, match="more than 10 different labels"):
        run(tmp_path, [write_csv(tmp_path / "a.csv", rows)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv.gz",
            gzip.compress(b"text,label\n" + b"a,x\n" * 9999, mtime=0)[:-20],
            "damaged gzip",
        ),
        ("a.csv.gz", b"text,label\n", "damaged gzip"),
        ("a.parquet", b"text,label\n", "not a readable Parquet"),
        ("a.json", b'[{"text": "a", "label": "x"}, {"text":', "not the JSON that was expected"),
        ("a.csv", b"", "its columns: none"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        run(tmp_path, [tmp_path / name])


def test_an_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "LONGEST_ROW", 1000)
    path = write_csv(tmp_path / "a.csv", [*many(9), ("x" * 2000, "good")])
    with pytest.raises(UserError, match="a line is longer than"):
        run(tmp_path, [path])


# ---------------------------------------------------------------- reading back


@settings(max_examples=30, suppress_health_check=ONE_FOLDER)
@given(
    chosen=st.none() | st.lists(st.integers(0, 99), max_size=40).map(sorted),
    batch_size=st.integers(1, 50),
)
def test_texts_of_chosen_rows(tmp_path, chosen, batch_size):
    table = pa.table({"text": [f"t{i}" for i in range(100)], "label": np.arange(100, dtype="i4")})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=17)
    rows = None if chosen is None else np.array(chosen, dtype=np.int64)
    batches = list(data.iterate_texts(tmp_path / "p.parquet", rows, batch_size))
    expected = range(100) if chosen is None else chosen
    assert [text for batch in batches for text in batch] == [f"t{i}" for i in expected]
    assert all(0 < len(batch) <= batch_size for batch in batches)
    assert data.load_labels(tmp_path / "p.parquet").tolist() == list(range(100))


@pytest.mark.parametrize("rows", [[1, 0], [100], [-1]])
def test_rows_that_are_not_there_or_not_sorted(tmp_path, rows):
    table = pa.table({"text": ["t"] * 100})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="sorted and within"):
        list(data.iterate_texts(tmp_path / "p.parquet", np.array(rows)))


def test_a_quick_look_at_a_local_source(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "a.csv", many(7))
    assert sources.describe_local_source(str(path), COLUMNS) == 7
    with pytest.raises(UserError, match="no column 'review'"):
        sources.describe_local_source(str(path), sources.Columns(("review",), "label"))
    with pytest.raises(UserError, match="no such file"):
        sources.describe_local_source(str(tmp_path / "b.csv"), COLUMNS)
    monkeypatch.setattr(sources, "QUICK_BYTES", 10)
    assert sources.describe_local_source(str(path), COLUMNS) is None


def test_the_same_source_is_not_read_twice(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "a.csv", many(30))
    monkeypatch.setattr(sys.modules[__name__], "CALLS", itertools.repeat(1))
    card, out = run(tmp_path, [path])
    before = {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}
    assert len(before) == 6
    for name in before:
        (out / name).unlink()
    monkeypatch.setattr(prepare, "prepare", None)
    assert run(tmp_path, [path])[0] == card
    assert {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()} == before


def test_a_mistake_is_one_line_without_a_traceback(tmp_path):
    path = write_csv(tmp_path / "a.csv", many(9))
    argv = ["--recipe", json.dumps(RECIPE | {"text": "no"}), "--source"]
    argv += [str(manifest(tmp_path, [path])), "--provenance", "{}"]
    argv += [f"--{name}={tmp_path / name}" for name in OUTPUTS]
    program = Path(prepare.__file__)
    done = subprocess.run([sys.executable, program, *argv], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
