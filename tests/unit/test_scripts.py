"""Texts of any script: no word, mark or sign that tells a label is lost to the models."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import encode
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data.manifests import IdsManifest
from gap.data.sampling import Subsample
from gap.data.vocabulary import PretrainedVocabulary
from gap.data.words import split_words
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.report.inputs import read_encodings
from gap.report.reading import reading
from gap.report.sections import Table
from gap.results.findings import Findings
from gap.results.reading import ReadingRecipe
from gap.run.errors import UserError
from gap.run.json import write_json
from gap.study.rules import EncodeRecipe
from gap.study.tuning import choose, trials_of

# What tells the label, the signs around it, and what stands between two of them.
SCRIPTS = {
    "Chinese": (("好", "坏"), "天上里午附火后看坐在今小回近", ""),
    "Japanese, a mark": (("ガキ", "カキ"), ["今日", "店", "サービス", "と", "は", "駅"], ""),
    "Thai, a vowel sign": (("ดี", "ดู"), ["บริการ", "ราคา", "ร้านนี้", "พนักงาน", "วันนี้"], ""),
    "Khmer": (("ល្អ", "អាក្រក់"), ["សេវា", "តម្លៃ", "ហាង", "ថ្ងៃនេះ"], ""),
    "Hindi, a vowel sign": (("काला", "कीला"), ["सेवा", "आज", "कमरा", "यह", "होटल"], " "),
    "Vietnamese, a tone": (("má", "mà"), ["phòng", "hôm", "nay", "đẹp", "ở"], " "),
    "Arabic, a mark": (("عَلَم", "عِلم"), ["غرفة", "اليوم", "خدمة", "هذا"], " "),
    "Korean": (("좋다", "나쁘다"), ["오늘", "방", "호텔", "서비스"], " "),
    "a word of one letter": (("C", "R"), ["room", "and", "with", "our", "quite"], " "),
    "a symbol": (("+", "="), ["room", "and", "with", "our", "quite"], " "),
    "emoji": (("😍", "💔"), "🎉😀👍👎😡", ""),
    "punctuation": (("!", "?"), ".,;:", ""),
}


def made_up(script: str, rows: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Return texts and labels (rows,), 0 or 1; one sign of each text tells."""
    signs, filler, space = SCRIPTS[script]
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int32) % 2
    texts = [
        space.join(random.permutation([*random.choice(list(filler), 9), signs[label]]))
        for label in labels
    ]
    return texts, labels


def accuracy(folder: Path, script: str, **recipe: object) -> float:
    """Return the accuracy (0 to 1) of the linear model, trained on 160 texts, on 60 others."""
    texts, labels = made_up(script, 200, seed=1)
    pq.write_table(pa.table({"text": texts}), folder / "pool.parquet")
    test, truth = made_up(script, 60, seed=2)
    pq.write_table(pa.table({"text": test}), folder / "test.parquet")
    rows = np.arange(200)
    subsample = Subsample(1, rows[40:], labels[40:], rows[:40], labels[:40])
    model = load_recipe({"family": "linear", **recipe})
    family = family_of(model, Job(["0", "1"], texts=folder / "pool.parquet"))
    reports = []
    for trial in trials_of(model.model_copy(update={"trials": 8}), 1):
        weights = folder / str(trial.number)
        (evaluation,) = family.train(trial.recipe, subsample, Folders(folder, folder, weights))
        reports.append({"loss": evaluation["loss"], "trial": trial.number})
    best = folder / str(choose(reports)["trial"])
    scores = family_of(model, Job(["0", "1"], texts=folder / "test.parquet")).log_scores(best, 1)
    return float((scores.argmax(1) == truth).mean())


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_linear_model_sees_what_tells_in_any_script(tmp_path: Path, script: str) -> None:
    assert accuracy(tmp_path, script) > 0.95


def test_marks_are_kept_however_they_are_composed() -> None:
    for script, ((first, second), _, _) in SCRIPTS.items():
        assert split_words(first) != split_words(second), script
    decomposed = unicodedata.normalize("NFD", "tiếng Việt")
    assert [unicodedata.normalize("NFC", word) for word in split_words(decomposed)] == [
        "tiếng",
        "Việt",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't pay 3.50 for C or R, x_y!", ["Don't", "pay", "3.50", "for", "C", "or", "R", "x_y"]),
        ("C++ > 5%", ["C", "+", "+", ">", "5"]),
        ("我喜欢。サービスが", ["我", "喜", "欢", "サービス", "が"]),
        ("काला कीला", ["काला", "कीला"]),
        ("a 👩‍👩‍👧 🇩🇪🇫🇷", ["a", "👩‍👩‍👧", "🇩🇪", "🇫🇷"]),
        ("?! ...", ["?", "!", ".", ".", "."]),
        (" \n", []),
    ],
)
def test_words_are_those_of_unicode(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_nothing_to_count_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"of 160 training texts, nothing stands in 161 or more"):
        accuracy(tmp_path, "emoji", min_texts=161)


# ---------------------------------------------------------------- tokenizers


def encoded(folder: Path, checkpoint: Path, texts: list[str], **recipe: Any) -> IdsManifest:
    pq.write_table(pa.table({"text": texts}), folder / "pool.parquet")
    spec = EncodeRecipe(keep="head", max_tokens=8, **recipe)
    vocabulary = PretrainedVocabulary(checkpoint)
    source, state = folder / "pool.parquet", folder / "state"
    return encode.encode_file(source, vocabulary, spec, folder / "ids" / "pool", state)


def test_what_a_tokenizer_does_not_know_is_told(
    tmp_path: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, _ = made_up("Thai, a vowel sign", 40, seed=1)
    manifest = encoded(tmp_path, tiny_bert, texts, max_unknown=1)
    assert manifest["unknown_share"] == 1
    assert manifest["collapsed_share"] == round(1 - 1 / len(set(texts)), 4)
    assert "warning: " in capsys.readouterr().out


def test_beyond_what_is_allowed_it_is_an_error(tmp_path: Path, tiny_bert: Path) -> None:
    with pytest.raises(
        UserError, match=r"100% of the tokens are unknown.*`max_unknown` allows 50%"
    ):
        encoded(tmp_path, tiny_bert, ["\u0e01", "\u0e02"], max_unknown=0.5)


def test_what_is_known_is_not_warned_of(
    tmp_path: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A repeated text is no text that collapses; a text of ten words loses four to its eight tokens.
    texts = ["good film", "good film", "bad film", "good " * 10]
    manifest = encoded(tmp_path, tiny_bert, texts)
    assert (manifest["unknown_share"], manifest["collapsed_share"]) == (0, 0)
    assert (manifest["shortened"], manifest["cut_tokens"]) == (1, 4)
    assert "warning" not in capsys.readouterr().out


def test_what_models_could_not_read_is_told_in_the_summary(tmp_path: Path) -> None:
    manifest = {"unknown_share": 0.0, "collapsed_share": 0.0, "shortened": 0, "rows": 60}
    blind = manifest | {"unknown_share": 0.9, "collapsed_share": 0.5}
    write_json(tmp_path / "minilm.json", blind)
    write_json(tmp_path / "lstm.json", {"1": manifest, "2": manifest | {"shortened": 6}})
    write_json(tmp_path / "other.json", {"1": manifest})
    files = [str(tmp_path / f"{name}.json") for name in ("minilm", "lstm", "other")]
    encodings = read_encodings(["thai/minilm", "thai/lstm", "thai/other"], files)
    findings = Findings(ReadingRecipe(reference="minilm", margin=1, confidence=0.95), [])
    section = reading(replace(findings, encodings=encodings))
    assert section is not None
    (table,) = [part for part in section.parts if isinstance(part, Table)]
    assert table.rows == [
        ["thai", "minilm", "90.0", "50.0", "0.0"],
        ["thai", "lstm", "0.0", "0.0", "10.0"],
    ]
    assert reading(findings) is None
