"""A generator of vectors taught by what a masked language model makes of them.

Where a checkpoint has the head of its pretraining and the texts of it are there, vectors are good
that help to tell masked tokens (Liu et al. 2021, section 3.2). The network itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.nn import functional

from gap.data.pieces import Piece
from gap.data.vocabulary import PretrainedVocabulary
from gap.models.bridge import Bridge, Generator, Neighbour, tabulate
from gap.models.bridge_work import BLOCKS, LESSON_STEPS
from gap.models.pretraining.masked_lm import load_masked_lm
from gap.models.pretraining.networks import open_blocks

# Share of the tokens that the generator is taught whose vectors it makes in a text.
MADE = 0.3


class MaskedLesson:
    """The loss of telling masked tokens where some others have vectors of the generator.

    `checkpoint` is the folder of a masked language model, `corpus` that of the ids that it was
    pretrained on.
    """

    steps = LESSON_STEPS

    def __init__(
        self,
        bridge: Bridge,
        taught: Sequence[Piece],
        near: Mapping[Piece, Sequence[Neighbour]],
        checkpoint: Path,
        corpus: Path,
    ) -> None:
        self.bridge = bridge
        self.blocks = open_blocks(checkpoint, corpus, "training")
        self.model = load_masked_lm(checkpoint, PretrainedVocabulary(checkpoint))
        self.model.eval().requires_grad_(False)
        self.tokens, self.places = tabulate([near[piece] for piece in taught])
        # Of each token its row among those that are taught; -1 for others.
        self.rows = torch.full((len(bridge.table),), -1)
        self.rows[[bridge.pieces[piece] for piece in taught]] = torch.arange(len(taught))

    def loss(self, generator: Generator, random: torch.Generator) -> torch.Tensor:
        """Return the loss (nats) of some blocks of the corpus.

        Random: which blocks, and which tokens have a vector of the generator.
        """
        numbers = torch.randint(len(self.blocks), (BLOCKS,), generator=random).tolist()
        batch = self.blocks.collate([self.blocks[number] for number in numbers])
        ids, labels = batch.pop("input_ids"), batch.pop("labels")
        rows = self.rows[ids]
        made = (rows >= 0) & (torch.rand(ids.shape, generator=random) < MADE)
        chosen = rows[made]
        vectors = self.bridge.table[ids]
        vectors[made] = generator(self.bridge.table[self.tokens[chosen]], self.places[chosen])
        logits = self.model(inputs_embeds=vectors, **batch).logits
        return functional.cross_entropy(logits.float().flatten(0, -2), labels)
