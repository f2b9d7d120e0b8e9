"""The shape of a pretrained encoder, and what follows from it: parameters, operations, bytes.

Imports nothing heavy, as rules and plans ask before a checkpoint is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

# What BERT calls by the first name, DistilBERT, XLM, GPT-2 and similar models call by the others.
OTHER_NAMES = {
    "hidden_size": ("dim", "emb_dim", "d_model", "n_embd", "embedding_size"),
    "num_hidden_layers": ("n_layers", "num_layers", "n_layer"),
    "num_attention_heads": ("n_heads", "num_heads", "n_head"),
    "intermediate_size": ("hidden_dim", "d_ff", "n_inner"),
    "max_position_embeddings": ("n_positions",),
}
# With two bytes a number, a transformer layer keeps 34 bytes for each token and unit of width.
# Plain attention keeps 5 more for each head and pair of tokens (Korthikanti et al. 2022, Reducing
# Activation Recomputation in Large Transformer Models, equation 2). In fp32 it is twice that. On
# GPUs, fused attention keeps nothing for pairs, and autocast leaves about half of the numbers in
# fp32.
LAYER_BYTES = {"cpu": 2 * 34, "gpu": 34 * 3 / 2}
PAIR_BYTES = {"cpu": 2 * 5, "gpu": 0}


@dataclass(frozen=True)
class EncoderShape:
    """The shape of a pretrained encoder, under the names of BERT's config.json.

    Where nothing is given it is base-sized: BERT-base and RoBERTa-base have this shape.
    """

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    vocab_size: int = 50_265
    max_position_embeddings: int = 514

    @classmethod
    def of(cls, config: Mapping[str, object] | None) -> EncoderShape:
        """Return the shape that a config.json has; None stands for one that is not fetched yet.

        Missing sizes are those of a base-sized encoder. A missing width of the feed-forward layers
        is four times the encoder's width.
        """
        if config is None:
            return cls()
        dimensions: dict[str, int] = {}
        for name in (field.name for field in fields(cls)):
            spellings = (name, *OTHER_NAMES.get(name, ()))
            values = [config[spelling] for spelling in spellings if config.get(spelling)]
            if values:
                dimensions[name] = int(str(values[0]))
        width = dimensions.get("hidden_size", cls.hidden_size)
        return cls(**{"intermediate_size": 4 * width} | dimensions)

    def as_config(self) -> dict[str, int]:
        """Return the shape as a config.json has it."""
        return asdict(self)

    @property
    def products(self) -> int:
        """The number of weights that multiply each token.

        Feed-forward layers with gates are counted as plain ones, shared layers (ALBERT) as layers
        of their own.
        """
        width = self.hidden_size
        return self.num_hidden_layers * (4 * width**2 + 2 * width * self.intermediate_size)

    @property
    def parameters(self) -> int:
        """The number of parameters, without a head for classification."""
        width = self.hidden_size
        # Biases and the scales of two normalisations.
        others = self.num_hidden_layers * (9 * width + self.intermediate_size)
        # Two kinds of segments, and a normalisation.
        table = (self.vocab_size + self.max_position_embeddings + 4) * width
        return self.products + others + table

    def head_parameters(self, labels: int) -> int:
        """Return the number of parameters of a head that classifies: a layer and its output."""
        return (self.hidden_size + 1) * (self.hidden_size + labels)

    def forward_operations(self, tokens: float) -> float:
        """Return the floating-point operations of one text's way through the encoder.

        2 per weight and token, and 4 per token, token that it attends to, layer and unit of width
        (Kaplan et al. 2020, Scaling Laws for Neural Language Models, section 2.1, whose attention
        looks back only and so costs half).
        """
        attention = 4.0 * tokens**2 * self.num_hidden_layers * self.hidden_size
        return 2.0 * self.products * tokens + attention

    def layer_bytes(self, longest: int, on_gpu: bool) -> float:
        """Return the bytes that a layer keeps for its way back, per token of texts so long."""
        place = "gpu" if on_gpu else "cpu"
        pairs = PAIR_BYTES[place] * self.num_attention_heads * longest
        return LAYER_BYTES[place] * self.hidden_size + pairs


# What stands for a checkpoint that is not known yet.
BASE_SIZED = EncoderShape()
