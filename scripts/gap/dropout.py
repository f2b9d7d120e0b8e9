"""Dropout whose masks are drawn fast on CPUs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.nn import functional

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
    own = functional.dropout
    if not torch.cuda.is_available():
        functional.dropout = dropout
    try:
        yield
    finally:
        functional.dropout = own
