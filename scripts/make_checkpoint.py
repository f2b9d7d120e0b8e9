"""Make a checkpoint of what a run was trained to: its weights, with its tokenizer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gap.data.checkpoints import checkpoint_folder, link_tokenizer
from gap.data.corpus import Texts, in_tests, named_texts
from gap.data.fetched_files import describe_files
from gap.data.sampling import Rows, rows_of_seed
from gap.run.arguments import named_paths
from gap.run.errors import UserError
from gap.run.folders import files_below, link
from gap.run.json import write_json
from gap.run.program import run


def refuse_leaks(recipe: dict[str, str], rows: Rows, pool: Texts, tests: dict[str, Texts]) -> None:
    """Raise UserError where a text that the run learned from stands in a test set of these."""
    source = recipe["dataset"]
    for target, test in tests.items():
        leaks = int(in_tests(pool, [test])[rows].sum())
        if leaks:
            raise UserError(
                f"checkpoint of {recipe['model']} on {source}: of the {len(rows):,} texts "
                f"that it was trained on, {leaks:,} stand in the test set of {target}, where "
                f"models begin with it; keep these models from {target} (`datasets`), or take the "
                f"texts out of {source}"
            )


def write_tokenizer(given: argparse.Namespace, seed: int) -> None:
    """Write the tokenizer of the run: that of its checkpoint, or its own vocabulary."""
    if given.vocabulary:
        from gap.models.pretraining.tokenizer import convert_vocabulary

        convert_vocabulary(given.vocabulary / f"{seed}.model", given.files)
        return
    link_tokenizer(checkpoint_folder(given.checkpoint), given.files)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe", type=json.loads, required=True, help="JSON: the checkpoint's entry"
    )
    parser.add_argument("--weights", type=Path, required=True, help="folder of the training")
    parser.add_argument("--checkpoint", type=Path, help="manifest of what the run began with")
    parser.add_argument("--vocabulary", type=Path, help="folder of fitted vocabularies, by seed")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file of the block")
    for name, what in {
        "pool": "pool.parquet of the run's data set",
        "tests": "test.parquet of each data set on which models begin with the checkpoint",
        "cards": "card.json of each of these",
    }.items():
        parser.add_argument(f"--{name}", nargs="+", required=True, metavar="NAME=PATH", help=what)
    parser.add_argument("--files", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--origin", type=Path, required=True, help="JSON file to write")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    given = parse(argv)
    recipe, seed = given.recipe, given.recipe["seed"]
    cards = named_paths(given.cards)
    pools, tests = (named_texts(files, cards) for files in (given.pool, given.tests))
    refuse_leaks(recipe, rows_of_seed(given.subsample, seed), pools[recipe["dataset"]], tests)
    link(given.weights / str(seed), given.files)
    write_tokenizer(given, seed)
    files = files_below(given.files)
    write_json(given.manifest, describe_files(recipe, files, given.files))
    write_json(given.origin, {"spec": recipe})


if __name__ == "__main__":
    run(main)
