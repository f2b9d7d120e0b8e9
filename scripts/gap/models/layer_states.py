"""The states of a pretrained encoder's layers, from the embeddings on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from gap.models.batching import Batch
from gap.models.hardware import device
from gap.models.lstm_network import pool
from gap.run.errors import UserError

Function = Callable[[Batch], torch.Tensor]


def pooled_states(encoder: PreTrainedModel, pooling: str, every_layer: bool = False) -> Function:
    """Return the function from a padded batch to the last layer's pooled states, (batch, width).

    With `every_layer` those of all layers stand in a row, (batch, layers * width).
    """

    def states(batch: Batch) -> torch.Tensor:
        layers, mask = layer_states(encoder, batch, every_layer), batch["attention_mask"]
        return torch.cat([pool(layer.float(), mask, pooling) for layer in layers], dim=1)

    return states


def layer_states(
    encoder: PreTrainedModel, batch: Batch, every_layer: bool = True
) -> list[torch.Tensor]:
    """Return the states of the embeddings and of each layer, (batch, tokens, width) each.

    Without `every_layer` those of the last layer alone. Raises UserError where all are asked for of
    an encoder that has but one layer of states, or layers of several shapes.
    """
    if not every_layer:
        return [encoder(**batch).last_hidden_state]
    output = encoder(**batch, output_hidden_states=True)
    kind, last = encoder.config.model_type, output.last_hidden_state
    # What stands last there may lack the normalisation that follows the last layer.
    layers = [*(output.get("hidden_states") or [None])[:-1], last]
    if len(layers) < 2:
        raise UserError(
            f"layers: {kind} has one layer of states, so there is nothing to mix or to compare; "
            "set layers to last"
        )
    if any(layer.shape != last.shape for layer in layers):
        shapes = ", ".join("x".join(map(str, layer.shape[1:])) for layer in layers)
        raise UserError(
            f"layers: the layers of {kind} have states of several shapes ({shapes}); expected one "
            "state of one width for each token; set layers to last"
        )
    return layers


def count_layers(encoder: PreTrainedModel) -> int:
    """Return how many layers of states an encoder has, the embeddings counted."""
    # All kinds are told apart by what they return: some configs count other layers, or none.
    ids = torch.zeros((1, 8), dtype=torch.long, device=device())
    encoder.eval().to(device())
    with torch.no_grad():
        return len(layer_states(encoder, {"input_ids": ids, "attention_mask": ids + 1}))
