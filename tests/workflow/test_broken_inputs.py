"""Ten broken inputs, and the line that a person gets for each; nobody sees a traceback."""

import copy
import csv
import hashlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

CONFIG = {
    "datasets": ["tickets"],
    "sizes": [100, 300],
    "pathvars": {"results": "results/tickets"},
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
        }
    },
}
PREPARED = "results/tickets/datasets/tickets/pool.parquet"


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


def assert_says(call, line):
    """The call failed with this line and no other error, and shows no Python."""
    assert call.rc == 1
    assert call.errors == [line], call.output
    assert "Traceback" not in call.output
    assert 'File "' not in call.output


def read_rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def change_rows(path: Path, changes: dict[int, str]) -> None:
    """Put other lines in the place of some rows, which are counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for row, line in changes.items():
        lines[row] = line
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# ------------------------------------------------ told by snakemake -n


def test_a_small_config_of_ones_own_is_enough(study, tickets, config):
    call = study.snakemake("-n", config=config)
    assert call.rc == 0, call.output
    assert "imdb" not in call.output


def test_without_its_file_a_study_is_planned_and_not_begun(study, config):
    line = (
        "config: dataset_zoo.tickets.source: tickets.csv: no such file or folder; "
        "check `path` (as seen from here)"
    )
    plan = study.snakemake("-n", config=config)
    assert plan.rc == 0, plan.output
    assert f"warning: {line}; nothing can run before\n" in plan.stderr
    assert "Training tfidf on 300 of tickets" in plan.output
    call = study.snakemake("--cores", "1", config=config)
    assert_says(call, f"error: {line}")
    assert not (study.folder / "results").exists()
    assert "Fetching" not in call.output


def test_missing_column(study, tickets, config):
    config["dataset_zoo"]["tickets"]["text"] = "message"
    call = study.snakemake("-n", config=config)
    assert_says(
        call,
        "error: config: dataset_zoo.tickets.source: tickets.csv: no column 'message'; "
        "its columns: 'body', 'queue'; set `text` to one of them",
    )


def test_size_above_the_pool(study, tickets, config):
    call = study.snakemake("-n", config=config | {"sizes": [100, 350]})
    assert_says(
        call,
        "error: config: sizes: 350 is more than the pool of tickets holds: of 400 rows, "
        "the test set takes 80; choose 320 or less",
    )


def test_number_that_is_text_to_yaml(study):
    call = study.snakemake("-n", config="model_zoo: {minilm: {optimisation: {lr: 2e-5}}}")
    assert_says(
        call,
        "error: config: model_zoo.minilm.optimisation.lr: 2e-5 is text to YAML, where a number "
        "is expected; write 2.0e-5",
    )


def test_misspelt_key(study, tickets, config):
    config["dataset_zoo"]["tickets"]["lable"] = config["dataset_zoo"]["tickets"].pop("label")
    call = study.snakemake("-n", config=config)
    assert_says(
        call,
        "error: config: dataset_zoo.tickets: unknown key 'lable'; did you mean 'label'?",
    )


def test_unknown_model(study, tickets, config):
    call = study.snakemake("-n", config=config | {"models": ["minilm", "lstmm"]})
    assert_says(call, "error: config: models: 'lstmm' is not in model_zoo; did you mean 'lstm'?")


@pytest.mark.parametrize("mode", [["--lint"], ["--cores", "1"]])
def test_other_modes_say_the_same(study, mode):
    call = study.snakemake(*mode, config={"reference": "tfidv"})
    assert_says(call, "error: config: reference: 'tfidv' is not in models; did you mean 'tfidf'?")


# ------------------------------------------------ told by the first jobs


def test_wrong_sha256(study, tickets, config):
    config["dataset_zoo"]["tickets"]["source"]["sha256"] = "ab" * 32
    call = study.snakemake("--cores", "1", PREPARED, config=config)
    found = hashlib.sha256(tickets.read_bytes()).hexdigest()
    assert_says(
        call,
        f"error: tickets.csv: sha256 is {found}, expected {'ab' * 32}; "
        "if the file has changed on purpose, put the new value into `sha256`",
    )


def test_a_few_unusable_rows_are_set_aside_with_reasons(study, tickets, config):
    config["dataset_zoo"]["tickets"]["labels"] = ["praise", "complaint"]
    change_rows(tickets, {3: "the film,other", 8: ",praise", 12: "a film,"})
    with tickets.open("ab") as file:
        file.write("ein schöner Film,praise\n".encode("latin-1"))
    call = study.snakemake("--cores", "1", PREPARED, config=config)
    assert call.rc == 0, call.output
    with (study.folder / PREPARED).with_name("rejects.csv").open(encoding="utf-8") as file:
        rejects = [(row["row"], row["line"], row["reason"]) for row in csv.DictReader(file)]
    assert rejects == [
        ("3", "4", "unknown label"),
        ("8", "9", "no text"),
        ("12", "13", "no label"),
        ("401", "402", "not UTF-8"),
    ]


def test_unknown_label_in_many_rows(study, tickets, config):
    config["dataset_zoo"]["tickets"]["labels"] = ["praise", "refund"]
    body, _ = read_rows(tickets)[1]
    call = study.snakemake("--cores", "1", PREPARED, config=config)
    assert_says(
        call,
        "error: tickets: 200 of 400 rows cannot be used (200 unknown label), and `max_rejected` "
        f"allows 5.0%; first: tickets.csv, row 2, line 3: unknown label: 'complaint {body}'; "
        "all of them: results/tickets/datasets/tickets/rejects.failed.csv; "
        "add the missing ones to `labels` (praise, refund), or raise `max_rejected`",
    )


def test_empty_text_in_many_rows(study, tickets, config):
    change_rows(tickets, dict.fromkeys(range(11, 41), ",praise"))
    call = study.snakemake("--cores", "1", PREPARED, config=config)
    assert_says(
        call,
        "error: tickets: 30 of 400 rows cannot be used (30 no text), and `max_rejected` "
        "allows 5.0%; first: tickets.csv, row 11, line 12: no text: 'praise'; "
        "all of them: results/tickets/datasets/tickets/rejects.failed.csv; "
        "mend those rows, or raise `max_rejected`",
    )


def test_not_utf8_in_many_rows(study, tickets, config):
    body, label = read_rows(tickets)[0]
    excerpt = f"{label} {body} {body}"[:80] + "..."
    rows = [f"{body} {body} schön,{label}" for body, label in read_rows(tickets)]
    place = rows[0].index("ö")
    sample = rows[0][place - 20 : place + 20].strip()
    tickets.write_text("\n".join(["body,queue", *rows]), encoding="latin-1")
    call = study.snakemake("--cores", "1", PREPARED, config=config)
    assert_says(
        call,
        "error: tickets: 400 of 400 rows cannot be used (400 not UTF-8), and `max_rejected` "
        f"allows 5.0%; first: tickets.csv, row 1, line 2: not UTF-8: {excerpt!r}; "
        "all of them: results/tickets/datasets/tickets/rejects.failed.csv; "
        f"cp1252 fits best, by which tickets.csv has {sample!r}: if that is right, set "
        "`encoding: cp1252`, or convert the file (iconv -f cp1252 -t UTF-8), or raise "
        "`max_rejected`",
    )


def test_not_utf8_from_the_header_on(study, tickets, config):
    text = tickets.read_text(encoding="utf-8").replace("body,", "schöner body,")
    tickets.write_text(text, encoding="cp1252")
    config["dataset_zoo"]["tickets"]["text"] = "schöner body"
    call = study.snakemake("-n", config=config)
    assert_says(
        call,
        "error: config: dataset_zoo.tickets.source: tickets.csv: the header line is not UTF-8; "
        "cp1252 fits best, by which tickets.csv has 'schöner body,queue': if that is right, set "
        "`encoding: cp1252`, or convert the file (iconv -f cp1252 -t UTF-8)",
    )
