"""How attention is computed: fused for narrow heads alone, where it is the plain one."""

from typing import Any

import pytest
import torch
from gap.models.attention import FUSED_IN_FP32, attention
from tiny_esm import tiny_esm_config
from transformers import BertConfig, EsmConfig, EsmForSequenceClassification, T5Config

TOKENS, PADDED = 12, 5
NARROW: dict[str, Any] = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "attention_probs_dropout_prob": 0.0,
}


def small_esm(implementation: str) -> EsmForSequenceClassification:
    torch.manual_seed(0)
    model = EsmForSequenceClassification._from_config(
        tiny_esm_config(), attn_implementation=implementation
    )
    assert isinstance(model, EsmForSequenceClassification)
    assert model.config._attn_implementation == implementation
    return model


def outputs(model: EsmForSequenceClassification) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of two texts, of which one is padded, and a gradient."""
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 24, (2, TOKENS), generator=random)
    mask = torch.ones_like(ids)
    mask[0, PADDED:], ids[0, PADDED:] = 0, 1
    output = model(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1]))
    output.loss.backward()
    gradient = model.get_parameter("esm.encoder.layer.0.attention.self.query.weight").grad
    assert gradient is not None
    return output.logits.detach(), gradient


def test_the_fused_attention_is_the_plain_one():
    name = attention(tiny_esm_config())
    assert name == FUSED_IN_FP32
    logits, gradient = outputs(small_esm(name))
    plain_logits, plain_gradient = outputs(small_esm("eager"))
    torch.testing.assert_close(logits, plain_logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, plain_gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (EsmConfig(**NARROW), FUSED_IN_FP32),
        (EsmConfig(**NARROW | {"num_attention_heads": 2}), "eager"),
        (EsmConfig(**NARROW | {"attention_probs_dropout_prob": 0.1}), "eager"),
        (BertConfig(), "eager"),
        (T5Config(), "eager"),
    ],
)
def test_heads_that_are_wide_or_drop_out_have_the_plain_attention(config, name):
    assert attention(config) == name
