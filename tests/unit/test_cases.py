"""Inputs that once went wrong, in one table: what each has in it, and what it comes to.

`pytest -s tests/unit/test_cases.py` prints the table. All data are made up, and what tells the
label is known, so that a model which sees it is right on nearly all texts.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import encode
import estimate_gap
import numpy as np
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data.manifests import Card
from gap.data.prepared import load_labels
from gap.data.sampling import Subsample
from gap.data.vocabulary import PretrainedVocabulary
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.results.predictions import index, write_predictions
from gap.results.reading import ReadingRecipe
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.rules import EncodeRecipe
from gap.study.tuning import choose, trials_of

RECIPE = {"name": "case", "text": "text", "label": "label", "test": "25%"}
OUTPUTS = {"pool": "pool.parquet", "pool-manifest": "pool.json", "test": "test.parquet"}
OUTPUTS |= {"test-manifest": "test.json", "rejects": "rejects.csv", "card": "card.json"}
Rows = list[tuple[str, Any]]

# ---------------------------------------------------------------- what is in the files

FILLERS = ["again", "desk", "lamp", "our", "quite", "room", "there", "today", "train", "with"]
ENGLISH = {"pos": ["lovely", "superb", "bright"], "neg": ["awful", "stale", "rude"]}
THAI_FILLERS = ["บริการ", "ราคา", "ร้านนี้", "พนักงาน", "วันนี้", "ที่นี่", "อาหาร", "และ"]
# Words that differ in a vowel sign alone.
THAI = {"pos": ["ดี"], "neg": ["ดู"]}
HINDI_FILLERS = ["सेवा", "आज", "कमरा", "यह", "होटल", "खाना", "बहुत", "यहाँ"]
HINDI = {"pos": ["कीला", "मोती", "दिन"], "neg": ["काला", "माता", "दान"]}
CHINESE = "天上里午附火后看坐在今小回近买然多一些人们家车站店我的了见很路西东下"
EMOJI = {"pos": ["😍"], "neg": ["💔"]}


def made_up(
    telling: dict[str, list[str]], fillers: Sequence[str], rows: int = 400, space: str = " "
) -> Rows:
    """Return rows of ten words, one of which tells the label; labels take turns."""
    random = np.random.default_rng(1)
    labels = [list(telling)[row % len(telling)] for row in range(rows)]
    words = ([*random.choice(fillers, 9), random.choice(telling[label])] for label in labels)
    return [
        (space.join(random.permutation(each)), label)
        for each, label in zip(words, labels, strict=True)
    ]


def english(rows: int = 400) -> Rows:
    return made_up(ENGLISH, FILLERS, rows)


def chinese() -> Rows:
    """Return 60 rows of 600 signs that say nothing, and ten that tell, without spaces."""
    random = np.random.default_rng(1)
    ends = {"pos": "服务热情周到令人满意", "neg": "态度冷淡等待太久失望"}
    return [
        ("".join(random.choice([*CHINESE], 600)) + ends[label], label)
        for label in ["pos", "neg"] * 30
    ]


def with_labels(labels: Sequence[Any]) -> Rows:
    """Return the English rows with other labels, which take turns."""
    return [(text, labels[row % len(labels)]) for row, (text, _) in enumerate(english())]


def write_csv(folder: Path, rows: Rows, first_line: str = "", delimiter: str = ",") -> Path:
    path = folder / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(first_line)
        csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *rows])
    return path


def write_jsonl(folder: Path, rows: Rows) -> Path:
    path = folder / "a.jsonl"
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    path.write_text("\n".join(lines))
    return path


def write_quotes(folder: Path) -> Path:
    """Write a TSV in which ten texts begin with a quotation mark, and ten others end in 5'10"."""
    lines = [f"{text}\t{label}" for text, label in english()]
    lines[3:13] = [f'"{line}' for line in lines[3:13]]
    lines[20:30] = [line.replace("\t", " 5'10\"\t") for line in lines[20:30]]
    path = folder / "a.tsv"
    path.write_text("\n".join(["text\tlabel", *lines]) + "\n")
    return path


def write_columns(folder: Path) -> Path:
    """Write a JSON object of columns, as pandas does by default."""
    columns = zip(*english(), strict=True)
    objects = ({str(row): value for row, value in enumerate(column)} for column in columns)
    path = folder / "a.json"
    path.write_text(json.dumps(dict(zip(("text", "label"), objects, strict=True))))
    return path


def numbered() -> Rows:
    """Return the English rows with labels 0.0 and 1.0, eight of them NaN."""
    return [
        (text, float("nan") if row % 50 == 0 else row % 2.0)
        for row, (text, _) in enumerate(english())
    ]


def write_parquet(folder: Path, rows: Rows) -> Path:
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": pa.array(labels)}), folder / "a.parquet")
    return folder / "a.parquet"


# ---------------------------------------------------------------- what becomes of them


def run_prepare(folder: Path, source: Path, given: bool, changes: dict[str, Any]) -> Card:
    """Run prepare, with the source as its own test set where one is `given`; return the card."""
    manifest = folder / "source.json"
    write_json(manifest, {"files": [{"path": str(source)}], "sha256": "0" * 64})
    recipe = RECIPE | changes
    if given:
        del recipe["test"]
    argv = ["--recipe", json.dumps(recipe), "--provenance", "{}", "--source", str(manifest)]
    argv += ["--test-source", str(manifest)] if given else []
    prepare.main([*argv, *(f"--{name}={folder / file}" for name, file in OUTPUTS.items())])
    card: Card = read_json(folder / "card.json")
    return card


def describe_rows(folder: Path, card: Card) -> str:
    """Return rows by label, rejected rows, and what the text budget cuts, in a line."""
    sides = card["pool"]["label_counts"], card["test"]["label_counts"]
    counts = (f"{label!a} {sum(side[label] for side in sides)}" for label in card["labels"])
    rejected = (f"{count} {reason}" for reason, count in card["rejected"].items())
    merged = f"; {card['merged']} merged" if card["merged"] else ""
    cut = f"; {card['cut_share']:.0%} cut" if card["cut_share"] else ""
    return f"{', '.join([*counts, *rejected])}{merged}{cut}"


def describe_look_alikes(folder: Path, card: Card) -> str:
    """Return how many labels look alike, and whether the card warns of them."""
    warned = any("labels look like" in warning for warning in card["warnings"])
    alike = card["labels_that_look_alike"]
    return f"{sum(map(len, alike))} labels look like {len(alike)}{', a warning' if warned else ''}"


def describe_accuracy(folder: Path, card: Card) -> str:
    """Return the rows, and how often the linear model is right on test texts."""
    recipe = load_recipe({"family": "linear"}).model_copy(update={"trials": 8})
    trained = family_of(recipe, job(folder, card, "pool"))
    labels = load_labels(folder / "pool.parquet")
    rows = np.random.default_rng(1).permutation(len(labels))
    held, rest = np.sort(rows[: len(rows) // 5]), np.sort(rows[len(rows) // 5 :])
    subsample = Subsample(1, rest, labels[rest], held, labels[held])
    reports = []
    for trial in trials_of(recipe, 1):
        weights = folder / "weights" / str(trial.number)
        (evaluation,) = trained.train(trial.recipe, subsample, Folders(folder, folder, weights))
        reports.append({"loss": evaluation["loss"], "trial": trial.number})
    best = folder / "weights" / str(choose(reports)["trial"])
    scores = family_of(recipe, job(folder, card, "test")).log_scores(best, 1)
    right = (scores.argmax(1) == load_labels(folder / "test.parquet")).mean()
    level = "linear model above 95 %" if right > 0.95 else "linear model blind"
    if 0.7 < right <= 0.95:
        level = f"linear model at {right:.0%}"
    return f"{describe_rows(folder, card)}; {level}"


def job(folder: Path, card: Card, side: str) -> Job:
    return Job(card["labels"], texts=folder / f"{side}.parquet")


def describe_gaps(folder: Path, card: Card) -> str:
    """Return what is claimed of models that are right on all of so few test rows, or on none."""
    labels = load_labels(folder / "test.parquet")
    right = np.log(np.where(np.eye(2)[labels] > 0, 0.9, 0.1)).astype(np.float32)
    for model, scores in {"reference": right, "same": right, "worst": right[:, ::-1]}.items():
        about = {"dataset": "case", "model": model, "size": "16", "n": 16}
        write_predictions(folder / f"{model}.gap", about, dict.fromkeys((1, 2, 3), scores), labels)
    recipe = ReadingRecipe(reference="reference", margin=1, confidence=0.95)
    cells = index(sorted(map(str, folder.glob("*.gap"))))
    told = [
        f"a gap of {row.gap:z.0f} points is {row.difference}"
        for row in estimate_gap.estimate(cells, recipe).gaps
    ]
    return f"{len(labels)} test rows; {'; '.join(told)}"


Describe = Callable[[Path, Card], str]


@dataclass(frozen=True)
class Case:
    """Something in a file, what writes it, and what it comes to: a line, or the end of an error."""

    content: str
    write: Callable[[Path], Path]
    right: str
    describe: Describe = describe_rows
    changes: dict[str, Any] = field(default_factory=dict)
    given: bool = False


def chinese_case(content: str, right: str, **changes: Any) -> Case:
    return Case(
        content, lambda folder: write_csv(folder, chinese()), right, describe_accuracy, changes
    )


CASES = {
    "01": Case("quotation marks are letters", write_quotes, "'neg' 200, 'pos' 200"),
    "03": Case(
        "Excel's line sep=;",
        lambda folder: write_csv(folder, english(), "sep=;\n", ";"),
        "'neg' 200, 'pos' 200",
    ),
    "04": Case("one JSON object of columns", write_columns, "'neg' 200, 'pos' 200"),
    "06 parquet": Case(
        "labels 0.0, 1.0 and NaN",
        lambda folder: write_parquet(folder, numbered()),
        "'0' 192, '1' 200, 8 no label",
    ),
    "06 jsonl": Case(
        "the same as JSON Lines",
        lambda folder: write_jsonl(folder, numbered()),
        "'0' 192, '1' 200, 8 no label",
    ),
    "08": Case(
        "a number of its own for each row",
        lambda folder: write_csv(folder, with_labels([row / 1000 for row in range(1, 401)])),
        "case: 400 labels for 400 rows, measured numbers (0.001, 0.002, 0.003, ...); classes are "
        "needed; is 'label' the column of the labels? If so, list them under `labels`",
    ),
    "10": Case(
        "labels are lists",
        lambda folder: write_jsonl(folder, with_labels([["pos", "other"], ["neg"]])),
        "several labels a row are not supported: give each row one label, or raise `max_rejected`",
    ),
    "12": Case(
        "the test set is the source",
        lambda folder: write_csv(folder, english()),
        "is the test set the same file as the source? Then leave `test` out, and one is drawn",
        given=True,
    ),
    "15": Case(
        "20 rows, 4 of them to test on",
        lambda folder: write_csv(folder, english(20)),
        "4 test rows; a gap of 0 points is unclear; a gap of 100 points is unclear",
        describe_gaps,
        {"test": "4"},
    ),
    "17": Case(
        "two labels in eight spellings",
        lambda folder: write_csv(
            folder,
            with_labels(
                ["pos", "neg", "POS", "NEG", "pos\u200b", "neg\u200b", "\ufeffpos", "neg "]
            ),
        ),
        "7 labels look like 2, a warning",
        describe_look_alikes,
    ),
    "20 head": chinese_case("Chinese; the last ten signs tell", "linear model blind", words=64),
    "20 tail": chinese_case(
        "Chinese; head and tail are kept",
        "'neg' 30, 'pos' 30; 100% cut; linear model above 95 %",
        words=64,
        keep="head_and_tail",
    ),
    "20 whole": chinese_case(
        "Chinese; the budget has room",
        "'neg' 30, 'pos' 30; linear model above 95 %",
        words=610,
    ),
    "21": Case(
        "Thai; a vowel sign tells",
        lambda folder: write_csv(folder, made_up(THAI, THAI_FILLERS, space="")),
        "'neg' 200, 'pos' 200; linear model above 95 %",
        describe_accuracy,
    ),
    "22": Case(
        "Hindi; a vowel sign tells",
        lambda folder: write_csv(folder, made_up(HINDI, HINDI_FILLERS)),
        "'neg' 200, 'pos' 200; linear model above 95 %",
        describe_accuracy,
    ),
    "24": Case(
        "a word of one letter tells",
        lambda folder: write_csv(folder, made_up({"pos": ["C"], "neg": ["R"]}, FILLERS)),
        "'neg' 200, 'pos' 200; linear model above 95 %",
        describe_accuracy,
    ),
    "25": Case(
        "emoji only",
        lambda folder: write_csv(folder, made_up(EMOJI, list("🎉😀👍👎😡😢"), space="")),
        "'neg' 200, 'pos' 200; linear model above 95 %",
        describe_accuracy,
    ),
}


def outcome(folder: Path, case: Case) -> str:
    """Return what a case comes to: a line on its card, or the line of its error."""
    try:
        card = run_prepare(folder, case.write(folder), case.given, case.changes)
    except UserError as error:
        return str(error)
    return case.describe(folder, card)


@pytest.mark.parametrize("number", CASES)
def test_cases(tmp_path: Path, number: str) -> None:
    case = CASES[number]
    told = outcome(tmp_path, case)
    print(f"\n| {number} | {case.content} | {told} |")
    assert told.endswith(case.right)
    assert "\n" not in told


def test_a_tokenizer_that_cannot_read_a_case_is_told(
    tmp_path: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_csv(tmp_path, made_up(THAI, THAI_FILLERS, space=""))
    run_prepare(tmp_path, source, given=False, changes={})
    recipe = EncodeRecipe(keep="head", max_tokens=64, max_unknown=1)
    vocabulary = PretrainedVocabulary(tiny_bert)
    manifest = encode.encode_file(
        tmp_path / "test.parquet", vocabulary, recipe, tmp_path / "ids", tmp_path / "state"
    )
    assert manifest["unknown_share"] == 1
    assert "warning: " in capsys.readouterr().out
