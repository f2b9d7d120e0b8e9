"""Vectors of a checkpoint's embeddings for the pieces of another vocabulary.

A piece that is a token of the checkpoint has its vector. For another one there are three ways: none
(it is drawn), the mean of the tokens that it is made of, or a generator's (Liu et al. 2021,
Bridging Subword Gaps in Pretrain-Finetune Paradigm for Natural Language Generation, section 3),
which weighs these and longer tokens that the piece is a part of by what they say and where they
stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gap.data.pieces import Piece, pieces_of_checkpoint, pieces_of_vocabulary, split
from gap.data.vocabulary import PretrainedVocabulary
from gap.models.bridge_work import BATCH, LR, STEPS
from gap.models.encoder import token_embeddings
from gap.models.measurements import Cosines
from gap.run.errors import UserError

# Where a token stands to a piece: it is the piece's beginning, end or middle, or the piece is its
# beginning, end or middle; and a place that is not used.
PLACES = 7
OF_PIECE, AROUND, UNUSED = 0, 3, 6
BEGINNING, END, MIDDLE = 0, 1, 2
# Neighbours of a piece at most, as in Liu et al. 2021.
MOST = 10
# A longer token says little of a piece of one sign.
SHORTEST = 2
# Share of the tokens that the generator is judged on.
HELD_OUT = 0.1


class Neighbour(NamedTuple):
    """A token near a piece: its id, and where it stands to the piece."""

    token: int
    place: int


@dataclass(frozen=True)
class Bridge:
    """A checkpoint's table of embeddings, (tokens, width), and what its tokens stand for."""

    vocabulary: PretrainedVocabulary
    pieces: Mapping[Piece, int]
    table: torch.Tensor

    @classmethod
    def of(cls, folder: Path) -> Bridge:
        """Return what is to be known of the checkpoint in a folder."""
        vocabulary = PretrainedVocabulary(folder)
        return cls(vocabulary, pieces_of_checkpoint(vocabulary, folder), token_embeddings(folder))

    def neighbours(self, pieces: Iterable[Piece]) -> dict[Piece, list[Neighbour]]:
        """Return the neighbours of each piece, without the token that is the piece itself."""
        wanted = set(pieces)
        longer = _longer(self.pieces, {piece.text for piece in wanted})
        neighbours = {}
        for piece in wanted:
            itself = self.pieces.get(piece)
            parts = split(piece, self.pieces, without=itself)
            near = [
                Neighbour(part, OF_PIECE + _side(number == 0, number == len(parts) - 1))
                for number, part in enumerate(parts)
            ]
            near += [other for other in longer[piece.text] if other.token != itself]
            neighbours[piece] = near[:MOST]
        return neighbours


def _side(first: bool, last: bool) -> int:
    return BEGINNING if first else END if last else MIDDLE


def _longer(pieces: Mapping[Piece, int], wanted: set[str]) -> dict[str, list[Neighbour]]:
    """Return the tokens that a text is a part of, the shortest first, by text."""
    longer: dict[str, list[Neighbour]] = defaultdict(list)
    for piece, number in sorted(pieces.items(), key=lambda pair: (len(pair[0].text), pair[1])):
        length = len(piece.text)
        for start in range(length):
            for end in range(start + SHORTEST, length + 1):
                text = piece.text[start:end]
                if text in wanted and len(longer[text]) <= MOST:
                    place = AROUND + _side(start == 0, end == length)
                    longer[text].append(Neighbour(number, place))
    return longer


class Generator(nn.Module):
    """Attention over the neighbours of a piece: 7 places of the table's width.

    The vector is the sum over neighbours of softmax(<vector, place>) times the neighbour's vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(PLACES, width))

    def forward(self, vectors: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return (pieces, width) for vectors (pieces, neighbours, width) at places (pieces, …)."""
        scores = (vectors * self.places[places]).sum(-1)
        weights = torch.softmax(scores.masked_fill(places == UNUSED, -torch.inf), -1)
        return (weights[..., None] * vectors).sum(1)


def _gather(
    bridge: Bridge, near: Sequence[Sequence[Neighbour]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the vectors of neighbours, (pieces, MOST, width), and their places, (pieces, MOST)."""
    tokens, places = tabulate(near)
    return bridge.table[tokens], places


def tabulate(near: Sequence[Sequence[Neighbour]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens of neighbours and their places, both (pieces, MOST)."""
    tokens = torch.zeros((len(near), MOST), dtype=torch.long)
    places = torch.full((len(near), MOST), UNUSED)
    for row, neighbours in enumerate(near):
        for column, neighbour in enumerate(neighbours):
            tokens[row, column], places[row, column] = neighbour
    return tokens, places


class Lesson(Protocol):
    """What a generator is taught by, in so many steps."""

    steps: int

    def loss(self, generator: Generator, random: torch.Generator) -> torch.Tensor:
        """Return the loss of one step."""
        ...


LessonMaker = Callable[["Bridge", Sequence[Piece], Mapping[Piece, Sequence[Neighbour]]], Lesson]


class HiddenTokens:
    """The squared distance of made vectors from those of tokens that are hidden.

    As a share of the variance of all vectors of the table.
    """

    steps = STEPS

    def __init__(
        self,
        bridge: Bridge,
        taught: Sequence[Piece],
        near: Mapping[Piece, Sequence[Neighbour]],
    ) -> None:
        self.table, self.truth = bridge.table, _vectors(bridge, taught)
        self.tokens, self.places = tabulate([near[piece] for piece in taught])
        self.scale = float(bridge.table.var()) or 1.0

    def loss(self, generator: Generator, random: torch.Generator) -> torch.Tensor:
        """See Lesson.loss. Random: which tokens."""
        count = len(self.truth)
        rows = torch.randint(count, (min(BATCH, count),), generator=random)
        made = generator(self.table[self.tokens[rows]], self.places[rows])
        return nn.functional.mse_loss(made, self.truth[rows]) / self.scale


def fit_generator(
    bridge: Bridge, seed: int, lesson_of: LessonMaker = HiddenTokens
) -> tuple[Generator, Cosines]:
    """Return a generator that was trained to tell tokens that were hidden from it, and its cosines.

    A hidden token is told by its neighbours alone. `lesson_of` makes what it is taught by, of the
    bridge, the tokens that are taught and the neighbours of all. Random: which tokens are held out
    and in which order the others come, by the seed. Raises UserError for a checkpoint with too few
    such tokens.
    """
    random = torch.Generator().manual_seed(seed)
    known = bridge.neighbours(bridge.pieces)
    hidden = [piece for piece in bridge.pieces if known[piece]]
    if len(hidden) < 20:
        raise UserError(
            f"bridge: only {len(hidden)} tokens of the checkpoint are made of others, which is too "
            "few to learn from; choose bridge: mean"
        )
    order = torch.randperm(len(hidden), generator=random).tolist()
    held_out = max(1, round(HELD_OUT * len(hidden)))
    asked = [hidden[place] for place in order[:held_out]]
    taught = [hidden[place] for place in order[held_out:]]
    generator = Generator(bridge.table.shape[1])
    lesson = lesson_of(bridge, taught, known)
    optimiser = torch.optim.Adam(generator.parameters(), lr=LR)
    for _ in range(lesson.steps):
        optimiser.zero_grad()
        lesson.loss(generator, random).backward()
        optimiser.step()
    return generator, _judge(bridge, generator, asked, known, len(taught), random)


def _vectors(bridge: Bridge, pieces: Sequence[Piece]) -> torch.Tensor:
    return bridge.table[torch.tensor([bridge.pieces[piece] for piece in pieces])]


def _judge(
    bridge: Bridge,
    generator: Generator,
    asked: Sequence[Piece],
    known: Mapping[Piece, Sequence[Neighbour]],
    taught: int,
    random: torch.Generator,
) -> Cosines:
    """Return how near the ways of making a vector come to those of tokens that were held out."""
    truth = _vectors(bridge, asked)
    with torch.no_grad():
        made = generator(*_gather(bridge, [known[piece] for piece in asked]))
    parts = [split(piece, bridge.pieces, without=bridge.pieces[piece]) for piece in asked]
    means = torch.stack([_mean(bridge, ids) for ids in parts])
    drawn = _drawn(bridge, len(asked), random)

    def cosine(vectors: torch.Tensor) -> float:
        return float(nn.functional.cosine_similarity(vectors, truth).mean())

    return {
        "tokens": taught,
        "held_out": len(asked),
        "generator": cosine(made),
        "mean": cosine(means),
        "drawn": cosine(drawn),
    }


def _mean(bridge: Bridge, ids: Sequence[int]) -> torch.Tensor:
    """Return the mean vector of tokens; that of the whole table where there are none."""
    return bridge.table[list(ids)].mean(0) if ids else bridge.table.mean(0)


def _drawn(bridge: Bridge, count: int, random: torch.Generator | None = None) -> torch.Tensor:
    """Return vectors at random, (count, width), that are spread as the table's are."""
    center, spread = bridge.table.mean(0), bridge.table.std(0)
    return center + spread * torch.randn((count, len(center)), generator=random)


def save_generator(generator: Generator, path: Path) -> None:
    """Write a generator to a file."""
    save_file({"places": generator.places.detach().contiguous()}, path)


def load_generator(path: Path) -> Generator:
    """Return the generator that `save_generator` wrote."""
    places = load_file(path)["places"]
    generator = Generator(places.shape[1])
    generator.places.data = places
    return generator


def bridged_table(
    bridge: Bridge, model: Path, by: str, generator: Generator | None
) -> torch.Tensor:
    """Return a vector for each piece of a SentencePiece model, (pieces, width).

    `by` is "copy", "mean" or "generator". Random, from torch's generator: what is drawn. Raises
    UserError where the checkpoint has a vector for no piece.
    """
    pieces = pieces_of_vocabulary(model, bridge.vocabulary)
    table = _drawn(bridge, len(pieces))
    copied, made = 0, 0
    others: dict[int, Piece] = {}
    for row, piece in enumerate(pieces):
        if piece is None:
            continue
        if piece in bridge.pieces:
            table[row] = bridge.table[bridge.pieces[piece]]
            copied += 1
        else:
            others[row] = piece
    if by == "mean":
        for row, piece in others.items():
            if ids := split(piece, bridge.pieces):
                table[row] = bridge.table[ids].mean(0)
                made += 1
    elif by == "generator":
        assert generator is not None
        near = bridge.neighbours(others.values())
        rows = [row for row, piece in others.items() if near[piece]]
        if rows:
            with torch.no_grad():
                vectors = generator(*_gather(bridge, [near[others[row]] for row in rows]))
            table[torch.tensor(rows)] = vectors
        made = len(rows)
    if not copied + made:
        raise UserError(
            f"bridge: no piece of the vocabulary is a token of the checkpoint, or made of some "
            f"({len(pieces):,} pieces, {len(bridge.pieces):,} tokens); choose another checkpoint, "
            "or leave checkpoint and bridge out"
        )
    print(
        f"bridge: of {len(pieces):,} pieces {copied:,} have a token's vector, {made:,} one that is "
        f"made by {by}, {len(pieces) - copied - made:,} are drawn",
        flush=True,
    )
    return table
