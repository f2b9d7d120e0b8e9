"""Fit a SentencePiece vocabulary on the training texts of each seed of a block."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from gap.data.prepared import iterate_texts
from gap.data.sampling import Subsample, read_subsamples
from gap.data.vocabulary import fit_vocabulary
from gap.run.digests import sha256_file
from gap.run.json import write_json
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.study.datasets import VocabularyRecipe


def training_texts(pool: Path, subsample: Subsample) -> Iterator[str]:
    """Yield the texts to train on; those held out for validation teach the vocabulary nothing."""
    return chain.from_iterable(iterate_texts(pool, np.sort(subsample.training_rows)))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe", required=True, type=VocabularyRecipe.from_json, help="JSON: the vocabulary's"
    )
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--pool", type=Path, required=True, help="pool.parquet")
    parser.add_argument("--pool-manifest", type=Path, required=True, help="pool.json")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file of the block")
    parser.add_argument("--vocabulary", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    specification = [arguments.recipe.plain(), arguments.provenance]
    made_from = [arguments.pool_manifest, arguments.subsample]
    state = state_folder(
        arguments.vocabulary.parent, arguments.vocabulary.name, specification, made_from
    )
    outputs = [arguments.vocabulary, arguments.manifest]
    if restore(state, outputs):
        return
    arguments.vocabulary.mkdir(parents=True, exist_ok=True)
    manifest = {}
    for subsample in read_subsamples(arguments.subsample):
        path = arguments.vocabulary / f"{subsample.seed}.model"
        pieces = fit_vocabulary(
            training_texts(arguments.pool, subsample), arguments.recipe, subsample.seed, path
        )
        manifest[str(subsample.seed)] = {"pieces": pieces, "sha256": sha256_file(path)}
        print(
            f"seed {subsample.seed}: {pieces:,} pieces from {len(subsample.training_rows):,} texts",
            flush=True,
        )
    write_json(arguments.manifest, manifest)
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
