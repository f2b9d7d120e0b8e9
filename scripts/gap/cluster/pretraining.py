"""What pretraining a checkpoint asks of a cluster, told from its recipe and its corpus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from gap.cluster import work
from gap.cluster.requests import Request, Site
from gap.data.checkpoints import checkpoint_folder
from gap.models.encoder_shape import EncoderShape
from gap.models.lstm_work import KEPT_NUMBERS, gate_products
from gap.models.network import CORE_RATE, GPU_RATE, WEIGHT_BYTES
from gap.run.json import read_json
from gap.study.pretraining import GATED_WIDTHS, LanguageModel, MaskedLm, OwnCheckpoint, WordVectors

# A tokenizer that was fitted on film reviews made a token of 4.3 characters. Fewer characters mean
# more tokens, and a longer time limit.
CHARACTERS_OF_TOKEN = 4.0
# Each GPU that is added waits for the others' gradients.
SPEED_UP = 0.9
# Logits in fp32, their softmax and its gradient.
LOGIT_BYTES = 3 * 4
# Word vectors: token pairs that are counted in a second, at least, and bytes of each pair of
# tokens that stand near each other, of which there are fewer than a fifth of all.
COUNTED_PAIRS = 2e6
PAIR_BYTES = 16 / 5


@dataclass(frozen=True)
class Network:
    """What a network takes for a token: operations forward, bytes kept; and its parameters."""

    operations: float
    kept_bytes: float
    parameters: float

    def training_operations(self, tokens: float) -> float:
        """Return the operations of training on so many tokens, each as often as it is read."""
        # Going backward costs twice as much as going forward.
        return 3 * self.operations * tokens

    @classmethod
    def masked_lm(cls, recipe: MaskedLm, shape: EncoderShape) -> Network:
        """Return that of a masked language model of this shape."""
        block = recipe.block
        head = shape.hidden_size * (shape.hidden_size + shape.vocab_size)
        layers = shape.layer_bytes(block, on_gpu=False) * shape.num_hidden_layers
        return cls(
            shape.forward_operations(block) / block + 2.0 * head * recipe.masked,
            layers + LOGIT_BYTES * recipe.masked * shape.vocab_size,
            shape.parameters,
        )

    @classmethod
    def language_model(cls, recipe: LanguageModel) -> Network:
        """Return that of an LSTM language model."""
        size, pieces = recipe.start, recipe.fitted_tokenizer.size
        directions = 2 if size.bidirectional else 1
        products = gate_products(size.embedding_size, size.layers, size.width, directions)
        head = directions * size.embedding_size * (size.width + pieces)
        units = size.layers * directions * size.width
        return cls(
            2.0 * (products + head * recipe.predicted),
            4.0 * KEPT_NUMBERS * units + LOGIT_BYTES * directions * recipe.predicted * pieces,
            products + head + size.embedding_size * pieces,
        )


def shape_of(recipe: MaskedLm, start: str | None) -> EncoderShape:
    """Return the shape of a masked language model; `start` is the manifest of its checkpoint."""
    if start is not None:
        return EncoderShape.of(read_json(Path(checkpoint_folder(start)) / "config.json"))
    return new_shape(recipe)


def new_shape(recipe: MaskedLm) -> EncoderShape:
    """Return the shape of a masked language model that begins with random weights."""
    size = recipe.size
    return EncoderShape(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        # A gate is half as much again: of three products, one is its own.
        intermediate_size=3 * GATED_WIDTHS * size.width // 2,
        vocab_size=recipe.fitted_tokenizer.size,
        max_position_embeddings=recipe.block,
    )


def corpus_tokens(recipe: OwnCheckpoint, characters: int) -> float:
    """Return the tokens of a corpus of so many characters, roughly."""
    letters = recipe.tokenizer is not None and recipe.tokenizer.algorithm == "char"
    return characters / (1.0 if letters else CHARACTERS_OF_TOKEN)


def pretraining_request(
    recipe: OwnCheckpoint, corpus: str, start: str | None, site: Site
) -> Request:
    """Return what pretraining asks for, from the manifests of its corpus and of its start."""
    tokens = corpus_tokens(recipe, read_json(corpus)["characters"])
    if isinstance(recipe, WordVectors):
        return _vectors_request(recipe, tokens)
    if isinstance(recipe, LanguageModel):
        network = Network.language_model(recipe)
    else:
        network = Network.masked_lm(recipe, shape_of(recipe, start))
    settings = recipe.optimisation
    operations = network.training_operations(tokens * settings.passes)
    gpus = work.fewest_gpus(lambda count: _minutes(operations, count), site.most_gpus)
    blocks = settings.device_batch_size or settings.batch_size
    batch = 0 if gpus else network.kept_bytes * blocks * recipe.block
    imports = work.IMPORTS_MB + (work.CUDA_HOST_MB if gpus else 0)
    process = imports + (WEIGHT_BYTES * network.parameters + batch) / work.MEGABYTE
    # The ids are mapped into memory, once for all processes.
    memory = max(gpus, 1) * process + 4 * tokens / work.MEGABYTE
    return Request(math.ceil(memory), _minutes(operations, gpus), gpus)


def _vectors_request(recipe: WordVectors, tokens: float) -> Request:
    pairs = recipe.fitted_tokenizer.size**2 * PAIR_BYTES
    memory = work.IMPORTS_MB + (pairs + 4 * tokens) / work.MEGABYTE
    minutes = work.OVERHEAD_MINUTES + vector_seconds(recipe, tokens) / 60
    return Request(math.ceil(memory), math.ceil(minutes))


def vector_seconds(recipe: WordVectors, tokens: float) -> float:
    """Return the seconds in which one core makes word vectors of so many tokens."""
    return tokens * recipe.window / COUNTED_PAIRS


def _minutes(operations: float, gpus: int) -> int:
    rate = GPU_RATE * float(gpus**SPEED_UP) if gpus else CORE_RATE
    return work.runtime_minutes(operations, rate)
