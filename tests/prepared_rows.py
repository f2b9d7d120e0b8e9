"""A call of prepare on rows that a test makes up."""

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import prepare
import pyarrow.parquet as pq
from gap.run.json import read_json

COLUMNS = ("text", "label", "group")
# Each call has a provenance of its own, so that none takes up what another one has kept.
CALLS = itertools.count()


def prepare_rows(
    folder: Path,
    recipe: dict[str, Any],
    rows: Sequence[Sequence[str]],
    test_rows: Sequence[Sequence[str]] | None = None,
    threads: int = 1,
) -> tuple[Any, list[str], list[str]]:
    """Run prepare on rows of text, label and maybe group.

    Returns the card, and the texts of pool and test.
    """
    folder.mkdir(exist_ok=True)
    argv = ["--recipe", json.dumps(recipe), "--provenance", str(next(CALLS))]
    argv += ["--source", write_source(folder, rows, "source"), "--threads", str(threads)]
    if test_rows:
        argv += ["--test-source", write_source(folder, test_rows, "test-source")]
    for name in ("pool.parquet", "test.parquet", "rejects.csv"):
        argv += [f"--{name.split('.')[0]}", str(folder / name)]
    for name in ("card", "pool-manifest", "test-manifest"):
        argv += [f"--{name}", str(folder / f"{name}.json")]
    prepare.main(argv)
    pool, test = (pq.read_table(folder / f"{side}.parquet")["text"] for side in ("pool", "test"))
    return read_json(folder / "card.json"), pool.to_pylist(), test.to_pylist()


def write_source(folder: Path, rows: Sequence[Sequence[str]], name: str) -> str:
    """Write rows as CSV with their manifest; return the path of that."""
    with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS[: len(rows[0])], *rows])
    manifest = {"files": [{"path": str(folder / f"{name}.csv")}], "sha256": "0" * 64}
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    return str(folder / f"{name}.json")
