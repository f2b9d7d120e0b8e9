"""What a training or prediction goes through, and what it takes: the words of all estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gap.models.encoder_shape import BASE_SIZED, EncoderShape

# Bytes of a token's id, at most (two where the vocabulary has up to 65,536 pieces).
ID_BYTES = 4


@dataclass(frozen=True)
class Workload:
    """What estimates go by.

    `rows` are the texts to train on or to score, `validation` those that training only validates
    on. `tokens` are those of a text on average, `longest` those of the longest text at most.
    `labels` is the number of labels, `pieces` the size of a fitted vocabulary, `encoder` the shape
    of a pretrained checkpoint; the last two count only where a model has one.
    """

    tokens: float
    rows: int = 0
    validation: int = 0
    longest: int = 512
    labels: int = 2
    pieces: int = 8000
    encoder: EncoderShape = BASE_SIZED

    @property
    def id_bytes(self) -> float:
        """The bytes of the ids of all texts to train on."""
        return ID_BYTES * self.rows * self.tokens


class ParameterCount(NamedTuple):
    """How many parameters a model has, and how many of them multiply each token of a text.

    Looking up an embedding multiplies nothing, and a classifier sees a text once.
    """

    everything: int
    products: int


class Memory(NamedTuple):
    """Bytes that a training takes, on top of what every process takes.

    `data` and `saved` are on the host, for each process: what it makes of the texts, and weights
    while its state is written. `ids` are on the host, once for all processes: what was read of the
    encoded texts. `model` and `batch` are where it computes: weights with what the optimiser keeps
    of them, and what a step keeps for its way back.
    """

    data: float = 0.0
    ids: float = 0.0
    model: float = 0.0
    batch: float = 0.0
    saved: float = 0.0


class Assumption(NamedTuple):
    """How fast a family trains on a GPU as long as none was measured, for the page of a plan.

    `value` is the name of an assumed value (docs/assumptions.yaml), `slower` what it is multiplied
    by for half of the speed. `models` names the family's models in a sentence, `origin` says in a
    table where their rate comes from, `text` says it in sentences.
    """

    value: str
    slower: float
    models: str
    origin: str
    text: str


class SpeedClaim(NamedTuple):
    """What a paper says of a family's speed at inference, beside a `reference` of another family.

    `text` says it in sentences, of which the last leads over to what was measured here.
    """

    reference: str
    text: str
