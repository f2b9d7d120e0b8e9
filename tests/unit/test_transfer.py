"""How alike data sets and models are, what that foretells, and the rules that choose a source."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from gap.data.overlap import coverage, divergence, grams_of, words_of
from gap.data.vocabulary import EncodedTexts, FittedVocabulary, PretrainedVocabulary, fit_vocabulary
from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
from gap.models.pretraining.tokenizer import convert_vocabulary
from gap.models.similarity import head_inputs, rotation
from gap.report.markdown import part_as_markdown
from gap.report.transfer import neighbours, transfer, transfer_chart
from gap.results.choosing import choice_rows, transfer_rows
from gap.results.findings import Findings
from gap.results.foretelling import foretell
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow
from gap.results.transfer import ChoiceRow, TransferRow
from gap.study.datasets import VocabularyRecipe
from scipy import stats
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import jensenshannon
from table_rows import row_of

# ---------------------------------------------------------------- tokenizers


TEXTS = ["the film was good", "a dull, dull book", "naïve ﬁne café", "films  and books", "Ω is new"]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe", "char"])
def test_a_vocabulary_is_a_tokenizer_of_the_same_ids(algorithm, tmp_path):
    recipe = VocabularyRecipe.model_validate({"algorithm": algorithm, "size": 60})
    fit_vocabulary(iter(TEXTS[:4] * 20), recipe, 1, tmp_path / "1.model")
    convert_vocabulary(tmp_path / "1.model", tmp_path / "tokenizer")
    fitted = FittedVocabulary(tmp_path / "1.model")
    converted = PretrainedVocabulary(tmp_path / "tokenizer")
    assert converted.encode(TEXTS) == fitted.encode(TEXTS)
    assert any(fitted.unknown_id in ids for ids in fitted.encode(TEXTS))
    assert (converted.size, converted.pad_id) == (fitted.size, fitted.pad_id)
    assert converted.prefix == converted.suffix == []


# ---------------------------------------------------------------- texts


def test_words_that_a_source_covers_count_as_often_as_they_stand():
    target, source = words_of(["Good, good film", "bad"]), words_of(["a GOOD book"])
    assert coverage(target, source) == 2 / 4
    assert coverage(target, target) == 1
    assert coverage(Counter(), source) == 0


def test_divergence_is_that_of_scipy():
    first, second = grams_of(["the film", "the book"]), grams_of(["the films were good"])
    names = sorted(first | second)
    shares = [[counts[name] / counts.total() for name in names] for counts in (first, second)]
    assert divergence(first, second) == pytest.approx(jensenshannon(*shares, base=2) ** 2)
    assert divergence(first, first) == 0
    assert divergence(grams_of(["aaa"]), grams_of(["bbb"])) == pytest.approx(0.6, abs=0.41)


# ---------------------------------------------------------------- models


def features(rows=200, width=8, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def test_the_same_features_are_not_turned():
    same = features()
    assert rotation(same, 3 * same + 5) == pytest.approx((0, 0), abs=1e-3)


def test_the_turn_is_that_of_the_procrustes_rotation():
    source = features()
    turn = stats.ortho_group.rvs(8, random_state=2)
    target = (source @ turn).astype(np.float32)
    found = rotation(source, target)
    centred = source - source.mean(axis=0)
    solution, _ = orthogonal_procrustes(centred, target - target.mean(axis=0))
    assert found.turn == pytest.approx(
        np.linalg.norm(solution - np.eye(8)) / (2 * 8**0.5), abs=1e-3
    )
    assert found.misfit == pytest.approx(0, abs=1e-3)
    # The opposite of all features is as far as can be.
    assert rotation(source, -source).turn == pytest.approx(1, abs=1e-3)


def test_what_has_nothing_in_common_does_not_fit():
    found = rotation(features(seed=1), features(seed=2))
    assert found.misfit > 0.5
    assert 0.4 < found.turn < 0.95


def test_fewer_texts_than_directions_are_compared_where_they_vary():
    few = features(rows=5, width=32)
    assert rotation(few, few) == pytest.approx((0, 0), abs=1e-3)


def test_features_that_do_not_vary_tell_nothing():
    assert rotation(np.ones((5, 3), np.float32), features(5, 3)) == (1, 1)


def test_features_are_what_the_last_layer_reads():
    model = LstmForSequenceClassification(LstmConfig(vocab_size=9, width=3, num_labels=2)).eval()
    ids = np.array([2, 3, 4, 5, 6, 7, 8], dtype=np.uint16)
    texts = EncodedTexts(ids, np.array([0, 3, 4, 7]), None, 0, 9)
    read = head_inputs(model, texts, np.array([2, 0]))
    assert read.shape == (2, 6)
    with torch.no_grad():
        one = torch.tensor([[6, 7, 8]])
        logits = model(input_ids=one, attention_mask=torch.ones_like(one)).logits
        told = model.classifier(torch.from_numpy(read[:1]))
    assert torch.allclose(told, logits, atol=1e-5)


# ---------------------------------------------------------------- what is foretold


def record(target: str, source: str, coverage: float = 0.5, **others: Any) -> Any:
    return {
        "dataset": target,
        "model": f"from-{source}",
        "size": "100",
        "source": source,
        "n": 100,
        "source_n": 1000,
        "labels": 2,
        "source_labels": 2,
        "coverage": coverage,
        "divergence": 1 - coverage,
        "turn": 0.7,
        "misfit": 0.5,
    } | others


def bed(count=8, noise=0.0, seed=1):
    """Pairs of tasks whose words overlap as they like, and gains that follow from the overlap."""
    random = np.random.default_rng(seed)
    names = [f"task{number}" for number in range(count)]
    records = [
        record(target, source, float(random.uniform(0.2, 1)))
        for target in names
        for source in names
        if source != target
    ]
    gains = [20 * (each["coverage"] - 0.6) + noise * random.standard_normal() for each in records]
    return records, gains


def test_gains_that_follow_from_likeness_are_foretold():
    records, gains = bed()
    foretold = [gain or 0.0 for gain in foretell(records, gains)]
    assert stats.spearmanr(foretold, gains).statistic > 0.9
    assert np.mean(np.abs(np.subtract(foretold, gains))) < 1.5


def test_gains_by_chance_are_not():
    records, _ = bed()
    gains = np.random.default_rng(3).standard_normal(len(records)).tolist()
    assert abs(stats.spearmanr(foretell(records, gains), gains).statistic) < 0.4


def test_nothing_of_a_target_is_known_to_what_foretells_it():
    records, gains = bed(noise=1.0)
    before = foretell(records, gains)
    others = [
        gain + 50 * (each["dataset"] == "task0" or each["source"] == "task0")
        for each, gain in zip(records, gains, strict=True)
    ]
    after = foretell(records, others)
    for each, first, second in zip(records, before, after, strict=True):
        assert (first == second) == (each["dataset"] == "task0")


def test_too_few_targets_foretell_nothing():
    records = [record("a", "b"), record("b", "a")]
    assert foretell(records, [1.0, 2.0]) == [None, None]


# ---------------------------------------------------------------- tables


def gap_row(each: Any, gap: float, difference: str = "unclear") -> GapRow:
    return row_of(
        GapRow,
        dataset=each["dataset"],
        model=each["model"],
        size=each["size"],
        n=each["n"],
        reference="scratch",
        gap=gap,
        gap_low=gap - 2,
        gap_high=gap + 1,
        difference=difference,
    )


def test_a_gain_is_the_gap_turned_round():
    records = [record("a", "b"), record("b", "a"), record("a", "c")]
    gaps = [gap_row(each, gap) for each, gap in zip(records, (-3.0, 0.5, 4.0), strict=True)]
    rows = transfer_rows(records, gaps[::-1], margin=1.0)
    assert [(row.gain, row.gain_low, row.gain_high, row.outcome) for row in rows] == [
        (3.0, 2.0, 5.0, "helps"),
        (-0.5, -1.5, 1.5, "nothing"),
        (-4.0, -5.0, -2.0, "harms"),
    ]


def pair(
    target: str, source: str, gain: float, foretold: float | None, **others: Any
) -> TransferRow:
    kept = {"dataset": target, "model": f"from-{source}", "source": source, "size": "100", "n": 100}
    gains = {"gain": gain, "gain_low": gain - 2, "gain_high": gain + 2, "foretold": foretold}
    return row_of(TransferRow, **kept | gains | {"difference": "unclear"} | others)


def test_rules_choose_by_what_they_go_by():
    rows = [
        pair("a", "b", 5.0, 3.0, source_n=100, coverage=0.2, turn=0.9),
        pair("a", "c", 2.0, 0.5, source_n=900, coverage=0.9, turn=0.9),
        pair("b", "a", -4.0, -1.0, source_n=100, coverage=0.9, turn=0.2),
        pair("b", "c", 1.5, 0.2, source_n=900, coverage=0.8, turn=0.6),
    ]
    choices = {row.rule: row for row in choice_rows(rows, margin=1.0, confidence=0.95)}
    assert {rule: row.gain for rule, row in choices.items()} == {
        # Of b nothing above the margin is foretold, so nothing is taken.
        "foretold": 2.5,
        "largest": (2.0 + 1.5) / 2,
        "nearest by words": (2.0 - 4.0) / 2,
        # On a tie, each as often.
        "least turned": (3.5 - 4.0) / 2,
        "none": 0.0,
        "best": (5.0 + 1.5) / 2,
    }
    assert choices["foretold"].lost == pytest.approx(0.75)
    assert choices["foretold"].rank_correlation == pytest.approx(1)
    assert choices["foretold"].ndcg == pytest.approx(1)
    # Three help, one of them was told, and none wrongly.
    assert choices["foretold"].f1 == pytest.approx(2 * 1 * (1 / 3) / (1 + 1 / 3))
    assert choices["largest"].rank_correlation == pytest.approx(0)
    low, high = choices["largest"].gain_low, choices["largest"].gain_high
    assert low is not None and high is not None
    assert (low + high) / 2 == pytest.approx(1.75)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 1) * 0.25)


def test_where_nothing_is_foretold_no_rule_is_judged():
    assert choice_rows([pair("a", "b", 1.0, None)], 1.0, 0.95) == []


# ---------------------------------------------------------------- what is said of it


def findings(*rows: TransferRow, choices: Any = ()) -> Findings:
    recipe = {"reference": "scratch", "margin": 1.0, "confidence": 0.95}
    recipe |= {"titles": {"scratch": "the LSTM", "b": "Ratings"}}
    accuracies = [row_of(AccuracyRow, dataset="a", model="scratch", size="100", n=100)]
    return Findings(
        ReadingRecipe.model_validate(recipe), accuracies, transfer=rows, choices=choices
    )


def test_the_source_is_named_and_from_where_on_none_is_worth_it():
    rows = [
        pair("a", "b", 6.0, 1.0, difference="clear"),
        pair("a", "c", 7.0, 1.0),
        pair("a", "b", 3.0, 1.0, size="500", n=500, difference="clear"),
        pair("a", "b", 0.1, 1.0, size="2000", n=2000, difference="none"),
        pair("a", "c", -5.0, 1.0, size="2000", n=2000, difference="clear"),
        pair("other", "b", 9.0, 1.0, difference="clear"),
    ]
    assert neighbours(findings(*rows), "a") == [
        "With 100 labels a start on Ratings gains 6.0 points (95 % interval 4.0 to 8.0); with 500 "
        "labels a start on Ratings gains 3.0 points (95 % interval 1.0 to 5.0); from 2,000 labels "
        "on no start is known to gain more than 1 point; a start on c is known to do harm at some "
        "size."
    ]


def test_a_study_in_which_no_start_is_known_to_help():
    assert neighbours(findings(pair("a", "b", 6.0, 1.0)), "a") == [
        "At no measured size a start on another data set is known to gain more than 1 point."
    ]
    assert neighbours(findings(), "a") == []


def told(study: Findings) -> str:
    section = transfer(study)
    assert section
    return " ".join("\n".join(map(part_as_markdown, section.parts)).split())


def test_the_section_has_pairs_and_rules():
    rows = [pair("a", "b", 6.0, 1.25), pair("a", "c", 7.0, None)]
    choice = row_of(ChoiceRow, rule="largest", size="100", n=100, targets=3, gain=1.5)
    text = told(findings(*rows, choices=[choice]))
    assert "| from-b" in text
    assert "6.0 (4.0 to 8.0)" in text
    assert "Rules that choose a source" in text
    assert "too few data sets to foretell" in told(findings(*rows))
    assert transfer(findings()) is None


def test_the_chart_has_a_panel_per_data_set():
    rows = [pair("a", "b", 6.0, 1.0), pair("d", "b", -1.0, 1.0), pair("d", "c", 2.0, 1.0)]
    spec = json.loads(transfer_chart(rows, findings(*rows).recipe).to_json())
    assert [panel["title"]["text"] for panel in spec["concat"]] == [
        ["a: gain of a start"],
        ["d: gain of a start"],
    ]
