"""Pretrained checkpoints: fine-tuned whole, frozen, or as a source of token embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

import gap.models.quiet  # noqa: F401
from gap.data.vocabulary import EncodedTexts
from gap.models.hardware import attention
from gap.run.errors import UserError

if TYPE_CHECKING:
    from transformers.models.auto.auto_factory import _BaseAutoModelClass


def load_classifier(folder: str | Path, labels: list[str]) -> PreTrainedModel:
    """Return the checkpoint with a new classification head; random: the head's weights."""
    names = dict(enumerate(labels))
    return _load(
        AutoModelForSequenceClassification,
        folder,
        id2label=names,
        label2id={label: index for index, label in names.items()},
    )


def load_encoder(folder: str | Path) -> PreTrainedModel:
    """Return the checkpoint without any head."""
    return _load(AutoModel, folder)


def token_embeddings(folder: str | Path) -> torch.Tensor:
    """Return the checkpoint's table of token embeddings, (vocabulary, width)."""
    table = load_encoder(folder).get_input_embeddings()
    assert isinstance(table.weight, torch.Tensor)
    return table.weight.detach().clone()


def check_lengths(folder: str | Path, texts: EncodedTexts) -> None:
    """Raise UserError if a text has more tokens than the checkpoint has positions for."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None:
        return
    # RoBERTa's kind counts positions from its padding id + 1 on, so some of its table is unused.
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        limit -= config.pad_token_id + 1
    longest = int(texts.lengths.max())
    if longest > limit:
        raise UserError(
            f"max_tokens: a text has {longest} tokens, but {folder} reads at most {limit}; "
            f"set max_tokens of the data set to {limit} or less"
        )


def _load(
    auto_class: type[_BaseAutoModelClass],
    folder: str | Path,
    **options: Mapping[int, str] | Mapping[str, int],
) -> PreTrainedModel:
    """Load safetensors weights only: a pickle could run code."""
    try:
        return auto_class.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=attention(),
            dtype=torch.float32,
            **options,
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{folder}: cannot be loaded as a pretrained model: {reason}") from None
