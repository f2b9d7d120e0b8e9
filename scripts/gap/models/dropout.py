"""Dropout whose masks are drawn fast on CPUs, and do not depend on how a batch is divided."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from gap.models.batching import Part

# Masks are drawn as integers of 16 bits, four from each number of torch's generator.
STEPS = 1 << 16


def dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    """Do what torch.nn.functional.dropout does, with `p` rounded to a multiple of 1/65536.

    Random: the mask, from torch's generator. On CPUs torch draws one Bernoulli number at a time,
    which took 12 % of fine-tuning; `inplace` is allowed and not made use of.
    """
    if not training or p == 0:
        return input
    count = input.numel()
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = numbers.view(torch.int16)[:count] >= round(p * STEPS) - STEPS // 2
    scale = 1 / (1 - p) if p < 1 else 0.0
    return input * kept.to(input.dtype).mul_(scale).view(input.shape)


@contextlib.contextmanager
def fast_dropout() -> Iterator[None]:
    """Let modules use `dropout` above within the context, where there is no accelerator."""
    original = functional.dropout
    if not torch.cuda.is_available():
        functional.dropout = dropout
    try:
        yield
    finally:
        functional.dropout = original


class DividedDropout:
    """Lets the parts of a batch be computed apart with the masks of the batch as a whole.

    Each mask is drawn for the whole batch, and a part takes its rows; parts that one process
    computes in turn all draw from where the generator stood before the first. So after each step
    the generators of all processes stand where one undivided pass would have left them.

    Not so where a function draws what cannot be divided by rows: attention that drops inside a
    fused kernel, as on GPUs, and tensors whose first dimension is not the batch's. There each part
    draws for itself: the same distribution, but other masks than an undivided pass has, as of
    another seed.
    """

    def __init__(self) -> None:
        self.start: list[torch.Tensor] = []

    @contextlib.contextmanager
    def of(self, part: Part) -> Iterator[None]:
        """Let functions of torch.nn.functional that draw masks draw those of `part`."""
        if part.in_turn == 0:
            self.start = _generator_states()
        else:
            _set_generators(self.start)
        originals = {
            name: getattr(functional, name)
            for name in ("dropout", "dropout1d", "scaled_dot_product_attention")
        }
        functional.dropout = _by_rows(originals["dropout"], part)
        functional.dropout1d = _by_rows(originals["dropout1d"], part)
        attention = _apart(originals["scaled_dot_product_attention"], part)
        functional.scaled_dot_product_attention = attention
        try:
            yield
        finally:
            for name, function in originals.items():
                setattr(functional, name, function)


def _by_rows(original: Callable[..., torch.Tensor], part: Part) -> Callable[..., torch.Tensor]:
    """Return dropout that draws for the whole batch with `original` and uses the part's rows."""
    apart = _apart(original, part)

    def drop(
        input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        if not training or p == 0:
            return input
        if len(input) != len(part.rows):
            return apart(input, p, training)
        kept = original(input.new_ones((part.whole, *input.shape[1:])), p, training)
        return input * kept[part.first : part.first + len(input)]

    return drop


def _apart(original: Callable[..., torch.Tensor], part: Part) -> Callable[..., torch.Tensor]:
    """Return `original` with random numbers of the part's own.

    After a call, the generators stand at the same place for every part.
    """

    def draw(input: torch.Tensor, *arguments: object, **options: object) -> torch.Tensor:
        seed = int(torch.randint(2**62, ()))
        devices = [input.device] if input.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed + part.number)
            return original(input, *arguments, **options)

    return draw


def _generator_states() -> list[torch.Tensor]:
    """Return the states of the generators of the CPU and of the GPU in use, if there is one."""
    gpu = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *gpu]


def _set_generators(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
