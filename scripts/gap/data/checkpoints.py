"""Where the files of a fetched checkpoint lie."""

from __future__ import annotations

from pathlib import Path

from gap.run.errors import UserError
from gap.run.json import read_json


def checkpoint_folder(manifest: str | Path) -> Path:
    """Return the folder with the checkpoint's config.json, from its source's manifest."""
    paths = [Path(file["path"]) for file in read_json(manifest)["files"]]
    folders = [path.parent for path in paths if path.name == "config.json"]
    if not folders:
        raise UserError(
            f"{manifest}: no config.json among its files; it is not a pretrained checkpoint"
        )
    return min(folders, key=lambda folder: len(folder.parts))
