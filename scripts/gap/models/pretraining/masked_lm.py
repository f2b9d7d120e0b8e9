"""A masked language model: of random weights, or a checkpoint that is pretrained further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForMaskedLM, ModernBertConfig, PreTrainedModel

import gap.models.quiet  # noqa: F401
from gap.data.vocabulary import PretrainedVocabulary
from gap.models.encoder import OUTPUTS, explained, fit_to_vocabulary
from gap.models.weights import draw_weights, load_pretrained
from gap.study.pretraining import GATED_WIDTHS, EncoderSize


def draw_masked_lm(
    size: EncoderSize, block: int, vocabulary: PretrainedVocabulary
) -> PreTrainedModel:
    """Return a model of ModernBERT's kind with random weights, which reads `block` tokens at most.

    Its positions are rotations, so a head finds a token's neighbours early: of 1.2 million tokens
    of film reviews it learned more than BERT, which has a table of positions, of 8.5 million.
    Every layer sees the whole text (Warner et al. 2024, Smarter, Better, Faster, Longer). Random:
    its weights, from torch's generator.
    """
    before, behind = vocabulary.prefix[0], vocabulary.suffix[0]
    config = ModernBertConfig(
        vocab_size=vocabulary.size,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=GATED_WIDTHS * size.width,
        max_position_embeddings=block,
        layer_types=["full_attention"] * size.layers,
        classifier_pooling="mean",
        pad_token_id=vocabulary.pad_id,
        bos_token_id=before,
        eos_token_id=behind,
        cls_token_id=before,
        sep_token_id=behind,
    )
    return head_of_places(draw_weights(AutoModelForMaskedLM, config))


def load_masked_lm(
    folder: Path, vocabulary: PretrainedVocabulary, body: torch.nn.Module | None = None
) -> PreTrainedModel:
    """Return a checkpoint with the head of its pretraining; one that it lacks is new.

    `body` is what it has in place of its own, if given. Random: what is new, from torch's
    generator.
    """
    with explained(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **OUTPUTS)
        model = load_pretrained(AutoModelForMaskedLM, folder, config, head_kept=True)
    fit_to_vocabulary(model, vocabulary.pad_id, vocabulary.size)
    if body is not None:
        model.add_module(model.base_model_prefix, body)
        # What the head has in common with the embeddings is the body's now.
        model.tie_weights()
    return head_of_places(model)


def masked_lm_over(classifier: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return the masked language model of the checkpoint in a folder over a classifier's body.

    The two share the body, so what changes it changes both. The head is the checkpoint's, and is
    not trained.
    """
    vocabulary = PretrainedVocabulary(folder)
    model = load_masked_lm(folder, vocabulary, classifier.base_model)
    shared = {id(parameter) for parameter in classifier.parameters()}
    for parameter in model.parameters():
        if id(parameter) not in shared:
            parameter.requires_grad_(False)
    return model


def head_of_places(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model, whose head computes the tokens at `places` only.

    `places`, (targets,), which it takes beside its other inputs, count all tokens of a batch; its
    logits are (1, targets, vocabulary). Of 15 % of the tokens that is a seventh of the head's work,
    and of its memory.
    """
    given: list[torch.Tensor] = []

    def take(
        _: object, arguments: tuple[()], options: dict[str, Any]
    ) -> tuple[tuple[()], dict[str, Any]]:
        given.append(options["places"])
        return arguments, {name: value for name, value in options.items() if name != "places"}

    def choose(_: object, __: object, output: Any) -> Any:
        # A classifier that has the same body passes no places.
        if given:
            states = output.last_hidden_state
            output["last_hidden_state"] = states.flatten(0, 1)[given.pop()][None]
        return output

    model.register_forward_pre_hook(take, with_kwargs=True)
    body = model.base_model
    assert body is not model
    body.register_forward_hook(choose)
    return model
