"""A process that has imported Snakemake, and forks one that goes on as `python -m snakemake`.

Importing takes longer than most of what tests ask of snakemake. Each call is a process of its own,
as it is without this: it has its own folder, environment, arguments, output and exit status.

Called as a program with the path of a socket, this file is the server. With `call`, the path and
arguments, it is what a shell calls in place of `python -m snakemake`.
"""

import atexit
import contextlib
import functools
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Python reads these when it starts, before a fork could give it others.
READ_AT_START = ("PYTHON", "LC_", "LANG")


def suits(environment: Mapping[str, str]) -> bool:
    """Return whether a forked process does with these variables what one that starts does."""
    return not any(name.startswith(READ_AT_START) for name in environment)


@functools.cache
def start() -> str:
    """Return the path of the socket of this process's server, which ends with it."""
    scratch = tempfile.TemporaryDirectory()
    path = str(Path(scratch.name) / "socket")
    server = subprocess.Popen(
        [sys.executable, __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    for end in (scratch.cleanup, server.wait, server.stdin.close):
        atexit.register(end)
    return path


def call(
    path: str,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    outputs: Sequence[str],
    timeout: float,
) -> int:
    """Call snakemake in a folder, its stdout and stderr appended to files; return its status.

    The status is negative where a signal ended it: SIGALRM after `timeout` seconds.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = [list(arguments), folder, dict(environment), list(outputs), timeout]
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile(encoding="utf-8") as file:
            return int(file.readline())


def serve(path: str) -> None:
    """Fork a process for each request until stdin is closed; return in those, to go on."""
    import snakemake.cli

    # It finds its plugins, of which some import much, and reads no arguments but this one.
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        snakemake.cli.parse_args(["--version"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection, connection.makefile(encoding="utf-8") as file:
                request = file.readline()
                child = os.fork()
                if child == 0:
                    become(*json.loads(request))
                    return
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                connection.sendall(f"{status}\n".encode())
    os._exit(0)


def become(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    outputs: list[str],
    timeout: float,
) -> None:
    """Let this process be as one that was started for a request."""
    for number, file in enumerate([os.devnull, *outputs]):
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    # Where `python -m` looks first.
    sys.path[0] = folder
    signal.alarm(int(timeout))


if __name__ == "__main__":
    if sys.argv[1] == "call":
        _, _, place, output, *words = sys.argv
        sys.exit(call(place, words, os.getcwd(), os.environ, [output, output], 900))
    serve(sys.argv[1])
    sys.argv[0] = str(Path(sys.modules["snakemake.cli"].__file__ or "").with_name("__main__.py"))
    sys.exit(sys.modules["snakemake.cli"].main())
