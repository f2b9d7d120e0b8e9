"""Train what gives vectors of a checkpoint's embeddings to pieces that are none of its tokens."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
    parser.add_argument("--bridge", type=Path, required=True, help="file of weights to write")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    from gap.models.bridge import Bridge, fit_generator, save_generator

    generator, cosines = fit_generator(Bridge.of(checkpoint_folder(arguments.checkpoint)), SEED)
    arguments.bridge.parent.mkdir(parents=True, exist_ok=True)
    save_generator(generator, arguments.bridge)
    record: BridgeRecord = {
        "checkpoint": arguments.name,
        **cosines,
        "sha256": sha256_file(arguments.bridge),
    }
    write_json(arguments.manifest, record)


if __name__ == "__main__":
    run(main)
