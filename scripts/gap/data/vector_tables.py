"""Tables of vectors that come with a tokenizer and no more, as checkpoints of word vectors."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gap.run.json import read_json, write_json

# What `gap.models.own_networks` calls such a network and its table.
MODEL_TYPE, TABLE = "gap-word-vectors", "embeddings.weight"


class VectorTable(NamedTuple):
    """The file of a table of vectors, the name of the table in it, and the tokenizer's file."""

    weights: Path
    name: str
    tokenizer: Path


def vector_table(files: Iterable[Path]) -> VectorTable | None:
    """Return the table among the files of a checkpoint; None where they are of another network.

    Such are a single table (tokens, width) in safetensors, a single file as `tokenizers` writes it,
    and no config.json that says what else the network would be.
    """
    from safetensors import safe_open

    files = list(files)
    weights = [file for file in files if file.suffix == ".safetensors"]
    parsed = {file: _parsed(file) for file in files if file.suffix == ".json"}
    if any(file.name == "config.json" and _is_network(content) for file, content in parsed.items()):
        return None
    tokenizers = [file for file, content in parsed.items() if _is_tokenizer(content)]
    if len(weights) != 1 or len(tokenizers) != 1:
        return None
    with safe_open(weights[0], "numpy") as tensors:
        names = list(tensors.keys())
        shapes = [tensors.get_slice(name).get_shape() for name in names]
    if len(names) != 1 or len(shapes[0]) != 2:
        return None
    return VectorTable(weights[0], names[0], tokenizers[0])


def _parsed(file: Path) -> Any:
    try:
        return read_json(file)
    except ValueError:
        # What is damaged is told where it is used.
        return None


def _is_network(config: Any) -> bool:
    """Return whether a config.json is that of a network that transformers knows by its type."""
    return isinstance(config, dict) and "architectures" in config


def _is_tokenizer(content: Any) -> bool:
    return isinstance(content, dict) and {"added_tokens", "model", "version"} <= content.keys()


def write_word_vectors(table: VectorTable, folder: Path) -> list[Path]:
    """Write a table and its tokenizer as a checkpoint of word vectors; return its files.

    The folder may hold the table itself. Numbers stay as they are.
    """
    from safetensors.numpy import load_file, save_file

    vectors = load_file(table.weights)[table.name]
    tokenizer = read_json(table.tokenizer)
    padding = _padding_token(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": MODEL_TYPE,
        "vocab_size": vectors.shape[0],
        "hidden_size": vectors.shape[1],
        "pad_token_id": padding["id"],
    }
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokenizer["model"].get("unk_token"),
        "pad_token": padding["content"],
    }
    files = [folder / name for name in ("config.json", "tokenizer_config.json")]
    for file, content in zip(files, (config, described), strict=True):
        write_json(file, content)
    save_file({TABLE: vectors}, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(table.tokenizer, folder / "tokenizer.json")
    return [*files, folder / "model.safetensors", folder / "tokenizer.json"]


def _padding_token(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Return the id and the content of the token that pads texts.

    It is the one that the tokenizer names, or else its first special one: what pads is not read.
    """
    if padding := tokenizer.get("padding"):
        return {"id": padding["pad_id"], "content": padding["pad_token"]}
    special = [token for token in tokenizer["added_tokens"] if token["special"]]
    named = [token for token in special if "pad" in token["content"].lower()]
    return (named or special or [{"id": 0, "content": None}])[0]
