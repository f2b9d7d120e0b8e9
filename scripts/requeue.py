"""Have SLURM queue the current job again, if its program was stopped and can go on.

The workflow calls this with the exit status of a program that did not succeed, and gets that status
back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from time import sleep

from gap.cluster.slurm import queue_again
from gap.run.errors import STOPPED
from gap.run.program import run

# SLURM ends a job that is queued again within these seconds. A job that ends by itself before
# counts as failed.
PATIENCE = 120


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("status", type=int, help="exit status of the program")
    status = parser.parse_args(argv).status
    if status == STOPPED:
        reason = queue_again()
        print(f"not queued again: {reason}" if reason else "queued again", flush=True)
        if reason is None:
            sleep(PATIENCE)
    sys.exit(status)


if __name__ == "__main__":
    run(main)
