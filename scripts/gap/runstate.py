"""Folders in which a long job keeps what it has done, so that a broken one can go on."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from gap.cli import canonical_json, sha256_file
from gap.provenance import code_digest


def state_folder(parent: Path, program: str, recipe: Any, files: list[Path]) -> Path:
    """Return parent/state-FINGERPRINT, made if need be; states of other fingerprints are removed.

    The fingerprint covers the recipe, the content of `files`, and the code of `program`: what is
    found in the folder was made by the same job.
    """
    facts = [recipe, code_digest(program), *(sha256_file(path) for path in files)]
    name = "state-" + hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:16]
    for other in parent.glob("state-*"):
        if other.name != name:
            shutil.rmtree(other)
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
