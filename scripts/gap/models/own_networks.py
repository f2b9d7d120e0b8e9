"""Networks of this project that are checkpoints, as transformers' Auto classes load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

import gap.models.quiet  # noqa: F401
from gap.models.lstm_network import (
    LstmBody,
    LstmBodyConfig,
    LstmConfig,
    LstmForSequenceClassification,
    start_weights,
)
from gap.models.weights import read_tensors
from gap.run.errors import UserError
from gap.run.json import read_json


class WordVectorsConfig(PreTrainedConfig):
    """A table of vectors: `hidden_size` numbers for each token."""

    model_type = "gap-word-vectors"

    def __init__(self, vocab_size: int = 8000, hidden_size: int = 128, **kwargs: Any) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        super().__init__(**kwargs)


class WordVectorsModel(PreTrainedModel):
    """Vectors of tokens, whatever stands around them."""

    config_class = WordVectorsConfig
    config: WordVectorsConfig
    _input_embed_layer = "embeddings"

    def __init__(self, config: WordVectorsConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        start_weights(module)

    def forward(self, input_ids: torch.Tensor, **_: object) -> BaseModelOutput:
        """Return the tokens' vectors, (batch, tokens, width), as `last_hidden_state`."""
        return BaseModelOutput(last_hidden_state=self.embeddings(input_ids))


class LstmModel(LstmBody):
    """The embeddings and layers of a trained classifier, without its head."""

    config_class = LstmConfig
    config: LstmConfig

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object
    ) -> BaseModelOutput:
        """Return the last layer's states, (batch, tokens, width), as `last_hidden_state`."""
        return BaseModelOutput(last_hidden_state=self.states(input_ids, attention_mask))


class LstmLanguageConfig(LstmBodyConfig):
    """Sizes of an LSTM language model."""

    model_type = "gap-lstm-language"

    # Without one of its own, transformers would make it a dataclass of no fields.
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class LstmLanguageModel(LstmBody):
    """An LSTM whose states tell the next token and, backwards, the one before.

    Its embeddings and layers have the names and shapes of an LSTM classifier's, which begins with
    them. What a state tells is compared with the embeddings themselves (Press and Wolf 2017, Using
    the Output Embedding to Improve Language Models).
    """

    config_class = LstmLanguageConfig
    config: LstmLanguageConfig

    def __init__(self, config: LstmLanguageConfig) -> None:
        super().__init__(config)
        self.heads = nn.ModuleList(
            nn.Linear(config.width, config.embedding_size) for _ in range(config.directions)
        )
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        places: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **_: object,
    ) -> BaseModelOutput | MaskedLMOutput:
        """Return the states, or with `places` what they tell there.

        `places`, (directions, targets), count all tokens of a batch; `labels`, (directions *
        targets,), are the ids to be told, and `logits` (directions * targets, vocabulary).
        """
        states = self.states(input_ids, attention_mask)
        if places is None:
            return BaseModelOutput(last_hidden_state=states)
        directions = states.flatten(0, 1).split(self.config.width, dim=-1)
        told = [
            head(direction[chosen])
            for head, direction, chosen in zip(self.heads, directions, places, strict=True)
        ]
        logits = functional.linear(torch.cat(told), self.embeddings.weight, self.bias).float()
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return MaskedLMOutput(loss=loss, logits=logits)


def take_layers(model: LstmForSequenceClassification, folder: Path) -> None:
    """Let a classifier begin with the layers of the LSTM in a folder, if it holds one.

    Raises UserError where they have other sizes.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") not in (LstmConfig.model_type, LstmLanguageConfig.model_type):
        return
    sizes = model.config
    wanted = {
        "layers": sizes.layers,
        "width": sizes.width,
        "bidirectional": sizes.bidirectional,
    }
    for key, size in wanted.items():
        if config[key] != size:
            raise UserError(
                f"{folder}: its `{key}` is {config[key]}, but that of the model is {size}; give "
                "both the same, or let the model learn its embeddings (embeddings: learned)"
            )
    tensors = read_tensors(folder)
    own = {name: tensors[name] for name in model.state_dict() if name.startswith("layers.")}
    model.load_state_dict(own, strict=False)


def register_networks() -> None:
    """Let the Auto classes of transformers find these networks by the type in a config.json."""
    AutoConfig.register(WordVectorsConfig.model_type, WordVectorsConfig, exist_ok=True)
    AutoModel.register(WordVectorsConfig, WordVectorsModel, exist_ok=True)
    AutoConfig.register(LstmConfig.model_type, LstmConfig, exist_ok=True)
    AutoModel.register(LstmConfig, LstmModel, exist_ok=True)
    AutoConfig.register(LstmLanguageConfig.model_type, LstmLanguageConfig, exist_ok=True)
    AutoModel.register(LstmLanguageConfig, LstmLanguageModel, exist_ok=True)
