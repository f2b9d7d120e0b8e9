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
