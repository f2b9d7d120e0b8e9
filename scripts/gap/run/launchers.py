"""What launchers of parallel programs leave in the environment, and libraries read there."""

from __future__ import annotations

import os

# torchrun's names, of which some are also set by hand.
NAMES = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
}
# How the variables of Open MPI, MPICH (and similar ones), MVAPICH, torchrun and accelerate begin.
# Those of accelerate also change results: ACCELERATE_MIXED_PRECISION changes the precision.
PREFIXES = ("OMPI_", "PMI_", "PMIX_", "MV2_", "TORCHELASTIC_", "ACCELERATE_", "FSDP_")


def forget_launchers() -> None:
    """Remove from this process's environment what would make it one of several to libraries.

    Whoever calls a program inside a job of mpirun, torchrun or the like wants it as it is
    elsewhere: alone, or with the processes that it starts itself.
    """
    for name in list(os.environ):
        if name in NAMES or name.startswith(PREFIXES):
            del os.environ[name]
