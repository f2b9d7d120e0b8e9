"""The verdict, made from predictions: a rare label, a lost seed, many gaps, no good forecast."""

import estimate_gap
import forecast_gap
import numpy as np
import pytest
from gap.report import verdict as verdicts
from gap.report.gaps import crossings, gaps
from gap.report.markdown import part_as_markdown
from gap.results.findings import Findings
from gap.results.predictions import index, write_predictions
from gap.results.reading import ReadingRecipe
from table_rows import card_of

SIZES = (250, 1000)


class Study:
    """A study of two models on made-up labels, whose predictions are written to a folder."""

    def __init__(self, folder, labels):
        self.folder, self.labels = folder, labels
        self.rng = np.random.default_rng(5)

    def add(self, model, n, recalls, seeds=(1, 2, 3)):
        """Write a cell; `recalls` has the share of rows of each label that get it, by seed."""
        about = {"dataset": "films", "model": model, "size": str(n), "n": n}
        scores = {seed: self.scores(recalls(seed)) for seed in seeds}
        path = self.folder / f"{model}-{n}.parquet"
        write_predictions(path, about, scores, self.labels)

    def scores(self, recalls):
        """Return log-probabilities (rows, 2) that are right on these shares of rows."""
        right = self.rng.random(len(self.labels)) < np.array(recalls)[self.labels]
        top = np.where(right, self.labels, 1 - self.labels)
        return np.log(np.where(np.eye(2)[top] > 0, 0.9, 0.1)).astype(np.float32)

    def findings(self, **changes):
        """Return what the workflow's program makes of the predictions."""
        keys = {"reference": "big", "margin": 3.0, "confidence": 0.95} | changes
        recipe = ReadingRecipe.model_validate(keys)
        cells = index(sorted(map(str, self.folder.iterdir())))
        tables = estimate_gap.estimate(cells, recipe)
        ahead = forecast_gap.forecast(cells, recipe)
        return Findings(
            recipe,
            tables.accuracies,
            tables.gaps,
            tables.metrics,
            crossings=ahead.crossings,
            forecasts=ahead.forecasts,
            cards=[card_of("films", pool=10_000, test=len(self.labels))],
        )


def told(section):
    """Return a section in one line."""
    assert section
    return " ".join(" ".join(map(part_as_markdown, section.parts)).split())


@pytest.fixture
def unbalanced(tmp_path):
    """One row in ten has the rare label, which the small model never predicts."""
    study = Study(tmp_path, (np.arange(8000) % 10 == 0).astype(np.int32))
    for n in SIZES:
        study.add("big", n, lambda seed: (0.93, 0.75))
        study.add("small", n, lambda seed: (1.0, 0.0))
    return study


def test_accuracy_takes_a_model_that_is_blind_to_a_rare_label(unbalanced):
    text = told(verdicts.verdict(unbalanced.findings()))
    assert "At every measured size take big: small is within 3 points of it" in text


def test_macro_f1_tells_what_the_blind_model_misses(unbalanced):
    findings = unbalanced.findings(metric=["macro_f1", "accuracy"])
    text = told(verdicts.verdict(findings))
    assert "| Macro-F1 |" in text
    assert "At every measured size big is worth it: with 1,000 labels the next best, small," in text
    # The other metric stands beside it, and would have said something else.
    claims = {row.difference for row in findings.metrics if row.model == "small"}
    assert claims == {"none"} and {row.metric for row in findings.metrics} == {"accuracy"}


def test_a_seed_that_diverged_is_told_and_widens_what_it_is_in(tmp_path):
    labels = (np.arange(2000) % 2).astype(np.int32)

    def findings(folder, lost):
        study = Study(folder, labels)
        folder.mkdir()
        for n in SIZES:
            study.add("big", n, lambda seed: (0.9, 0.9), range(1, 6))
        study.add("small", 250, lambda seed: (0.85 if seed != 4 else lost,) * 2, range(1, 6))
        study.add("small", 1000, lambda seed: (0.85, 0.85), range(1, 6))
        return study.findings(margin=1.0)

    good, bad = (findings(tmp_path / str(lost), lost) for lost in (0.85, 0.5))
    small, usual = bad.gaps[0], good.gaps[0]
    assert (small.n, small.diverged, small.seeds) == (250, 1, 5)
    # All five seeds count: the gap is a fifth of 35 points larger than that of the other four.
    assert small.gap - small.ordinary_gap == pytest.approx(7.0, abs=0.6)
    assert small.ordinary_gap == pytest.approx(usual.gap, abs=0.7)
    assert small.gap_high - small.gap_low > 2 * (usual.gap_high - usual.gap_low)
    assert "1 of 20 seeds has diverged" in told(gaps(bad))
    assert "diverged" not in told(gaps(good))
    assert "big is worth it" in told(verdicts.verdict(good))


def test_of_many_gaps_fewer_are_told_than_their_intervals_alone_would(tmp_path):
    study = Study(tmp_path, (np.arange(1000) % 2).astype(np.int32))
    # Five of 25 models are behind by so little that hardly more than chance tells it.
    behind = {f"small {number}" for number in range(5)}
    for n in SIZES:
        for model in ("big", *(f"small {number}" for number in range(25))):
            share = 0.83 if model in behind else 0.85
            study.add(model, n, lambda seed, share=share: (share, share))
    findings = study.findings(margin=0.0)
    alone = [row for row in findings.gaps if row.gap_low > 0 or row.gap_high < 0]
    claimed = [row for row in findings.gaps if row.difference != "unclear"]
    assert len(claimed) < len(alone)
    assert {row.model for row in claimed} <= behind
    text = told(verdicts.verdict(findings))
    assert "At every measured size nothing is decided: big is the safe choice" in text
    assert "would be enough for one gap alone, but not among 50 gaps" in text


def test_forecasts_that_the_study_refutes_are_withheld(tmp_path):
    study = Study(tmp_path, (np.arange(4000) % 2).astype(np.int32))
    # The gap halves from each size to the next, and then stays: curves forecast too much.
    for n, gap in ((250, 0.16), (500, 0.08), (1000, 0.08), (2000, 0.08), (4000, 0.08)):
        study.add("big", n, lambda seed: (0.9, 0.9))
        study.add("small", n, lambda seed, gap=gap: (0.9 - gap,) * 2)
    findings = study.findings(margin=1.0)
    (row,) = findings.crossings
    assert row.withheld
    last = findings.gaps[-1].gap
    assert row.gap_2x == row.gap_4x == pytest.approx(last, abs=0.5)
    text = told(crossings(findings))
    assert "So the gaps are taken to stay as they are beyond the largest size." in text
    assert "big is worth it" in told(verdicts.verdict(findings))
