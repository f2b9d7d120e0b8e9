"""What a training takes, told from its recipe before it starts: memory, time, GPUs.

Imports nothing heavy, so that planning a study stays cheap. Every number is meant to be on the safe
side: it sizes a cluster's jobs, whose memory and time are limits. What is a family's own it answers
itself (see `gap.models.family`); here stands what is general.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import fmean

from gap.models.family import ModelFamily, family_of
from gap.models.network import GPU_RATE
from gap.models.workload import Workload
from gap.study.tuning import grid_size, largest, trial, tuned_values, with_settings

MEGABYTE = 1e6
# Resident memory of a process with torch and transformers imported: 0.5 GB were measured with
# torch's CPU build, up to 0.9 GB with the Trainer at work. CUDA's libraries and context come on
# top.
IMPORTS_MB = 1000
CUDA_HOST_MB = 3000
CUDA_DEVICE_MB = 1000
# Bytes for each row of a training: row number, label and role in the subsample (twice, while it is
# read), the text's length, and an epoch's order, as numbers and as a list of Python.
ROW_BYTES = 200

# Minutes to start, to read the texts, to save checkpoints and weights.
OVERHEAD_MINUTES = 15
GPU_COUNTS = (1, 2, 4, 8)


def training_operations(family: ModelFamily, workload: Workload) -> float:
    """Return the floating-point operations of one training, of one seed, at most.

    A training is all trials of the recipe, one after the other. Where trials are drawn, they are
    expected to have the mean cost.
    """
    each = (alternative.trial_operations(workload) for alternative in _trials(family))
    return family.shared_operations(workload) + float(family.recipe.trials) * fmean(each)


def _trials(family: ModelFamily) -> Iterator[ModelFamily]:
    """Yield the trials of the recipe, but those that cost the same only once."""
    tuned = tuned_values(family.recipe)
    fixed = {key: values[0] for key, values in tuned.items() if key not in family.costly}
    different = with_settings(family.recipe, fixed)
    for number in range(1, grid_size(different) + 1):
        yield family_of(trial(different, number).recipe)


def prediction_operations(family: ModelFamily, workload: Workload) -> float:
    """Return the floating-point operations of scoring the rows with one seed's model, at most."""
    return family_of(largest(family.recipe)).prediction_operations(workload)


def memory_mb(family: ModelFamily, workload: Workload, gpus: int = 0) -> tuple[int, int]:
    """Return the memory of a training in MB (10^6 bytes): of its processes, and of each GPU.

    Without GPUs a network's weights and activations are in the process's memory, and the second
    number is 0. Each GPU has a process of its own. Rounded up to whole 100 MB. Where the recipe
    lists several values the largest counts.
    """
    need = family_of(largest(family.recipe)).training_memory(workload, gpus)
    data = workload.rows * ROW_BYTES + need.data
    if not (gpus and family.uses_gpu):
        everything = data + need.ids + need.model + need.batch
        return _round_up(IMPORTS_MB + everything / MEGABYTE), 0
    process = IMPORTS_MB + CUDA_HOST_MB + (data + need.saved) / MEGABYTE
    host = gpus * process + need.ids / MEGABYTE
    device = CUDA_DEVICE_MB + (need.model + need.batch) / MEGABYTE
    return _round_up(host), _round_up(device)


def _round_up(megabytes: float) -> int:
    return math.ceil(megabytes / 100) * 100


def sustained_rate(family: ModelFamily, workload: Workload, gpus: int = 0, cores: int = 1) -> float:
    """Return the operations a second that a training sustains on GPUs, or on cores without them."""
    if not gpus:
        return family.core_rate(cores)
    return family.gpu_rate(workload, GPU_RATE) * float(gpus**family.speed_up)


def runtime_minutes(operations: float, rate: float) -> int:
    """Return the minutes of a job of so many operations at `rate` a second, its start included."""
    return math.ceil(OVERHEAD_MINUTES + operations / rate / 60)


def gpus_for(
    family: ModelFamily, workload: Workload, operations: float, most: int, hours: float = 8.0
) -> int:
    """Return how many GPUs a training asks for: the fewest of 1, 2, 4, 8 that take up to `hours`.

    Where none do, as many as `most` allows; 0 if that is 0, and for a model that has no use for
    them. A model that several cannot train together asks for one.
    """
    if not family.uses_gpu:
        return 0
    limit = most if family.divisible else min(most, 1)
    return fewest_gpus(
        lambda count: runtime_minutes(operations, sustained_rate(family, workload, count)),
        limit,
        hours,
    )


def fewest_gpus(minutes: Callable[[int], int], most: int, hours: float = 8.0) -> int:
    """Return the fewest of 1, 2, 4, 8 GPUs, `most` at most, with which a job takes up to `hours`.

    `minutes` maps a number of GPUs to the job's minutes. Where none are enough, as many as allowed;
    0 where none is allowed.
    """
    allowed = [count for count in GPU_COUNTS if count <= most]
    short = (count for count in allowed if minutes(count) <= 60 * hours)
    return next(short, allowed[-1] if allowed else 0)
