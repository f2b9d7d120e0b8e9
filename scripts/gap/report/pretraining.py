"""What a study's own pretraining costs, and what it brings over models from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from gap.report.advances import Advance, as_it_is, compared, turned
from gap.report.sections import Paragraph, Section, Table
from gap.report.wording import duration, sentence
from gap.results.findings import Findings
from gap.results.missing import join_names
from gap.results.pretrainings import PretrainingRow, with_starts
from gap.results.rows import GapRow

HEADER = (
    *("Checkpoint", "Objective", "Texts", "Tokens", "Passes", "Held-out loss"),
    *("Pretraining", "Models"),
)
TITLE = "Checkpoints of this study's own"


def pretraining(findings: Findings) -> Section | None:
    """Return what each checkpoint took that the study pretrained itself, once per checkpoint."""
    if not findings.pretrainings:
        return None
    rows = [_cells(findings, row) for row in findings.pretrainings]
    table = Table(HEADER, rows, frozenset({2, 3, 4, 5, 6}))
    return Section("pretraining", TITLE, [Paragraph(_method(findings)), table])


def _cells(findings: Findings, row: PretrainingRow) -> list[str]:
    losses = (row.loss_before, row.loss_after)
    return [
        row.checkpoint,
        row.objective,
        f"{row.texts:,}",
        f"{row.tokens:,}",
        f"{row.passes:g}",
        " to ".join(f"{loss:.2f}" for loss in losses if loss is not None),
        cost([row]),
        ", ".join(map(findings.title, row.models.split())),
    ]


def _method(findings: Findings) -> str:
    units = [
        f"{unit}-time is the time by the clock, of all attempts, times the {of} that worked"
        for unit, of, devices in (("Core", "cores", {"cpu"}), ("GPU", "GPUs", {"cuda"}))
        if devices & {row.device for row in findings.pretrainings}
    ]
    further = [
        f"going on from {row.start}, {row.checkpoint} took "
        f"{cost(with_starts(findings.pretrainings, row.checkpoint))} in all"
        for row in findings.pretrainings
        if len(with_starts(findings.pretrainings, row.checkpoint)) > 1
    ]
    sentences = [
        "pretrained on texts without labels, once for all runs, so the seconds of training of a "
        "run do not hold it",
        *units,
        "the fit of the tokenizer and the encoding of the texts are counted",
        "losses are in nats a token, before and after",
        *further,
        f"the verdict compares models that begin with them with {_rival(findings)}",
    ]
    return " ".join(map(sentence, sentences))


def _rival(findings: Findings) -> str:
    """Return which model from scratch others are compared with, see `_over_scratch`."""
    recipe = findings.recipe
    for name in (recipe.reference, recipe.compared):
        if name is not None and name in recipe.scratch:
            return findings.title(name)
    return "the best model from scratch at each size"


def cost(rows: Sequence[PretrainingRow]) -> str:
    """Return what pretraining took: "12 core-minutes", or "2 GPU-hours and 3 core-minutes"."""
    times = []
    for device, unit in (("cuda", "GPU"), ("cpu", "core")):
        if spent := [row.core_seconds for row in rows if row.device == device]:
            number, _, word = duration(sum(spent)).partition(" ")
            times.append(f"{number} {unit}-{word}")
    return join_names(times)


def excluded(findings: Findings) -> str:
    """Return that the seconds of a training are without pretraining; empty where there is none."""
    if not findings.pretrainings:
        return ""
    return f" Pretraining is not in it: see {TITLE}."


def advances(findings: Findings, dataset: str) -> list[str]:
    """Return a sentence for each model with weights of the study's own: its price, its advance.

    The advance is over models from scratch, by the table of gaps and what it says of each gap. So
    there is a sentence only where one of the two models is the reference.
    """
    return [
        _advance(findings, row, model, sizes)
        for row in findings.pretrainings
        for model in row.models.split()
        if (sizes := _over_scratch(findings, dataset, model))
    ]


def _over_scratch(findings: Findings, dataset: str, model: str) -> list[Advance]:
    """Return how far a model is ahead of one from scratch at each size, by n.

    Of the models from scratch that is the reference, or the recipe's `compared`, or the best one
    at the size.
    """
    recipe = findings.recipe
    gaps = [row for row in findings.gaps if row.dataset == dataset]
    if recipe.reference in recipe.scratch:
        rows = [row for row in gaps if row.model == model]
        advances = [turned(row) for row in rows]
    elif model == recipe.reference:
        named = {recipe.compared} & set(recipe.scratch) or set(recipe.scratch)
        by_size: dict[tuple[int, str], list[GapRow]] = {}
        for row in gaps:
            if row.model in named:
                by_size.setdefault((row.n, row.size), []).append(row)
        best = [min(rows, key=lambda row: row.gap) for rows in by_size.values()]
        advances = [as_it_is(row) for row in best]
    else:
        advances = []
    return sorted(advances, key=lambda advance: advance.n)


def _advance(findings: Findings, row: PretrainingRow, model: str, sizes: Sequence[Advance]) -> str:
    price = cost(with_starts(findings.pretrainings, row.checkpoint))
    parts = [f"the pretraining of {findings.title(model)} costs {price} once"]
    return sentence("; ".join(parts + compared(findings, sizes)))
