"""What a study's own pretraining took: one row for each checkpoint, however many runs use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gap.data.manifests import Origin, PretrainingOutcome
from gap.results.rows import TableRow
from gap.results.tables import read_rows
from gap.run.errors import UserError


@dataclass(frozen=True)
class PretrainingRow(TableRow):
    """A checkpoint that the workflow pretrained.

    `start` is the checkpoint that it was pretrained further from, None for random weights; `corpus`
    and `models`, those that begin with its weights, are names with spaces between. `texts` and
    `tokens` are those of the corpus; the losses (nats a token, on `held_out` texts) are those
    before and after, None for word vectors. `seconds` are those of all attempts by the clock,
    `core_seconds` those times the cores that worked, or where `device` is "cuda", the GPUs.
    """

    exact = frozenset({"passes", "seconds", "core_seconds"})

    checkpoint: str
    objective: str
    start: str | None
    corpus: str
    models: str
    texts: int
    held_out: int
    tokens: int
    passes: float
    loss_before: float | None
    loss_after: float | None
    processes: int
    seconds: float
    core_seconds: float
    device: str


def pretraining_row(name: str, origin: Origin, begins: Mapping[str, str]) -> PretrainingRow:
    """Return the row of a checkpoint; `begins` has the checkpoint that each model begins with.

    Raises UserError where the workflow did not pretrain it.
    """
    spec = origin["spec"]
    if "corpus" not in origin or "pretraining" not in origin:
        raise UserError(
            f"checkpoint {name}: found one of kind {spec.get('kind')}, expected one that the "
            "workflow pretrained; leave it out of --origins"
        )
    corpus, work = origin["corpus"], origin["pretraining"]
    start, datasets = spec.get("start"), spec["corpus"]
    assert isinstance(datasets, list)
    before, after = held_out_losses(work) or (None, None)
    return PretrainingRow(
        checkpoint=name,
        objective=str(spec["objective"]),
        start=start if isinstance(start, str) else None,
        corpus=" ".join(datasets),
        models=" ".join(model for model, checkpoint in begins.items() if checkpoint == name),
        texts=corpus["texts"],
        held_out=corpus["held_out"],
        tokens=work["tokens"],
        passes=work["passes"],
        loss_before=before,
        loss_after=after,
        processes=work["processes"],
        seconds=work["seconds"],
        core_seconds=work["core_seconds"],
        device=work["device"],
    )


def read_pretrainings(path: str | None) -> list[PretrainingRow]:
    """Return what the study pretrained itself; nothing where there is no such table."""
    return read_rows(path, PretrainingRow) if path else []


def held_out_losses(work: PretrainingOutcome) -> tuple[float, float] | None:
    """Return the loss before pretraining and that of the weights; None for word vectors."""
    losses = {entry.get("step"): entry["loss"] for entry in work["evaluations"]}
    if not losses:
        return None
    before, after = losses[0], losses[work["best_step"]]
    assert before is not None
    assert after is not None
    return before, after


def with_starts(rows: Sequence[PretrainingRow], checkpoint: str) -> list[PretrainingRow]:
    """Return the row of a checkpoint, and those of the checkpoints that it was made from."""
    by_name = {row.checkpoint: row for row in rows}
    chain: list[PretrainingRow] = []
    name: str | None = checkpoint
    while name in by_name:
        chain.append(by_name[name])
        name = by_name[name].start
    return chain
