"""LSTM layers on the states of an encoder that stays as it is, behind transformers' interfaces."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

import gap.models.quiet  # noqa: F401
from gap.models.layer_states import Function
from gap.models.lstm_network import LstmBodyConfig, LstmLayer, drop, pool, start_weights


class StatesLstmConfig(LstmBodyConfig):
    """Sizes of LSTM layers and of the states that they read; no embeddings are learned."""

    model_type = "gap-states-lstm"

    def __init__(self, mixed_layers: int = 1, pooling: str = "mean", **kwargs: Any) -> None:
        self.mixed_layers = mixed_layers
        self.pooling = pooling
        super().__init__(**kwargs)


class StatesLstmForSequenceClassification(PreTrainedModel):
    """A weighted sum of an encoder's layers, LSTM layers, pooling, and a linear classifier.

    The weights of the sum are positive and add up to 1, and it is scaled (Peters et al. 2018, Deep
    Contextualized Word Representations, equation 1). `states_of` gives the states of a batch,
    (batch, tokens, layers, width); it is set by who uses the network, and no part of its weights.
    """

    config_class = StatesLstmConfig
    config: StatesLstmConfig
    base_model_prefix = "lstm"

    def __init__(self, config: StatesLstmConfig) -> None:
        super().__init__(config)
        self.states_of: Function | None = None
        self.scores = nn.Parameter(torch.zeros(config.mixed_layers))
        self.scale = nn.Parameter(torch.ones(1))
        above = [config.width * config.directions] * (config.layers - 1)
        self.layers = nn.ModuleList(
            LstmLayer(size, config.width, config.bidirectional)
            for size in [config.embedding_size, *above]
        )
        self.classifier = nn.Linear(config.width * config.directions, int(config.num_labels or 0))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        start_weights(module)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        **_: object,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the mean cross-entropy in nats if labels are given."""
        assert self.states_of is not None, "nobody said where states come from"
        with torch.no_grad():
            read = self.states_of({"input_ids": input_ids, "attention_mask": attention_mask})
        shares = torch.softmax(self.scores, 0) * self.scale
        states = torch.einsum("btlw,l->btw", read.float(), shares)
        lengths, share = attention_mask.sum(1), self.config.dropout
        states = drop(states, share, self.training)
        for layer in self.layers:
            states = drop(layer(states, lengths), share, self.training)
        logits = self.classifier(pool(states, attention_mask, self.config.pooling)).float()
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
