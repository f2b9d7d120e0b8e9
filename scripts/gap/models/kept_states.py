"""States of all tokens of texts, on disk, as a network that is trained on them reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from gap.data.vocabulary import EncodedTexts
from gap.models.batching import Batch, batches_by_tokens, pad
from gap.models.hardware import autocast, device
from gap.models.layer_states import Function, layer_states
from gap.run.durable import replace
from gap.run.progress import progress

# How many texts' states are computed before they are saved: a killed job loses these at most.
PIECE = 500
BATCH_TOKENS = 4096

Rows = npt.NDArray[np.int64]
# States in bf16, which numpy does not know, as integers of as many bits: (tokens, layers, width).
States = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TextsWithStates(EncodedTexts):
    """Texts whose ids are the places of their tokens' states in memory-mapped files.

    `pieces` are these files, one behind the other, each (tokens, layers, width).
    """

    pieces: tuple[States, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and width of the states."""
        layers, width = self.pieces[0].shape[1:]
        return layers, width

    def states(self, batch: Batch) -> torch.Tensor:
        """Return the states of a batch, (batch, tokens, layers, width); padding has any."""
        ids = batch["input_ids"].cpu().numpy()
        ends = np.cumsum([len(piece) for piece in self.pieces])
        states = np.empty((*ids.shape, *self.shape), dtype=np.int16)
        # A text's tokens stand one behind the other in one piece.
        for text, (numbers, length) in enumerate(
            zip(ids, batch["attention_mask"].sum(1).tolist(), strict=True)
        ):
            number = int(np.searchsorted(ends, numbers[0], side="right"))
            start = int(numbers[0] - ends[number] + len(self.pieces[number]))
            states[text, :length] = self.pieces[number][start : start + length]
            states[text, length:] = 0
        return torch.from_numpy(states).view(torch.bfloat16).to(batch["input_ids"].device)


def token_states(encoder: PreTrainedModel, every_layer: bool) -> Function:
    """Return the function from a padded batch to states in bf16, (batch, tokens, layers, width).

    There is one layer, the last, or with `every_layer` the embeddings and each layer.
    """

    def states(batch: Batch) -> torch.Tensor:
        return torch.stack(layer_states(encoder, batch, every_layer), dim=2).to(torch.bfloat16)

    return states


def keep_states(
    encoder: PreTrainedModel, texts: EncodedTexts, rows: Rows, every_layer: bool, folder: Path
) -> TextsWithStates:
    """Return the texts of these rows of the data set, ascending, with the states of their tokens.

    States are computed in pieces, each kept in the folder, which is for these rows alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lengths = texts.lengths[texts.positions(rows)]
    starts = range(0, len(rows), PIECE)
    pieces = []
    for start in progress(starts, "pieces of states"):
        chosen = texts.positions(rows[start : start + PIECE])
        path, partial = folder / f"{start}+{len(chosen)}.npy", folder / "partial.npy"
        if not path.exists():
            _write_piece(token_states(encoder, every_layer), encoder, texts, chosen, partial)
            replace(partial, path)
        pieces.append(np.load(path, mmap_mode="r"))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = int(offsets[-1])
    ids = np.arange(total, dtype=np.uint32)
    return TextsWithStates(ids, offsets, rows, 0, total, pieces=tuple(pieces))


def _write_piece(
    function: Function, encoder: PreTrainedModel, texts: EncodedTexts, chosen: Rows, path: Path
) -> None:
    """Write the states of the texts that stand at these places, one behind the other."""
    encoder.eval().to(device())
    lengths = texts.lengths[chosen]
    ends = np.cumsum(lengths)
    file: States | None = None
    for batch in batches_by_tokens(lengths, BATCH_TOKENS):
        padded = pad([texts[place] for place in chosen[batch]], texts.pad_id)
        inputs = {name: tensor.to(device()) for name, tensor in padded.items()}
        with torch.no_grad(), autocast():
            states = function(inputs).view(torch.int16).cpu().numpy()
        if file is None:
            shape = (int(ends[-1]), *states.shape[2:])
            file = np.lib.format.open_memmap(path, "w+", np.int16, shape)
        for text, place in enumerate(batch):
            length = lengths[place]
            file[ends[place] - length : ends[place]] = states[text, :length]
    assert isinstance(file, np.memmap), "no texts to compute on"
    file.flush()
