"""How long models take to score texts, timed so that other load on the machine shows.

The models are timed in turns, round by round. So whatever slows the machine slows all of them, and
the ratio of two models stays the same. Each round keeps CPU time beside the clock's: where a
process that computes on one core gets less of the first, it had to wait for something else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

import numpy as np
import torch

from gap.models.measurements import Shares, Single, Throughput
from gap.models.serving import ServedModel
from gap.run.progress import progress

ROUNDS = 5
# A larger batch counts as better only by so much.
GAIN = 1.02
# Sizes in a row without gain after which the search ends: one may be bad luck.
WITHOUT_GAIN = 2
# A size is tried on at least two batches, and for at least so long.
TRIAL_SECONDS = 0.2


@dataclass(frozen=True)
class Round:
    """One way through the texts.

    `seconds` are those of each batch by the clock, `tokenisation` the part of them that tokenising
    took, both (batches,); `cpu_seconds` is the process's time for all batches.
    """

    texts: int
    seconds: list[float]
    tokenisation: list[float]
    cpu_seconds: float


def time_round(model: ServedModel, batches: Sequence[list[str]]) -> Round:
    """Score the batches one after the other."""
    seconds, tokenisation = [], []
    cpu = time.process_time()
    for texts in batches:
        start = time.perf_counter()
        inputs = model.tokenise(texts)
        between = time.perf_counter()
        # The scores come back to the CPU, which waits for a GPU till then.
        model.score(inputs)
        seconds.append(time.perf_counter() - start)
        tokenisation.append(between - start)
    cpu = time.process_time() - cpu
    return Round(sum(map(len, batches)), seconds, tokenisation, cpu)


def time_in_turns(
    models: Mapping[str, ServedModel], batches: Mapping[str, Sequence[list[str]]]
) -> dict[str, list[Round]]:
    """Return ROUNDS rounds of each model over its batches, every other one in the other order.

    A first round warms up and does not count.
    """
    rounds: dict[str, list[Round]] = {name: [] for name in models}
    for number in progress(range(ROUNDS + 1), "rounds"):
        for name in list(models)[:: -1 if number % 2 else 1]:
            timing = time_round(models[name], batches[name])
            if number > 0:
                rounds[name].append(timing)
    return rounds


def best_batch_size(model: ServedModel, texts: Sequence[str], most: int) -> int:
    """Return the batch size of the highest rate, searched by doubling up to `most` texts.

    The search ends where larger batches gain nothing, or there is no memory for them.
    """
    best, highest, size, failures = 1, 0.0, 1, 0
    while size <= min(most, len(texts)) and failures < WITHOUT_GAIN:
        try:
            rate = _rate(model, texts, size)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            break
        gained = rate > GAIN * highest
        if gained:
            best, highest = size, rate
        failures = 0 if gained else failures + 1
        size *= 2
    return best


def batches_of(texts: Sequence[str], size: int, least: int) -> list[list[str]]:
    """Return batches of `size` texts in their order, again and again until there are `least`."""
    stream = cycle(texts)
    return [list(islice(stream, size)) for _ in range(math.ceil(max(least, size) / size))]


def _rate(model: ServedModel, texts: Sequence[str], size: int) -> float:
    """Return the texts a second in batches of this size; a first batch warms up."""
    model(list(texts[:size]))
    done = seconds = 0.0
    while seconds < TRIAL_SECONDS:
        timing = time_round(model, batches_of(texts, size, 2 * size))
        done, seconds = done + timing.texts, seconds + sum(timing.seconds)
    return done / seconds


def _is_out_of_memory(error: Exception) -> bool:
    # On CPUs torch raises a plain RuntimeError.
    memory_error = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return memory_error or "can't allocate memory" in str(error)


def describe_latency(rounds: Sequence[Round]) -> Single:
    """Return what rounds of one text at a time tell: milliseconds of a text.

    The median and the 95th percentile over all texts and rounds, and the lowest and the highest
    median of a round.
    """
    every = 1000 * np.concatenate([timing.seconds for timing in rounds])
    medians = [1000 * median(timing.seconds) for timing in rounds]
    return {
        "milliseconds": float(np.median(every)),
        "milliseconds_95": float(np.quantile(every, 0.95)),
        "range": [min(medians), max(medians)],
        **_shares(rounds),
    }


def describe_throughput(rounds: Sequence[Round]) -> Throughput:
    """Return what rounds of large batches tell: examples a second, of all rounds the median.

    And the lowest and the highest of a round.
    """
    rates = [timing.texts / sum(timing.seconds) for timing in rounds]
    return {
        "examples_per_second": median(rates),
        "range": [min(rates), max(rates)],
        **_shares(rounds),
    }


def _shares(rounds: Sequence[Round]) -> Shares:
    """Return the share of the clock's time that was tokenisation, and that was CPU time."""
    seconds = sum(sum(timing.seconds) for timing in rounds)
    return {
        "tokenisation": sum(sum(timing.tokenisation) for timing in rounds) / seconds,
        "cpu_share": sum(timing.cpu_seconds for timing in rounds) / seconds,
    }
