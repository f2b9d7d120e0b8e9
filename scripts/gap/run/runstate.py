"""Folders in which a long job keeps what it has done, so that nothing of it is done twice.

Snakemake deletes the outputs of a job before it runs it, and runs all jobs behind a changed one,
even where the change made no difference. So unfinished work (checkpoints, shards) and a second name
(a hard link) of finished work stand in a folder that Snakemake does not know of. Its name is a
fingerprint of all that decides the result: what is found there was made by the very same job.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gap.run.digests import sha256_file
from gap.run.json import canonical_json, read_json, write_json

# By state folder; held until the work is kept, or the process ends.
_locks: dict[Path, FileLock] = {}


def state_folder(parent: Path, rule: str, facts: Any, files: Sequence[Path]) -> Path:
    """Return parent/.state/RULE/FINGERPRINT, made if need be; the rule's other states are removed.

    It is this process's own until the work is kept or restored; while it is another's, this one
    waits.

    The fingerprint covers `facts` (recipe, provenance of the code) and the content of `files`: for
    a file or folder with a manifest of the same name beside it, that of the manifest.
    """
    digests = [sha256_file(_manifest_of(path)) for path in files]
    fingerprint = hashlib.sha256(canonical_json([facts, digests]).encode()).hexdigest()[:16]
    folder = parent / ".state" / rule / fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    _lock(folder)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other)
    return folder


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


def _manifest_of(path: Path) -> Path:
    manifest = path.with_name(path.stem + ".json")
    return manifest if manifest.is_file() else path


def link(source: Path, target: Path) -> None:
    """Give a file, or each file of a folder, a second name; what stands at `target` is replaced."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=_link_file)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link_file(source, target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copy2(source, target)


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
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
