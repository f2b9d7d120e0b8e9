"""The verdict: the whole text in six situations, the choice of a model, and what to run next."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gap.report import verdict as verdicts
from gap.report.advice import advice, open_gaps
from gap.report.markdown import part_as_markdown
from gap.report.steps import further_sizes, outlook_of, size_to_measure, steps
from gap.report.verdict import choices, equals
from gap.results.findings import Findings
from gap.results.reading import MissingRuns, ReadingRecipe
from gap.results.rows import AccuracyRow, CrossingRow, GapRow, LatencyRow, ScoreRow, TrialRow
from gap.results.statistics import Estimate, Tally, differences
from gap.results.tables import read_rows, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from table_rows import card_of, row_of

RECIPE: dict[str, Any] = {
    "reference": "big",
    "margin": 1.0,
    "confidence": 0.95,
    "titles": {"big": "MiniLM", "lstm": "the LSTM", "tfidf": "TF-IDF"},
    "seeds": {"big": ["1-3"], "lstm": ["1-3"], "tfidf": ["1-3"]},
}
ROWS = 2000
# Seconds of a training with 1,000 labels, milliseconds of a text, parameters.
COSTS = {"big": (60, 6.0, 22_700_000), "lstm": (20, 2.0, 2_500_000), "tfidf": (1, 0.25, 100_000)}
# A size, the gap, its standard errors by seeds and by rows; and the number of seeds.
Told = tuple[int, float, float, float]


def estimate_of(told: Told) -> Estimate:
    _, value, of_seeds, of_rows = told
    return Estimate(value, np.array([of_seeds**2]), of_rows**2, Tally(0, 0, 0.0, ROWS, 0.0))


def make(seeds: int = 3, crossed: Any = None, **models: Sequence[Told]) -> Findings:
    """A study of films whose gaps are judged as the workflow judges them."""
    cells = [(model, told) for model, rows in models.items() for told in rows]
    found = [estimate_of(told) for _, told in cells]
    claims = differences(found, RECIPE["margin"], RECIPE["confidence"])
    gaps = []
    for (model, (n, value, of_seeds, of_rows)), estimate, claim in zip(
        cells, found, claims, strict=True
    ):
        low, high = estimate.interval(0.95)
        row = row_of(GapRow, **cell(model, n, seeds), gap=value, gap_low=low, gap_high=high)
        seed_error = of_seeds if seeds > 1 else None
        row = replace(row, seed_error=seed_error, row_error=of_rows, reference_seeds=seeds)
        gaps.append(replace(row, rows=ROWS, difference=claim))
    accuracies = [
        row_of(AccuracyRow, **cell(model, n, seeds), accuracy=85 - value)
        for model, (n, value, _, _) in cells
    ]
    accuracies += [
        row_of(AccuracyRow, **cell("big", n, seeds), accuracy=85.0)
        for n in sorted({told[0] for _, told in cells})
    ]
    trials = [
        row_of(
            TrialRow,
            dataset="films",
            model=row.model,
            size=row.size,
            n=row.n,
            seed=seed,
            trial=trial,
            seconds=COSTS[row.model][0] * row.n / 2000,
        )
        for row in accuracies
        for seed in range(1, seeds + 1)
        for trial in (1, 2)
    ]
    latencies = [
        row_of(LatencyRow, dataset="films", model=model, milliseconds=ms, parameters=parameters)
        for model, (_, ms, parameters) in COSTS.items()
        if model in {"big", *models}
    ]
    blocks = {model: [f"1-{seeds}" if seeds > 1 else "1"] for model in COSTS}
    return Findings(
        ReadingRecipe.model_validate(RECIPE | {"seeds": blocks}),
        accuracies,
        gaps,
        scores=[row_of(ScoreRow, dataset="films", rows=ROWS)],
        trials=trials,
        latencies=latencies,
        crossings=[crossing(crossed)] if crossed else [],
        cards=[card_of("films", pool=47500, test=ROWS)],
    )


def cell(model: str, n: int, seeds: int) -> dict[str, Any]:
    seed_list = " ".join(map(str, range(1, seeds + 1)))
    named = {"dataset": "films", "model": model, "size": str(n), "n": n}
    return named | {"seeds": seeds, "seed_list": seed_list}


def crossing(ends: Sequence[float]) -> CrossingRow:
    n, low, high = ends
    row = row_of(CrossingRow, dataset="films", model="lstm", n=n, n_low=low, n_high=high)
    row = replace(row, largest=4000, gap_2x=1.2, gap_2x_low=-2.0, gap_2x_high=4.0)
    return replace(row, gap_4x=0.2, gap_4x_low=-3.5, gap_4x_high=3.5)


def told_by(study: Findings, **recipe: Any) -> Findings:
    """Return a study whose recipe says something else."""
    return replace(study, recipe=study.recipe.model_copy(update=recipe))


def verdict(study: Findings) -> str:
    section = verdicts.verdict(study)
    assert section
    return "\n\n".join(map(part_as_markdown, section.parts))


INF = math.inf

HOW = """\
At each size the table names the model to take: the cheapest, by milliseconds of a text, of all
models that are known to be within 1 point of MiniLM or clearly ahead of it. Where no other model is
known to be either, it is MiniLM. Training, s: the seconds that one seed takes with all of its
trials. Milliseconds and parameters are those of the largest size.

"""


def noisy(**changes: Any) -> Findings:
    models: dict[str, Any] = {
        "lstm": [(250, 9.0, 3.6, 0.4), (1000, 4.5, 2.9, 0.4), (4000, 2.4, 2.2, 0.4)],
        "tfidf": [(250, 12.0, 6.2, 0.6), (1000, 8.0, 4.2, 0.6), (4000, 5.2, 4.0, 0.6)],
    }
    return make(2, (9100.0, 4100.0, INF), **(models | changes))


def test_a_clear_gap() -> None:
    study = make(
        lstm=[(250, 18.2, 0.5, 0.6), (1000, 14.9, 0.4, 0.6), (4000, 9.1, 0.3, 0.6)],
        tfidf=[(250, 21.0, 0.5, 0.6), (1000, 17.0, 0.4, 0.6), (4000, 11.0, 0.3, 0.6)],
        crossed=(INF, 21000.0, INF),
    )
    expected = """
| Labels | Take   | Because           | Accuracy | Training, s | ms a text | Parameters |
| -----: | ------ | ----------------- | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM | all others behind |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | MiniLM | all others behind |     85.0 |          60 |         6 |     22.7 M |
|  4,000 | MiniLM | all others behind |     85.0 |         240 |         6 |     22.7 M |

At every measured size MiniLM is worth it: with 4,000 labels the next best, the LSTM, is 9.1 points
behind (95 % interval 7.8 to 10.4) and 3 times as fast.

What to run next: the comparisons above need no more runs, because each gap is known to be larger or
smaller than 1 point.
"""
    assert verdict(study) == HOW + expected.strip()


def test_a_closed_gap() -> None:
    study = make(
        lstm=[(250, 8.2, 0.3, 0.3), (1000, 3.2, 0.1, 0.3), (4000, 0.1, 0.05, 0.3)],
        tfidf=[(250, 9.0, 0.3, 0.3), (1000, 5.0, 0.2, 0.3), (4000, 2.5, 0.1, 0.3)],
        crossed=(2600.0, 1900.0, 3900.0),
    )
    expected = """
| Labels | Take     | Because            | Accuracy | Training, s | ms a text | Parameters |
| -----: | -------- | ------------------ | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM   | all others behind  |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | MiniLM   | all others behind  |     85.0 |          60 |         6 |     22.7 M |
|  4,000 | the LSTM | cheapest of equals |     84.9 |          80 |         2 |      2.5 M |

Up to 1,000 labels MiniLM is worth it: with 1,000 labels the next best, the LSTM, is 3.2 points
behind (95 % interval 2.6 to 3.8) and 3 times as fast. With 4,000 labels take the LSTM: it is within
1 point of MiniLM (gap 0.1, 95 % interval -0.5 to 0.7) and 3 times as fast, so MiniLM is not worth
it.

What to run next: the comparisons above need no more runs, because each gap is known to be larger or
smaller than 1 point.
"""
    assert verdict(study) == HOW + expected.strip()


def test_a_reversed_gap() -> None:
    study = make(
        lstm=[(250, 5.2, 0.3, 0.4), (1000, 0.1, 0.05, 0.3), (4000, -3.5, 0.1, 0.4)],
        tfidf=[(250, 9.0, 0.3, 0.3), (1000, 5.0, 0.2, 0.3), (4000, 2.5, 0.1, 0.3)],
        crossed=(800.0, 600.0, 1200.0),
    )
    expected = """
| Labels | Take     | Because            | Accuracy | Training, s | ms a text | Parameters |
| -----: | -------- | ------------------ | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM   | all others behind  |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | the LSTM | cheapest of equals |     84.9 |          20 |         2 |      2.5 M |
|  4,000 | the LSTM | clearly ahead      |     88.5 |          80 |         2 |      2.5 M |

With 250 labels MiniLM is worth it: the next best, the LSTM, is 5.2 points behind (95 % interval 4.2
to 6.2) and 3 times as fast. With 1,000 labels take the LSTM: it is within 1 point of MiniLM (gap
0.1, 95 % interval -0.5 to 0.7) and 3 times as fast, so MiniLM is not worth it. With 4,000 labels
take the LSTM: it is 3.5 points (95 % interval 2.7 to 4.3) ahead of MiniLM and 3 times as fast.

What to run next: the comparisons above need no more runs, because each gap is known to be larger or
smaller than 1 point.
"""
    assert verdict(study) == HOW + expected.strip()


def test_gaps_too_noisy_to_tell() -> None:
    study = noisy()
    expected = """
| Labels | Take   | Because   | Accuracy | Training, s | ms a text | Parameters |
| -----: | ------ | --------- | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM | undecided |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | MiniLM | undecided |     85.0 |          60 |         6 |     22.7 M |
|  4,000 | MiniLM | undecided |     85.0 |         240 |         6 |     22.7 M |

At every measured size nothing is decided: MiniLM is the safe choice, but the LSTM may be as good;
with 4,000 labels its gap is 2.4 (95 % interval -2.0 to 6.8).

What to run next: it is not known whether the LSTM is within 1 point of MiniLM with 250, 1,000 and
4,000 labels. With 250 the interval would be enough for one gap alone, but not among 6 gaps. The
curve through the gaps to the LSTM falls to 1 point at about 9,100 labels, which is more than was
measured. Steps, cheapest first, with their training at all sizes:

| Step                                        | Chance to decide, by labels         |   Training |
| ------------------------------------------- | ----------------------------------- | ---------: |
| `seeds: [1-2, 3]` under `big` and `lstm`    | 250: 53 %; 1,000: 5 %; 4,000: 0 %   |  7 minutes |
| `seeds: [1-2, 3-5]` under `big` and `lstm`  | 250: 75 %; 1,000: 26 %; 4,000: 8 %  | 21 minutes |
| `seeds: [1-2, 3-10]` under `big` and `lstm` | 250: 87 %; 1,000: 49 %; 4,000: 24 % | 56 minutes |
| `seeds: [1-2, 3-20]` under `big` and `lstm` | 250: 92 %; 1,000: 62 %; 4,000: 37 % |  2.1 hours |
"""
    assert verdict(study) == HOW + expected.strip()


def test_one_seed_only() -> None:
    study = make(seeds=1, lstm=[(250, 8.2, 0.0, 0.6), (1000, 2.4, 0.0, 0.6)])
    expected = """
| Labels | Take   | Because           | Accuracy | Training, s | ms a text | Parameters |
| -----: | ------ | ----------------- | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM | all others behind |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | MiniLM | all others behind |     85.0 |          60 |         6 |     22.7 M |

At every measured size MiniLM is worth it: with 1,000 labels the next best, the LSTM, is 2.4 points
behind (95 % interval 1.2 to 3.6) and 3 times as fast. Where there is one seed only, an interval
covers test rows alone: how much results vary between seeds is not known.

What to run next: the gap to the LSTM rests on one seed. Its interval covers test rows only, and it
is not known how much results vary between seeds. Begin with 3 seeds: `seeds: [1, 2-3]` under `big`
and `lstm`, about 3.3 minutes of training at all sizes. The curve that tells where the gap closes
needs 3 sizes: `sizes: [250, 1000, 4000]`, about 5.3 minutes of training at all sizes.
"""
    assert verdict(study) == HOW + expected.strip()


def test_missing_cells() -> None:
    study = make(
        lstm=[(250, 18.2, 0.5, 0.6), (1000, 14.9, 0.4, 0.6)],
        tfidf=[(250, 21.0, 0.5, 0.6), (1000, 17.0, 0.4, 0.6), (4000, 11.0, 0.3, 0.6)],
    )
    absent = {"dataset": "films", "model": "lstm", "size": "4000", "seeds": "1-3"}
    study = told_by(study, missing=[MissingRuns.model_validate(absent)])
    expected = """
| Labels | Take   | Because           | Accuracy | Training, s | ms a text | Parameters |
| -----: | ------ | ----------------- | -------: | ----------: | --------: | ---------: |
|    250 | MiniLM | all others behind |     85.0 |          15 |         6 |     22.7 M |
|  1,000 | MiniLM | all others behind |     85.0 |          60 |         6 |     22.7 M |
|  4,000 | MiniLM | all others behind |     85.0 |         240 |         6 |     22.7 M |

At every measured size MiniLM is worth it: with 4,000 labels the next best, TF-IDF, is 11.0 points
behind (95 % interval 9.7 to 12.3) and 24 times as fast.

What to run next: the runs that are missing, because they may change the choice:
`snakemake --cores all`.
"""
    assert verdict(study) == HOW + expected.strip()


def took(study: Findings) -> list[tuple[int, str, str]]:
    chosen = choices(study, "films")
    return [(choice.size.n, choice.model, choice.reason.value) for choice in chosen]


def as_good(**models: float) -> Findings:
    """A study of one size in which all these gaps are known to be none."""
    cells: dict[str, Any] = {name: [(250, gap, 0.01, 0.1)] for name, gap in models.items()}
    return make(**cells)


def test_of_equals_the_cheapest_is_taken_by_what_is_known_of_all() -> None:
    study = as_good(lstm=0.1, tfidf=0.2)
    assert took(study) == [(250, "tfidf", "cheapest of equals")]
    slow = [replace(row, milliseconds=7.0) for row in study.latencies if row.model != "big"]
    big = next(row for row in study.latencies if row.model == "big")
    untouched = replace(study, latencies=[big, *slow])
    assert took(untouched) == [(250, "big", "cheapest of equals")]
    assert "the LSTM and TF-IDF are within 1 point of it, but they are no cheaper." in " ".join(
        verdict(untouched).split()
    )
    # Trained in the least time, and not timed at inference with the others.
    partly = replace(study, latencies=[big, slow[0]])
    assert took(partly) == [(250, "tfidf", "cheapest of equals")]
    text = " ".join(verdict(partly).split())
    assert "60 times as fast to train, so MiniLM is not worth it. Where the times of a text" in text
    unknown = replace(study, latencies=[], trials=[])
    assert took(unknown) == [(250, "big", "cheapest of equals")]


def test_what_takes_no_time_is_no_division_by_it() -> None:
    study = as_good(tfidf=0.1)
    trials = [replace(row, seconds=0.0) for row in study.trials]
    assert "times as fast" not in verdict(replace(study, latencies=[], trials=trials))


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [(5.9, "about as fast"), (6.2, "about as fast"), (6.6, "0.91 times"), (5.6, "1.1 times")],
)
def test_what_is_about_as_fast_is_told_so(milliseconds: float, told: str) -> None:
    study = make(lstm=[(250, 18.2, 0.5, 0.6), (1000, 14.9, 0.4, 0.6)])
    latencies = [
        replace(row, milliseconds=milliseconds) if row.model == "lstm" else row
        for row in study.latencies
    ]
    text = " ".join(verdict(replace(study, latencies=latencies)).split())
    assert re.search(rf"the LSTM, is 14.9 points behind \([^)]*\) and {re.escape(told)}", text)


def gap_row(model: str, low: float, high: float, difference: str) -> GapRow:
    ends = {"gap": (low + high) / 2, "gap_low": low, "gap_high": high}
    return row_of(GapRow, model=model, difference=difference, **ends)


def test_none_is_taken_that_is_worse_than_the_best_by_more_than_the_margin() -> None:
    ahead = gap_row("a", -3, -1.2, "clear")
    same = gap_row("b", -0.5, 0.5, "none")
    best = gap_row("c", -9, -7, "clear")
    unclear = gap_row("d", -9, 0, "unclear")
    behind = gap_row("e", 2, 9, "clear")
    for rows, expected in (
        ([same, unclear, behind], ["big", "b"]),
        ([ahead, unclear, behind], ["a"]),
        # As near to the best as the margin, by their intervals, or not.
        ([ahead, gap_row("b", -0.3, 0.5, "none")], ["a", "b"]),
        ([ahead, gap_row("b", -0.1, 0.5, "none")], ["a"]),
        ([ahead, best], ["c"]),
        ([unclear, behind], ["big"]),
        # Clearly behind is not taken, however wide the interval of the best.
        ([gap_row("b", -0.95, 0.9, "none"), gap_row("e", 1.2, 2, "clear")], ["big", "b"]),
    ):
        assert [candidate.model for candidate in equals(rows, "big", 1.0)] == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(0.1, 1.5)), min_size=1, max_size=5))
def test_a_gap_is_told_as_far_from_the_margin_as_the_outlook_says(values: Any) -> None:
    cells: Sequence[Told] = [(250, gap, error, 0.2) for gap, error in values]
    study = make(3, lstm=cells)
    for place, row in enumerate(study.gaps):
        if row.difference != "unclear":
            continue
        outlook = outlook_of(study, row)
        half = outlook.reach * outlook.error(3, ROWS)
        for further, difference in ((1.001, "clear"), (0.999, "unclear")):
            moved: Told = (250, 1.0 + half * further, *cells[place][2:])
            told = make(3, lstm=[*cells[:place], moved, *cells[place + 1 :]]).gaps
            others = zip(told, study.gaps, strict=True)
            changed = sum(after.difference != before.difference for after, before in others)
            # Two that are nearly told may be told together, by the rate of false discoveries.
            if difference == "clear" or changed < 2:
                assert told[place].difference == difference


def test_the_main_comparison_goes_first_then_the_least_training() -> None:
    def first(study: Findings) -> str:
        rows = open_gaps(study, "films")
        return rows[0].model if rows else ""

    study = noisy()
    assert first(study) == "lstm"
    assert [row.n for row in open_gaps(study, "films")] == [250, 1000, 4000]
    assert first(told_by(study, compared="tfidf")) == "tfidf"
    # TF-IDF takes least, but none of its gaps is open.
    decided = [
        row if row.model == "lstm" else replace(row, difference="clear") for row in study.gaps
    ]
    assert first(replace(study, gaps=decided)) == "lstm"
    # The main comparison is told; of the others the one of least training.
    third = [replace(row, model="slow") for row in study.gaps if row.model == "lstm"]
    others = [row for row in study.gaps if row.model == "tfidf"]
    main = [replace(row, difference="clear") for row in study.gaps if row.model == "lstm"]
    costly = [
        replace(row, model="slow", seconds=900) for row in study.trials if row.model == "lstm"
    ]
    cells = [replace(row, model="slow") for row in study.accuracies if row.model == "lstm"]
    study = told_by(study, seeds={**study.recipe.seeds, "slow": ["1-2"]})
    study = replace(
        study,
        gaps=[*main, *third, *others],
        trials=[*study.trials, *costly],
        accuracies=[*study.accuracies, *cells],
    )
    assert first(study) == "tfidf"


def chances(study: Findings) -> list[tuple[str, dict[int, int]]]:
    """Return the steps of a study and their chances in percent."""
    possible = steps(study, open_gaps(study, "films"), "films")
    return [
        (step.change, {n: round(100 * chance) for n, chance in step.chances.items()})
        for step in possible
    ]


def test_which_model_is_ahead_makes_no_difference_to_the_steps() -> None:
    ahead, behind = (chances(make(lstm=[(250, gap, 1.5, 0.3)])) for gap in (-3.0, 3.0))
    assert ahead == behind
    assert ahead[0][0] == "`seeds: [1-3, 4-5]` under `big` and `lstm`"


def advised(study: Findings) -> str:
    return " ".join(" ".join(map(part_as_markdown, advice(study, "films"))).split())


def test_seeds_that_one_of_both_has_are_not_trained_again() -> None:
    study = noisy()
    text = advised(told_by(study, seeds={**study.recipe.seeds, "lstm": ["1-2", "7"]}))
    assert "| `seeds: [1-2, 7]` under `big` |" in text and "| 5.2 minutes |" in text
    # A config that is not known: each seed was a job of its own.
    assert "`seeds: [1, 2, 3]` under `big` and `lstm`" in advised(told_by(study, seeds={}))


def test_what_seeds_cannot_tell_takes_test_rows() -> None:
    assert chances(make(lstm=[(250, 2.0, 0.1, 0.9)])) == [("`test: 8000` under `films`", {250: 55})]
    # Where seeds differ much, seeds are the step, and where both do, both together are best.
    spread = chances(make(lstm=[(250, 2.0, 4.0, 0.1)]))
    assert spread and all(change.startswith("`seeds") for change, _ in spread)
    both = chances(make(lstm=[(250, 3.0, 1.2, 1.2)]))
    best = max(both, key=lambda step: step[1][250])
    assert best[0] == "`seeds: [1-3, 4-20]` under `big` and `lstm` and `test: 8000` under `films`"
    assert [step[1][250] for step in both] == sorted(step[1][250] for step in both)


def test_test_rows_are_as_many_as_the_data_set_can_give() -> None:
    study = make(lstm=[(250, 2.0, 0.1, 0.9)])
    few = replace(study, cards=[card_of("films", pool=3000, test=ROWS)])
    assert chances(few)[0][0] == "`test: 4800` under `films`"
    none = replace(study, cards=[card_of("films", pool=1000, test=ROWS)])
    assert "No step is likely to decide it: not 20 seeds" in advised(none)
    given = replace(study, cards=[card_of("films", 1000, ROWS, test_source_sha256="0" * 64)])
    assert chances(given) == [("a test set of 8,000 rows for `films`", {250: 55})]
    possible = steps(given, open_gaps(given, "films"), "films")
    assert possible[0].seconds == 0.0


def test_a_size_beyond_the_crossing_is_a_step_where_it_may_decide() -> None:
    study = make(3, (5200.0, 4100.0, INF), lstm=[(n, 3.0, 0.2, 0.1) for n in (250, 1000, 4000)])
    sure = replace(
        study.crossings[0],
        gap_2x=0.3,
        gap_2x_low=-0.2,
        gap_2x_high=0.8,
        gap_4x=0.0,
        gap_4x_low=-0.4,
    )
    study = replace(study, crossings=[replace(sure, gap_4x_high=0.4)])
    sizes = chances(study)
    assert [change for change, _ in sizes] == [
        "`sizes: [250, 1000, 4000, 6000]`",
        "`sizes: [250, 1000, 4000, 12000]`",
    ]
    assert sizes[0][1][6000] < sizes[1][1][12000] > 40


@pytest.mark.parametrize(
    ("crossed", "expected"),
    [
        # Beyond the largest size: there, or as far as it takes to tell something new.
        ((9123.0, 4100.0, INF), 9100),
        ((4100.0, 3900.0, 5000.0), 6000),
        # Within, where the interval is wide and no size is near.
        ((2040.0, 900.0, INF), 2000),
        ((2040.0, 900.0, 3500.0), None),
        ((1200.0, 300.0, INF), None),
        ((250.0, 250.0, 2000.0), None),
        ((INF, 9000.0, INF), None),
    ],
)
def test_which_size_would_tell_where_the_gap_closes(crossed: Any, expected: int | None) -> None:
    assert size_to_measure([250, 1000, 4000], crossing(crossed)) == expected


def test_no_size_is_advised_beyond_the_pool() -> None:
    study = noisy()
    small = replace(study, cards=[card_of("films", pool=9000, test=ROWS)])
    assert (
        "labels, which is more than the 9,000 rows of the pool: only more labels can tell."
        in advised(small)
    )


@pytest.mark.parametrize(
    ("sizes", "pool", "expected"),
    [
        ([250], 47500, [1000, 4000]),
        ([250, 1000], 47500, [4000]),
        ([250, 500], 47500, [1000]),
        ([250, 1000], 3000, [120]),
        ([1000], 3000, [250, 500]),
    ],
)
def test_a_curve_takes_three_sizes(sizes: list[int], pool: int, expected: list[int]) -> None:
    assert further_sizes(sizes, pool) == expected


def test_shares_stay_as_they_are_written() -> None:
    study = make(lstm=[(250, 8.2, 0.1, 0.3), (1000, 4.2, 0.1, 0.3)])
    accuracies = [replace(row, size="10%") if row.n == 1000 else row for row in study.accuracies]
    study = replace(study, accuracies=accuracies, trials=[])
    assert advised(study).endswith("`sizes: [250, 10%, 4000]`.")


def test_each_data_set_has_its_own_verdict() -> None:
    one = noisy()
    tables: dict[str, Any] = {
        name: [
            *getattr(one, name),
            *(replace(row, dataset="rentals") for row in getattr(one, name)),
        ]
        for name in ("scores", "accuracies", "gaps", "trials", "latencies", "crossings")
    }
    both = replace(one, cards=[*one.cards, {**one.cards[0], "dataset": "rentals"}], **tables)
    text = verdict(both)
    assert text.count("### films\n\n| Labels") == text.count("### rentals\n\n| Labels") == 1
    assert "with their training at all sizes and data sets:" in " ".join(text.split())
    films = [row for row in both.gaps if row.dataset == "films"]
    assert "### rentals\n\nNone yet." in verdict(replace(both, gaps=films))


def test_gaps_that_rest_on_one_seed_are_read_beside_others(tmp_path: Path) -> None:
    study = noisy()
    gaps = [replace(study.gaps[0], seed_error=None), *study.gaps[1:]]
    write_rows(tmp_path / "gaps.csv", GapRow, gaps)
    read = read_rows(tmp_path / "gaps.csv", GapRow)
    assert [row.seed_error is None for row in read] == [row.seed_error is None for row in gaps]
    assert "rests on one seed" in advised(replace(study, gaps=read))
