"""Encode texts as token ids.

With --checkpoint, a pretrained tokenizer encodes the whole data set. With --vocabulary and
--subsample, the vocabularies of a block of subsamples encode these subsamples and the test set.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from gap.data.checkpoints import checkpoint_folder
from gap.data.encoded_files import encode_file
from gap.data.manifests import IdsManifest
from gap.data.sampling import Rows, read_subsamples
from gap.data.vocabulary import FittedVocabulary, PretrainedVocabulary, Vocabulary
from gap.run.json import write_json
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.study.rules import EncodeRecipe


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
