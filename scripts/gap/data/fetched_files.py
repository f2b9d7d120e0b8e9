"""The manifest of a source's files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gap.data.manifests import FetchedFile, SourceManifest
from gap.run.digests import sha256_file
from gap.run.json import canonical_json


def describe_files(spec: Mapping[str, Any], files: Iterable[Path], root: Path) -> SourceManifest:
    """Return the manifest; its sha256 covers the files' contents and their names below `root`.

    Where they came from stands in another file: the same files make nothing run again.
    """
    entries: list[FetchedFile] = []
    named = []
    for file in sorted(files):
        digest = sha256_file(file)
        inside = file.is_relative_to(root)
        named.append([(file.relative_to(root) if inside else Path(file.name)).as_posix(), digest])
        # A user's file is named as the user names it, a fetched one from where snakemake runs.
        path = str(file) if spec["kind"] == "file" else os.path.relpath(file)
        entries.append({"path": path, "bytes": file.stat().st_size, "sha256": digest})
    total = hashlib.sha256(canonical_json(sorted(named)).encode()).hexdigest()
    return {"files": entries, "sha256": total}
