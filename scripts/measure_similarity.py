"""Measure how alike a run's data set and the one are that its model's checkpoint was trained on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gap.data.checkpoints import checkpoint_folder
from gap.data.overlap import coverage, divergence, grams_of, words_of
from gap.data.prepared import iterate_texts
from gap.data.sampling import Rows, rows_of_seed
from gap.data.vocabulary import EncodedTexts
from gap.models.family import Job, family_of, load_recipe
from gap.results.records import ModelSimilarity, SimilarityRecord, TextSimilarity
from gap.run.json import read_json, write_json
from gap.run.program import run

# Texts of each side that are looked at, at most.
MOST_TEXTS = 5000


def thinned(rows: Rows) -> Rows:
    """Return at most MOST_TEXTS of the rows, evenly spread."""
    return rows[:: -(-len(rows) // MOST_TEXTS)]


def texts_of(pool: Path, rows: Rows) -> list[str]:
    """Return the texts at rows of a pool, ascending."""
    return [text for texts in iterate_texts(pool, rows) for text in texts]


def compare_texts(given: argparse.Namespace, rows: Rows, source_rows: Rows) -> TextSimilarity:
    """Return how alike the texts at these rows are by words and letters."""
    target, source = texts_of(given.pool, rows), texts_of(given.source_pool, source_rows)
    return {
        "coverage": coverage(words_of(target), words_of(source)),
        "divergence": divergence(grams_of(target), grams_of(source)),
    }


def compare_models(given: argparse.Namespace, rows: Rows) -> ModelSimilarity:
    """Return how far the features of both models, of the texts at `rows`, are turned."""
    from gap.models.similarity import rotation

    job = Job(ids=given.ids)
    family = family_of(load_recipe(given.recipe), job)
    target = job.encoded("pool", given.seed)
    source = EncodedTexts.open(given.checkpoint_ids / "pool")
    before, after = (
        family.head_inputs(weights, texts, texts.positions(rows))
        for weights, texts in (
            (checkpoint_folder(given.checkpoint), source),
            (given.weights / str(given.seed), target),
        )
    )
    # Families whose weights make a checkpoint have layers.
    assert before is not None
    assert after is not None
    turned = rotation(before, after)
    return {"turn": turned.turn, "misfit": turned.misfit}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--cell", type=json.loads, required=True, help="JSON: dataset, model, size")
    recipe = "JSON: that of the model which was trained on both data sets"
    parser.add_argument("--recipe", type=json.loads, required=True, help=recipe)
    parser.add_argument("--seed", type=int, required=True, help="of the run on the data set")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the run on it")
    parser.add_argument("--ids", type=Path, required=True, help="folder of ids that this run read")
    parser.add_argument("--checkpoint", type=Path, required=True, help="manifest of the checkpoint")
    ids = "folder of ids of the data set by the checkpoint's tokenizer"
    parser.add_argument("--checkpoint-ids", type=Path, required=True, help=ids)
    for side in ("", "source-"):
        what = "that the checkpoint was trained on" if side else "of the run"
        for name in ("pool", "pool-manifest", "subsample"):
            text = f"{name} {what}"
            parser.add_argument(f"--{side}{name}", type=Path, required=True, help=text)
    source = "JSON: the checkpoint's entry"
    parser.add_argument("--source", type=json.loads, required=True, help=source)
    parser.add_argument("--similarity", type=Path, required=True, help="JSON file to write")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    given = parse(argv)
    rows = rows_of_seed(given.subsample, given.seed)
    source_rows = rows_of_seed(given.source_subsample, given.source["seed"])
    record: SimilarityRecord = {
        "dataset": given.cell["dataset"],
        "model": given.cell["model"],
        "size": given.cell["size"],
        "source": given.source["dataset"],
        "n": len(rows),
        "source_n": len(source_rows),
        "labels": len(read_json(given.pool_manifest)["labels"]),
        "source_labels": len(read_json(given.source_pool_manifest)["labels"]),
        **compare_texts(given, thinned(rows), thinned(source_rows)),
        **compare_models(given, thinned(rows)),
    }
    write_json(given.similarity, record)


if __name__ == "__main__":
    run(main)
