"""Collect the texts that a checkpoint is pretrained on: no labels, and no text of a test set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gap.data.corpus import named_texts, write_corpus
from gap.run.arguments import named_paths
from gap.run.json import write_json
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--held-out", type=float, required=True, help="share of the texts")
    for name, what in {
        "pools": "pool.parquet of each data set of the corpus, texts.parquet of others",
        "tests": "test.parquet of each data set of the study",
        "cards": "card.json of each of these",
    }.items():
        parser.add_argument(f"--{name}", nargs="+", required=True, metavar="NAME=PATH", help=what)
    parser.add_argument("--texts", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    cards = named_paths(arguments.cards)
    pools, tests = (named_texts(files, cards) for files in (arguments.pools, arguments.tests))
    manifest = write_corpus(pools, tests, arguments.held_out, arguments.texts)
    write_json(arguments.manifest, manifest)
    print(
        f"{manifest['texts']:,} texts to train on, {manifest['held_out']:,} held out; left out: "
        f"{manifest['test_texts']:,} of test sets, {manifest['repeats']:,} repeats"
    )


if __name__ == "__main__":
    run(main)
