"""Logistic regression on fixed features: TF-IDF of the words, or a frozen encoder's states."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

import gap.models.quiet  # noqa: F401


class LinearConfig(PreTrainedConfig):
    """The number of features of a linear classifier."""

    model_type = "gap-linear"

    def __init__(self, num_features: int = 1, **kwargs: Any) -> None:
        self.num_features = num_features
        super().__init__(**kwargs)


class LinearForSequenceClassification(PreTrainedModel):
    """A linear classifier of feature vectors."""

    config_class = LinearConfig
    config: LinearConfig
    base_model_prefix = "linear"

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.num_features, int(config.num_labels or 0))
        self.post_init()

    def forward(self, features: torch.Tensor, **_: object) -> SequenceClassifierOutput:
        """Return logits (batch, labels) for features (batch, features), dense or sparse."""
        weights = self.classifier
        return SequenceClassifierOutput(logits=features @ weights.weight.T + weights.bias)
