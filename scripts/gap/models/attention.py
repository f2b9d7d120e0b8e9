"""How attention is computed: what transformers calls by a name."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from gap.models.hardware import device

FUSED_IN_FP32 = "fused_in_fp32"
# Heads as wide as those of MiniLM, or wider, are left to plain matrix products.
NARROW = 32


def attention(config: PreTrainedConfig) -> str:
    """Return the name of the attention that is fastest here for a model of this config.

    On CPUs the plain one trained MiniLM, whose heads are 32 wide, a seventh faster than sdpa. Of
    heads of 16, as ESM-2 8M has them, the memory of the scores decides: the fused kernel, in fp32,
    took half the time of the plain one in bf16, and less than itself in bf16. It cannot drop out.
    """
    if torch.cuda.is_available():
        return "sdpa"
    if _drops(config) or not 0 < _head_width(config) < NARROW:
        return "eager"
    AttentionInterface.register(FUSED_IN_FP32, fused_in_fp32)
    AttentionMaskInterface.register(FUSED_IN_FP32, sdpa_mask)
    return FUSED_IN_FP32


def fused_in_fp32(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return torch's fused attention, (batch, tokens, heads, width), computed in fp32.

    Queries, keys and values are (batch, heads, tokens, width); the result has the type of queries.
    """
    with torch.autocast(device().type, enabled=False):
        parts = [_in_fp32(part) for part in (query, key, value, attention_mask)]
        biases = {name: _in_fp32(option) for name, option in options.items()}
        output, _ = sdpa_attention_forward(module, *parts, **biases)
    return output.to(query.dtype), None


def _in_fp32(value: Any) -> Any:
    """Return tensors of numbers in fp32, such as T5's biases; masks and settings as they are."""
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.float() if floating else value


def _drops(config: PreTrainedConfig) -> bool:
    share = getattr(config, "attention_probs_dropout_prob", 0.0)
    return bool(share or getattr(config, "attention_dropout", 0.0))


def _head_width(config: PreTrainedConfig) -> int:
    """Return the width of a head; 0 where the config does not tell."""
    heads = getattr(config, "num_attention_heads", 0)
    return getattr(config, "hidden_size", 0) // heads if heads else 0
