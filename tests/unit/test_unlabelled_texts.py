"""Texts without labels: read from all kinds of files, prepared, and kept from test sets."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import collect_corpus
import download
import prepare_texts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from gap.cluster.plan import Plan
from gap.cluster.plan_pretraining import planned_pretrainings
from gap.cluster.pretraining import corpus_tokens
from gap.config.check import check, complete
from gap.config.study import Study
from gap.data import readers
from gap.data.readers import Columns, plain
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.pretraining import load_own
from gap.study.rules import TextsRecipe
from tiny_pretraining import BUDGET, sentences, write_side

COLUMNS = Columns(("text",), None)


def read(
    path: Path, content: bytes, **columns: Any
) -> tuple[list[tuple[int | None, str]], list[str]]:
    """Return line and text of the records of a file, and what was told about it."""
    path.write_bytes(content)
    told: list[str] = []
    records = list(readers.read_records(path, COLUMNS._replace(**columns), told.append))
    return [(record.line, record.reason or record.text) for record in records], told


# ---------------------------------------------------------------- plain text


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_text_a_line(tmp_path, ending):
    content = ending.join(["\ufeffone", " two ", "caf\u00e9"]).encode()
    texts = [(1, "one"), (2, " two "), (3, "caf\u00e9")]
    assert read(tmp_path / "a.txt", content) == (texts, [])
    assert read(tmp_path / "b.txt", content + ending.encode()) == (texts, [])
    assert read(tmp_path / "c.TXT.gz", gzip.compress(content)) == (texts, [])


def test_blank_lines_are_told(tmp_path):
    texts, told = read(tmp_path / "a.txt", b"one\n\n \ntwo\nthree\n\n\n")
    assert texts == [(1, "one"), (4, "two"), (5, "three")]
    (line,) = told
    assert line.startswith(f"{tmp_path}/a.txt: 2 blank lines between texts are passed over")
    assert "separator: blank_line" in line


def test_a_paragraph_a_text(tmp_path):
    content = b"\n\none\ntwo\n \n\nthree\n\nfour"
    texts = [(3, "one\ntwo"), (7, "three"), (9, "four")]
    assert read(tmp_path / "a.txt", content, separator="blank_line") == (texts, [])
    packed = gzip.compress(content)
    assert read(tmp_path / "a.txt.gz", packed, separator="blank_line") == (texts, [])


def test_lines_that_are_not_utf8_are_set_aside(tmp_path):
    texts, _ = read(tmp_path / "a.txt", b"one\ncaf\xe9\ntwo")
    assert texts == [(1, "one"), (2, "not UTF-8"), (3, "two")]
    texts, _ = read(tmp_path / "a.txt", b"one\ncaf\xe9\n\ntwo", separator="blank_line")
    assert texts == [(1, "not UTF-8"), (4, "two")]
    texts, _ = read(tmp_path / "a.txt", b"one\ncaf\xe9", encoding="latin-1")
    assert texts == [(1, "one"), (2, "caf\u00e9")]
    texts, _ = read(tmp_path / "a.txt", "one\ncaf\u00e9".encode("utf-16"))
    assert texts == [(1, "one"), (2, "caf\u00e9")]


def test_texts_that_are_too_long_are_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "LONGEST_ROW", 10)
    monkeypatch.setattr(plain, "PIECE", 4)
    content = b"0123456789\n0123456789a\n" + b"b" * 100 + b"\nend"
    texts, _ = read(tmp_path / "a.txt", content)
    assert [line for line, _ in texts] == [1, 2, 3, 4]
    assert [text.startswith("longer than") for _, text in texts] == [False, True, True, False]
    for paragraph, longer in (
        (b"01234\n6789", False),
        (b"01234\n67890", True),
        (b"01234\n6789\nb", True),
        (b"01234\n6789\nb\nc\nd", True),
    ):
        texts, _ = read(tmp_path / "a.txt", paragraph + b"\n\nend", separator="blank_line")
        assert [text.startswith("longer than") for _, text in texts] == [longer, False], paragraph


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_a_text(tmp_path, content):
    with pytest.raises(UserError, match=r"a\.txt: no text in this file; expected"):
        read(tmp_path / "a.txt", content)
    with pytest.raises(UserError, match="no text in this file"):
        readers.describe_local_source(str(tmp_path), COLUMNS)


def test_plain_text_is_for_texts_without_labels(tmp_path):
    (tmp_path / "README.txt").write_text("Notes on the data.")
    (tmp_path / "a.csv").write_text("text,label\nhello,x\n")
    assert readers.list_data_files(tmp_path) == [tmp_path / "a.csv"]
    with pytest.raises(UserError, match=r"README.txt is plain text and a.csv is not; move"):
        readers.list_data_files(tmp_path, plain=True)
    with pytest.raises(UserError, match=r"no data file found; expected one of .*\.parquet$"):
        readers.list_data_files(tmp_path / "README.txt")
    with pytest.raises(UserError, match=r"expected one of .*\.txt, \.txt\.gz$"):
        (tmp_path / "a.pdf").write_text("")
        readers.list_data_files(tmp_path / "a.pdf", plain=True)


# ---------------------------------------------------------------- other files


def test_columns_without_a_label(tmp_path):
    both = [("one", "x"), ('"two", so', "y"), ("three", "z")]
    rows = [{"body": text, "kind": kind} for text, kind in both]
    files = {
        "a.csv": b'body,kind\none,x\n"""two"", so",y\nthree,z\n',
        "a.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "a.json": json.dumps({"export": rows}).encode(),
        "columns.json": json.dumps({"body": [text for text, _ in both]}).encode(),
    }
    for name, content in files.items():
        records = "export" if name == "a.json" else None
        texts, told = read(tmp_path / name, content, text=("body",), records=records)
        assert [text for _, text in texts] == [text for text, _ in both], name
        assert told == []
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for columns in (("body",), ("body", "kind")):
        parquet = list(readers.read_records(tmp_path / "a.parquet", COLUMNS._replace(text=columns)))
        expected = ["\n".join(pair[: len(columns)]) for pair in both]
        assert [(record.text, record.label) for record in parquet] == [(t, "") for t in expected]
    texts, _ = read(tmp_path / "a.fasta", b">a\nMKV\nLL\n>b\nMA1\n", text=("sequence",))
    assert texts == [(1, "MKVLL"), (4, "'1' is no residue")]


def test_a_single_column_holds_line_breaks(tmp_path):
    content = b'text\n"one\nand more\nand more"\n"two ""so"""\nthree\n'
    texts, told = read(tmp_path / "a.csv", content)
    assert [text for _, text in texts] == ["one\nand more\nand more", 'two "so"', "three"]
    assert told == []


def test_lines_of_a_text_that_look_like_rows(tmp_path):
    letter = "Dear all,\nfirst, this\nthen, that\nlast, those\nbye"
    content = "id,text\n" + "".join(f'{number},"{letter}"\n' for number in range(9))
    texts, told = read(tmp_path / "a.csv", content.encode())
    assert [text for _, text in texts] == [letter] * 9
    assert told == []


def test_quotation_marks_that_are_letters(tmp_path):
    lines = [f'{number},"so much for {number}' for number in range(9)]
    texts, told = read(tmp_path / "a.csv", "\n".join(["id,text", *lines]).encode())
    assert [text for _, text in texts] == [line.partition(",")[2] for line in lines]
    assert "quotation marks: they are letters" in told[0]


def test_a_long_text_is_no_label(tmp_path):
    texts, _ = read(tmp_path / "a.csv", b"text\n" + b"word " * 1000)
    assert [len(text) for _, text in texts] == [5000]


@pytest.mark.parametrize(
    ("name", "content", "columns", "line"),
    [
        ("a.csv", b"body,kind\na,b", {}, "no column 'text'; its columns: 'body', 'kind'; set"),
        ("a.jsonl", b'{"body": "a"}', {}, "no column 'text'; its columns: 'body'; set `text`"),
        ("a.fasta", b">a\nMK", {}, "no column 'text'; those of FASTA"),
        ("a.txt", b"a", {"text": ("body",)}, "no column 'body': plain text has 'text' only"),
        ("a.csv", b"text\na", {"separator": "blank_line"}, "`separator` is for plain text"),
        ("a.txt", b"a", {"records": "export"}, "`records` is for JSON files"),
        ("a.txt.gz", b"a", {}, "a.txt.gz"),
        ("a.txt", gzip.compress(b"a", mtime=0), {}, "begins as a gzip file"),
    ],
)
def test_mistakes_in_files(tmp_path, name, content, columns, line):
    with pytest.raises(UserError) as caught:
        read(tmp_path / name, content, **columns)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- prepared


def prepared(folder: Path, content: bytes | str, name: str = "a.txt", **recipe: Any) -> Path:
    """Return the folder of the texts of a file, fetched and prepared."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    spec = json.dumps({"kind": "file", "path": str(path)})
    source = {key: folder / key for key in ("files", "manifest", "origin")}
    arguments = ["--role", "text", "--recipe", spec]
    download.main([*arguments, *(f"--{key}={file}" for key, file in source.items())])
    files = {
        "texts": folder / "texts.parquet",
        "manifest": folder / "texts.json",
        "rejects": folder / "rejects.csv",
        "card": folder / "card.json",
    }
    text = TextsRecipe.from_json(json.dumps({"name": "mails"} | recipe)).plain()
    arguments = ["--recipe", json.dumps(text), "--provenance", "{}"]
    arguments += ["--source", str(source["manifest"])]
    prepare_texts.main([*arguments, *(f"--{key}={file}" for key, file in files.items())])
    return folder


def texts_of(folder: Path) -> list[str]:
    texts: list[str] = pq.read_table(folder / "texts.parquet")["text"].to_pylist()
    return texts


def test_texts_are_prepared(tmp_path):
    rows = ["text", "<b>one</b> two three", '" "', '""', "four  Five", "bad,columns", "last"]
    folder = prepared(
        tmp_path, "\n".join(rows), "a.csv", strip_tags=True, max_rejected=0.6, origin="Ours"
    )
    assert sorted(texts_of(folder)) == [" one  two three", "four  Five", "last"]
    card = read_json(folder / "card.json")
    assert card["rejected"] == {"no text": 2, "wrong number of columns": 1}
    assert (card["rows_read"], card["rows"], card["origin"]) == (6, 3, "Ours")
    assert read_json(folder / "texts.json") == {"rows": 3, "sha256": card["sha256"]}
    listing = (folder / "rejects.csv").read_text().splitlines()
    assert len(listing) == 4
    assert "bad,columns" in listing[3]


def test_texts_are_cut_within_a_budget_only(tmp_path):
    long = " ".join(map(str, range(500)))
    assert texts_of(prepared(tmp_path / "whole", long)) == [long]
    assert read_json(tmp_path / "whole" / "card.json")["cut_share"] == 0
    cut = prepared(tmp_path / "cut", f"{long}\nshort", words=4, keep="head_and_tail")
    assert sorted(texts_of(cut)) == ["0 1 2 ... 499", "short"]
    card = read_json(cut / "card.json")
    assert card["text_budget"] == BUDGET | {
        "words": 4,
        "keep": "head_and_tail",
        "called": "word",
        "unit_from_data": True,
    }
    assert card["cut_share"] == 0.5
    assert texts_of(prepared(tmp_path / "letters", "abc def", words=4, unit="character")) == [
        "abc d"
    ]


def test_the_order_of_texts_means_nothing(tmp_path):
    texts = [*sentences(3000), "again", "again"]
    first = prepared(tmp_path / "first", "\n".join(texts))
    second = prepared(tmp_path / "second", "\n".join(texts[::-1]))
    assert sorted(texts_of(first)) == sorted(texts)
    assert (first / "texts.json").read_bytes() == (second / "texts.json").read_bytes()
    third = prepared(tmp_path / "third", "\n".join([*texts, "new"]))
    assert (first / "texts.json").read_bytes() != (third / "texts.json").read_bytes()


def test_what_was_prepared_before_is_kept(tmp_path, capsys):
    prepared(tmp_path, "one\ntwo")
    capsys.readouterr()
    prepared(tmp_path, "one\ntwo")
    assert "made before of the same inputs by the same code: kept" in capsys.readouterr().out


def test_a_file_in_another_encoding(tmp_path):
    content = "\n".join(["Die Stra\u00dfe ist sch\u00f6n und gro\u00df"] * 9).encode("cp1252")
    with pytest.raises(UserError) as caught:
        prepared(tmp_path, content)
    line = str(caught.value)
    assert line.startswith("mails: 9 of 9 rows cannot be used (9 not UTF-8)")
    assert "set `encoding: cp1252`" in line
    assert texts_of(prepared(tmp_path, content, encoding="cp1252"))[0].startswith("Die Stra\u00dfe")


# ---------------------------------------------------------------- the guard


def collected(folder: Path, unlabelled: Path, tests: dict[str, list[str]], words: int) -> Any:
    """Return the manifest and the texts of a corpus of prepared texts and a pool, films."""
    cards = {name: folder / f"{name}.json" for name in tests}
    for card in cards.values():
        write_json(card, {"text_budget": BUDGET | {"words": words}})
    pools = [f"mails={unlabelled / 'texts.parquet'}"]
    if "films" in tests:
        pools.append(write_side(folder, "films", "pool", ["a pool text", "another one"]))
    cards["mails"] = unlabelled / "card.json"
    arguments = ["--held-out", "0.1", "--pools", *pools]
    arguments += ["--tests", *(write_side(folder, name, "test", tests[name]) for name in tests)]
    arguments += ["--cards", *(f"{name}={path}" for name, path in cards.items())]
    arguments += ["--texts", f"{folder}/corpus.parquet", "--manifest", f"{folder}/corpus.json"]
    collect_corpus.main(arguments)
    texts = pq.read_table(folder / "corpus.parquet")["text"].to_pylist()
    return read_json(folder / "corpus.json"), texts


def test_no_test_text_comes_in_with_texts_without_labels(tmp_path):
    planted = "One two  THREE four five, which goes on"
    texts = [planted, "A pool TEXT", "fine", "caf\u00e9", "cafe\u0301", "a test text", "more"]
    folder = prepared(tmp_path / "mails", "\n".join(texts))
    tests = {"films": ["one two three four"], "books": ["A test text"]}
    manifest, kept = collected(tmp_path, folder, tests, words=4)
    # The planted text is longer than the test text, which is its beginning within its budget.
    assert planted not in kept
    assert "a test text" not in kept
    assert manifest["test_texts"] == 2
    assert manifest["repeats"] == 2
    assert sum(text.lower() == "a pool text" for text in kept) == 1
    assert manifest["texts"] + manifest["held_out"] == len(kept) == 5
    assert sum(manifest["texts_of"].values()) == manifest["texts"]
    assert set(manifest["texts_of"]) == {"films", "mails"}


def test_a_corpus_of_nothing_but_texts_without_labels(tmp_path):
    folder = prepared(tmp_path / "mails", "\n".join(sentences(20)))
    manifest, kept = collected(tmp_path, folder, {"books": sentences(5)}, words=100)
    assert sorted(kept) == sorted(sentences(20)[5:])
    assert manifest["texts_of"] == {"mails": manifest["texts"]}


# ---------------------------------------------------------------- the config


CONFIG = """\
datasets: [tickets]
models: [vectors, words]
reference: words
sizes: [4]
seeds: [1]
dataset_zoo:
  tickets: {source: {kind: file, path: tickets.csv}, test: 4, text: body, label: queue}
text_zoo:
  mails: {source: {kind: file, path: mails.txt}}
  unused: {source: {kind: file, path: nowhere.txt}}
checkpoint_zoo:
  vectors: {kind: pretrained, objective: static, corpus: [mails, tickets]}
model_zoo:
  vectors: {family: frozen, checkpoint: vectors}
  words: {family: linear}
validation: {min: 1}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config with texts without labels, in a folder that has its files."""
    monkeypatch.chdir(tmp_path)
    rows = [f"text {number},{'ab'[number % 2]}" for number in range(20)]
    Path("tickets.csv").write_text("\n".join(["body,queue", *rows]))
    Path("mails.txt").write_text("one\ntwo\n")
    return yaml.safe_load(CONFIG)


def checked(config: dict[str, Any]) -> Study:
    study = complete(config)
    assert check(study, Path("results")) == []
    return study


def test_what_a_study_reads(config):
    study = checked(config)
    assert (study.prepared, study.unlabelled) == (["tickets"], ["mails"])
    assert list(study.with_named_entries().text_zoo) == ["mails"]
    recipe = TextsRecipe.of("mails", study.text_zoo["mails"])
    assert TextsRecipe.from_json(json.dumps(recipe.plain())) == recipe


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            "{checkpoint_zoo: {vectors: {corpus: [mail]}}}",
            "checkpoint_zoo.vectors.corpus: 'mail' is not in dataset_zoo or text_zoo; did you mean "
            "'mails'?",
        ),
        (
            "{text_zoo: {tickets: {source: {kind: file, path: mails.txt}}}}",
            "checkpoint_zoo.vectors.corpus: 'tickets' is in dataset_zoo and in text_zoo; rename "
            "one of them",
        ),
        ("{text_zoo: {mails: {label: queue}}}", "text_zoo.mails: unknown key 'label'"),
        (
            "{text_zoo: {mails: {separator: none}}}",
            "text_zoo.mails.separator: found 'none'; expected one of line_break, blank_line",
        ),
        ("{text_zoo: {mails: {words: 0}}}", "text_zoo.mails.words: found 0; expected 1 or more"),
        ("{text_zoo: {mails: {text: body}}}", "no column 'body': plain text has 'text' only"),
        (
            "{text_zoo: {mails: {source: {path: tickets.csv}}}}",
            "text_zoo.mails.source: tickets.csv: no column 'text'; its columns: 'body', 'queue'",
        ),
        (
            "{text_zoo: {mails: {source: {path: empty.txt}}}}",
            "text_zoo.mails.source: empty.txt: no text in this file",
        ),
        (
            "{text_zoo: {mails: {source: {kind: url, url: 'https://a.b/a.doc', sha256: SHA}}}}",
            "text_zoo.mails.source: /a.doc must end in one of",
        ),
    ],
)
def test_mistakes_in_the_config(config, change, line):
    Path("empty.txt").write_text("")
    given = yaml.safe_load(change.replace("SHA", "a" * 64))
    for zoo, entries in given.items():
        for name, keys in entries.items():
            entry = config[zoo].setdefault(name, {})
            if "kind" not in keys.get("source", {"kind": ""}):
                keys["source"] = entry["source"] | keys["source"]
            entry.update(keys)
    with pytest.raises(UserError) as caught:
        checked(config)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_yet(config):
    Path("mails.txt").unlink()
    (line,) = check(complete(config), Path("results"))
    assert line.startswith("text_zoo.mails.source: mails.txt: no such file or folder")


def test_plain_text_behind_an_address(config):
    source = {"kind": "url", "url": "https://a.b/mails.txt.gz", "sha256": "0" * 64}
    config["text_zoo"]["mails"]["source"] = source
    checked(copy.deepcopy(config))
    config["dataset_zoo"]["tickets"]["source"] = source
    with pytest.raises(UserError, match=r"dataset_zoo.tickets.source: .* must end in one of"):
        checked(config)


def test_a_plan_counts_their_jobs(config):
    plan = Plan(complete(config).with_named_entries().plain(), {"values": {}}, {})
    jobs = plan.jobs()
    # The tickets, the mails; their texts; the corpus.
    assert (jobs["download"], jobs["prepare_texts"], jobs["collect_corpus"]) == (2, 1, 1)
    assert plan.files()["prepare_texts"] == 6
    values = {name: {"value": 100} for name in ("rows", "characters")}
    (vectors,) = planned_pretrainings(Plan(plan.config, {"values": values}, {}))
    # 100 mails, and 96 tickets beside the 4 of the test set; a share is held out.
    recipe = load_own(json.dumps(plan.config["checkpoint_zoo"]["vectors"]))
    assert vectors.tokens == corpus_tokens(recipe, round(0.99 * 196 * 100))
    without = yaml.safe_load(CONFIG.replace("[mails, tickets]", "[tickets]"))
    assert "prepare_texts" not in Plan(complete(without).plain(), {"values": {}}, {}).jobs()
