"""Draw the rows of the pool that the runs of one size may see, for each seed of a block."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gap.data.prepared import load_labels
from gap.data.sampling import subsample, write_subsamples
from gap.run.digests import sha256_file
from gap.run.json import write_json
from gap.run.program import run
from gap.study.rules import SubsampleRecipe
from gap.study.sizes import parse_seeds, rows_of_size


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe", required=True, type=SubsampleRecipe.from_json, help="JSON: size, validation"
    )
    parser.add_argument("--seeds", required=True, help='"3" or "1-5"')
    parser.add_argument("--pool", type=Path, required=True, help="pool.parquet")
    parser.add_argument("--subsample", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)

    labels = load_labels(arguments.pool)
    n = rows_of_size(arguments.recipe.size, len(labels))
    seeds = parse_seeds(arguments.seeds)
    subsamples = [subsample(labels, seed, n, arguments.recipe.validation) for seed in seeds]
    write_subsamples(subsamples, arguments.subsample)
    training = len(subsamples[0].training_rows)
    digest = sha256_file(arguments.subsample)
    write_json(arguments.manifest, {"n": n, "training": training, "sha256": digest})
    print(
        f"{n:,} rows for each of {len(seeds)} seeds: {training:,} train, {n - training:,} validate"
    )


if __name__ == "__main__":
    run(main)
