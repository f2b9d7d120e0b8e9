"""Measure what fine-tuning forgot of the corpus that a checkpoint was pretrained on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gap.data.checkpoints import checkpoint_folder
from gap.results.records import RunForgetting
from gap.run.json import read_json, write_json
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--cell", type=json.loads, required=True, help="JSON: dataset, model, size")
    parser.add_argument("--checkpoint", type=Path, required=True, help="manifest of the checkpoint")
    parser.add_argument("--corpus-ids", type=Path, required=True, help="folder of its corpus")
    parser.add_argument("--training", type=Path, required=True, help="JSON file of the training")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the training")
    parser.add_argument("--forgetting", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    from gap.models.forgetting import measure

    training = read_json(arguments.training)
    weights = {seed: arguments.weights / seed for seed in training["seeds"]}
    measured = measure(checkpoint_folder(arguments.checkpoint), arguments.corpus_ids, weights)
    record: RunForgetting = {
        "dataset": arguments.cell["dataset"],
        "model": arguments.cell["model"],
        "size": arguments.cell["size"],
        "n": training["n"],
        **measured,
    }
    write_json(arguments.forgetting, record)


if __name__ == "__main__":
    run(main)
