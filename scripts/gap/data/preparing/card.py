"""What the data card says about the rows of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from gap.data.manifests import CardOfRows, Lengths, Side
from gap.data.preparing.labels import Labels
from gap.data.preparing.roles import DROPPED, MERGED, POOL, TEST, count_labels
from gap.data.preparing.store import Store
from gap.run.digests import sha256_file
from gap.study.rules import PrepareRecipe

KEPT = f"role IN ({POOL}, {TEST})"


def describe(
    store: Store, recipe: PrepareRecipe, labels: Labels, pool: Path, test: Path
) -> CardOfRows:
    """Return what the data card says about the rows. Lengths are those before the budget cuts."""
    conflicts = store.count(
        f"""SELECT count(*) FROM (SELECT 1 FROM roles WHERE role != {MERGED}
        GROUP BY text_high, text_low HAVING count(DISTINCT label) > 1)"""
    )
    assert store.unit is not None
    return {
        "dataset": recipe.name,
        "labels": labels.ordered(),
        "labels_that_look_alike": labels.look_alike(),
        "pool": describe_side(store, labels, POOL, pool),
        "test": describe_side(store, labels, TEST, test),
        "merged": store.count(f"SELECT count(*) FROM roles WHERE role = {MERGED}"),
        "dropped_in_test": store.count(f"SELECT count(*) FROM roles WHERE role = {DROPPED}"),
        "texts_with_several_labels": conflicts,
        "words": describe_lengths(store, "words"),
        "characters": describe_lengths(store, "characters"),
        "text_budget": {
            "words": recipe.words,
            "unit": store.unit,
            "called": recipe.called or store.unit,
            "unit_from_data": recipe.unit is None,
            "keep": recipe.keep,
        },
        "cut_share": round(store.number(f"SELECT avg(cut::INT) FROM roles WHERE {KEPT}"), 4),
    }


def describe_side(store: Store, labels: Labels, role: int, path: Path) -> Side:
    """Return rows, sha256 and label counts of the pool or the test set."""
    counts = count_labels(store, "roles", role, labels)
    by_label = dict(zip(labels.ordered(), counts, strict=True))
    return {"rows": sum(counts), "sha256": sha256_file(path), "label_counts": by_label}


def describe_lengths(store: Store, column: Literal["words", "characters"]) -> Lengths:
    """Return mean, median and 95th percentile (nearest rank) of a column over pool and test."""
    counts = store.database.execute(
        f"SELECT {column}, count(*) AS rows FROM roles WHERE {KEPT} "
        f"GROUP BY {column} ORDER BY {column}"
    ).fetchnumpy()
    lengths, rows = counts[column].astype(np.int64), counts["rows"].astype(np.int64)
    ranks = np.cumsum(rows)
    median, high = (int(lengths[np.searchsorted(ranks, q * ranks[-1])]) for q in (0.5, 0.95))
    mean = round(float((lengths * rows).sum() / ranks[-1]), 2)
    return {"mean": mean, "median": median, "percentile_95": high}
