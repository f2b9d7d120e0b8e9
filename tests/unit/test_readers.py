"""Files as people have them: each is read as it is meant, or refused in a line that says why."""

import csv
import io
import itertools
import json
from pathlib import Path

import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data import readers
from gap.data.preparing.labels import Labels, spell_label
from gap.data.preparing.texts import TAG
from gap.data.readers import Columns, quoting
from gap.data.readers.delimited import find_table
from gap.data.readers.encodings import encoding_advice
from gap.data.readers.json_stream import open_json
from gap.data.readers.records import NOT_JSON
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from hypothesis import given
from hypothesis import strategies as st

RECIPE = {"name": "made-up", "text": "text", "label": "label", "test": "25%", "words": 1000}
RECIPE["max_rejected"] = 0.2
# Another provenance for each call: otherwise a second one would find what the first one made.
CALLS = itertools.count()
COLUMNS = Columns(("text",), "label")
ROWS = [(f"room {i} was fine, with a view", ("pos", "neg")[i % 2]) for i in range(40)]


def run(test_file=None, /, *files, **changes):
    """Run prepare on files, the first of which may be a test set; return the card."""
    recipe = RECIPE | changes | ({"test": None} if test_file else {})
    for name, paths in (("source", files), ("given", [test_file])):
        entries = [{"path": str(path)} for path in paths]
        write_json(Path(f"{name}.json"), {"files": entries, "sha256": "0" * 64})
    outputs = {"pool": "pool.parquet", "pool-manifest": "pool.json", "test": "test.parquet"}
    outputs |= {"test-manifest": "test.json", "rejects": "rejects.csv", "card": "card.json"}
    argv = ["--recipe", json.dumps({key: value for key, value in recipe.items() if value})]
    argv += ["--source", "source.json", "--provenance", str(next(CALLS))]
    argv += ["--test-source", "given.json"] if test_file else []
    prepare.main([*argv, *(f"--{name}=out/{file}" for name, file in outputs.items())])
    return read_json(Path("out/card.json"))


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, content, encoding="utf-8"):
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def table(rows, delimiter=",", header=("text", "label"), **options):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n", **options).writerows([header, *rows])
    return file.getvalue()


def plain(rows, delimiter="\t", header=("text", "label")):
    """A table in which quotation marks are letters."""
    return "".join(delimiter.join(row) + "\n" for row in [header, *rows])


def lines(rows):
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)


def read(path, **columns):
    """Return the rows of a file and what is told of it."""
    sentences: list[str] = []
    records = list(readers.read_records(path, COLUMNS._replace(**columns), sentences.append))
    return [(record.text, record.label) for record in records if not record.reason], sentences


def line_of(call, *arguments, **changes):
    """Return the line of the UserError that a call ends in."""
    with pytest.raises(UserError) as error:
        call(*arguments, **changes)
    assert str(error.value).isprintable()
    return str(error.value)


# ---------------------------------------------------------------- quotation marks


def literal(count, begin=10, end=10):
    """Rows some of which begin with a mark, and others of which end in one."""
    rows = []
    for i in range(count):
        text = f"row {i} of the table"
        text = f'"{text}' if i % 17 == 3 and i // 17 < begin else text
        text = f"{text} 5'10\"" if i % 19 == 7 and i // 19 < end else text
        rows.append((text, ("pos", "neg")[i % 2]))
    return rows


ORDER = ("text", "label")
IN_MARKS = [(f'"{i}" is the number', "pq"[i % 2]) for i in range(40)]
# Each text that begins with a mark is followed by one that ends in one: no mark is left over.
IN_PAIRS = [
    (f'"row {i}' if i % 40 == 3 else f"row {i} 5'10\"" if i % 40 == 7 else f"row {i}", "pq"[i % 2])
    for i in range(400)
]
LITERAL = {
    "marks in pairs": ("a.tsv", IN_PAIRS, ORDER),
    "marks at begin and end": ("a.tsv", literal(400), ORDER),
    "in a CSV": ("a.csv", literal(400), ORDER),
    "marks that are never closed": ("a.tsv", literal(100, end=0), ORDER),
    "the first row begins with one": ("a.tsv", [('"open', "pos"), *ROWS], ORDER),
    "the last row begins with one": ("a.tsv", [*ROWS, ('"open', "pos")], ORDER),
    "the label before the text": ("a.tsv", [row[::-1] for row in literal(400)], ORDER[::-1]),
    "a column between": ("a.tsv", [(t, "1", r) for t, r in literal(400)], ("text", "id", "label")),
    "words in marks": ("a.tsv", IN_MARKS, ORDER),
}


@pytest.mark.parametrize(("name", "rows", "header"), LITERAL.values(), ids=LITERAL.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_marks_that_are_letters_lose_no_row(name, rows, header, encoding):
    delimiter = "," if name.endswith("csv") else "\t"
    path = write(name, plain(rows, delimiter, header), encoding)
    text, label = header.index("text"), header.index("label")
    expected = [(row[text], row[label]) for row in rows]
    rows, (sentence,) = read(path)
    assert rows == expected
    assert "they are letters" in sentence
    # Set, it is neither found out nor told.
    assert read(path, quoting="none") == (expected, [])


ENCLOSED = {
    "as needed": table(ROWS),
    "everywhere": table(ROWS, quoting=csv.QUOTE_ALL),
    "line breaks with delimiters": table([("one,\ntwo, three,\nfour", "pos"), *ROWS]),
    "line breaks with labels alone": table([("pos\nneg\npos", "neg"), *ROWS]),
    "doubled marks": table([('say "hi", and "go"', "pos"), ('"', "neg"), *ROWS]),
    "empty fields": table([("", "pos"), *ROWS], quoting=csv.QUOTE_ALL),
    "no mark at all": plain([("a", "pos"), ("b", "neg")], ","),
    "Windows' line ends": table(ROWS).replace("\n", "\r\n"),
    "tabs": table([("a\tb", "pos"), *ROWS], "\t").replace(",", ";"),
}


@pytest.mark.parametrize("content", ENCLOSED.values(), ids=ENCLOSED.keys())
@pytest.mark.parametrize("chunk", [1, 7, 1 << 22])
def test_marks_that_enclose_are_read_so(monkeypatch, content, chunk):
    monkeypatch.setattr(quoting, "CHUNK", chunk)
    path = write("a.tsv" if "\t" in content else "a.csv", content)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    _, *rows = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    assert read(path) == ([tuple(row) for row in rows], [])


def test_one_damaged_row_does_not_turn_marks_into_letters():
    doubled = [(f'they say "number {i}"', label) for i, (_, label) in enumerate(ROWS)]
    for rows in (ROWS, doubled):
        found, sentences = read(write("a.csv", table(rows) + '"damaged" here,pos\n'))
        assert (found, sentences) == (rows, [])
    everywhere = [(text.replace(",", ""), label) for text, label in ROWS]
    content = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in everywhere)
    found, _ = read(write("a.csv", content + '"damaged" here,pos\n'))
    assert found == everywhere


@pytest.mark.parametrize("writer", [{}, {"quoting": csv.QUOTE_ALL}])
def test_marks_behind_backslashes(writer):
    rows = [('she said "hi", and left', "pos"), ("C:\\new, folder", "neg"), *ROWS]
    content = table(rows, doublequote=False, escapechar="\\", **writer)
    found, sentences = read(write("a.csv", content))
    assert found == rows
    assert "a backslash before them" in sentences[0]
    assert read(write("a.csv", content), quoting="backslash") == (rows, [])


def test_a_single_backslash_stays():
    path = write("a.csv", 'text,label\n"a \\"b\\", C:\\new",pos\n')
    assert read(path, quoting="backslash")[0] == [('a "b", C:\\new', "pos")]


def test_fields_that_hold_rows_are_told():
    path = write("a.tsv", plain(literal(400)))
    found, (sentence,) = read(path, quoting="double")
    assert len(found) < 400
    assert "that look like rows (first: line 5)" in sentence
    assert "set `quoting: none`" in sentence


@given(
    st.lists(st.tuples(st.text('ab",\n\\', max_size=6), st.sampled_from(["x", "y"])), max_size=6),
    st.sampled_from([1, 3, 64]),
)
def test_where_marks_enclose_each_line_is_a_row(rows, chunk):
    content = table(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quoting, "CHUNK", chunk)
        enclose = quoting.marks_enclose(find_table(write("a.csv", content), COLUMNS))
    assert enclose == (not any("\n" in text for text, _ in rows))


@given(st.text('a",\n', max_size=12))
def test_marks_are_not_said_to_enclose_where_the_parser_disagrees(content):
    path = write("a.csv", "text,label\n" + content)
    if quoting.marks_enclose(find_table(path, COLUMNS)):
        rows = csv.reader(io.StringIO(content, newline=""), strict=True)
        assert [row for row in rows if row] == [
            next(csv.reader([line])) for line in content.splitlines() if line
        ]


# ---------------------------------------------------------------- numbers as labels


@pytest.mark.parametrize(
    ("label", "expected"),
    [("1.0", "1"), ("1", "1"), ("1.", "1"), ("-0.0", "0"), ("-0", "0"), ("1e3", "1000")]
    + [("0.50", "0.5"), ("1E+20", "1" + "0" * 20), ("-2.00", "-2"), ("12345678901234567890",) * 2]
    + [(label, label) for label in ("01", "007", "1,0", "1e400", "nan", "+1", "1_0", "1.2.0", "")],
)
def test_the_spelling_of_a_number(label, expected):
    assert spell_label(label) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_equal_numbers_are_one_label_in_all_formats(number):
    spellings = {spell_label(text) for text in (repr(number), json.dumps(number), f"{number:.17g}")}
    if number.is_integer():
        spellings.add(str(int(number)))
    assert len(spellings) == 1


FLOATS = [0.0, 1.0, None, float("nan"), 1.0] + [0.0, 1.0] * 8


def write_floats(kind):
    texts = [f"text {i}" for i in range(len(FLOATS))]
    path = Path(f"a{kind}")
    if kind == ".parquet":
        pq.write_table(pa.table({"text": texts, "label": pa.array(FLOATS)}), path)
    elif kind == ".csv":
        rows = [(text, "" if i in (2, 3) else str(FLOATS[i])) for i, text in enumerate(texts)]
        write(path, table(rows))
    else:
        write(path, lines(zip(texts, FLOATS, strict=True)))
    return path


@pytest.mark.parametrize("kind", [".parquet", ".jsonl", ".csv"])
@pytest.mark.parametrize("labels", [None, ["0", "1.0"]])
def test_floats_and_missing_ones_as_labels(kind, labels):
    ints = write("t.csv", table([("unseen", "0"), ("not seen", "1")]))
    card = run(ints, write_floats(kind), labels=labels)
    assert card["labels"] == ["0", "1"]
    assert card["rejected"] == {"no label": 2}
    assert card["test"]["label_counts"] == {"0": 1, "1": 1}
    # Parquet's own spelling of whole floats has no point.
    merged = "labels that are equal numbers are one label (0 = 0.0; 1 = 1.0)"
    assert card["warnings"] == ([] if kind == ".parquet" else [merged])


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["0.0", "1.0", "nan"], "nan"),
        (["0", "1", "NA"], "NA"),
        (["bread", "NaN"], "NaN"),
        (["none", "against"], ""),
        (["NA", "EU"], ""),
    ],
)
def test_labels_that_read_like_missing_values(labels, told):
    rows = [(f"text {i}", labels[i % len(labels)]) for i in range(60)]
    sentences = " ".join(run(None, write("a.csv", table(rows)))["warnings"])
    assert (f"the label {told!r} reads like a missing value" in sentences) == bool(told)


# ---------------------------------------------------------------- labels that are none


def test_labels_that_are_measured():
    rows = [(f"text {i}", str(i / 7)) for i in range(40)]
    line = line_of(run, None, write("a.csv", table(rows)))
    assert "40 labels for 40 rows, measured numbers (0, 0.14" in line
    assert "is 'label' the column of the labels?" in line
    coarse = [(f"text {i}", str(i % 50 / 10)) for i in range(400)]
    assert "50 labels for 400 rows, measured" in line_of(run, None, write("a.csv", table(coarse)))
    labels = [f"{i / 10}" for i in range(50)]
    assert len(run(None, "a.csv", labels=labels)["labels"]) == 50


def test_text_and_label_swapped():
    path = write("a.csv", table(ROWS))
    line = line_of(run, None, path, text="label", label="text")
    assert "40 labels for 40 rows, different ones" in line
    assert "2 different texts: are text and label swapped?" in line


def test_many_classes_are_classes():
    rows = [(f"text {i}", f"intent {i % 150}") for i in range(600)]
    assert len(run(None, write("a.csv", table(rows)))["labels"]) == 150
    stars = [(f"text {i}", f"{i % 9 / 2}") for i in range(90)]
    assert len(run(None, write("a.csv", table(stars)))["labels"]) == 9


LISTS = {
    "JSON": ("a.jsonl", lines([(text, [label, "other"]) for text, label in ROWS])),
    "JSON lists of one": ("a.jsonl", lines([(text, [label]) for text, label in ROWS])),
    "Python in a CSV": ("a.csv", table([(text, str([label, "b"])) for text, label in ROWS])),
    "JSON in a CSV": ("a.csv", table([(text, json.dumps([label])) for text, label in ROWS])),
}


@pytest.mark.parametrize(("name", "content"), LISTS.values(), ids=LISTS.keys())
def test_labels_that_are_lists(name, content):
    line = line_of(run, None, write(name, content))
    assert "several labels a row are not supported: give each row one label" in line


def test_lists_in_parquet():
    columns = {"text": [text for text, _ in ROWS], "label": [[label] for _, label in ROWS]}
    pq.write_table(pa.table(columns), "a.parquet")
    line = line_of(run, None, Path("a.parquet"))
    assert "the labels in column 'label' are lists; several labels a row are not supported" in line


def test_labels_that_look_alike_in_any_form():
    labels = Labels(None)
    for label in ("pos", "\ufeffpos", "POS", "po\u200bs", "ｐｏｓ", "neg"):
        labels.find(label)
    assert labels.look_alike() == [["POS", "pos", "po\u200bs", "\ufeffpos", "ｐｏｓ"]]
    assert labels.warnings()[0].startswith("5 labels look like 1")


def test_a_test_set_that_is_the_training_file():
    path = write("a.csv", table(ROWS))
    assert "all 40 have a text that stands in the test set" in line_of(run, path, path)
    half = write("t.csv", table(ROWS[:20]))
    assert run(half, path)["warnings"] == [
        "20 of 40 pool rows were dropped, because their texts stand in the test set, too"
    ]


# ---------------------------------------------------------------- headers


def test_no_header_line():
    headless = table(ROWS[1:], header=ROWS[0])
    for path in (write("a.csv", headless), write("a.tsv", headless.replace(",", "\t"))):
        line = line_of(read, path)
        assert "no header line: its first line is a row ('room 0 was fine" in line
        assert line.endswith("text, label")
    # A header of other names is one.
    other = write("a.csv", table(ROWS, header=("body", "label")))
    assert "no column 'text'; its columns: 'body', 'label'" in line_of(read, other)
    numbers = table([(*row, "1") for row in ROWS], header=("0", "1", "2"))
    assert "its columns: '0', '1', '2'" in line_of(read, write("a.csv", numbers))


@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "\ufeffsep=;\n", "SEP=;\n"])
def test_the_line_that_tells_the_delimiter(line):
    path = write("a.csv", line + table(ROWS, ";"))
    assert read(path) == (ROWS, [])
    records = list(readers.read_records(path, COLUMNS))
    assert (records[0].row, records[0].line) == (1, 3)


# ---------------------------------------------------------------- JSON


def by_column(rows):
    columns = list(zip(*rows, strict=True))
    return dict(zip(("text", "label"), columns, strict=True))


def numbered(column):
    return {str(place): value for place, value in enumerate(column)}


COLUMN_WISE = {
    "pandas": {key: numbered(column) for key, column in by_column(ROWS).items()},
    "lists": by_column(ROWS),
    "label first": {key: by_column(ROWS)[key] for key in ("label", "text")},
    "other columns": {"id": list(range(40)), **by_column(ROWS)},
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("content", COLUMN_WISE.values(), ids=COLUMN_WISE.keys())
def test_json_by_columns(monkeypatch, content, indent):
    monkeypatch.setattr("gap.data.readers.json_stream.CHUNK", 8)
    path = write("a.json", json.dumps(content, indent=indent))
    assert read(path) == (ROWS, [])
    assert readers.describe_local_source(str(path), COLUMNS) == 40


def test_columns_of_different_rows():
    content = by_column(ROWS) | {"label": ["pos"] * 39}
    assert "have different rows" in line_of(read, write("a.json", json.dumps(content)))


RECORDS = [{"text": text, "label": label} for text, label in ROWS]
NESTED = {
    "of a list": ({"data": RECORDS}, "data"),
    "deeper": ({"version": 1, "export": {"ids": [1, 2], "rows": RECORDS}}, "export.rows"),
    "pandas' table": ({"schema": {"fields": []}, "data": RECORDS}, "data"),
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("content", "place"), NESTED.values(), ids=NESTED.keys())
def test_rows_inside_an_object(content, place, indent):
    path = write("a.json", json.dumps(content, indent=indent))
    assert f"set `records: {place}`" in line_of(read, path)
    assert read(path, records=place) == (ROWS, [])
    assert "no key 'other'; here are: " in line_of(read, path, records="other")
    assert "`records` is for JSON" in line_of(read, write("a.csv", table(ROWS)), records=place)


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_of_rows(monkeypatch, indent):
    monkeypatch.setattr("gap.data.readers.json_stream.CHUNK", 8)
    index = numbered(RECORDS)
    path = write("a.json", json.dumps(index, indent=indent))
    assert read(path) == (ROWS, [])
    assert readers.describe_local_source(str(path), COLUMNS) == 40
    path = write("b.json", json.dumps({"version": 1, "rows": index}, indent=indent))
    assert read(path, records="rows") == (ROWS, [])
    # The first row may lack a column, as pandas writes no missing values of records.
    short = {"x": {"text": "no label"}} | index
    assert read(write("c.json", json.dumps(short, indent=indent))) == (
        [("no label", ""), *ROWS],
        [],
    )
    behind = write("d.json", json.dumps(index, indent=indent) + "{}")
    assert "something stands behind the rows" in line_of(read, behind)


def test_an_object_of_what_is_no_row():
    rows = {"a": RECORDS[0], "b": [1, 2], "c": None, "d": {"other": 1}, "e": RECORDS[1]}
    path = write("a.json", json.dumps(rows))
    records = list(readers.read_records(path, COLUMNS))
    assert [record.reason for record in records] == [None, NOT_JSON, NOT_JSON, None, None]
    assert [records[place].text for place in (0, 3, 4)] == [ROWS[0][0], "", ROWS[1][0]]
    line = line_of(
        read, write("b.json", json.dumps({"export": {"rows": RECORDS}})), records="export"
    )
    assert "found '{', expected [" in line


def test_pandas_other_orients():
    split = {"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}
    line = line_of(read, write("a.json", json.dumps(split)))
    assert "one JSON object with the keys" in line
    assert "orient='records'" in line


def test_a_line_of_lists_is_no_table_of_columns():
    rows = [{"text": ["a", "b"], "label": ["x", "y"]}] * 3
    path = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    records = list(readers.read_records(path, COLUMNS))
    assert [record.reason for record in records] == ["a list of labels"] * 3


@given(
    st.recursive(
        st.none() | st.booleans() | st.text('a"\\', max_size=3) | st.integers().map(str),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner)
        ),
        max_leaves=8,
    ),
    st.integers(1, 9),
)
def test_a_stream_gives_what_the_file_holds(value, chunk):
    path = write("a.json", json.dumps({"other": value, "rows": [value, value]}, indent=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gap.data.readers.json_stream.CHUNK", chunk)
        with open_json(path, None) as stream:
            stream.enter(["rows"])
            assert list(stream.elements()) == [value, value]


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-32", "cp037"])
@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".json"])
def test_any_encoding(encoding, kind):
    rows = [("café", "pos"), ('été, "hot"', "neg"), *ROWS]
    objects = [{"text": text, "label": label} for text, label in rows]
    contents = {".csv": table(rows), ".json": json.dumps(objects, ensure_ascii=False)}
    contents[".jsonl"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in objects)
    path = write(f"a{kind}", contents[kind], encoding)
    assert read(path, encoding=encoding) == (rows, [])
    if encoding in ("utf-16", "utf-32"):
        assert read(path) == (rows, [])


SENTENCES = {
    "cp1252": "Das Essen war schön – naïve “Gäste” zahlen 5 €",
    "cp1251": "хороший фильм, и очень интересный",
    "koi8_r": "хороший фильм, и очень интересный",
    "shift_jis": "とても良い映画でした。つまらない",
    "gb18030": "这部电影非常好看，太差了",
    "euc_kr": "정말 좋은 영화였습니다. 별로였어요",
    "utf-16-le": "plain words",
}


@pytest.mark.parametrize(("encoding", "sentence"), SENTENCES.items())
def test_the_encoding_that_fits_best(encoding, sentence):
    path = write("a.csv", f"{sentence}\n" * 3, encoding)
    advice = encoding_advice([path])
    assert f"set `encoding: {encoding}`" in advice
    assert sentence[:9] in advice


def test_advice_where_many_rows_are_not_utf8():
    rows = [(f"café {i}", "pq"[i % 2]) for i in range(40)]
    path = write("a.csv", table(rows), "cp1252")
    line = line_of(run, None, path)
    assert "40 not UTF-8" in line
    assert "has 'café 0,p': if that is right, set `encoding: cp1252`" in line
    assert run(None, path, encoding="cp1252")["rejected"] == {}
    assert "choose another `encoding` than ascii" in line_of(run, None, path, encoding="ascii")


# ---------------------------------------------------------------- texts


def test_columns_of_the_text_are_joined_in_their_order():
    rows = [("Title", "Body", "pos"), ("", "Body alone", "neg"), ("  ", "", "neg")]
    expected = ["Title\nBody", "Body alone", ""]
    content = table(rows, header=("title", "body", "label"))
    keys = ("title", "body", "label")
    objects = [dict(zip(keys, row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(objects), "a.parquet")
    paths = [write("a.csv", content), write("a.json", json.dumps(objects)), Path("a.parquet")]
    for path in paths:
        records = readers.read_records(path, Columns(("title", "body"), "label"))
        assert [record.text for record in records] == expected
    swapped = readers.read_records(paths[0], Columns(("body", "title"), "label"))
    assert next(swapped).text == "Body\nTitle"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x < limit and y > zero", None),
        ("if a <3 and b> 2", None),
        ("<3 love -> you", None),
        ("one<br />two<p class='a'>three</p>", "one two three "),
        ("<!-- note -->text<!DOCTYPE html>", " text "),
    ],
)
def test_a_tag_begins_like_one(text, expected):
    assert TAG.sub(" ", text) == (text if expected is None else expected)


# ---------------------------------------------------------------- groups


def grouped_rows(groups, of_group):
    return [
        (f"text {group} {i}", ("pos", "neg")[i % 2], f"user {group}")
        for i in range(of_group)
        for group in range(groups)
    ]


GROUPED = ("text", "label", "user")


def sides():
    return (pq.read_table(f"out/{side}.parquet").to_pylist() for side in ("pool", "test"))


def group_of(row):
    return row["text"].split()[1]


@pytest.mark.parametrize("test", ["20", "33%"])
def test_no_group_is_in_pool_and_test(test):
    path = write("a.csv", table(grouped_rows(30, 4), header=GROUPED))
    card = run(None, path, group="user", test=test)
    pool, drawn = sides()
    assert not set(map(group_of, pool)) & set(map(group_of, drawn))
    assert len(pool) + len(drawn) == 120
    asked = 20 if test == "20" else 40
    assert asked - 4 < len(drawn) <= asked
    # Each group has one number, from 0 up.
    numbers = {group_of(row): row["group"] for row in drawn}
    assert all(numbers[group_of(row)] == row["group"] for row in drawn)
    assert sorted(numbers.values()) == list(range(card["test_groups"]))
    assert f"the test set has {len(numbers)} groups only" in card["warnings"][0]
    assert "group" not in pool[0]


def test_groups_of_a_given_test_set_leave_the_pool():
    path = write("a.csv", table(grouped_rows(30, 4), header=GROUPED))
    given_rows = [("unseen", "pos", "user 3"), ("not seen", "neg", "user 4")]
    given_path = write("t.csv", table(given_rows, header=GROUPED))
    card = run(given_path, path, group="user")
    pool, drawn = sides()
    assert card["dropped_in_test"] == 8
    assert not {"3", "4"} & set(map(group_of, pool))
    assert [row["group"] for row in drawn] == [0, 1]


def test_rows_without_group_are_set_aside():
    rows = [*grouped_rows(30, 4), ("text", "pos", " ")]
    card = run(None, write("a.csv", table(rows, header=GROUPED)), group="user")
    assert card["rejected"] == {"no group": 1}


@pytest.mark.parametrize("groups", [1, 2])
def test_groups_that_leave_nothing_for_one_side(groups):
    path = write("a.csv", table(grouped_rows(groups, 40), header=GROUPED))
    line = line_of(run, None, path, group="user")
    assert f"the {groups} groups of 'user' have 40 to 40 rows" in line


def test_a_label_without_test_row_is_told():
    rows = table([("unseen", "pos"), ("not seen", "pos")])
    card = run(write("t.csv", rows), write("a.csv", table(ROWS)))
    assert card["warnings"] == ["1 labels have no row in the test set (neg)"]
