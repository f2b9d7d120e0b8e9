"""What the machine computes well: device, precision, processes."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from gap.models.measurements import Hardware


def device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_bf16() -> bool:
    """Return whether this device multiplies bf16 matrices faster than fp32 ones.

    Intel's processors do so in tiles (AMX) only: one of Sapphire Rapids' kind whose tiles a virtual
    machine hides did 83 billion operations a second in bf16, by AVX-512, and 160 in fp32.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    abilities = torch.cpu.get_capabilities()
    by_vectors = abilities.get("avx512_bf16") and not abilities["cpu_name"].startswith("Intel")
    return bool(abilities.get("amx_bf16") or by_vectors)


def precision() -> str:
    """Return the name of the precision that models compute in here."""
    return "bf16" if fast_bf16() else "fp32"


def autocast() -> contextlib.AbstractContextManager[object]:
    """Return a context in which matrix products are done in bf16 where that is faster."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=fast_bf16())


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers nearer to zero than 1e-38 for zero in the context, where the processor can.

    Gradients of a network that fits its texts well are full of them, and a CPU computes each of
    them many times slower than others. It holds for this thread and those that it starts.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def loading_processes(training_processes: int = 1) -> int:
    """Return how many processes prepare the batches of each training process; 0: it does so itself.

    Beside a GPU the CPU has cores to spare; else they all compute already.
    """
    if not torch.cuda.is_available():
        return 0
    return max(0, min(4, (os.cpu_count() or 1) // training_processes - 1))


def describe_hardware(network: bool = True, processes: int = 1) -> Hardware:
    """Return what a training computes on: device, processor, precision, processes, threads of each.

    `precision` is that of matrix products: under "bf16" weights and their optimisation are fp32
    still. Without a `network`, as in TF-IDF, all is done on the CPU in fp32.
    """
    on_gpu = network and torch.cuda.is_available()
    return {
        "device": "cuda" if on_gpu else "cpu",
        "processor": torch.cuda.get_device_name() if on_gpu else _cpu_name(),
        "precision": precision() if network else "fp32",
        "processes": processes,
        "threads": max(1, torch.get_num_threads() // processes),
    }


def _cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU's name and the instructions that torch chose its kernels for."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    match = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    name = match[1].strip() if match else platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
