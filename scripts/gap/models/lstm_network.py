"""The LSTM classifier trained from scratch, behind transformers' interfaces."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

import gap.models.quiet  # noqa: F401


class LstmBodyConfig(PreTrainedConfig):
    """Sizes of embeddings and LSTM layers; the names are those of a recipe in `model_zoo`."""

    def __init__(
        self,
        vocab_size: int = 8000,
        embedding_size: int = 128,
        layers: int = 1,
        width: int = 128,
        bidirectional: bool = True,
        dropout: float = 0.3,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.layers = layers
        self.width = width
        self.bidirectional = bidirectional
        self.dropout = dropout
        super().__init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """The width of its embeddings, as estimates ask for it."""
        return self.embedding_size

    @property
    def directions(self) -> int:
        """The directions in which texts are read."""
        return 2 if self.bidirectional else 1


class LstmConfig(LstmBodyConfig):
    """Sizes of an LSTM classifier."""

    model_type = "gap-lstm"

    def __init__(self, pooling: str = "mean", train_embeddings: bool = True, **kwargs: Any) -> None:
        self.pooling = pooling
        self.train_embeddings = train_embeddings
        super().__init__(**kwargs)


def flip(states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return `states` (batch, tokens, width), each text reversed in place, padding untouched."""
    positions = torch.arange(states.shape[1], device=states.device)
    reversed_positions = lengths[:, None] - 1 - positions  # (batch, tokens)
    index = torch.where(reversed_positions >= 0, reversed_positions, positions)
    return states.gather(1, index[:, :, None].expand_as(states))


def drop(states: torch.Tensor, share: float, training: bool) -> torch.Tensor:
    """Return `states` (batch, tokens, width) with a share of the width set to zero in training.

    One mask per text, the same at each of its tokens: variational dropout (Gal and Ghahramani 2016,
    A Theoretically Grounded Application of Dropout in Recurrent Neural Networks). Random: the mask.
    """
    return nn.functional.dropout1d(states.transpose(1, 2), share, training).transpose(1, 2)


class LstmLayer(nn.Module):
    """One layer that reads each text forwards and, if `bidirectional`, backwards too.

    The backward direction is an LSTM of its own that reads the flipped text. `nn.LSTM`'s own would
    read the padding first, and a text's result would depend on the longest text of its batch.
    """

    def __init__(self, inputs: int, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.forwards = nn.LSTM(inputs, width, batch_first=True)
        self.backwards = nn.LSTM(inputs, width, batch_first=True) if bidirectional else None

    def forward(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Map (batch, tokens, inputs) to (batch, tokens, width or 2 * width)."""
        forwards = self.forwards(states)[0]
        if self.backwards is None:
            return forwards
        backwards = flip(self.backwards(flip(states, lengths))[0], lengths)
        return torch.cat([forwards, backwards], dim=-1)


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return (batch, width) from (batch, tokens, width): mean, max or first of the tokens."""
    if pooling == "first":
        return states[:, 0]
    real = mask[:, :, None].bool()
    if pooling == "max":
        return states.masked_fill(~real, torch.finfo(states.dtype).min).amax(1)
    return (states * real).sum(1, dtype=torch.float32) / real.sum(1)


def start_weights(module: nn.Module) -> None:
    """Initialise a module as torch does, with a forget bias of one and small embeddings.

    Jozefowicz et al. 2015 (An Empirical Exploration of Recurrent Network Architectures) recommend
    the forget bias. Random: the weights, from torch's generator.
    """
    if isinstance(module, nn.LSTM):
        module.reset_parameters()
        for name, parameter in module.named_parameters():
            if name.startswith("bias_ih"):
                with torch.no_grad():
                    parameter[module.hidden_size : 2 * module.hidden_size] = 1.0
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.1)
    elif isinstance(module, nn.Linear):
        module.reset_parameters()


class LstmBody(PreTrainedModel):
    """Embeddings and LSTM layers, which classifiers and language models have alike."""

    config: LstmBodyConfig
    _input_embed_layer = "embeddings"

    def __init__(self, config: LstmBodyConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.embedding_size)
        above = [config.width * config.directions] * (config.layers - 1)
        self.layers = nn.ModuleList(
            LstmLayer(size, config.width, config.bidirectional)
            for size in [config.embedding_size, *above]
        )

    def _init_weights(self, module: nn.Module) -> None:
        start_weights(module)

    def states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the last layer's states, (batch, tokens, directions * width)."""
        lengths, share = attention_mask.sum(1), self.config.dropout
        states = drop(self.embeddings(input_ids), share, self.training)
        for layer in self.layers:
            states = drop(layer(states, lengths), share, self.training)
        return states


class LstmForSequenceClassification(LstmBody):
    """Embeddings, LSTM layers, pooling over the tokens, and a linear classifier."""

    config_class = LstmConfig
    config: LstmConfig
    base_model_prefix = "lstm"

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.embeddings.weight.requires_grad = config.train_embeddings
        width = config.width * config.directions
        self.classifier = nn.Linear(width, int(config.num_labels or 0))
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        **_: object,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the mean cross-entropy in nats if labels are given."""
        states = self.states(input_ids, attention_mask)
        logits = self.classifier(pool(states, attention_mask, self.config.pooling)).float()
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
