"""Pretrained checkpoints: fine-tuned whole, frozen, or as a source of token embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

import gap.models.quiet  # noqa: F401
from gap.data.vocabulary import EncodedTexts
from gap.models.own_networks import register_networks
from gap.models.weights import draw_weights, has_decoder, load_pretrained, load_trained
from gap.run.errors import UserError

# A config may ask for other outputs, which would only take memory, or for bare tuples; and one that
# this project wrote may be that of a model of pairs.
OUTPUTS = {
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
    "pair_separator": None,
}

# Those that are compared to tell whether two draws of random weights are the same.
FIRST_PARAMETERS = 8


def load_classifier(
    folder: str | Path, labels: list[str], drawn: bool = False, dropout: float | None = None
) -> PreTrainedModel:
    """Return the checkpoint with a new classification head; random: the head's weights.

    Whatever it was fine-tuned for before, it tells these labels apart, one for each text. Where
    `drawn`, all weights are random, and the checkpoint's are not read. `dropout` takes the place of
    the shares that its config has; raises UserError where that has none.
    """
    names = dict(enumerate(labels))
    with explained(folder):
        config = AutoConfig.from_pretrained(
            folder,
            trust_remote_code=False,
            id2label=names,
            label2id={label: index for index, label in names.items()},
            problem_type="single_label_classification",
            **OUTPUTS,
        )
        if dropout is not None:
            set_dropout(config, dropout)
        if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
            # T5's decoder starts with its padding, which older configs leave unsaid.
            config.decoder_start_token_id = config.pad_token_id
        if drawn:
            return _ready(draw_weights(AutoModelForSequenceClassification, config))
        return _ready(load_pretrained(AutoModelForSequenceClassification, folder, config))


def set_dropout(config: PreTrainedConfig, share: float) -> None:
    """Let a model with this config drop a share of states and of attention in training.

    Raises UserError where the config has no such share.
    """
    # Their names differ. A flag (ESM's token_dropout) is no share, nor is a list of them.
    shares = [
        name
        for name, value in config.to_dict().items()
        if ("dropout" in name or name.endswith("pdrop"))
        and (value is None or isinstance(value, (int, float)))
        and not isinstance(value, bool)
    ]
    if not shares:
        raise UserError(f"dropout: {config.model_type} drops nothing; leave the key out")
    config.update(dict.fromkeys(shares, share))


def load_trained_classifier(folder: Path) -> PreTrainedModel:
    """Return a classifier that a training wrote, with the head that was trained."""
    with explained(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            empty = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
        return _ready(load_trained(type(empty), folder, config))


def load_encoder(folder: str | Path, drawn: bool = False) -> PreTrainedModel:
    """Return the checkpoint without any head; of one with a decoder as well, its encoder.

    Where `drawn`, all weights are random, and the checkpoint's are not read.
    """
    register_networks()
    with explained(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **OUTPUTS)
        if drawn:
            model = draw_weights(AutoModel, config)
        else:
            model = load_pretrained(AutoModel, folder, config, encoder_only=True)
        encoder = model.get_encoder() if has_decoder(model) else model
        assert isinstance(encoder, PreTrainedModel)
        return encoder


def token_embeddings(folder: str | Path) -> torch.Tensor:
    """Return the checkpoint's table of token embeddings, (vocabulary, width)."""
    return _table(load_encoder(folder)).detach().clone()


def _table(model: PreTrainedModel) -> torch.Tensor:
    table = model.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    return table


def first_numbers(model: PreTrainedModel) -> list[float]:
    """Return a few numbers that stand first in the model's parameters, two of each of the first."""
    tables = list(model.parameters())[:FIRST_PARAMETERS]
    return [float(number) for table in tables for number in table.detach().flatten()[:2]]


def fit_to_vocabulary(
    model: PreTrainedModel, pad_id: int, size: int, pair_separator: int | None = None
) -> None:
    """Let a model take ids below `size`, and batches padded with `pad_id`, which may be its first.

    Where texts are pairs, and the tokenizer has a type for the tokens of each, the model is told
    the types: those behind the first `pair_separator` are of the second.

    Tokens that were added to the tokenizer, but not to the model, get the mean of the embeddings
    that are there, and a line says so. (Hewitt 2021, Initializing New Word Embeddings for
    Pretrained Language Models.)
    """
    if model.config.pad_token_id is None:
        model.config.pad_token_id = pad_id
    if getattr(model.config, "pair_separator", None) != pair_separator:
        model.config.pair_separator = pair_separator
        _ready_for_pairs(model)
    rows = len(_table(model))
    if size <= rows:
        return
    print(f"embeddings for {size - rows} tokens that were added to the tokenizer only: their mean")
    model.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():
        table = _table(model)
        table[rows:] = table[:rows].mean(0)


def check_lengths(model: PreTrainedModel, texts: EncodedTexts) -> None:
    """Raise UserError if a text has more tokens than the model has positions for."""
    limit = most_tokens(model)
    longest = int(texts.lengths.max())
    if limit is not None and longest > limit:
        raise UserError(
            f"max_tokens: a text has {longest} tokens, but {model.config.model_type} with these "
            f"weights reads at most {limit}; set max_tokens of the data set to {limit} or less"
        )


def most_tokens(model: PreTrainedModel) -> int | None:
    """Return how many tokens a model has positions for; None where there is no end to them."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    for name, table in model.named_modules():
        # RoBERTa's kind counts positions from its padding id + 1 on: some of its table is unused.
        if name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None:
            return limit - int(table.padding_idx) - 1
    return limit


def _ready(model: PreTrainedModel) -> PreTrainedModel:
    """Return the classifier, made to read padding on the left if its head reads the last position.

    That is XLNet's; other heads look at the mask or at the padding id.
    """
    if getattr(model.config, "summary_type", None) == "last":
        model.register_forward_pre_hook(_padding_to_the_left, with_kwargs=True)
    return _ready_for_pairs(model)


def _ready_for_pairs(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model, made to tell the two texts of a pair apart if its embeddings can."""
    if getattr(model.config, "pair_separator", None) is None:
        return model
    if getattr(model.config, "type_vocab_size", 0) > 1:
        model.register_forward_pre_hook(_with_token_types, with_kwargs=True)
    return model


def _with_token_types(
    model: PreTrainedModel, arguments: tuple[()], options: dict[str, torch.Tensor]
) -> tuple[tuple[()], dict[str, torch.Tensor]]:
    """Return a batch's inputs with the type of each token: 1 behind the first separator, else 0."""
    if model.config.pair_separator is None:
        return arguments, options
    ids, mask = options["input_ids"], options["attention_mask"]
    separators = (ids == model.config.pair_separator).long()
    types = ((separators.cumsum(1) - separators) > 0).long() * mask
    return arguments, options | {"token_type_ids": types}


def _padding_to_the_left(
    model: torch.nn.Module, arguments: tuple[()], options: dict[str, torch.Tensor]
) -> tuple[tuple[()], dict[str, torch.Tensor]]:
    """Return a batch's inputs, each text rotated so that it ends at the last position."""
    mask = options["attention_mask"]
    tokens = mask.shape[1]
    positions = torch.arange(tokens, device=mask.device) + mask.sum(1, keepdim=True)
    moved = {
        name: options[name].gather(1, positions % tokens)
        for name in ("input_ids", "attention_mask")
    }
    return arguments, options | moved


@contextmanager
def explained(folder: str | Path) -> Iterator[None]:
    """Turn what loading a checkpoint raises into a UserError: a damaged one can fail in any way."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{folder}: cannot be loaded as a pretrained model: {reason}") from error
