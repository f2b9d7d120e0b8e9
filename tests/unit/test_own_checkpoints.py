"""What own pretraining costs: the table, the verdict's sentence, the chart, the gathering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gather
import pytest
from gap.data.manifests import Origin
from gap.report import verdict as verdicts
from gap.report.contents import document
from gap.report.cost import cost_chart
from gap.report.markdown import part_as_markdown, write_markdown
from gap.report.pretraining import advances, cost, pretraining
from gap.results.findings import Findings
from gap.results.pretrainings import (
    PretrainingRow,
    pretraining_row,
    read_pretrainings,
    with_starts,
)
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow, LatencyRow, ScoreRow
from gap.results.tables import write_rows
from gap.run.errors import UserError
from gap.run.json import write_json
from table_rows import card_of, row_of

TITLES = {"own": "Our encoder", "lstm": "the LSTM", "words": "TF-IDF", "fetched": "MiniLM"}
# A size, the reference's advance with its interval, and what is said of it.
Told = tuple[int, float, float, float, str]
FALLING: list[Told] = [
    (250, 13.0, 9.0, 17.0, "clear"),
    (1000, 3.0, 2.0, 4.0, "clear"),
    (4000, 0.2, -0.3, 0.7, "none"),
    (16000, 0.1, -0.4, 0.6, "none"),
]
ENCODER = row_of(
    PretrainingRow,
    checkpoint="own-encoder",
    objective="masked_lm",
    corpus="tickets notes",
    models="own",
    texts=47_000,
    held_out=550,
    tokens=12_345_678,
    passes=2.5,
    loss_before=9.0,
    loss_after=4.25,
    seconds=601.2,
    core_seconds=601.2,
    device="cpu",
)


def make(
    reference: str = "own",
    pretrainings: Sequence[PretrainingRow] = (ENCODER,),
    compared: str | None = None,
    scratch: Sequence[str] = ("lstm", "words"),
    **models: Sequence[Told],
) -> Findings:
    """A study of tickets whose table of gaps is given by model."""
    gaps = [
        row_of(
            GapRow,
            **cell(model, told[0]),
            reference=reference,
            gap=told[1],
            gap_low=told[2],
            gap_high=told[3],
            difference=told[4],
        )
        for model, rows in models.items()
        for told in rows
    ]
    sizes = sorted({row.n for row in gaps})
    accuracies = [row_of(AccuracyRow, **cell(row.model, row.n)) for row in gaps]
    accuracies += [row_of(AccuracyRow, **cell(reference, n)) for n in sizes]
    recipe: dict[str, Any] = {"reference": reference, "margin": 1.0, "confidence": 0.95}
    recipe |= {"titles": TITLES, "compared": compared, "scratch": list(scratch)}
    recipe |= {"seeds": {model: ["1-3"] for model in (reference, *models)}}
    return Findings(
        ReadingRecipe.model_validate(recipe),
        accuracies,
        gaps,
        scores=[row_of(ScoreRow, **cell(row.model, row.n)) for row in accuracies],
        cards=[card_of("tickets", pool=47_000, test=2000)],
        pretrainings=pretrainings,
    )


def cell(model: str, n: int) -> dict[str, Any]:
    return {"dataset": "tickets", "model": model, "size": str(n), "n": n}


# ---------------------------------------------------------------- the verdict's sentence


def test_the_price_and_the_advance_of_a_reference_with_own_weights() -> None:
    study = make(lstm=FALLING)
    assert advances(study, "tickets") == [
        "The pretraining of Our encoder costs 10 core-minutes once; with 250 labels the model is "
        "13.0 points (95 % interval 9.0 to 17.0) ahead of the LSTM; with 1,000 labels the model is "
        "3.0 points (95 % interval 2.0 to 4.0) ahead of the LSTM; from 4,000 labels on the model "
        "is within 1 point of the LSTM."
    ]
    section = verdicts.verdict(study)
    assert section
    text = " ".join(" ".join(map(part_as_markdown, section.parts)).split())
    assert advances(study, "tickets")[0] in text
    assert "Pretraining is not in it: see Checkpoints of this study's own." in text


def test_the_rival_is_the_best_from_scratch_at_each_size_or_the_one_that_is_named() -> None:
    rows: dict[str, Any] = {
        "lstm": [(250, 13.0, 9.0, 17.0, "clear"), (1000, 3.0, 2.0, 4.0, "clear")],
        "words": [(250, 8.0, 5.0, 11.0, "clear"), (1000, 5.0, 4.0, 6.0, "clear")],
        # Better than both, but not from scratch.
        "fetched": [(250, -5.0, -6.0, -4.0, "clear"), (1000, -5.0, -6.0, -4.0, "clear")],
    }
    (best,) = advances(make(**rows), "tickets")
    assert "8.0 points (95 % interval 5.0 to 11.0) ahead of TF-IDF" in best
    assert "3.0 points (95 % interval 2.0 to 4.0) ahead of the LSTM" in best
    assert "MiniLM" not in best
    (named,) = advances(make(compared="lstm", **rows), "tickets")
    assert "TF-IDF" not in named
    # Who is compared otherwise is not from scratch.
    assert advances(make(compared="fetched", **rows), "tickets") == [best]


def test_a_reference_from_scratch_turns_the_gap_round() -> None:
    behind: list[Told] = [(250, -13.0, -17.0, -9.0, "clear"), (1000, 6.0, 5.0, 7.0, "clear")]
    assert advances(make("lstm", own=behind), "tickets") == [
        "The pretraining of Our encoder costs 10 core-minutes once; with 250 labels the model is "
        "13.0 points (95 % interval 9.0 to 17.0) ahead of the LSTM; with 1,000 labels the model is "
        "6.0 points (95 % interval 5.0 to 7.0) behind the LSTM."
    ]


def test_no_size_is_named_that_is_not_decided() -> None:
    (text,) = advances(
        make(lstm=[FALLING[0], (1000, 9.0, -1.0, 19.0, "unclear"), FALLING[2]]), "tickets"
    )
    assert "1,000" not in text
    assert text.endswith("; with 4,000 labels the model is within 1 point of the LSTM.")


def test_the_price_is_told_where_nothing_is_decided() -> None:
    unclear: list[Told] = [(250, 9.0, -1.0, 19.0, "unclear"), (1000, 0.0, -9.0, 9.0, "unclear")]
    assert advances(make(lstm=unclear), "tickets") == [
        "The pretraining of Our encoder costs 10 core-minutes once; whether the model is more than "
        "1 point ahead of the LSTM is not decided at any measured size."
    ]


def test_level_at_every_size() -> None:
    (text,) = advances(make(lstm=FALLING[2:]), "tickets")
    assert text.endswith("once; at every measured size the model is within 1 point of the LSTM.")


def test_two_models_neither_of_which_is_the_reference_are_not_compared() -> None:
    assert advances(make("fetched", own=FALLING, lstm=FALLING), "tickets") == []


# ---------------------------------------------------------------- the table


def test_the_table_has_each_checkpoint_once() -> None:
    vectors = replace(
        ENCODER,
        checkpoint="vectors",
        objective="static",
        models="",
        loss_before=None,
        loss_after=None,
        core_seconds=7200.0,
        device="cuda",
    )
    section = pretraining(make(pretrainings=[ENCODER, vectors], lstm=FALLING, own=FALLING))
    assert section
    text, table = map(part_as_markdown, section.parts)
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [
        "own-encoder",
        "vectors",
    ]
    row = " ".join(table.splitlines()[2].split())
    assert row == (
        "| own-encoder | masked_lm | 47,000 | 12,345,678 | 2.5 | 9.00 to 4.25 | 10 core-minutes | "
        "Our encoder |"
    )
    assert "2 GPU-hours" in table.splitlines()[3]
    assert "times the cores that worked. GPU-time is" in " ".join(text.split())
    assert "with the best model from scratch at each size." in " ".join(text.split())
    named = pretraining(make(compared="lstm", lstm=FALLING))
    assert named
    assert "begin with them with the LSTM." in " ".join(part_as_markdown(named.parts[0]).split())


def test_what_was_pretrained_further_costs_what_its_start_did_too() -> None:
    base = replace(ENCODER, checkpoint="base", models="", core_seconds=1200.0)
    further = replace(ENCODER, start="base")
    # A start that was fetched costs this study nothing.
    fetched = replace(ENCODER, checkpoint="other", models="", start="minilm")
    rows = [base, further, fetched]
    assert [row.checkpoint for row in with_starts(rows, "own-encoder")] == ["own-encoder", "base"]
    assert with_starts(rows, "other") == [fetched]
    study = make(pretrainings=rows, lstm=FALLING)
    assert "costs 30 core-minutes once" in advances(study, "tickets")[0]
    section = pretraining(study)
    assert section
    text = " ".join(part_as_markdown(section.parts[0]).split())
    assert "Going on from base, own-encoder took 30 core-minutes in all." in text
    assert "other took" not in text
    assert cost([further, replace(base, device="cuda")]) == "20 GPU-minutes and 10 core-minutes"


def test_a_study_without_own_checkpoints_says_nothing_of_them() -> None:
    study = make(pretrainings=[], scratch=[], lstm=FALLING)
    text = write_markdown(document(study))
    assert "retraining" not in text
    assert "retraining" in write_markdown(document(make(lstm=FALLING)))


# ---------------------------------------------------------------- the chart of costs


def test_the_cost_chart_says_what_was_pretrained_once() -> None:
    study = make(lstm=FALLING)
    rows = [
        row_of(LatencyRow, **cell(model, 1000), milliseconds=ms, pareto=True)
        for model, ms in (("own", 9.0), ("lstm", 1.0))
    ]
    charts = [cost_chart(rows, study.recipe, given).to_dict() for given in ((), study.pretrainings)]
    without, given = ([*chart["title"]["subtitle"]] for chart in charts)
    assert given == [
        *without,
        "Pretrained for this study, once for all runs: own-encoder 10 core-minutes",
    ]
    assert charts[0] == cost_chart(rows, study.recipe).to_dict()
    assert {**charts[1], "title": ""} == {**charts[0], "title": ""}


# ---------------------------------------------------------------- the gathering


def origin(**spec: Any) -> Origin:
    losses = [(0, 9.0), (50, 4.25), (100, 5.0)]
    return {
        "spec": {"kind": "pretrained", "corpus": ["tickets", "notes"], "objective": "masked_lm"}
        | spec,
        "corpus": {
            "texts": 47_000,
            "held_out": 550,
            "characters": 9,
            "test_texts": 0,
            "repeats": 0,
            "texts_of": {"tickets": 30_000, "notes": 17_000},
            "sha256": "",
        },
        "pretraining": {
            "tokens": 12_345_678,
            "passes": 2.5,
            "processes": 1,
            "best_step": 50,
            "evaluations": [{"step": step, "loss": loss, "accuracy": 0.1} for step, loss in losses],
            "seconds": 601.2,
            "core_seconds": 601.2,
            "device": "cpu",
        },
    }


def test_a_row_is_gathered_of_each_origin(tmp_path: Path) -> None:
    write_json(tmp_path / "origin.json", origin(start={"layers": 2}))
    begins = {"own": "own-encoder", "vectors": "other"}
    rows = gather.pretraining_rows([f"own-encoder={tmp_path / 'origin.json'}"], begins)
    assert rows == [ENCODER]
    write_rows(tmp_path / "pretraining.csv", PretrainingRow, rows)
    assert read_pretrainings(str(tmp_path / "pretraining.csv")) == rows
    assert pretraining_row("own-encoder", origin(start="base"), begins).start == "base"


def test_an_origin_of_a_fetched_checkpoint() -> None:
    fetched: Origin = {"spec": {"kind": "hub"}}
    with pytest.raises(UserError, match="checkpoint small: found one of kind hub, expected one"):
        pretraining_row("small", fetched, {})
