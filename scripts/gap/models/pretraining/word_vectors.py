"""Vectors of tokens, of how often others stand near them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from gap.data.vocabulary import PretrainedVocabulary
from gap.study.pretraining import WINDOW

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Ids = npt.NDArray[np.uint16 | np.uint32]

# Tokens that are counted at a time.
STRETCH = 2_000_000
# How often a token is a neighbour, to this power, is what counts of it (Levy, Goldberg, Dagan 2015,
# Improving Distributional Similarity with Lessons Learned from Word Embeddings, section 3.2).
SMOOTHING = 0.75
# That of gap.models.lstm_network.
EMBEDDING_SPREAD = 0.1


def count_neighbours(ids: Ids, size: int, window: int, special: list[int]) -> sp.csr_array:
    """Return how often each token stands near each other one, (size, size), symmetric.

    Tokens at a distance d of at most `window` count 1 / d (Pennington et al. 2014, GloVe). Special
    tokens are no neighbours, and no token counts across the end of a text, a special token between.
    """
    counts = sp.csr_array((size, size), dtype=np.float64)
    ends = np.isin(np.arange(size), special)
    for start in range(0, len(ids), STRETCH):
        part = ids[start : start + STRETCH + window].astype(np.int64)
        texts = np.cumsum(ends[part])
        fresh = min(STRETCH, len(part))
        for distance in range(1, window + 1):
            first, second = part[:-distance][:fresh], part[distance:][:fresh]
            same = (texts[:-distance] == texts[distance:])[:fresh] & ~ends[first]
            pairs = (first[same], second[same])
            weights = np.full(int(same.sum()), 1.0 / distance)
            counts += sp.coo_array((weights, pairs), shape=(size, size)).tocsr()
    return counts + counts.T


def weigh(counts: sp.csr_array) -> sp.csr_array:
    """Return positive pointwise mutual information in place of counts, see SMOOTHING."""
    pairs = counts.tocoo()
    sums = counts.sum(axis=1)
    smoothed = sums**SMOOTHING
    share = smoothed / smoothed.sum()
    information = np.log(pairs.data / (sums[pairs.row] * share[pairs.col]))
    positive = np.maximum(information, 0.0)
    return sp.csr_array((positive, (pairs.row, pairs.col)), shape=counts.shape)


def fit_vectors(
    ids: Ids, width: int, window: int, seed: int, vocabulary: PretrainedVocabulary
) -> npt.NDArray[np.float32]:
    """Return a vector for each token, (vocabulary, width): the parts of a truncated decomposition.

    Each part has the root of its singular value as weight (Levy et al. 2015, section 3.3), and the
    whole table the spread that learned embeddings begin with. A token that has no neighbours has
    zeros. Random: where the decomposition begins, by the seed.
    """
    from sklearn.utils.extmath import randomized_svd

    special = [*vocabulary.prefix, *vocabulary.suffix, vocabulary.pad_id]
    matrix = weigh(count_neighbours(ids, vocabulary.size, window, special))
    size = min(width, vocabulary.size - 1)
    left, strengths, _ = randomized_svd(matrix, size, n_iter=5, random_state=seed)
    vectors = np.zeros((vocabulary.size, width), dtype=np.float32)
    vectors[:, :size] = left * np.sqrt(strengths)
    spread = float(vectors.std()) or 1.0
    return vectors * np.float32(EMBEDDING_SPREAD / spread)


def begin_with_vectors(
    model: PreTrainedModel, ids: Ids, seed: int, vocabulary: PretrainedVocabulary
) -> None:
    """Give the embeddings of a new network vectors of tokens, with the spread that they have.

    A token that has no neighbours keeps what it has. Random: as `fit_vectors`.
    """
    import torch

    table = model.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    vectors = torch.from_numpy(fit_vectors(ids, table.shape[1], WINDOW, seed, vocabulary))
    # Their vectors are zero, but for rounding.
    fitted = vectors.norm(dim=1) > 1e-6
    with torch.no_grad():
        table[fitted] = vectors[fitted] * (table.std() / EMBEDDING_SPREAD)


def write_vectors(vectors: npt.NDArray[np.float32], pad_id: int, folder: Path) -> None:
    """Write vectors, (vocabulary, size), as a checkpoint."""
    import torch

    from gap.models.own_networks import WordVectorsConfig, WordVectorsModel

    size, width = vectors.shape
    model = WordVectorsModel(WordVectorsConfig(size, width, pad_token_id=pad_id))
    model.embeddings.weight.data = torch.from_numpy(vectors)
    model.save_pretrained(folder)
