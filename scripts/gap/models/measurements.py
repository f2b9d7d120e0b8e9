"""What is measured of models, as JSON has it: what inference takes, and on which hardware."""

from __future__ import annotations

from typing import TypedDict


class Hardware(TypedDict):
    """What a model was trained or timed on."""

    device: str
    processor: str
    precision: str
    threads: int
    processes: int


class Shares(TypedDict):
    """Shares (0..1) of the clock's time: of tokenising, and of the process's CPU time."""

    tokenisation: float
    cpu_share: float


class Cosines(TypedDict):
    """How near made vectors are to those of tokens that were hidden, 1 at best: means.

    `tokens` were trained on, `held_out` are those that cosines are of. `drawn` is that of a vector
    at random, which is what a copy comes to where there is none.
    """

    tokens: int
    held_out: int
    generator: float
    mean: float
    drawn: float


class Single(Shares):
    """What one text takes, in milliseconds: median, 95th percentile, `range` over the rounds."""

    milliseconds: float
    milliseconds_95: float
    range: list[float]


class Throughput(Shares):
    """Texts per second in batches: median, and `range` over the rounds."""

    examples_per_second: float
    range: list[float]


class Batched(Throughput):
    """Texts per second in batches of the best size."""

    batch_size: int


class Times(TypedDict):
    """What inference takes with one model, one text at a time and in batches."""

    parameters: int
    trained_parameters: int
    single: Single
    batched: Batched


class Recall(TypedDict):
    """How well a network tells the masked tokens of each held-out block.

    `loss` is the mean over a block's tokens, in nats, `right` the share of right answers; `dropped`
    and `shuffled` are losses where a share of the other tokens is hidden, or all stand in another
    order.
    """

    loss: list[float]
    right: list[float]
    dropped: list[float]
    shuffled: list[float]


class Forgetting(TypedDict):
    """What fine-tuning forgot of a corpus: before and, by seed, after it.

    `blocks` are those that were asked about, each with so many `targets`. `layers` has by seed how
    alike the states of embeddings and of each layer are to those before (0 to 1), `points` where
    the states of blocks stand in a plane before (x, y) and after (x, y), of the first seed.
    """

    blocks: int
    targets: int
    before: Recall
    after: dict[str, Recall]
    layers: dict[str, list[float]]
    points: list[list[float]]
