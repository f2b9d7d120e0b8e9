"""Processes that have imported what takes long, and fork others that go on as programs.

Importing Snakemake or torch takes longer than most of what tests ask of them. A forked process is
one of its own all the same: it has its own folder, environment, arguments, output and exit status,
and imports the code of the study that it works for. In the study of the fixture `grid`, in those of
tests/system that are killed or cancelled, and wherever a test sets variables that libraries read
when they are imported, every process starts as it does for a person.

This file is the server, where it is called with `serve`. With `call` it is what is called in place
of Python: `call SOCKET MODULE|FILE.py ARGUMENTS...`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

# By the name of a server: what it imports. Nothing of the project's own code, of which each study
# has a copy.
IMPORTS = {
    "snakemake": ["snakemake.cli", "pydantic", "yaml"],
    "programs": [
        *("altair", "duckdb", "jinja2", "numpy", "pandas", "pyarrow.compute", "pyarrow.csv"),
        *("pyarrow.dataset", "pyarrow.parquet", "pydantic", "safetensors.numpy", "scipy.optimize"),
        *("scipy.sparse", "scipy.stats", "sentencepiece", "sklearn.feature_extraction.text"),
        *("sklearn.linear_model", "tokenizers", "torch", "torch.distributed.launcher.api"),
        *("torch._dynamo", "transformers", "transformers.trainer", "vl_convert"),
        "transformers.models.bert.modeling_bert",
    ],
}
PYTHON = """#!/bin/sh
case "$1" in
*.py) exec {python} -S {server} call {socket} "$@";;
esac
exec {python} "$@"
"""


def suits(environment: Mapping[str, str]) -> bool:
    """Return whether processes may be forked for a study that sets these variables.

    Python, and libraries, read some when they start. On macOS a process that has loaded much of the
    system must not fork.
    """
    return not environment and sys.platform == "linux"


@functools.cache
def start(name: str) -> str:
    """Return the path of the socket of this process's server of a name, which ends with it."""
    scratch = tempfile.TemporaryDirectory()
    path = str(Path(scratch.name) / "socket")
    command = [sys.executable, __file__, "serve", path, name]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    for end in (scratch.cleanup, server.wait, server.stdin.close):
        atexit.register(end)
    return path


@functools.cache
def python() -> str:
    """Return the path of a stand-in for Python, whose programs are forked where they may be."""
    if not suits({}):
        return sys.executable
    path = start("programs")
    stand_in = Path(path).with_name("python")
    names = {"python": sys.executable, "server": __file__, "socket": path}
    stand_in.write_text(PYTHON.format(**names), encoding="utf-8")
    stand_in.chmod(0o755)
    return str(stand_in)


def call(
    path: str,
    command: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    files: Sequence[int] = (0, 1, 2),
    executable: str | None = None,
    timeout: float = 0,
) -> int:
    """Call a module or program in a folder; return its status, negative where a signal ended it.

    `files` are what stdin, stdout and stderr are to be, `executable` what it takes for Python.
    SIGALRM ends it after `timeout` seconds, if that is not 0.
    """
    python = executable or sys.executable
    request = [list(command), folder, dict(environment), python, int(timeout)]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"files"], files)
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile(encoding="utf-8") as answer:
            return int(answer.readline())


def serve(path: str, name: str) -> list[str]:
    """Fork for each request until stdin is closed; in a forked process, return its command."""
    for module in IMPORTS[name]:
        importlib.import_module(module)
    if name == "snakemake":
        # It finds its plugins, of which some import much, and reads no arguments but this one.
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            sys.modules["snakemake.cli"].parse_args(["--version"])
    # What is there stays, in all processes: they need not look at it again, and share its memory.
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                # One process waits for each, so that several may run at once.
                if os.fork() == 0 and (command := answer(connection)):
                    return command
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    sys.exit()


def answer(connection: socket.socket) -> list[str]:
    """Fork a process for one request, and say how it ended; in that process, return its command."""
    _, files, _, _ = socket.recv_fds(connection, len(b"files"), 3)
    with connection.makefile(encoding="utf-8") as file:
        request = json.loads(file.readline())
    child = os.fork()
    if child == 0:
        return become(files, *request)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # Whoever asked may have been killed.
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{status}\n".encode())
    os._exit(0)


def become(
    files: list[int],
    command: list[str],
    folder: str,
    environment: dict[str, str],
    executable: str,
    timeout: int,
) -> list[str]:
    """Let this process be as one that was started for a command, and return that."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = executable
    signal.alarm(timeout)
    # As these do when they are loaded.
    if "snakemake" in sys.modules:
        sys.modules["snakemake.workflow"].Workflow._rundir = folder
    if "torch" in sys.modules:
        threads = int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1))
        sys.modules["torch"].set_num_threads(threads)
    return command


def go_on(command: list[str]) -> None:
    """Run a program, or a module, as Python does that was started for it."""
    sys.argv = command
    if command[0].endswith(".py"):
        sys.path[0] = str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")
    else:
        sys.path[0] = os.getcwd()
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def end(status: int) -> None:
    """End this process as Python does, but without taking all apart that was imported."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        file.flush()
    os._exit(status)


def status_of(command: list[str]) -> int:
    """Run a command, and return the status that Python would end with."""
    try:
        go_on(command)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    mode, place, *words = sys.argv[1:]
    if mode == "serve":
        end(status_of(serve(place, *words)))
    ended = call(place, words, os.getcwd(), os.environ)
    if ended < 0:
        os.kill(os.getpid(), -ended)
    sys.exit(ended)
