"""A pretrained encoder that stays as it is: loaded, or drawn by a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, set_seed

from gap.data.vocabulary import EncodedTexts
from gap.models.encoder import check_lengths, first_numbers, fit_to_vocabulary, load_encoder
from gap.run.errors import UserError
from gap.run.json import read_json, write_json

# In the folder of weights: which random encoder they are for.
DRAW = "draw.json"


class FrozenEncoder:
    """The encoder in a folder; with random weights, those of its shape, each drawn by a seed.

    One encoder is in memory at a time.
    """

    def __init__(self, folder: Path, drawn: bool) -> None:
        self.folder = folder
        self.drawn = drawn
        self._loaded: tuple[int, PreTrainedModel] | None = None

    def load(self, seed: int) -> PreTrainedModel:
        """Return the encoder. With random weights each seed has its own."""
        key = seed if self.drawn else 0
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            if self.drawn:
                set_seed(seed)
            self._loaded = key, load_encoder(self.folder, self.drawn)
        return self._loaded[1]

    def load_for(self, texts: EncodedTexts, seed: int) -> PreTrainedModel:
        """Return the seed's encoder, made to read these texts; raise UserError if they are long."""
        encoder = self.load(seed)
        fit_to_vocabulary(encoder, texts.pad_id, texts.vocabulary_size, texts.pair_separator)
        check_lengths(encoder, texts)
        return encoder

    def write_draw(self, weights: Path, seed: int) -> None:
        """Write by which seed the encoder was drawn, and its first numbers; nothing if it was not.

        They go to a folder of weights, which make sense with this encoder only.
        """
        if self.drawn:
            weights.mkdir(parents=True, exist_ok=True)
            numbers = first_numbers(self.load(seed))
            write_json(weights / DRAW, {"seed": seed, "first_numbers": numbers})

    def seed_of(self, weights: Path) -> int:
        """Return the seed that `load` takes for what a training wrote to a folder of weights.

        Raises UserError where that seed draws other random weights than it did in the training.
        """
        if not self.drawn:
            return 0
        draw = read_json(weights / DRAW)
        seed: int = draw["seed"]
        # Processors round differently.
        if not np.allclose(first_numbers(self.load(seed)), draw["first_numbers"], atol=1e-5):
            raise UserError(
                f"{weights / DRAW}: seed {seed} draws other random weights here than in the "
                "training; use the versions of torch and transformers that it used, or train again"
            )
        return seed
