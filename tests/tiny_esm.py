"""A tiny ESM with random weights and ESM's own tokenizer, as a checkpoint of proteins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import AddedToken, EsmConfig, EsmTokenizer

ALPHABET = "LAGVSERTIDPKQNFYMHWCXBUZO.-"
VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", *ALPHABET, "<null_1>", "<mask>"]


def save_tokenizer(
    folder: Path, *added: str | AddedToken, vocabulary: Sequence[str] = VOCABULARY
) -> EsmTokenizer:
    """Save a tokenizer with these tokens, and others added to it, and return it."""
    from transformers import EsmTokenizer

    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = EsmTokenizer(str(folder / "vocab.txt"))
    tokenizer.add_tokens(list(added))
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_tiny_esm(folder: Path, seed: int = 1) -> Path:
    """Save a model of two narrow layers, random by the seed, with its tokenizer."""
    import torch
    from transformers import EsmModel

    torch.manual_seed(seed)
    EsmModel(tiny_esm_config()).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def tiny_esm_config() -> EsmConfig:
    """Return the config of a model of two narrow layers, whose heads are 16 wide."""
    from transformers import EsmConfig

    return EsmConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        position_embedding_type="rotary",
        token_dropout=True,
        pad_token_id=1,
        mask_token_id=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
