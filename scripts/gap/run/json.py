"""Small JSON files, and the one spelling that recipes have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gap.run.durable import replace


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON with sorted keys, replacing the file in one step."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    replace(partial, target)


def canonical_json(content: object) -> str:
    """Return the one spelling of `content` that recipes and fingerprints use."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
