"""FASTA files, and labels from a table by id: what is read, refused, counted and told."""

import copy
import gzip
import itertools
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from gap.cluster.plan import Plan
from gap.config.check import check, complete
from gap.data import readers
from gap.data.preparing.label_table import LabelTable
from gap.data.readers import Columns
from gap.data.readers.records import LONGEST_ROW
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.rules import PrepareRecipe
from pages import ROOT
from snakemake.utils import update_config

RECIPE: dict[str, Any] = {
    "name": "made-up",
    "text": "sequence",
    "label": r"label=(\w+)",
    "test": "25%",
}
RECIPE |= {"words": 40_000, "max_rejected": 0.5}
BY_ID = {"label": "place", "id": "id", "table_id": "id"}
COLUMNS = Columns(("sequence",), r"label=(\w+)")
# Another provenance for each call: otherwise a second one would find what the first one made.
CALLS = itertools.count()
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
GENERATOR = random.Random(0)
PROTEINS = ["M" + "".join(GENERATOR.choices(AMINO_ACIDS, k=60)) for _ in range(40)]
LABELS = ["membrane", "nucleus"]


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)


def write(name, content):
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fasta(sequences, first=0):
    """Records with ids P0, P1, ..., a label in the header, 50 letters a line."""
    lines = []
    for number, sequence in enumerate(sequences, start=first):
        lines.append(f">P{number} protein {number} label={LABELS[number % 2]} OX=9606\n")
        lines += [f"{sequence[place : place + 50]}\n" for place in range(0, len(sequence), 50)]
    return "".join(lines)


def read(content, name="a.fasta", **columns):
    """Return the records of a file with this content."""
    return list(readers.read_records(write(name, content), COLUMNS._replace(**columns)))


def pairs(records):
    return [(record.text, record.label) for record in records if not record.reason]


def run(*files, test=(), table=(), **changes):
    """Run prepare; return its card, its rows by sequence, and the reasons of rejects."""
    recipe = RECIPE | (BY_ID if table else {}) | ({"test": None} if test else {}) | changes
    argv = ["--provenance", str(next(CALLS))]
    argv += ["--recipe", json.dumps({key: value for key, value in recipe.items() if value})]
    sources = (("source", files), ("test-source", test), ("label-table", table))
    for name, paths in sources:
        entries = [{"path": str(path)} for path in paths]
        write_json(Path(f"{name}.json"), {"files": entries, "sha256": name})
        argv += [f"--{name}", f"{name}.json"] if paths else []
    outputs = {"pool": "pool.parquet", "pool-manifest": "pool.json", "test": "test.parquet"}
    outputs |= {"test-manifest": "test.json", "rejects": "rejects.csv", "card": "card.json"}
    prepare.main([*argv, *(f"--{name}=out/{file}" for name, file in outputs.items())])
    card = read_json(Path("out/card.json"))
    rows = [*pq.read_table("out/pool.parquet").to_pylist()]
    rows += pq.read_table("out/test.parquet").to_pylist()
    return card, {row["text"]: card["labels"][row["label"]] for row in rows}


def line_of(call, *arguments, **changes):
    """Return the line of the UserError that a call ends in."""
    with pytest.raises(UserError) as error:
        call(*arguments, **changes)
    assert str(error.value).isprintable()
    return str(error.value)


# ---------------------------------------------------------------- records

ONE = [("MKTAY", "a"), ("GGH", "b")]
SAME: dict[str, Any] = {
    "plain": ">P1 label=a\nMKTAY\n>P2 label=b\nGGH\n",
    "lines of a sequence": ">P1 label=a\nMK\nTA\nY\n>P2 label=b\nG\nGH\n",
    "Windows line ends": ">P1 label=a\r\nMK\r\nTAY\r\n>P2 label=b\r\nGGH\r\n",
    "line ends of old Macs": ">P1 label=a\rMKTAY\r>P2 label=b\rGGH\r",
    "no line end at the end": ">P1 label=a\nMKTAY\n>P2 label=b\nGGH",
    "blank lines": "\n\n>P1 label=a\n\nMK\n\nTAY\n  \n\n>P2 label=b\nGGH\n\n\n",
    "comments": "; old\n>P1 label=a\n;more\nMK\n;x>y\nTAY\n>P2 label=b\nGGH\n;end",
    "lower case": ">P1 label=a\nmkTay\n>P2 label=b\nggh\n",
    "stop signs at the end": ">P1 label=a\nMKTAY*\n>P2 label=b\nGGH\n*\n",
    "spaces inside": ">P1 label=a\n  MK TA\tY \n> P2 label=b\nGG H\n",
    "a mark of UTF-8": "\ufeff>P1 label=a\nMKTAY\n>P2 label=b\nGGH\n",
    "UTF-16": ">P1 label=a\nMKTAY\n>P2 label=b\nGGH\n".encode("utf-16"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME.keys())
def test_one_file_in_many_spellings(content):
    assert pairs(read(content)) == ONE


@pytest.mark.parametrize("ending", [".fasta", ".fa", ".faa", ".fna", ".fas", ".FASTA"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_endings_of_names(ending, packed):
    content = SAME["plain"].encode()
    path = write(f"a{ending}{packed}", gzip.compress(content) if packed else content)
    assert readers.list_data_files(path) == [path]
    assert pairs(readers.read_records(path, COLUMNS)) == ONE
    assert readers.describe_local_source(str(path), COLUMNS) == 2


def test_columns_lines_and_rows():
    content = "\n>sp|P1|X one two\nMK\n\n>P2\nGG\n"
    for name, values in {
        "id": ["sp|P1|X", "P2"],
        "header": ["sp|P1|X one two", "P2"],
        "sequence": ["MK", "GG"],
    }.items():
        records = read(content, text=(name,), label="id")
        assert [record.text for record in records] == values
        assert [(record.row, record.line) for record in records] == [(1, 2), (2, 5)]
    assert [record.text for record in read(content, text=("id", "sequence"), label="id")] == [
        "sp|P1|X\nMK",
        "P2\nGG",
    ]


PATTERNS = {
    "one group": (r"OX=(\d+)", "9606"),
    "a named group among others": (r"(protein) (?P<label>\w+)", "A"),
    "a group without others": (r"(?:protein) (\w+)", "A"),
    "id": ("id", "P1"),
    "header": ("header", "P1 protein A OX=9606"),
}


@pytest.mark.parametrize(("label", "expected"), PATTERNS.values(), ids=PATTERNS.keys())
def test_labels_and_groups_by_columns_and_patterns(label, expected):
    content = ">P1 protein A OX=9606\nMK\n"
    (record,) = read(content, label=label)
    assert record.label == expected
    (record,) = read(content, label="id", group=label.replace("<label>", "<group>"))
    assert (record.label, record.group) == ("P1", expected)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("queue", "found 'queue'; expected a column of FASTA, 'id', 'header', 'sequence', or a "),
        (r"(\w+) (\w+)", "(it has 2 groups; call one (?P<label>...))"),
        ("label=(", "(missing ), unterminated subpattern at position 6)"),
    ],
)
def test_labels_that_are_neither_column_nor_pattern(label, words):
    assert words in line_of(read, SAME["plain"], label=label)
    path = str(write("a.fasta", SAME["plain"]))
    assert words in line_of(readers.describe_local_source, path, COLUMNS._replace(label=label))


def test_a_pattern_is_the_name_of_a_column_in_other_files():
    path = write("a.csv", "text,kind (1)\nhello,x\n")
    assert pairs(readers.read_records(path, Columns(("text",), "kind (1)"))) == [("hello", "x")]


# ---------------------------------------------------------------- what cannot be used

REJECTS: dict[str, Any] = {
    "a digit": ("MK1", "'1' is no residue"),
    "a gap": ("MK-TA", "'-' is no residue"),
    "a gap of another kind": ("MK.TA", "'.' is no residue"),
    "a stop inside": ("MK*TA", "'*' is no residue"),
    "two stops": ("MKTA**", "'*' is no residue"),
    "a record in the line of another": ("MK>P9 label=b", "'>' is no residue"),
    # In upper case, it would be two serines.
    "a letter beyond ASCII": ("MKß", r"'\xdf' is no residue"),
    "an undecodable byte": (b"MK\xff", r"'\udcff' is no residue"),
    "a zero byte": ("MK\0", r"'\x00' is no residue"),
}


@pytest.mark.parametrize(("sequence", "reason"), REJECTS.values(), ids=REJECTS.keys())
def test_letters_that_are_no_residues(sequence, reason):
    sequence = sequence if isinstance(sequence, bytes) else sequence.encode()
    good, bad = read(b">P1 label=a\nMKT\n>P2 label=b\n" + sequence + b"\n")
    assert (good.text, good.reason) == ("MKT", None)
    assert (bad.text, bad.reason, bad.row, bad.line) == ("", reason, 2, 3)
    assert bad.excerpt.startswith("P2: MK")


@pytest.mark.parametrize("sequence", [AMINO_ACIDS + "BJOUXZ", "ACGTUNRYSWKMBDHV"])
def test_all_codes_are_letters(sequence):
    assert pairs(read(f">P1 label=a\n{sequence}\n")) == [(sequence, "a")]


def test_what_headers_lack():
    content = ">P1 label=a\nMK\n>P2\nGG\n>\nTT\n"
    reasons = [record.reason for record in read(content)]
    assert reasons == [None, "header has no label", "header has no label"]
    reasons = [record.reason for record in read(content, label="id", group=r"label=(\w+)")]
    assert reasons == [None, "header has no group", "header has no label"]
    reasons = [record.reason for record in read(content, label="id", label_key="id")]
    assert reasons == [None, None, "header has no id"]


BAD_FILES = {
    "no header": ("a.fasta", "MKTAY\nGG\n", "line 1: no header before the first sequence"),
    "no header behind a comment": ("a.fa", ";x\nMKTAY\n>P1\nGG", "line 2: no header"),
    "a table": ("a.fasta", "sequence,label\nMK,a\n", "line 1: no header"),
    "nothing": ("a.fasta", "", "no FASTA record"),
    "blank lines only": ("a.fasta", "\n \n;\n", "no FASTA record"),
    "zipped": ("a.fasta", b"\x1f\x8b\x08", "begins as a gzip file"),
    "half a gzip": ("a.fasta.gz", gzip.compress(SAME["plain"].encode())[:-9], "damaged gzip"),
    "named as CSV": ("a.csv", SAME["plain"], "it begins with '>': if it is FASTA, let its name"),
    "named as JSON": ("a.jsonl", SAME["plain"], "it begins with '>': if it is FASTA"),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_files_that_are_refused_in_one_line(name, content, words):
    line = line_of(read, content, name)
    assert line.startswith(name) and words in line
    line = line_of(readers.describe_local_source, name, COLUMNS)
    assert line.startswith(name) and words in line


def test_a_file_whose_ending_is_of_no_kind():
    path = write("a.txt", SAME["plain"])
    assert "it begins with '>': if it is FASTA" in line_of(readers.list_data_files, path)
    path = write("b.txt", "text")
    assert "FASTA" not in line_of(readers.list_data_files, path)


def test_a_text_that_is_no_column():
    assert "no column 'seq'; those of FASTA: 'id', 'header'" in line_of(
        read, SAME["plain"], text=("seq",)
    )


@pytest.mark.parametrize("width", [60, 50_000_000])
def test_memory_does_not_grow_with_a_chromosome(width):
    """One record of 40 million letters, then a small one."""
    with Path("a.fasta").open("w") as file:
        file.write(">P1 label=a\n")
        for _ in range(400):
            piece = "ACGT" * 25_000
            lines = (piece[place : place + width] for place in range(0, len(piece), width))
            file.write("\n".join(lines) + ("\n" if width < len(piece) else ""))
        file.write("\n>P2 label=b\nGGH\n")
    tracemalloc.start()
    chromosome, small = readers.read_records(Path("a.fasta"), COLUMNS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chromosome.reason == "longer than 16,000,000 characters"
    assert (small.text, small.row) == ("GGH", 2)
    assert peak < 2 * LONGEST_ROW


def test_a_header_without_end():
    long, small = read(">P1 " + "x" * (LONGEST_ROW + 10) + "\nMK\n>P2 label=b\nGGH\n")
    assert long.reason == "longer than 16,000,000 characters"
    assert small.text == "GGH"


# ---------------------------------------------------------------- prepare


def test_prepare_reads_sequences_and_sets_aside_what_is_none():
    titin = "M" + "".join(GENERATOR.choices(AMINO_ACIDS, k=35_000)) + "X" * 9
    content = fasta([*PROTEINS, titin, PROTEINS[0].lower() + "*"])
    content += ">bad1 label=nucleus\nMK1\n>bad2 label=nucleus\n\n>bad3\nMKT\n"
    card, rows = run(write("a.fasta", content))
    assert rows == {
        sequence: LABELS[number % 2] for number, sequence in enumerate([*PROTEINS, titin])
    } | {PROTEINS[0]: rows[PROTEINS[0]]}
    assert card["rejected"] == {"'1' is no residue": 1, "no text": 1, "header has no label": 1}
    reasons = [line.split(",")[3] for line in Path("out/rejects.csv").read_text().splitlines()]
    assert reasons == ["reason", "'1' is no residue", "no text", "header has no label"]
    assert card["rows_read"]["pool"] == 45
    assert card["text_budget"]["unit"] == "character"
    counts = card["sequences"]
    assert (counts["rows"], counts["proteins"], counts["nucleic_acids"]) == (42, 42, 0)
    assert counts["letters"]["X"] == 9
    assert not any("sequences" in warning for warning in card["warnings"])


def test_the_same_sequence_with_the_same_label_is_a_repeat():
    content = fasta(PROTEINS) + f">P0 again label=membrane\n{PROTEINS[0]}\n"
    card, rows = run(write("a.fasta", content))
    assert (card["merged"], len(rows)) == (1, 40)
    assert not any("stand before" in warning for warning in card["warnings"])


DNA = ["".join(GENERATOR.choices("ACGT", k=80)) for _ in range(40)]


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ([*PROTEINS, *DNA[:3]], "3 of 43 sequences look like DNA or RNA among proteins"),
        ([*DNA, *PROTEINS[:2]], "2 of 42 sequences hold letters that are no code of a nucl"),
        ([*PROTEINS[:30], *["M" * 20 + "X" * 40 + "K" * n for n in range(9)]], "X 360"),
        ([*DNA, "ACGTN" * 900], "N 900"),
    ],
)
def test_sequences_of_another_kind_are_told(sequences, words):
    card, rows = run(write("a.fasta", fasta(sequences)))
    assert len(rows) == len(sequences)
    assert len([warning for warning in card["warnings"] if words in warning]) == 1


@pytest.mark.parametrize("sequences", [DNA, PROTEINS, [*PROTEINS, "GATTACA", "ACGT" * 7]])
def test_sets_of_one_kind_have_no_warning(sequences):
    card, _ = run(write("a.fna", fasta(sequences)))
    assert len([warning for warning in card["warnings"] if "equences" in warning]) == 0


def test_one_id_before_different_sequences_is_told():
    content = fasta(PROTEINS) + ">P0 label=membrane\nMKTAYWW\n"
    card, rows = run(write("a.fasta", content))
    assert len(rows) == 41
    (warning,) = (line for line in card["warnings"] if "stand before" in line)
    assert warning.startswith("1 ids stand before different sequences (such as 'P0')")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (fasta(PROTEINS).replace("label=", "kind="), "choose another pattern as `label`"),
        (fasta([f"{protein}-{protein}" for protein in PROTEINS]), "take out gaps, numbers"),
    ],
)
def test_where_most_records_cannot_be_used_the_line_says_what_to_do(content, words):
    assert words in line_of(run, write("a.fasta", content))


# ---------------------------------------------------------------- labels from a table

PLACES = [(f"P{number}", LABELS[number % 2]) for number in range(40)]
EXPECTED = {sequence: LABELS[number % 2] for number, sequence in enumerate(PROTEINS)}


def table(rows, delimiter=",", header=("id", "place")):
    return "".join(delimiter.join(row) + "\n" for row in [header, *rows])


def write_table(kind, rows=PLACES):
    if kind == ".parquet":
        names, places = zip(*rows, strict=True)
        pq.write_table(pa.table({"place": places, "more": names, "id": names}), "t.parquet")
        return Path("t.parquet")
    contents = {
        ".csv": table(rows),
        ".tsv": table(rows, "\t"),
        ".jsonl": "".join(json.dumps({"id": i, "place": place}) + "\n" for i, place in rows),
    }
    return write(f"t{kind}", contents[kind])


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_labels_from_tables_of_all_kinds(kind):
    path = write("a.fasta", fasta(PROTEINS).replace("label=", "no"))
    card, rows = run(path, table=[write_table(kind)])
    assert rows == EXPECTED
    assert card["label_table_sha256"] == "label-table"
    assert (card["rejected"], card["warnings"][1:]) == ({}, [])


def test_labels_of_texts_in_a_csv_and_of_a_test_set():
    """Other texts have ids, too; several may have the same. The table is in no order."""
    rows = [(f"text number {n}", str(n % 20)) for n in range(60)]
    lines = "".join(f"{text},{row_id}\n" for text, row_id in rows)
    source = write("a.csv", f"text,ticket\n{lines}")
    given = write("b.csv", "text,ticket\nanother text,3\nand another,4\n")
    places = [(str(n), LABELS[n % 2]) for n in reversed(range(20))]
    path = write("t.tsv", table(places, "\t", ("Entry", "place")))
    keys = {"text": "text", "id": "ticket", "table_id": "Entry"}
    card, texts = run(source, test=[given], table=[path], **keys)
    assert card["test"]["rows"] == 2
    assert card["sequences"] is None
    assert texts == {text: LABELS[int(row_id) % 2] for text, row_id in rows} | {
        "another text": "nucleus",
        "and another": "membrane",
    }


def test_ids_by_a_pattern():
    content = fasta(PROTEINS).replace(">P", ">sp|P").replace(" protein", "|NAME protein")
    _, rows = run(write("a.fasta", content), table=[write_table(".csv")], id=r"\|(\w+)\|")
    assert rows == EXPECTED


def test_rows_that_find_no_label_are_set_aside():
    content = fasta(PROTEINS) + ">P99\nMKTAY\n>P98\nMKTAW\n>\nMKTAV\n"
    card, rows = run(
        write("a.fasta", content), table=[write("t.csv", table([*PLACES, ("P98", "")]))]
    )
    assert rows == EXPECTED
    reasons = {"id is not in the label table": 1, "no label": 1, "header has no id": 1}
    assert card["rejected"] == reasons


def test_rows_of_a_table_that_cannot_be_used_are_told():
    content = table(PLACES) + "P50\n,nucleus\nP51,a,b\n"
    card, rows = run(write("a.fasta", fasta(PROTEINS)), table=[write("t.csv", content)])
    assert rows == EXPECTED
    assert (
        "3 of 43 rows of the label table cannot be used (2 wrong number of columns, 1 no id; "
        "first: t.csv, row 41)"
    ) in card["warnings"]


BAD_TABLES = {
    "an id with two labels": (
        table([*PLACES, ("P3", "membrane"), ("P4", "membrane")]),
        "id 'P3' has several labels: 'nucleus' (t.csv, row 4) and 'membrane' (t.csv, row 41)",
    ),
    "an id with and without label": (table([*PLACES, ("P3", "")]), "id 'P3' has several labels"),
    "other ids": (
        table([(f"X{row_id}", place) for row_id, place in PLACES]),
        "let `id` and `table_id` name columns that spell ids alike",
    ),
    "no rows": (table([]), "label_table: the source has no rows"),
    "no row of use": (table([("", "nucleus")]), "1 of 1 rows of the label table cannot be used"),
    "no column of ids": (
        table(PLACES, header=("Entry", "place")),
        "no column 'id'; its columns: 'Entry', 'place'; set `table_id` to one of them",
    ),
    "no column of labels": (table(PLACES, header=("id", "kind")), "no column 'place'"),
}


@pytest.mark.parametrize(("content", "words"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_tables_that_are_refused_in_one_line(content, words):
    path = write("a.fasta", fasta(PROTEINS))
    assert words in line_of(run, path, table=[write("t.csv", content)])


def test_an_id_may_stand_in_a_table_twice_with_equal_labels():
    numbers = [(row_id, str(number % 2)) for number, (row_id, _) in enumerate(PLACES)]
    content = table([*numbers, ("P3", "1.0"), ("P4", "0")])
    _, rows = run(write("a.fasta", fasta(PROTEINS)), table=[write("t.csv", content)])
    assert [rows[protein] for protein in PROTEINS[:4]] == ["0", "1", "0", "1"]


def test_one_id_of_a_table_before_different_sequences_is_an_error():
    path = write("a.fasta", fasta(PROTEINS) + ">P0\nMKTAYWW\n")
    line = line_of(run, path, table=[write_table(".csv")])
    assert "1 ids stand before different sequences (such as 'P0'), so that it is unclear" in line


def test_a_table_finds_each_id_and_no_other():
    names = [f"id {number}" for number in range(20_000)]
    rows = [(name, f"label {number % 7}") for number, name in enumerate(names)]
    manifest: Any = {"files": [{"path": str(write("t.csv", table(rows)))}], "sha256": ""}
    recipe = PrepareRecipe.from_json(json.dumps(RECIPE | BY_ID))
    labels = LabelTable.of(manifest, recipe, print)
    assert [labels.find(name) for name in names] == [label for _, label in rows]
    assert {labels.find(f"other {number}") for number in range(20_000)} == {None}


def test_lines_of_texts_are_no_rows_where_rows_have_ids():
    """A quotation mark that is a letter must not swallow rows that have ids for labels."""
    rows = [(f"5'10\" tall {n}" if n % 9 else f'"tall {n}', f"P{n}") for n in range(40)]
    path = write("a.tsv", "text\tid\n" + "".join(f"{text}\t{row_id}\n" for text, row_id in rows))
    columns = Columns(("text",), "id", label_key="id")
    assert pairs(readers.read_records(path, columns)) == rows
    multi = [(f'"a {n}\nb, c\n{n}"', f"P{n}") for n in range(40)]
    path = write("b.csv", "text,id\n" + "".join(f"{text},{row_id}\n" for text, row_id in multi))
    assert len(pairs(readers.read_records(path, columns))) == 40


# ---------------------------------------------------------------- the config


def study_of(**dataset):
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    given = {"source": {"kind": "file", "path": "a.fasta"}, "text": "sequence"} | dataset
    update_config(config, {"datasets": ["proteins"], "dataset_zoo": {"proteins": given}})
    return complete(config | {"sizes": [40]})


def checked(**dataset):
    study = study_of(**dataset)
    assert check(study, Path("results")) == []
    return study.dataset_zoo["proteins"]


def test_a_config_names_the_table_and_its_ids():
    write("a.fasta", fasta(PROTEINS * 3))
    write("t.csv", table(PLACES))
    place = {"kind": "file", "path": "t.csv"}
    dataset = checked(label="place", label_table=place)
    assert (dataset.id, dataset.table_id) == ("id", "id")
    recipe = PrepareRecipe.of("proteins", dataset)
    assert (recipe.id, recipe.table_id) == ("id", "id")
    # Where the table comes from is an input of prepare, no part of its recipe.
    assert "label_table" not in recipe.plain()
    again = PrepareRecipe.of("proteins", checked(label="place", label_table=place, id="(P.)"))
    assert again.plain() != recipe.plain()
    assert PrepareRecipe.of("proteins", checked(label=r"label=(\w+)")).id is None


BAD_CONFIGS = {
    "a pattern without group": ({"label": "label="}, "source: a.fasta: label: found 'label='"),
    "a pattern for the file of a url": (
        {"source": {"kind": "url", "url": "https://a.org/b.fa.gz", "sha256": "0" * 64}}
        | {"label": "("},
        "proteins.source: /b.fa.gz: label: found '('",
    ),
    "no such column in the table": (
        {"label": "kind", "label_table": {"kind": "file", "path": "t.csv"}},
        "proteins.label_table: t.csv: no column 'kind'",
    ),
    "ids without a table": ({"label": "id", "id": "id"}, "there is no `label_table`"),
    "texts that are ids": (
        {"text": "id", "label": "place", "label_table": {"kind": "file", "path": "t.csv"}},
        "text and id are both 'id'",
    ),
}


@pytest.mark.parametrize(("dataset", "words"), BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
def test_configs_that_are_refused_in_one_line(dataset, words):
    write("a.fasta", fasta(PROTEINS * 3))
    write("t.csv", table(PLACES))
    assert words in line_of(checked, **copy.deepcopy(dataset))


def test_a_table_that_is_not_there_yet():
    write("a.fasta", fasta(PROTEINS * 3))
    study = study_of(label="place", label_table={"kind": "file", "path": "t.csv"})
    (line,) = check(study, Path("results"))
    assert line.startswith("dataset_zoo.proteins.label_table: t.csv: no such file")


def test_the_configs_of_the_page_of_data_are_fine():
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    section = page.partition("## Proteins and other sequences")[2].partition("\n## ")[0]
    by_pattern, by_table = (part.partition("```")[0] for part in section.split("```yaml")[1:])
    content = fasta(PROTEINS * 3).replace("OX=", "family=").replace("label=", "location=")
    Path("proteins.fasta.gz").write_bytes(gzip.compress(content.encode()))
    dataset = checked(**yaml.safe_load(by_pattern)["dataset_zoo"]["proteins"])
    columns = Columns.of(dataset)
    record = next(readers.read_records(Path("proteins.fasta.gz"), columns))
    assert (record.label, record.group) == ("membrane", "9606")
    write("proteins.fasta", content.replace(">P", ">sp|P").replace(" protein", "|NAME protein"))
    write("locations.tsv", table(PLACES, "\t", ("Entry", "location")))
    columns = Columns.of(checked(**yaml.safe_load(by_table)["dataset_zoo"]["proteins"]))
    assert next(readers.read_records(Path("proteins.fasta"), columns)).label == "P0"


def test_a_plan_counts_the_source_of_a_table():
    place = {"kind": "file", "path": "t.csv"}
    alone, both = (
        Plan(study_of(label="(P.)", **keys).plain(), {}, {}).sources
        for keys in ({}, {"label_table": place})
    )
    assert [source for source in both if source not in alone] == [("table", place)]
