"""Folders in which a long job keeps what it has done, so that nothing of it is done twice.

Snakemake deletes the outputs of a job before it runs it, and runs all jobs behind a changed one,
even where the change made no difference. So unfinished work (checkpoints, shards) and a second name
(a hard link) of finished work stand in a folder that Snakemake does not know of. Its name is a
fingerprint of all that decides the result: what is found there was made by the very same job.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gap.run.digests import sha256_file
from gap.run.folders import files_below, link
from gap.run.json import canonical_json, read_json, write_json

# Locks by state folder. Each is held until the work is kept, or the process ends.
_locks: dict[Path, FileLock] = {}


def state_folder(parent: Path, rule: str, specification: object, inputs: Sequence[Path]) -> Path:
    """Return parent/.state/RULE/FINGERPRINT, made if need be; the rule's other states are removed.

    The folder belongs to this process until the work is kept or restored. While another process
    has it, this one waits.

    The fingerprint covers `specification`, such as recipe and provenance, and the content of
    `inputs`, files or folders. A large file's manifest may stand for it.
    """
    digests = [_digests(path) if path.is_dir() else sha256_file(path) for path in inputs]
    fingerprint = hashlib.sha256(canonical_json([specification, digests]).encode()).hexdigest()[:16]
    folder = parent / ".state" / rule / fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    _lock(folder)
    for state in folder.parent.iterdir():
        if state != folder:
            shutil.rmtree(state)
    return folder


@contextmanager
def shared_work(
    parent: Path, name: str, specification: object, inputs: Sequence[Path]
) -> Iterator[Path]:
    """Give a state folder for work that several jobs share; one of them at a time has it.

    Whoever has it keeps there what the others need not do again. See `state_folder`; `name` takes
    the place of the rule.
    """
    folder = state_folder(parent, name, specification, inputs)
    try:
        yield folder
    finally:
        _unlock(folder)


def _lock(folder: Path) -> None:
    """Wait until no other process works in the folder, if the file system knows locks."""
    lock = _locks.setdefault(folder.resolve(), FileLock(folder / "lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print("another process does the same work: waiting for it", flush=True)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        print(f"not safe from a second process doing the same work: {error}", flush=True)


def _unlock(folder: Path) -> None:
    lock = _locks.pop(folder.resolve(), None)
    if lock:
        lock.release()


def keep(state: Path, outputs: Sequence[Path]) -> None:
    """Remember finished outputs (files or folders, of different names) in a state folder."""
    for output in outputs:
        link(output, state / "finished" / output.name)
    write_json(state / "finished.json", _digests(state / "finished"))
    _unlock(state)


def restore(state: Path, outputs: Sequence[Path]) -> bool:
    """Put the outputs that `keep` remembered in their places; return whether it had them, whole."""
    if not (state / "finished.json").exists():
        return False
    if read_json(state / "finished.json") != _digests(state / "finished"):
        (state / "finished.json").unlink()
        shutil.rmtree(state / "finished", ignore_errors=True)
        return False
    for output in outputs:
        link(state / "finished" / output.name, output)
    _unlock(state)
    print("made before of the same inputs by the same code: kept", flush=True)
    return True


def _digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of a folder's files by their paths below it."""
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}
