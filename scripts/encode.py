"""Encode texts as token ids.

With --checkpoint, a pretrained tokenizer encodes the whole data set. With --vocabulary and
--subsample, the vocabularies of a block of subsamples encode these subsamples and the test set.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from gap.data.checkpoints import checkpoint_folder
from gap.data.encoding import Encoder, encode_piece, join_pieces
from gap.data.manifests import NOTEWORTHY, IdsManifest
from gap.data.prepared import count_texts, iterate_arrays
from gap.data.sampling import Rows, read_subsamples
from gap.data.vocabulary import FittedVocabulary, PretrainedVocabulary, Vocabulary
from gap.run.errors import UserError
from gap.run.json import write_json
from gap.run.program import run
from gap.run.progress import progress
from gap.run.runstate import keep, restore, state_folder
from gap.run.workers import Workers
from gap.study.rules import EncodeRecipe

# Texts that a process encodes at a time: what it loses when it is killed.
PIECE = 50_000
BATCH = 8192


@dataclass(frozen=True)
class Piece:
    """Some rows, (rows,), of a Parquet file, and the file for their ids."""

    source: Path
    rows: Rows
    path: Path


def encode_rows(encoder: Encoder, piece: Piece) -> Path:
    """Encode a piece, unless that has been done, and return its file."""
    if not piece.path.exists():
        encode_piece(iterate_arrays(piece.source, piece.rows, BATCH), encoder, piece.path)
    return piece.path


def encode_file(
    source: Path,
    vocabulary: Vocabulary,
    recipe: EncodeRecipe,
    stem: Path,
    state: Path,
    rows: Rows | None = None,
    processes: int = 1,
) -> IdsManifest:
    """Encode the texts of a Parquet file, all or those at `rows`, and return the manifest.

    `state` is a folder for finished pieces, which a killed job does not encode again.
    """
    state.mkdir(parents=True, exist_ok=True)
    total = count_texts(source) if rows is None else len(rows)
    wanted = (np.arange(start, min(start + PIECE, total)) for start in range(0, total, PIECE))
    pieces = (
        Piece(source, places if rows is None else rows[places], state / f"{places[0]}.npz")
        for places in wanted
    )
    encoder = Encoder(vocabulary, recipe.max_tokens, recipe.keep, recipe.pair)
    with Workers(partial(encode_rows, encoder), processes) as workers:
        count = math.ceil(total / PIECE)
        finished = list(progress(workers.in_order(pieces), "pieces", count))
    manifest = join_pieces(finished, encoder, stem, rows)
    print(
        f"{stem}: {manifest['rows']:,} texts, {manifest['tokens']:,} tokens, "
        f"{manifest['shortened']:,} cut"
    )
    check_understood(manifest, stem, recipe)
    return manifest


def check_understood(manifest: IdsManifest, stem: Path, recipe: EncodeRecipe) -> None:
    """Warn of a tokenizer that does not know the texts; raise UserError beyond `max_unknown`."""
    shares = manifest["unknown_share"], manifest["collapsed_share"]
    message = (
        f"{stem}: {shares[0]:.0%} of the tokens are unknown to the tokenizer, and "
        f"{shares[1]:.0%} of different texts become the same tokens as an earlier one"
    )
    if max(shares) > recipe.max_unknown:
        raise UserError(
            f"{message}; `max_unknown` allows {recipe.max_unknown:.0%}: choose a checkpoint or a "
            "vocabulary for the texts' script, or raise `max_unknown`"
        )
    if max(shares) > NOTEWORTHY:
        print(f"warning: {message}; what it cannot tell apart, no model on it can", flush=True)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe",
        required=True,
        type=EncodeRecipe.from_json,
        help="JSON: max_tokens, keep, max_unknown",
    )
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--pool", type=Path, required=True, help="pool.parquet")
    parser.add_argument("--pool-manifest", type=Path, required=True, help="pool.json")
    parser.add_argument("--test", type=Path, required=True, help="test.parquet")
    parser.add_argument("--test-manifest", type=Path, required=True, help="test.json")
    parser.add_argument("--checkpoint", type=Path, help="manifest of a pretrained checkpoint")
    parser.add_argument("--vocabulary", type=Path, help="folder of fitted vocabularies")
    parser.add_argument("--subsample", type=Path, help="Parquet file of the block, if fitted")
    parser.add_argument("--threads", type=int, default=1, help="processes that work at once")
    parser.add_argument("--ids", type=Path, required=True, help="folder to write")
    parser.add_argument("--encoded-pool", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--encoded-test", type=Path, required=True, help="JSON file to write")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    arguments = parse(argv)
    # Each of the processes is to stay on one core.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    recipe, ids, threads = arguments.recipe, arguments.ids, arguments.threads
    made_from = [arguments.checkpoint, arguments.vocabulary, arguments.subsample]
    manifests = [arguments.pool_manifest, arguments.test_manifest]
    made_from = [*manifests, *filter(None, made_from)]
    state = state_folder(ids.parent, "encode", [recipe.plain(), arguments.provenance], made_from)
    outputs = [ids, arguments.encoded_pool, arguments.encoded_test]
    if restore(state, outputs):
        return
    pieces = state / "pieces"
    vocabulary: Vocabulary

    def encode(side: str, seed: str = "", rows: Rows | None = None) -> IdsManifest:
        source, stem, state = getattr(arguments, side), ids / seed / side, pieces / seed / side
        return encode_file(source, vocabulary, recipe, stem, state, rows, threads)

    pool: IdsManifest | dict[str, IdsManifest]
    test: IdsManifest | dict[str, IdsManifest]
    if arguments.checkpoint:
        vocabulary = PretrainedVocabulary(checkpoint_folder(arguments.checkpoint))
        pool, test = encode("pool"), encode("test")
    else:
        pool, test = {}, {}
        for subsample in read_subsamples(arguments.subsample):
            seed = str(subsample.seed)
            vocabulary = FittedVocabulary(arguments.vocabulary / f"{seed}.model")
            pool[seed], test[seed] = encode("pool", seed, subsample.rows), encode("test", seed)
    write_json(arguments.encoded_pool, pool)
    write_json(arguments.encoded_test, test)
    keep(state, outputs)
    shutil.rmtree(pieces)


if __name__ == "__main__":
    run(main)
