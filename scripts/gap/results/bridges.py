"""How well vectors of a checkpoint's embeddings are made for pieces that are none of its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gap.results.records import BridgeRecord
from gap.results.rows import TableRow


@dataclass(frozen=True)
class BridgeRow(TableRow):
    """Mean cosines of made vectors with those of `held_out` tokens that were hidden; 1 at best.

    `generator` is that of the generator, which was trained on other `tokens`, `mean` that of the
    mean of the tokens that a hidden one is made of, `drawn` that of vectors at random. The
    generator was taught by the vectors of hidden tokens, or by telling masked ones.
    """

    checkpoint: str
    by: Literal["hidden tokens", "masked tokens"]
    tokens: int
    held_out: int
    generator: float
    mean: float
    drawn: float


def bridge_row(record: BridgeRecord) -> BridgeRow:
    """Return the row of a checkpoint, from a file of fit_bridge.py."""
    return BridgeRow(
        checkpoint=record["checkpoint"],
        by=record["by"],
        tokens=record["tokens"],
        held_out=record["held_out"],
        generator=record["generator"],
        mean=record["mean"],
        drawn=record["drawn"],
    )
