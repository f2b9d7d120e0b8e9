"""What the machine computes well: device, precision, attention."""

from __future__ import annotations

import contextlib

import torch


def device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def native_bf16() -> bool:
    """Return whether this device multiplies bf16 matrices in hardware, not by emulation."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision() -> str:
    """Return the name of the precision that models compute in here."""
    return "bf16" if native_bf16() else "fp32"


def autocast() -> contextlib.AbstractContextManager[object]:
    """Return a context in which matrix products are done in bf16 where that is native."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=native_bf16())


def attention() -> str:
    """Return the attention implementation for transformers.

    On CPUs the plain one trained MiniLM, whose heads are narrow, a seventh faster than sdpa.
    """
    return "sdpa" if torch.cuda.is_available() else "eager"
