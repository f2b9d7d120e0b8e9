"""Several processes that do one thing together: on GPUs one each, else on the cores of the CPU.

They are started and watched by the launcher behind torchrun. The caller waits for them, passes a
request to stop on to them, and ends as a single process would: with their result, or with one
UserError or Stopped, whatever number of them raised it.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar, TypeVarTuple

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from gap.run.errors import STOPPED, Stopped, UserError
from gap.run.json import read_json, write_json
from gap.run.program import explain
from gap.run.stopping import stop_at_once

# How long processes may take to stop when they are asked to: saving a large model takes long. A
# batch system that does not wait as long kills them itself.
SECONDS_TO_STOP = 600
# The longest that a process waits for the others, for example while the first one saves.
PATIENCE = datetime.timedelta(minutes=30)
# How long a process may outlive the one that started it.
SECONDS_BETWEEN_LOOKS = 0.3

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def in_processes(
    count: int, function: Callable[[*Arguments], Result], *arguments: *Arguments
) -> Result:
    """Call `function(*arguments)` in `count` new processes at once; return the first one's result.

    Function, arguments and result must be such as can be pickled. Raises UserError and Stopped
    where the function does. Also raises Stopped when this process is asked to stop, UserError where
    there are GPUs but fewer than `count`, and RuntimeError for any other error, whose traceback a
    process has printed.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < count:
        raise UserError(
            f"--processes {count}: found {gpus} GPU{'s' * (gpus > 1)}, expected one for each "
            f"process; lower it to {gpus}, or let the program see more (CUDA_VISIBLE_DEVICES)"
        )
    # These loggers tell of each signal and exit status at length. This function tells what counts.
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # DDP and gloo log their errors, too, and also raise them.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with tempfile.TemporaryDirectory() as name, _no_worker_left(), stop_at_once(just_once=True):
        folder = Path(name)
        try:
            launch = elastic_launch(_launch_config(count, folder), _work)
            return launch(folder, function, arguments)[0]
        except (Stopped, SignalException) as stop:
            raise Stopped(_outcomes(folder).get("stopped", str(stop))) from None
        except ChildFailedError as failure:
            raise _reason(folder, count, failure) from None


def _launch_config(count: int, folder: Path) -> LaunchConfig:
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        # stop_at_once handles the other signals: it raises, and then the launcher stops the
        # workers.
        signals_to_handle="SIGHUP",
        shutdown_timeout=SECONDS_TO_STOP,
    )


@contextlib.contextmanager
def _no_worker_left() -> Iterator[None]:
    """Kill workers that are left where the launcher was broken off while it started them."""
    before = multiprocessing.active_children()
    hang_up = signal.getsignal(signal.SIGHUP)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, hang_up)
        for process in set(multiprocessing.active_children()) - set(before):
            process.kill()
            process.join()


def _outcomes(folder: Path) -> dict[str, str]:
    """Return what the workers wrote down of their ends: {"stopped": text, "error": text}."""
    outcomes: dict[str, str] = {}
    for path in sorted(folder.glob("*.json"), reverse=True):
        outcomes |= read_json(path)
    return outcomes


def _reason(folder: Path, count: int, failure: ChildFailedError) -> BaseException:
    """Return the one exception for the failure of workers."""
    outcomes = _outcomes(folder)
    rank, first = failure.get_first_failure()
    # The error of one process may break the connections of others, or have them stopped.
    if "error" in outcomes:
        return UserError(outcomes["error"])
    if first.exitcode == STOPPED:
        return Stopped(outcomes["stopped"])
    if first.exitcode < 0:
        return UserError(
            f"process {rank} of {count} was killed by {signal.Signals(-first.exitcode).name}, "
            "perhaps because memory ran out; the same command goes on"
        )
    return RuntimeError(f"process {rank} of {count} failed first; its traceback is above")


def _work(
    folder: Path, function: Callable[[*Arguments], Result], arguments: tuple[*Arguments]
) -> Result:
    """Call the function as one of the processes, and write down how it ended if not well."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    outcome = folder / f"{os.environ['RANK']}.json"
    try:
        with stop_at_once():
            _join()
            result = function(*arguments)
        distributed.destroy_process_group()
        return result
    except Stopped as stop:
        write_json(outcome, {"stopped": str(stop)})
        _leave(STOPPED)
    except Exception as error:
        line = explain(error)
        if line is None:
            traceback.print_exc()
        else:
            write_json(outcome, {"error": line})
        _leave(1)


def _leave(status: int) -> NoReturn:
    """End at once: Python's own way out takes seconds, and may wait for the other processes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with(parent: int) -> None:
    """Kill this process when its parent is gone: it would write where the next call works."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)


def _join() -> None:
    """Make this process one of the group, with its own GPU or its share of the cores."""
    from transformers.utils import logging as messages

    # gap.models.hardware reports this number. Without it, each process would use all cores.
    threads = max(1, torch.get_num_threads() // int(os.environ["WORLD_SIZE"]))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    # All processes are on this machine, but its name may lead to another address.
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    if not is_first():
        messages.set_verbosity_error()
        messages.disable_progress_bar()


def rank_and_count() -> tuple[int, int]:
    """Return the number of this process among those that work together, and how many they are."""
    if distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def is_first() -> bool:
    """Return whether this process is the one that writes files and messages."""
    return rank_and_count()[0] == 0


def total(values: list[float]) -> list[float]:
    """Return the sums of `values` over all processes, the same to the last bit on each."""
    return _reduced(values, distributed.ReduceOp.SUM)


def largest(value: int) -> int:
    """Return the largest `value` of all processes, once each has called this."""
    return int(_reduced([value], distributed.ReduceOp.MAX)[0])


def _reduced(values: list[float], operation: distributed.ReduceOp.RedOpType) -> list[float]:
    if rank_and_count()[1] == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(tensor, operation)
    reduced: list[float] = tensor.tolist()
    return reduced
