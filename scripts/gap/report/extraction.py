"""Whether a checkpoint is better fine-tuned, or kept as it is for features of the texts."""

from __future__ import annotations

from gap.report.advances import Advance, as_it_is, compared, turned
from gap.report.wording import sentence
from gap.results.findings import Findings

PETERS = (
    "Peters, Ruder and Smith (2019) found the two about as good in most of their tasks, and which "
    "was better to depend on how near a task is to what was pretrained."
)


def extraction(findings: Findings, dataset: str) -> list[str]:
    """Return a sentence for each model that takes features of a checkpoint that another fine-tunes.

    It goes by the table of gaps, so there is one only where one of the two is the reference. What
    others found of the question stands last.
    """
    sentences = [
        sentence("; ".join([_beginning(findings, model, rival), *compared(findings, sizes)]))
        for model, rival in findings.recipe.extractions.items()
        if (sizes := _over_fine_tuned(findings, dataset, model, rival))
    ]
    return [*sentences, PETERS] if sentences else []


def _beginning(findings: Findings, model: str, rival: str) -> str:
    return (
        f"{findings.title(model)} takes features of the checkpoint that {findings.title(rival)} "
        "fine-tunes"
    )


def _over_fine_tuned(findings: Findings, dataset: str, model: str, rival: str) -> list[Advance]:
    """Return how far a model is ahead of the one that fine-tunes its checkpoint, by n."""
    gaps = [row for row in findings.gaps if row.dataset == dataset]
    reference = findings.recipe.reference
    if reference == rival:
        advances = [turned(row) for row in gaps if row.model == model]
    elif reference == model:
        advances = [as_it_is(row) for row in gaps if row.model == rival]
    else:
        advances = []
    return sorted(advances, key=lambda advance: advance.n)
