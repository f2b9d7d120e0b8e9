"""Encode the texts of a Parquet file piece by piece, by several processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gap.data.encoding import Encoder, encode_piece, join_pieces
from gap.data.manifests import NOTEWORTHY, IdsManifest
from gap.data.prepared import count_texts, iterate_arrays
from gap.data.sampling import Rows
from gap.data.vocabulary import Vocabulary
from gap.run.errors import UserError
from gap.run.progress import progress
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
