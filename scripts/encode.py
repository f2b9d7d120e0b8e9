"""Encode texts as token ids.

With --checkpoint the whole data set by a pretrained tokenizer; with --vocabulary and --subsample a
block of subsamples, and the test set, by the vocabularies fitted on them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gap.cli import progress, run, write_json
from gap.data import count_texts, iterate_texts
from gap.pretrained import checkpoint_folder
from gap.runstate import keep, restore, state_folder
from gap.sampling import Rows, read_subsamples
from gap.vocabulary import (
    FittedVocabulary,
    PretrainedVocabulary,
    Vocabulary,
    encode_piece,
    join_pieces,
)

# Texts that are encoded at a time: what a killed job loses at most.
PIECE = 100_000


def encode_file(
    source: Path,
    vocabulary: Vocabulary,
    recipe: dict[str, Any],
    stem: Path,
    state: Path,
    rows: Rows | None = None,
) -> dict[str, Any]:
    """Encode the texts of a Parquet file, all or those at `rows`, and return the manifest.

    `state` is a folder for finished pieces, which a killed job does not encode again.
    """
    state.mkdir(parents=True, exist_ok=True)
    total = count_texts(source) if rows is None else len(rows)
    pieces = []
    for start in progress(range(0, total, PIECE), "pieces"):
        piece = state / f"{start}.npz"
        if not piece.exists():
            wanted = np.arange(start, min(start + PIECE, total))
            texts = iterate_texts(source, wanted if rows is None else rows[wanted])
            encode_piece(texts, vocabulary, recipe["max_tokens"], recipe["keep"], piece)
        pieces.append(piece)
    facts = join_pieces(pieces, vocabulary, stem, rows)
    print(
        f"{stem}: {facts['rows']:,} texts, {facts['tokens']:,} tokens, {facts['shortened']:,} cut"
    )
    return facts


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=json.loads, required=True, help="JSON: max_tokens, keep")
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--pool", type=Path, required=True, help="pool.parquet")
    parser.add_argument("--test", type=Path, required=True, help="test.parquet")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--vocabulary", type=Path, help="folder of fitted vocabularies")
    parser.add_argument("--subsample", type=Path, help="Parquet file of the block, if fitted")
    parser.add_argument("--ids", type=Path, required=True, help="folder to write")
    parser.add_argument("--pool-manifest", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--test-manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    recipe, ids = arguments.recipe, arguments.ids
    made_from = [arguments.checkpoint, arguments.vocabulary, arguments.subsample]
    made_from = [arguments.pool, arguments.test, *filter(None, made_from)]
    state = state_folder(ids.parent, "encode", [recipe, arguments.provenance], made_from)
    outputs = [ids, arguments.pool_manifest, arguments.test_manifest]
    if restore(state, outputs):
        return
    pieces = state / "pieces"
    vocabulary: Vocabulary
    if arguments.checkpoint:
        vocabulary = PretrainedVocabulary(checkpoint_folder(arguments.checkpoint))
        pool = encode_file(arguments.pool, vocabulary, recipe, ids / "pool", pieces / "pool")
        test = encode_file(arguments.test, vocabulary, recipe, ids / "test", pieces / "test")
    else:
        pool, test = {}, {}
        for one in read_subsamples(arguments.subsample):
            seed = str(one.seed)
            vocabulary = FittedVocabulary(arguments.vocabulary / f"{seed}.model")
            stem, mine = ids / seed, pieces / seed
            pool[seed] = encode_file(
                arguments.pool, vocabulary, recipe, stem / "pool", mine / "pool", one.rows
            )
            test[seed] = encode_file(
                arguments.test, vocabulary, recipe, stem / "test", mine / "test"
            )
    write_json(arguments.pool_manifest, pool)
    write_json(arguments.test_manifest, test)
    keep(state, outputs)
    shutil.rmtree(pieces)


if __name__ == "__main__":
    run(main)
