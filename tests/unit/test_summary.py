"""The summary: the sentence for each way a gap can go, and the tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import write_summary
from gap.report import answer as first_sentence
from gap.report.contents import document
from gap.report.markdown import markdown_table, write_markdown
from gap.results.findings import Findings
from gap.results.reading import ReadingRecipe
from gap.results.rows import (
    TABLES,
    AccuracyRow,
    CrossingRow,
    ForecastRow,
    GapRow,
    LatencyRow,
    MetricRow,
    Row,
    ScoreRow,
    TrialRow,
)
from gap.results.tables import read_rows, write_rows
from table_rows import card_of, row_of

RECIPE: dict[str, Any] = {
    "reference": "big",
    "margin": 1.0,
    "confidence": 0.95,
    "titles": {"big": "MiniLM", "lstm": "the LSTM"},
}
Point = tuple[int, float, float, float]


def gaps(*points: Point, model: str = "lstm", dataset: str = "films") -> list[GapRow]:
    return [
        GapRow(
            dataset=dataset,
            model=model,
            reference="big",
            size=str(n),
            n=n,
            gap=gap,
            gap_low=low,
            gap_high=high,
            seed_error=0.1,
            row_error=0.5,
            chance_error=0.05,
            own_seed_error=0.2,
            rows=2000,
            reference_seeds=3,
            seeds=2,
            seed_list="1 2",
            diverged=0,
            ordinary_gap=None,
            ahead=0.9,
            within=0.1,
            behind=0.0,
            difference="clear",
            metric="accuracy",
        )
        for n, gap, low, high in points
    ]


def make(rows: list[GapRow], **recipe: object) -> Findings:
    datasets = list(dict.fromkeys(row.dataset for row in rows)) or ["films"]
    sizes = dict.fromkeys([("250", 250), *((row.size, row.n) for row in rows)])
    accuracies = [
        AccuracyRow(
            dataset=dataset,
            model=model,
            size=size,
            n=n,
            accuracy=80.0,
            accuracy_low=78.0,
            accuracy_high=82.0,
            seed_error=0.1,
            row_error=0.5,
            seeds=2,
            seed_list="1 2",
            diverged=0,
            metric="accuracy",
        )
        for dataset in datasets
        for model in ["big", *dict.fromkeys(row.model for row in rows)]
        for size, n in sizes
    ]
    scores = [
        ScoreRow(
            dataset=row.dataset,
            model=row.model,
            size=row.size,
            n=row.n,
            seed=seed,
            rows=500,
            accuracy=0.8,
            macro_f1=0.7 + 0.1 * seed,
            log_loss=0.5,
            calibration_error=0.05,
        )
        for row in accuracies
        for seed in (1, 2)
    ]
    cards = [
        card_of(
            dataset,
            pool=47500,
            test=2000,
            labels=["bad", "good"],
            rejected={"no text": 3},
            text_budget={"words": 48, "unit": "word", "called": "word", "keep": "head"},
            origin="Maas et al. 2011",
        )
        for dataset in datasets
    ]
    read = ReadingRecipe.model_validate(RECIPE | recipe)
    return Findings(read, accuracies, rows, scores=scores, cards=cards)


def summary(findings: Findings) -> str:
    return write_markdown(document(findings))


def timed(model: str, **changes: Any) -> LatencyRow:
    """Return a row of gather_latency's table."""
    row = LatencyRow(
        dataset="films",
        model=model,
        family="lstm",
        size="250",
        n=250,
        parameters=1_234_567,
        trained_parameters=1000,
        milliseconds=2.0,
        milliseconds_95=3.456,
        tokenisation=0.25,
        examples_per_second=12345.6,
        batch_size=32,
        speed_up=8.0,
        batched_speed_up=12.34,
        cpu_share=0.99,
        spread=0.02,
        disturbed=False,
        device="cpu",
        processor="a CPU (AVX2)",
        precision="fp32",
        threads=1,
        accuracy=80.0,
        accuracy_low=78.0,
        accuracy_high=82.0,
        pareto=True,
        metric="accuracy",
    )
    return replace(row, **changes)


BIG = timed("big", family="transformer", speed_up=1.0, batched_speed_up=1.0, pareto=False)


def inference(*rows: LatencyRow, **recipe: object) -> str:
    """Return the summary's section on inference in one line."""
    study = replace(make(gaps((250, 9, 7, 11)), **recipe), latencies=rows)
    section = summary(study).partition("## What inference costs\n\n")[2]
    return " ".join(section.partition("\n## ")[0].split())


def test_what_is_odd_in_the_data_is_told() -> None:
    study = make(gaps((250, 9, 7, 11)))
    warned = replace(study, cards=[{**study.cards[0], "warnings": ["8 labels look like 2"]}])
    section = summary(warned).partition("## Data\n\n")[2].partition("\n## ")[0]
    assert f"{study.title(study.cards[0]['dataset'])}: 8 labels look like 2." in section
    assert "look like" not in summary(study)


def test_what_inference_costs_is_told_beside_the_papers_claim() -> None:
    text = inference(BIG, timed("lstm"))
    assert "on 1 thread of a CPU (AVX2), in fp32." in text
    row = "| the LSTM | 1.23 M | 2 | 3.46 | 25% | 8x | 12,346 | 12.3x | yes |"
    assert row in text
    assert "found that LSTMs are at least 20 times as fast as RoBERTa at inference." in text
    assert text.endswith(
        "Here, compared with MiniLM: the LSTM is 8 times as fast (12.3 times in batches)."
    )
    assert "disturbed" not in text
    assert "What inference costs" not in summary(make(gaps((250, 9, 7, 11))))


def test_the_paper_is_left_out_where_its_models_are_not_compared() -> None:
    assert "Wang" not in inference(BIG, timed("tfidf", family="linear"))
    assert "Wang" not in inference(replace(BIG, family="linear"), timed("lstm"))
    unmeasured: dict[str, Any] = {"speed_up": None, "batched_speed_up": None}
    text = inference(replace(BIG, **unmeasured), timed("lstm", **unmeasured))
    assert "Wang" not in text
    assert "| 25% | | 12,346 | |" in text


def test_ratios_of_several_data_sets_are_a_range() -> None:
    other = timed("lstm", dataset="rentals", speed_up=4.5, batched_speed_up=12.34)
    text = inference(BIG, timed("lstm"), other)
    assert "the LSTM is 4.5 to 8 times as fast (12.3 times in batches)." in text


def test_a_disturbed_measurement_is_marked_and_told() -> None:
    text = inference(BIG, timed("lstm", disturbed=True, cpu_share=0.61, spread=0.4))
    assert "| the LSTM | 1.23 M | 2* |" in text
    assert "disturbed the measurement of the LSTM (CPU time 61% of the clock's, rounds 40%" in text
    assert text.endswith("measure again: `snakemake --cores all --forcerun measure_latency`.")


def answer(*points: Point, **recipe: object) -> str:
    return first_sentence.answer(make(gaps(*points), **recipe))


def test_narrowing_gap_above_the_margin() -> None:
    assert answer((250, 18.2, 15.1, 21.3), (1000, 15, 13, 17), (4000, 9.1, 8.0, 10.2)) == (
        "With 250 labels MiniLM is 18.2 points (95 % interval 15.1 to 21.3) ahead of the LSTM; "
        "with 4,000 labels 9.1 (8.0 to 10.2); the gap narrows but has not fallen to 1 point at any "
        "measured size."
    )


@pytest.mark.parametrize(
    ("points", "end"),
    [
        (
            [(250, 9, 7, 11), (1000, 0.2, -0.5, 0.9), (4000, 0.1, -0.4, 0.6)],
            "the gap narrows, and from 1,000 labels on it is at most 1 point.",
        ),
        (
            [(250, 9, 7, 11), (1000, 0.2, -0.5, 0.9), (4000, 3.0, 2.0, 4.0)],
            "the gap narrows, and at the largest size it is above 1 point.",
        ),
        (
            [(250, 9, 7, 11), (4000, 0.4, -0.5, 1.04)],
            "and with 4,000 labels it is 1 point or less, but the interval reaches 1.04.",
        ),
        (
            [(250, 9, 7, 11), (4000, 8, 6, 10)],
            "the gap looks narrower (the intervals overlap) and has not fallen to 1 point at any "
            "measured size.",
        ),
        (
            [(250, 8, 7, 9), (4000, 8.5, 7, 10)],
            "the gap does not narrow and has not fallen to 1 point at any measured size.",
        ),
        (
            [(250, 3, 2, 4), (4000, 9, 7, 11)],
            "the gap widens and has not fallen to 1 point at any measured size.",
        ),
        (
            [(250, 0.5, 0.1, 0.9), (4000, 0.3, -0.2, 0.8)],
            "and at every measured size it is at most 1 point.",
        ),
        (
            [(250, 9, 7, 11), (4000, -2, -3.2, -0.8)],
            "; with 4,000 labels 2.0 (0.8 to 3.2) behind; with 4,000 labels the LSTM is ahead.",
        ),
        (
            [(250, -3, -4, -2), (4000, -5, -6, -4.5)],
            "with 4,000 labels 5.0 (4.5 to 6.0); at every measured size the LSTM is ahead.",
        ),
        (
            [(250, 9, 7, 11)],
            "ahead of the LSTM; only one size was measured, so it is not known whether the gap "
            "narrows.",
        ),
    ],
)
def test_every_course_of_a_gap(points: list[Point], end: str) -> None:
    assert answer(*points).endswith(end)


def test_what_rounds_to_nought_is_no_minus() -> None:
    text = answer((250, 9, 7, 11), (4000, -0.04, -0.9, 0.04))
    assert "with 4,000 labels 0.0 (-0.9 to 0.0);" in text


def test_no_gap_to_tell() -> None:
    assert answer() == "No gap can be told: no model beside MiniLM was run."
    assert summary(make([])).count("##") == 3


def test_margin_and_confidence_are_the_recipes() -> None:
    text = answer((250, 9, 7, 11), (4000, 1.5, 1.1, 1.9), margin=2.0, confidence=0.9)
    assert "(90 % interval 7.0 to 11.0)" in text
    assert text.endswith("with 4,000 labels it is at most 2 points.")


def test_the_main_comparison_is_the_first_or_the_one_compared() -> None:
    rows = gaps((250, 9, 7, 11), model="frozen") + gaps((250, 5, 4, 6))
    assert "ahead of frozen" in first_sentence.answer(make(rows))
    assert "ahead of the LSTM" in first_sentence.answer(make(rows, compared="lstm"))
    text = summary(make(rows, compared="lstm"))
    assert "- With 250 labels MiniLM is 9.0 points (95 % interval 7.0 to 11.0) ahead of" in text


def test_several_data_sets_share_the_first_line() -> None:
    rows = gaps((250, 9, 7, 11)) + gaps((250, 5, 4, 6), dataset="rentals")
    text = summary(make(rows))
    first = text.splitlines()[0]
    assert first.startswith("On films with 250 labels MiniLM is 9.0 points")
    assert "; on rentals with 250 labels MiniLM is 5.0 points" in first
    assert text.count("### rentals") == 4
    assert sum(line.startswith("| the LSTM |") for line in text.splitlines()) == 5
    assert "## All data sets together" in text and "| the LSTM |    250 |         2 |" in text
    assert "All data sets together" not in summary(make(gaps((250, 9, 7, 11))))


def test_a_partial_study_is_told_as_preliminary() -> None:
    rows = gaps((250, 9, 7, 11))
    missing = [
        {"dataset": "films", "model": "lstm", "size": "4000", "seeds": seeds}
        for seeds in ("1-2", "3")
    ]
    text = summary(make(rows, missing=missing))
    whole = summary(make(rows))
    notice, rest = text.split("\n", 1)
    assert notice == 'Preliminary: 3 of 7 runs are missing (listed under "What is missing").'
    # The notice and the answer are one paragraph, which is what the end of a run shows.
    assert rest.startswith("With 250 labels MiniLM is 9.0 points")
    section = (
        "## What is missing\n\n"
        "| Data set | Model    | Labels | Seeds  |\n"
        "| -------- | -------- | -----: | ------ |\n"
        "| films    | the LSTM |  4,000 | 1-2, 3 |\n\n"
    )
    # What to run next differs.
    assert _but_the_verdict(rest.replace(section, "")) == _but_the_verdict(whole)
    assert "What to run next: the runs that are missing" in text
    assert summary(make(rows, missing=[])) == whole


def _but_the_verdict(text: str) -> str:
    start = text.index("## The verdict")
    return text[:start] + text[text.index("## Gap to") :]


def test_the_verdict_follows_the_explanation() -> None:
    rows = gaps((250, 9, 7, 11), (4000, 8, 6, 10)) + gaps((250, 9, 7, 11), model="frozen")
    parts = summary(make(rows)).split("\n\n")
    assert parts[1].startswith("Measured on")
    assert parts[2] == "## The verdict"
    assert parts.index("## The other comparisons") > parts.index("## The verdict")
    assert "The curve that tells where the gap closes needs 3 sizes" in "\n".join(parts[3:7])


def test_what_has_no_gap_is_told() -> None:
    study = make(gaps((250, 9, 7, 11)))
    accuracy = replace(study.accuracies[-1], size="4000", n=4000)
    score = replace(study.scores[-1], size="4000", n=4000)
    study = replace(study, scores=[*study.scores, score], accuracies=[*study.accuracies, accuracy])
    text = " ".join(summary(study).split())
    assert "No gap can be told here, because MiniLM has no run there: all models" in text
    assert "all models at 4,000." in text


def test_a_data_set_without_gaps_has_no_table_of_them() -> None:
    study = make(gaps((250, 9, 7, 11)) + gaps((250, 9, 7, 11), dataset="rentals"))
    study = replace(study, gaps=[row for row in study.gaps if row.dataset == "films"])
    assert "### rentals\n\nNone yet.\n" in summary(study)


def test_table_is_aligned_and_escapes_bars() -> None:
    assert markdown_table(["Model", "n"], [["a|b", "1"], ["c", "1,000"]], frozenset({1})) == (
        "| Model |     n |\n| ----- | ----: |\n| a\\|b  |     1 |\n| c     | 1,000 |"
    )


def test_tables_hold_the_numbers_and_fit_a_terminal() -> None:
    rows = gaps((1000000, 12.34, -10.11, 14.56), model="a rather long name of a model")
    times = [timed("a rather long name of a model", disturbed=True, milliseconds=1234.5)]
    text = summary(replace(make(rows), latencies=times))
    assert max(len(line) for line in text.splitlines()[1:]) <= 110
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    gap = ["a rather long name of a model", "1,000,000", "12.3", "-10.1 to 14.6"]
    assert [*gap, "90, 10, 0", "3, 2", "clear"] in cells
    assert ["MiniLM", "250", "80.0", "78.0 to 82.0", "85.0", "0.500", "5.0", "2"] in cells
    assert ["films", "47,500", "2,000", "3", "48 words", "bad, good"] in cells
    assert "films: Maas et al. 2011" in text


def test_published_figures_stand_beside_ours_and_in_no_other_part() -> None:
    setting = {"dataset": "films", "size": "250", "source": "A et al., table 2"}
    published = [
        setting | {"model": "big", "accuracy": 78.85, "note": "derived"},
        setting | {"model": "lstm", "accuracy": 76.37},
        setting | {"model": "lstm", "accuracy": 50.0, "source": "B"},
    ]
    rows = gaps((250, 9, 7, 11))
    text, whole = (summary(make(rows, **recipe)) for recipe in ({"published": published}, {}))
    start, end = text.index("## Published figures"), text.index("## Data")
    assert text[:start] + text[end:] == whole
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text[start:end].splitlines()
        if line.startswith("|")
    ]
    assert cells[2:] == [
        ["films", "MiniLM", "250", "78.85", "80.00", "", ""],
        ["films", "the LSTM", "250", "76.37", "80.00", "2.48", "9.00"],
        # This figure is from another source, which has none of the reference.
        ["films", "the LSTM", "250", "50.00", "80.00", "", "9.00"],
    ]
    assert "- films, MiniLM, 250: A et al., table 2; derived\n" in text
    assert "- films, the LSTM, 250: A et al., table 2\n" in text
    assert summary(make(rows, published=[])) == whole


def tried(
    model: str, seed: int, *outcomes: tuple[float | None, float], n: int = 250
) -> list[TrialRow]:
    """Rows of trials with their validation losses and accuracies."""
    return [
        TrialRow(
            dataset="films",
            model=model,
            size=str(n),
            n=n,
            seed=seed,
            trial=number,
            settings={"lr": "0.1"},
            validation_loss=loss,
            validation_accuracy=accuracy,
            seconds=1.0,
            chosen=False,
        )
        for number, (loss, accuracy) in enumerate(outcomes, start=1)
    ]


def test_what_was_tried_is_told_at_the_largest_size() -> None:
    trials = [
        *tried("big", 1, (0.5, 0.9), n=100),
        # The lowest loss, not the highest accuracy, is chosen; no loss at all is the highest.
        *tried("big", 1, (0.5, 0.8), (0.4, 0.7), (None, 0.6)),
        *tried("big", 2, (0.5, 0.7), (0.4, 0.9), (0.3, 0.8)),
        *tried("lstm", 1, (0.5, 0.55)),
    ]
    study = replace(make(gaps((250, 9, 7, 11))), trials=trials)
    text = summary(study)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["Model", "Labels", "Trials", "1", "2", "3"] in cells
    # Three trials make three pairs: the best trial is in two of them, the second best in one.
    pairs = 50 * ((2 * 0.7 + 0.8) / 3 + (2 * 0.8 + 0.9) / 3)
    assert ["MiniLM", "250", "3", "75.0", f"{pairs:.1f}", "75.0"] in cells
    assert ["the LSTM", "250", "1", "55.0", "", ""] in cells
    assert "never the test set" in text


def test_one_trial_each_is_nothing_to_tell() -> None:
    study = make(gaps((250, 9, 7, 11)))
    # Drawn from several: its number is not the first.
    trials = [replace(row, trial=3) for row in tried("big", 1, (0.5, 0.9))]
    assert "tried" not in summary(replace(study, trials=trials))


def test_a_share_is_shown_with_its_n() -> None:
    rows = gaps((4321, 9, 7, 11))
    rows = [replace(row, size="10%") for row in rows]
    assert "| 4,321 (10%) |" in summary(make(rows))


def crossed(n: float, low: float, high: float) -> CrossingRow:
    return row_of(
        CrossingRow,
        dataset="films",
        model="lstm",
        reference="big",
        sizes=3,
        largest=4000,
        n=n,
        n_low=low,
        n_high=high,
        gap_2x=1.2,
        gap_2x_low=-0.5,
        gap_2x_high=2.9,
        within_2x=0.41,
        gap_4x=0.6,
        gap_4x_low=-2.0,
        gap_4x_high=3.2,
        within_4x=0.62,
    )


def held_back(value: float, measured: float) -> ForecastRow:
    return row_of(
        ForecastRow,
        dataset="films",
        model="lstm",
        reference="big",
        sizes=3,
        largest=1000,
        n=4000,
        value=value,
        low=value - 0.5,
        high=value + 0.5,
        last=measured + 1.0,
        measured=measured,
    )


@pytest.mark.parametrize(
    ("n", "low", "high", "expected"),
    [
        (1234.5, 510.2, 3456.0, "1,200 | 510"),
        (9123.0, 3900.0, math.inf, "9,100 (not measured) | 3,900"),
        (250.0, 250.0, 613.0, "250 or before | 250 or before"),
        (math.inf, math.inf, math.inf, "not up to 16,000 | not up to 16,000"),
    ],
)
def test_where_a_gap_closes_is_told(n: float, low: float, high: float, expected: str) -> None:
    study = make(gaps((250, 9, 7, 11), (1000, 5, 4, 6), (4000, 3, 2, 4)))
    text = summary(replace(study, crossings=[crossed(n, low, high)]))
    assert "## At which size the gap closes" in text
    cells = [" ".join(line.split()) for line in text.splitlines()]
    ahead = "1.2 (-0.5 to 2.9) | 41 % | 0.6 (-2.0 to 3.2) | 62 %"
    assert f"| the LSTM | {expected} | {ahead} |" in cells
    assert "Held back" not in text


def test_how_wrong_forecasts_were_is_told() -> None:
    study = make(gaps((250, 9, 7, 11), (1000, 5, 4, 6), (4000, 3, 2, 4)))
    study = replace(study, crossings=[crossed(9000.0, 5000.0, math.inf)])
    study = replace(study, forecasts=[held_back(4.0, 3.0), held_back(2.8, 3.0)])
    text = " ".join(summary(study).split())
    assert "2 gaps at larger sizes of this study were forecast from the smaller sizes alone" in text
    assert "off by 0.6 points on average (the last gap in place of a forecast: 1.0)" in text
    assert "and by 1.0 at most; 1 of 2 gaps lay inside" in text


def test_what_makes_a_forecast_doubtful_is_told() -> None:
    study = make(gaps((250, 9, 7, 11), (1000, 5, 4, 6), (4000, 3, 2, 4)))
    fine = crossed(9000.0, 5000.0, math.inf)
    assert "no better than the last gap" not in summary(replace(study, crossings=[fine]))
    text = " ".join(
        summary(replace(study, crossings=[replace(fine, withheld=True, falls=True)])).split()
    )
    assert "Curves have forecast larger sizes of this study no better than the last gap." in text
    assert "In the comparison with the LSTM the accuracy of a model falls from one size" in text


def test_diverged_seeds_are_counted_and_shown_without() -> None:
    rows = gaps((250, 9, 7, 11), (1000, 5, 4, 6))
    study = make([replace(rows[0], diverged=1, ordinary_gap=7.5), rows[1]])
    assert "diverged" not in summary(study)
    accuracies = [
        replace(row, diverged=int((row.model, row.n) == ("lstm", 250))) for row in study.accuracies
    ]
    text = " ".join(summary(replace(study, accuracies=accuracies)).split())
    assert "1 of 8 seeds has diverged" in text
    assert "the LSTM with 250 labels: a gap of 7.5 in place of 9.0" in text


def test_what_accuracy_hides_where_most_rows_have_one_label_is_told() -> None:
    study = make(gaps((250, 9.0, 7.0, 11.0)))
    card = study.cards[0]

    def counted(bad: int, good: int) -> str:
        counts = {"bad": bad, "good": good}
        return flat(
            replace(study, cards=[{**card, "test": {**card["test"], "label_counts": counts}}])
        )

    assert "65% of the test rows have the label bad" in counted(1300, 700)
    assert "`gap: {metric: [macro_f1, accuracy]}`" in counted(1300, 700)
    assert "of the test rows have" not in counted(1100, 900)
    study = replace(study, recipe=study.recipe.model_copy(update={"metric": ["macro_f1"]}))
    assert "of the test rows have" not in counted(1300, 700)


def test_the_first_metric_is_named_and_others_have_a_section() -> None:
    study = make(gaps((250, 9.0, 7.0, 11.0)), metric=["macro_f1", "log_loss"])
    big, lstm = (
        row_of(MetricRow, dataset="films", model=model, metric="log_loss", size="250", n=250)
        for model in ("big", "lstm")
    )
    lstm = replace(lstm, value=-35.0, gap=-4.0, gap_low=-6.0, gap_high=-2.0, difference="clear")
    text = flat(replace(study, metrics=[big, lstm]))
    assert "The gap is the macro-F1 of MiniLM minus that of the other model" in text
    assert "## Macro-F1 on the test set" in text and "## Other metrics" in text
    assert "| negative log loss | the LSTM" in text and "-4.0 (-6.0 to -2.0) | clear" in text
    assert "Accuracy on the test set" not in text


def flat(study: Findings) -> str:
    """Return the summary in one line."""
    return " ".join(summary(study).split())


def test_program_reads_the_tables_and_writes_the_summary(tmp_path: Path) -> None:
    study = make(gaps((250, 18.25, 15.1, 21.3), (4000, 9.1, 8.0, 10.2)))
    study = replace(study, latencies=[BIG, timed("lstm")])
    study = replace(study, crossings=[crossed(9100.0, 4100.0, math.inf)])
    study = replace(study, forecasts=[held_back(9.5, 9.1)])
    tables: dict[str, Sequence[Row]] = {
        "scores": study.scores,
        "accuracies": study.accuracies,
        "gaps": study.gaps,
        "metrics": study.metrics,
        "trials": [],
        "latency": study.latencies,
        "crossings": study.crossings,
        "forecasts": study.forecasts,
    }
    options = []
    for name, rows in tables.items():
        write_rows(tmp_path / f"{name}.csv", TABLES[name], rows)
        option = "latencies" if name == "latency" else name
        options += [f"--{option}", str(tmp_path / f"{name}.csv")]
    (tmp_path / "card.json").write_text(json.dumps(study.cards[0]), encoding="utf-8")
    options += ["--cards", str(tmp_path / "card.json"), "--summary", str(tmp_path / "out" / "s.md")]
    write_summary.main(["--recipe", json.dumps(RECIPE), *options])
    assert (tmp_path / "out" / "s.md").read_text(encoding="utf-8") == summary(study)
    assert read_rows(tmp_path / "gaps.csv", GapRow)[0] == study.gaps[0]
