"""Where models err, and the page that a study ends in."""

from __future__ import annotations

import csv
import html
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import examine_errors
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import write_report
import yaml
from gap.data.manifests import TextBudget
from gap.data.preparing.texts import cut_text
from gap.report.background import data
from gap.report.contents import document
from gap.report.figures import length_figures, name_lengths
from gap.report.markdown import write_markdown
from gap.report.methods import methods
from gap.report.page import to_html
from gap.report.sections import Document, Figures, Paragraph, Section, Table
from gap.results.findings import Findings
from gap.results.predictions import index, read_correct, write_predictions
from gap.results.reading import ReadingRecipe, checkpoint_origins
from gap.results.rows import LengthRow
from gap.results.tables import read_rows
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study.datasets import TextUnit
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import LABELS, SIZES, TITLES, make_results, report_options
from table_rows import card_of

RECIPE = examine_errors.ErrorsRecipe(
    reference="encoder", confidence=0.95, examples=2, models=list(TITLES)
)


DATASETS = ("dishes", "books")


class Page(HTMLParser):
    """The tags of a page, the ids, and what its attributes name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.named.append(value or "")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("made-up") / "results", DATASETS)


def rows_of(report: Path, name: str) -> list[dict[str, str]]:
    with (report.parent / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- where models err


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_ranges_of_words_hold_each_text_once(words: list[int]) -> None:
    groups = examine_errors.length_groups(np.array(words))
    assert 1 <= len(groups) <= 4
    inside = [sum(low <= one <= high for low, high in groups) for one in words]
    assert set(inside) == {1}
    assert groups[0][0] == min(words)
    assert groups[-1][1] == max(words)


def test_texts_of_one_length_are_one_range() -> None:
    assert examine_errors.length_groups(np.array([32] * 10)) == [(32, 32)]


def budget(words: int, unit: TextUnit = "word", keep: str = "head_and_tail") -> TextBudget:
    return {"words": words, "unit": unit, "called": unit, "unit_from_data": False, "keep": keep}


@pytest.mark.parametrize(("unit", "lengths"), [("word", [8, 5, 1, 5]), ("character", [8, 8, 8, 7])])
def test_lengths_are_counted_as_the_text_budget_counts(
    tmp_path: Path, unit: TextUnit, lengths: list[int]
) -> None:
    texts = ["今天上车看里后我们", "我 喜欢, サービス が", "MKTAYIAKQRQISFVK", "un de\u0301 à 3 x"]
    cut = [cut_text(text, 8, "head_and_tail", unit) for text in texts]
    pq.write_table(pa.table({"text": cut}), tmp_path / "test.parquet")
    counted = examine_errors.text_lengths(str(tmp_path / "test.parquet"), budget(8, unit))
    assert counted.tolist() == lengths
    assert name_lengths(7, 8, unit) == f"7 to 8 {unit}s"


def test_figures_name_the_unit_of_lengths(report: Path) -> None:
    rows = read_rows(report.with_name("lengths.csv"), LengthRow)
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    for unit in get_args(TextUnit):
        lengths = [replace(row, unit=unit, called=unit) for row in rows if row.dataset == "dishes"]
        (figure,) = length_figures(Findings(recipe, [], lengths=lengths))
        assert figure.text.startswith(f"Accuracy (%) by {unit}s of the text")
        assert f" {unit}s" in figure.svg


def test_words_are_counted_as_models_read_them(tmp_path: Path) -> None:
    texts = ["one", " two\twords ", "three\n words here", ""]
    pq.write_table(pa.table({"text": texts}), tmp_path / "test.parquet")
    path = str(tmp_path / "test.parquet")
    assert examine_errors.text_lengths(path, budget(100)).tolist() == [1, 2, 3, 0]


def test_a_text_of_which_head_and_tail_are_kept_is_no_longer_than_the_budget(
    tmp_path: Path,
) -> None:
    long = " ".join(map(str, range(50)))
    texts = [cut_text(text, 32, "head_and_tail") for text in (long, "a b c")]
    assert " ... " in texts[0]
    pq.write_table(pa.table({"text": texts}), tmp_path / "test.parquet")
    lengths = examine_errors.text_lengths(str(tmp_path / "test.parquet"), budget(32))
    assert lengths.tolist() == [32, 3]
    assert [name_lengths(*ends, "word") for ends in examine_errors.length_groups(lengths)] == [
        "3 words",
        "32 words",
    ]


def test_accuracy_by_length_adds_up_to_accuracy(report: Path) -> None:
    for cell in rows_of(report, "accuracies"):
        ours = [
            row
            for row in rows_of(report, "lengths")
            if all(row[key] == cell[key] for key in ("dataset", "model", "size"))
        ]
        assert len(ours) == 4
        right = sum(float(row["accuracy"]) * int(row["rows"]) for row in ours)
        assert right / 600 == pytest.approx(float(cell["accuracy"]), abs=1e-3)


def test_agreement_adds_up_to_accuracy(report: Path) -> None:
    accuracies = {
        (row["dataset"], row["model"], row["size"]): float(row["accuracy"])
        for row in rows_of(report, "accuracies")
    }
    rows = rows_of(report, "agreements")
    assert len(rows) == 2 * 2 * len(SIZES)
    for row in rows:
        both, reference, model, none = (
            float(row[key]) for key in ("both_right", "only_reference", "only_model", "both_wrong")
        )
        assert both + reference + model + none == pytest.approx(100, abs=1e-3)
        key = row["dataset"], row["model"], row["size"]
        assert both + model == pytest.approx(accuracies[key], abs=1e-3)
        assert both + reference == pytest.approx(accuracies[key[0], "encoder", key[2]], abs=1e-3)


def test_examples_are_the_ones_furthest_apart(tmp_path: Path) -> None:
    """Probabilities by hand, of two seeds, whose mean counts."""
    truth = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    # Probabilities of label 0, by seed.
    reference = {1: [0.9, 0.8, 0.7, 0.6, 0.2], 2: [0.9, 0.6, 0.7, 0.8, 0.2]}
    model = {1: [0.4, 0.1, 0.8, 0.3, 0.3], 2: [0.4, 0.1, 0.4, 0.1, 0.3], 9: [0.9] * 5}
    paths = []
    for name, scores in (("encoder", reference), ("lstm", model)):
        cell = {"dataset": "dishes", "model": name, "size": "40", "n": 40}
        paths.append(str(tmp_path / f"{name}.parquet"))
        told = {seed: np.log(np.array([p, 1 - np.array(p)]).T) for seed, p in scores.items()}
        write_predictions(paths[-1], cell, told, truth)
    texts = [f"text {row}" for row in range(5)]
    columns = {"row": np.arange(5), "text": texts, "label": truth}
    pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    tests = {"dishes": str(tmp_path / "test.parquet")}
    cards = {"dishes": card_of("dishes", pool=9, test=5, labels=["no", "yes"])}
    found = examine_errors.examine(index(paths), tests, cards, RECIPE).examples
    assert [(row.row, row.right, row.text) for row in found] == [
        (1, "reference", "text 1"),
        (0, "reference", "text 0"),
        (3, "model", "text 3"),
    ]
    assert found[0].reference_probability == pytest.approx(0.7)
    assert found[0].model_probability == pytest.approx(0.9)
    assert (found[0].label, found[0].model_label, found[0].seeds) == ("no", "yes", 2)
    none = examine_errors.examine(
        index(paths), tests, cards, RECIPE.model_copy(update={"examples": 0})
    )
    assert none.examples == []


def test_examples_are_of_the_first_other_model_at_its_largest_size(report: Path) -> None:
    rows = rows_of(report, "examples")
    assert {(row["model"], row["n"]) for row in rows} == {("lstm", "16000")}
    assert {row["dataset"] for row in rows} == {"dishes", "books"}
    for row in rows:
        winner, loser = "reference_label", "model_label"
        if row["right"] == "model":
            winner, loser = loser, winner
        assert row[winner] == row["label"] != row[loser]


def test_predictions_of_another_test_set_are_an_error(report: Path) -> None:
    folder = report.parent
    paths = [str(path) for path in folder.glob("runs/dishes/*/250/*/predictions.parquet")]
    assert len(next(iter(read_correct(paths[:1]).values()))) == 600
    pq.write_table(pa.table({"text": ["a"], "row": [0]}), folder / "short.parquet")
    tests = {"dishes": str(folder / "short.parquet")}
    cards = {"dishes": card_of("dishes", pool=9, test=1, labels=list(LABELS))}
    with pytest.raises(UserError, match=r"encoder of 250 of dishes: .*\[600\] rows.* has 1; run"):
        examine_errors.examine(index(sorted(paths)), tests, cards, RECIPE)


# ---------------------------------------------------------------- the page


def sections(report: Path) -> Iterator[str]:
    text = report.read_text(encoding="utf-8")
    return (match[1] for match in re.finditer(r"<h2 [^>]*>(.*?)</h2>", text))


def test_the_report_has_all_that_it_should(report: Path) -> None:
    assert list(sections(report)) == [
        *("The verdict", "The other comparisons"),
        *(
            "Gap to Encoder, fine-tuned, in percentage points",
            *("How small a gap this study can tell", "All data sets together"),
            "At which size the gap closes",
        ),
        *("Accuracy on the test set", "Other metrics"),
        *("What inference costs", "Where the models err"),
        *("How the networks learned", "Data", "How the intervals were made"),
        *("Methods, to copy", "References", "What made these results"),
    ]
    page = Page(report)
    # Per data set: accuracy and gap, two curves, cost, three of calibration, labels, lengths, two
    # histories.
    assert page.tags.count("figure") == page.tags.count("svg") == 2 * 12
    text = report.read_text(encoding="utf-8")
    for expected in ("wang2020pretrain", "longest_phrase: 2", "a CPU in fp32", "Test row "):
        assert expected in text


def test_a_reworded_title_loses_nothing(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures, tables and links go by the sections themselves, not by how they are called."""
    again = report.with_name("reworded.html")
    documents: list[Document] = []

    def reworded(findings: Findings) -> Document:
        whole = document(findings)
        sections = [
            replace(section, title=f"Something else {number}")
            for number, section in enumerate(whole.sections)
        ]
        documents.append(replace(whole, sections=sections))
        return documents[0]

    monkeypatch.setattr(write_report, "document", reworded)
    write_report.main(report_options(report.parent, DATASETS, again))
    before, after = (path.read_text(encoding="utf-8") for path in (report, again))
    # Titles apart, and the numbers that the renderer counts clips with.
    titles = re.compile(
        r"(?<=<h2 )(.*?>).*?(?=</h2>)|(?<=<li><a )(.*?>).*?(?=</a></li>)|clip[0-9]+"
    )
    assert titles.sub(r"\1\2", before) == titles.sub(r"\1\2", after)
    assert "Something else 3" in after
    assert "Data set" in write_markdown(documents[0])


def test_each_section_has_an_identity_of_its_own_and_some_text(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Section] = []

    def remembered(findings: Findings) -> Document:
        whole = document(findings)
        made.extend(whole.sections)
        return whole

    monkeypatch.setattr(write_report, "document", remembered)
    write_report.main(report_options(report.parent, DATASETS, report.with_name("again.html")))
    identities = [section.identity for section in made]
    assert len(identities) == len(set(identities)) > 12
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", identity) for identity in identities)
    assert {"gaps", "crossings", "inference", "mistakes", "learning"} == {
        section.identity
        for section in made
        if any(isinstance(part, Figures) for part in section.parts)
    }
    assert all(any(not isinstance(part, Figures) for part in section.parts) for section in made)
    assert any(isinstance(part, Table) for section in made for part in section.parts)


def test_the_report_asks_nothing_of_others(report: Path) -> None:
    page = Page(report)
    assert "script" not in page.tags
    assert {name.split(":")[0].split("#")[0] for name in page.named} <= {"", "data"}
    assert not re.search(r"url\((?!#)", report.read_text(encoding="utf-8"))


def test_each_id_stands_once_and_each_link_meets_one(report: Path) -> None:
    page = Page(report)
    assert len(page.ids) == len(set(page.ids))
    assert {name[1:] for name in page.named if name.startswith("#")} <= set(page.ids)
    text = report.read_text(encoding="utf-8")
    assert set(re.findall(r"url\(#(.*?)\)", text)) <= set(page.ids)


def test_tags_of_labels_and_texts_stay_text(report: Path) -> None:
    page, text = Page(report), report.read_text(encoding="utf-8")
    assert not {"b", "i"} & set(page.tags)
    assert "hot &amp; &lt;b&gt;spicy&lt;/b&gt;" in text
    assert "&lt;i&gt;bean&lt;/i&gt;" in text


def test_headings_go_down_one_by_one(report: Path) -> None:
    levels = [int(tag[1]) for tag in Page(report).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_figures_are_told_without_eyes_and_tables_reached_by_keyboard(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    labels = re.findall(r'<figure role="img" aria-label="([^"]+)">', text)
    assert len(labels) == len(set(labels)) == 24
    assert text.count("<table>") == len(re.findall(r'tabindex="0"[^>]*><table>', text)) > 8


def test_the_config_of_the_report_is_one_to_run(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    shown = re.search(r'<pre class="columns">(.*?)</pre>', text, re.DOTALL)
    assert shown
    assert (
        yaml.safe_load(html.unescape(shown[1]))
        == read_json(report.with_name("provenance.json"))["config"]
    )


def test_methods_say_what_was_done(report: Path) -> None:
    provenance = read_json(report.with_name("provenance.json"))
    card = read_json(report.parent / "datasets" / "dishes" / "card.json")
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    text = "\n\n".join(methods(provenance, [card], recipe))
    for expected in (
        "dishes (made up): 3 labels, 20,000 texts to train on and 600 to test on",
        "250, 1,000, 4,000, 16,000 labelled examples",
        "Of each budget, 20%, but at least 20 and at most 2,000",
        "Encoder, fine-tuned: small, fine-tuned as a whole (AdamW, lr 5e-05, batches of 32",
        "weights of the highest accuracy on the held-out examples",
        "bidirectional LSTM, 1 layer of 128 units, a SentencePiece vocabulary (pieces)",
        "logistic regression on TF-IDF weights of phrases of up to 2 words",
        "3 seeds for Encoder, fine-tuned, LSTM from scratch, Words | linear",
        "with 90 % intervals",
        "known to be larger than a margin of 1 point, and as none where it is known to be smaller",
        "at a false discovery rate of 5 %",
        "Snakemake with torch 2.13.0; trained on a CPU in fp32",
    ):
        assert expected in text


def test_methods_say_what_a_checkpoint_was_pretrained_on(report: Path) -> None:
    provenance = read_json(report.with_name("provenance.json"))
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    losses = [
        {"step": step, "loss": loss, "accuracy": 0.1} for step, loss in ((0, 9.0), (50, 4.25))
    ]
    work = {"tokens": 12_345_678, "passes": 2.5, "processes": 1, "seconds": 601.2}
    corpus: dict[str, Any] = {"texts": 47_000, "held_out": 550, "test_texts": 2000}
    source: dict[str, Any] = {
        "spec": {"corpus": ["films", "books"], "objective": "masked_lm"},
        "files": {},
        "corpus": corpus,
        "pretraining": work | {"best_step": 50, "evaluations": losses},
    }
    provenance["sources"]["checkpoint-own"] = source
    text = methods(provenance, [], recipe)[1]
    assert (
        "Checkpoint own was pretrained for this study (to tell masked tokens) on 47,000 texts of "
        "films, books without their labels, 12,345,678 tokens, 2.5 passes, 601 s by 1 process; "
        "2,000 texts that stand in a test set were left out. The loss on 550 held-out texts went "
        "from 9.00 to 4.25 nats a token."
    ) in text
    source["pretraining"] = work | {"best_step": None, "evaluations": [], "processes": 2}
    text = methods(provenance, [], recipe)[1]
    assert "by 2 processes; 2,000 texts" in text
    assert "held-out texts went" not in text
    source["spec"]["corpus"] = ["films", "mails"]
    corpus["texts_of"] = {"films": 7000, "mails": 40_000}
    provenance["config"]["text_zoo"] = {"mails": {"origin": "Mails until 2023."}}
    text = methods(provenance, [], recipe)[1]
    assert (
        "on 47,000 texts of films without their labels and of mails, which has no labels (40,000 "
        "texts; Mails until 2023), 12,345,678 tokens"
    ) in text


def test_methods_say_what_a_body_had_been_fine_tuned_for(report: Path) -> None:
    provenance = read_json(report.with_name("provenance.json"))
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    before = "\n".join(methods(provenance, [], recipe))
    assert "before it came here" not in before
    source = {"spec": {}, "files": {}, "tuned_for": "classifying texts"}
    provenance["sources"]["checkpoint-small"] = source
    assert (
        "The body of small had been fine-tuned for classifying texts before it came here; its head "
        "was not taken over."
    ) in methods(provenance, [], recipe)[1]
    for entry in provenance["config"]["model_zoo"].values():
        if entry.get("checkpoint") == "small" and entry["family"] in ("transformer", "frozen"):
            entry["weights"] = "random"
        elif "checkpoint" in entry:
            entry["embeddings"] = "learned"
    assert "before it came here" not in methods(provenance, [], recipe)[1]


def test_methods_say_which_words_of_a_text_are_read(report: Path) -> None:
    provenance = read_json(report.with_name("provenance.json"))
    card = read_json(report.parent / "datasets" / "dishes" / "card.json")
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    assert "models read the first 100 words of a text" in methods(provenance, [card], recipe)[0]
    card["text_budget"] = budget(600, "character")
    text = methods(provenance, [card], recipe)[0]
    assert "models read the first and the last characters (600 in all) of a text" in text


def test_markdown_of_names_makes_no_links_and_no_pictures() -> None:
    made = to_html("[a](http://a.b) ![c](http://d.e) <http://f.g> <b>h</b>")
    assert not re.search("<(a|img|b)\\b", made)


def test_what_a_checkpoint_is_stands_in_methods_and_beside_the_data(report: Path) -> None:
    provenance = read_json(report.with_name("provenance.json"))
    recipe = ReadingRecipe(reference="encoder", margin=1.0, confidence=0.9, titles=TITLES)
    assert "Checkpoint" not in methods(provenance, [], recipe)[1]
    origin = "ESM-2 8M, of proteins."
    recipe = recipe.model_copy(update={"checkpoints": {"small": origin}})
    assert f"Checkpoint small: {origin} " in methods(provenance, [], recipe)[1] + " "
    card = card_of("dishes", pool=9, test=5, labels=["no", "yes"])
    section = data(Findings(recipe, [], cards=[card]))
    assert section is not None
    assert Paragraph(f"Checkpoint small: {origin}") in section.parts


def test_only_checkpoints_of_the_models_are_told_of(report: Path) -> None:
    config = read_json(report.with_name("provenance.json"))["config"]
    zoo = config["checkpoint_zoo"]
    for source in zoo.values():
        source.pop("origin", None)
    assert checkpoint_origins(config) == {}
    zoo["small"] = {"kind": "file", "path": "small", "origin": "ESM-2 8M, of proteins."}
    zoo["unused"] = zoo["small"]
    assert checkpoint_origins(config) == {"small": "ESM-2 8M, of proteins."}
