"""The network of each objective that is learned by gradient descent, and what it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel

from gap.data.vocabulary import EncodedTexts, PretrainedVocabulary
from gap.models.pretraining.blocks import Blocks, MaskedBlocks, NeighbourBlocks, Signs
from gap.models.pretraining.language_model import draw_language_model
from gap.models.pretraining.masked_lm import draw_masked_lm, load_masked_lm
from gap.models.pretraining.word_vectors import begin_with_vectors
from gap.run.errors import UserError
from gap.study.pretraining import RECIPE, LanguageModel, MaskedLm, load_own

Ids = npt.NDArray[np.uint16 | np.uint32]
NetworkRecipe = MaskedLm | LanguageModel


def signs_of(vocabulary: PretrainedVocabulary, folder: Path) -> Signs:
    """Return the special ids of a tokenizer; raise UserError where it has none to mask with."""
    if vocabulary.mask_id is None:
        raise UserError(
            f"{folder}: its tokenizer has no mask token, which a masked language model needs; "
            "choose another checkpoint to begin with"
        )
    before, behind, mask = vocabulary.prefix, vocabulary.suffix, vocabulary.mask_id
    special = [*before, *behind, vocabulary.pad_id, mask]
    return Signs(before, behind, mask, special, vocabulary.size)


def blocks_of(recipe: NetworkRecipe, ids: Ids, signs: Signs) -> Blocks:
    """Return the blocks of a stream of ids, (tokens,), for the objective of a recipe."""
    if isinstance(recipe, MaskedLm):
        return MaskedBlocks(ids, signs, recipe.block, recipe.masked, recipe.seed)
    directions = 2 if recipe.start.bidirectional else 1
    return NeighbourBlocks(ids, signs, recipe.block, recipe.predicted, directions, recipe.seed)


def network_of(
    recipe: NetworkRecipe, vocabulary: PretrainedVocabulary, ids: Ids, start: Path | None
) -> PreTrainedModel:
    """Return the network before it is pretrained: new, or the checkpoint in the folder `start`.

    The embeddings of a new one begin as vectors of the tokens of a stream, (tokens,), where the
    recipe says so. Random: new weights, from torch's generator.
    """
    if start is not None:
        return load_masked_lm(start, vocabulary)
    model: PreTrainedModel
    if isinstance(recipe, LanguageModel):
        embeddings, model = recipe.start.embeddings, draw_language_model(recipe, vocabulary)
    else:
        embeddings = recipe.size.embeddings
        model = draw_masked_lm(recipe.size, recipe.block, vocabulary)
    if embeddings == "vectors":
        begin_with_vectors(model, ids, recipe.seed, vocabulary)
    return model


def open_blocks(checkpoint: Path, corpus: Path, side: str, seed: int | None = None) -> Blocks:
    """Return the blocks of "training" or "held-out", of what a checkpoint was pretrained on.

    `corpus` is the folder of its ids. Random: what is to be told, by `seed`; without one, by that
    of the pretraining.
    """
    recipe = load_own((corpus / RECIPE).read_text())
    assert isinstance(recipe, MaskedLm)
    if seed is not None:
        recipe = recipe.model_copy(update={"seed": seed})
    vocabulary = PretrainedVocabulary(checkpoint)
    return blocks_of(recipe, EncodedTexts.open(corpus / side).ids, signs_of(vocabulary, checkpoint))
