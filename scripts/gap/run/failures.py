"""What a person is told at the end of a run in which jobs failed: which, why, and how to go on."""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

LAST_LINES = 5
TAIL_BYTES = 16_384
LONGEST_LINE = 500
TOLD = ("error: ", "stopped: ")
INDENT = "    "
NOTHING_TOLD = (
    "(no error in its log: perhaps it was killed because memory ran out; see what Snakemake said "
    "of it above)"
)


def explain_failures(
    failed: Sequence[tuple[str, str | None]],
    command: str,
    total: int,
    waiting: int,
    interrupted: int = 0,
) -> str:
    """Return which jobs failed, why, and the command that goes on, as lines for a terminal.

    `failed` has each job's title and the path of its log, if it has one; jobs whose logs end alike
    are told of once. Of the `total` jobs, `waiting` were not begun, and `interrupted` ones were cut
    off by the user. Reads the ends of logs only, and takes logs that are missing or no text.
    """
    causes: dict[tuple[str, ...], list[tuple[str, str | None]]] = defaultdict(list)
    for title, log in failed:
        causes[_cause(log)].append((title, log))
    stopped = sum(len(jobs) for cause, jobs in causes.items() if cause[0].startswith("stopped: "))
    parts = [_counts(len(failed) - stopped, stopped + interrupted, total, waiting)]
    parts += [_paragraph(cause, jobs) for cause, jobs in causes.items()]
    mended = "When it is mended, the" if len(failed) > stopped else "The"
    parts.append(f"What is finished is kept. {mended} same command goes on:\n{INDENT}{command}")
    return "\n\n".join(parts)


def resume_command(argv: Sequence[str]) -> str:
    """Return a command line as the person may type it again, quoted for a shell.

    `argv` is as in sys.argv, where a program that the shell found for a bare name has a full path.
    """
    program = Path(argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *argv[1:]])
    return shlex.join([program.name if program.is_absolute() else argv[0], *argv[1:]])


def _counts(failed: int, stopped: int, total: int, waiting: int) -> str:
    text = [f"{failed} of {total} jobs failed"] if failed or not stopped else []
    if stopped:
        of = "" if failed else f" of {total} jobs"
        text.append(f"{stopped}{of} {'was' if stopped == 1 else 'were'} stopped")
    if waiting:
        text.append(f"{waiting} {'was' if waiting == 1 else 'were'} not begun")
    return ", ".join(text)


def _paragraph(cause: Sequence[str], jobs: Sequence[tuple[str, str | None]]) -> str:
    log = jobs[0][1]
    lines = [*cause, f"log: {log}" if len(jobs) == 1 else f"the first one's log: {log}"]
    titles = [title for title, _ in jobs]
    return "\n".join([*titles, *(INDENT + line for line in (lines if log else cause))])


def _cause(log: str | None) -> tuple[str, ...]:
    """Return the log's line "error: ..." or "stopped: ...", else its last lines."""
    if log is None:
        return ("(it has no log; see what Snakemake said of it above)",)
    try:
        with open(log, "rb") as file:
            # A program that met a full device overwrites the beginning of its log.
            first = _lines(file.readline(TAIL_BYTES))
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = _lines(file.read(TAIL_BYTES))
    except OSError as error:
        return (f"(its log cannot be read: {error.strerror})",)
    outcomes = [line for line in first + lines if line.startswith(TOLD)]
    if outcomes:
        return (outcomes[-1],)
    last = lines[-LAST_LINES:]
    return tuple(last) if "error" in " ".join(last).lower() else (*last, NOTHING_TOLD)


def _lines(content: bytes) -> list[str]:
    """Return the lines that hold something, each as a terminal shows it at last and in bounds."""
    lines = []
    for line in content.decode("utf-8", errors="replace").split("\n"):
        # A progress bar returns to the line's start and draws itself again.
        shown = line.rstrip().rpartition("\r")[2]
        shown = "".join(filter(str.isprintable, shown.expandtabs(4)))
        if shown.strip():
            lines.append(shown[:LONGEST_LINE])
    return lines
