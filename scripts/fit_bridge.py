"""Train what gives vectors of a checkpoint's embeddings to pieces that are none of its tokens."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gap.data.checkpoints import checkpoint_folder
from gap.results.records import BridgeRecord
from gap.run.digests import sha256_file
from gap.run.json import write_json
from gap.run.program import run

SEED = 1


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--name", required=True, help="name of the checkpoint")
    parser.add_argument("--checkpoint", type=Path, required=True, help="manifest of the checkpoint")
    corpus = "folder of the ids that a masked language model was pretrained on, if it is one"
    parser.add_argument("--corpus-ids", type=Path, help=corpus)
    parser.add_argument("--bridge", type=Path, required=True, help="file of weights to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    from gap.models.bridge import Bridge, HiddenTokens, LessonMaker, fit_generator, save_generator

    folder = checkpoint_folder(arguments.checkpoint)
    lesson_of: LessonMaker = HiddenTokens
    if arguments.corpus_ids:
        from gap.models.bridge_teaching import MaskedLesson

        lesson_of = partial(MaskedLesson, checkpoint=folder, corpus=arguments.corpus_ids)
    generator, cosines = fit_generator(Bridge.of(folder), SEED, lesson_of)
    arguments.bridge.parent.mkdir(parents=True, exist_ok=True)
    save_generator(generator, arguments.bridge)
    record: BridgeRecord = {
        "checkpoint": arguments.name,
        "by": "masked tokens" if arguments.corpus_ids else "hidden tokens",
        **cosines,
        "sha256": sha256_file(arguments.bridge),
    }
    write_json(arguments.manifest, record)


if __name__ == "__main__":
    run(main)
