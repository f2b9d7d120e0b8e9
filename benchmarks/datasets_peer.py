"""The peer of data_path.py: what one writes with `datasets` to go from a CSV to token ids."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# One process per core is faster than the tokenizer's own threads, which fork badly besides.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import datasets
import numpy as np
import pandas as pd
import xxhash
from transformers import AutoTokenizer

Columns = dict[str, list[Any]]


def cut_and_hash(batch: Columns, rows: list[int], *, text: str, label: str, words: int) -> Columns:
    """Return texts within the budget, a hash of text and label, and the rows' numbers."""
    texts = []
    for whole in batch[text]:
        parts = whole.split(None, words)
        texts.append(
            whole[: len(whole) - len(parts[words])].rstrip() if len(parts) > words else whole
        )
    hashes = [
        xxhash.xxh3_64_intdigest(f"{label}\0{one}".encode()) >> 1
        for one, label in zip(texts, batch[label], strict=True)
    ]
    return {"text": texts, "label": batch[label], "hash": hashes, "row": rows}


def tokenise(batch: Columns, *, tokenizer: Any, tokens: int) -> Columns:
    """Return the ids of texts."""
    encoded = tokenizer(
        batch["text"],
        truncation=True,
        max_length=tokens,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return {"ids": encoded["input_ids"]}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "folder", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("text", "label"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("words", "tokens", "test", "cores"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args(argv)
    given.folder.mkdir(parents=True, exist_ok=True)

    loaded = datasets.load_dataset(
        "csv", data_files=str(given.corpus), cache_dir=str(given.folder / "cache"), split="train"
    )
    options = {"text": given.text, "label": given.label, "words": given.words}
    cut = loaded.map(
        cut_and_hash,
        batched=True,
        with_indices=True,
        num_proc=given.cores,
        remove_columns=loaded.column_names,
        fn_kwargs=options,
    )
    repeats = pd.Series(cut.with_format("numpy")["hash"][:]).duplicated().to_numpy()
    different = cut.select(np.flatnonzero(~repeats))
    tokenizer = AutoTokenizer.from_pretrained(given.checkpoint)
    # Before the split, while the rows are still in the order of the file.
    encoded = different.map(
        tokenise,
        batched=True,
        num_proc=given.cores,
        remove_columns=["text", "hash"],
        fn_kwargs={"tokenizer": tokenizer, "tokens": given.tokens},
    )
    parts = encoded.train_test_split(test_size=given.test, seed=1)
    subsample = parts["train"].shuffle(seed=1).select(range(len(parts["train"]) // 10))
    # What the two are compared by.
    chosen = encoded.select(range(0, len(encoded), max(1, len(encoded) // 1000)))
    chosen.to_parquet(str(given.folder / "sample.parquet"))
    facts = {"rows": len(encoded), "subsample": len(subsample)}
    (given.folder / "kept.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
