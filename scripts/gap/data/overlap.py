"""How alike two sets of texts are by their words and letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from gap.data.words import normalise, split_words

# Letters that are counted together.
GRAM = 3


def words_of(texts: Iterable[str]) -> Counter[str]:
    """Return how often each word stands in texts, in lower case."""
    return Counter(word for text in texts for word in split_words(normalise(text)))


def grams_of(texts: Iterable[str]) -> Counter[str]:
    """Return how often each run of three characters stands in texts, spaces between words too."""
    return Counter(gram for text in texts for gram in _grams(text))


def _grams(text: str) -> Iterator[str]:
    spaced = f" {' '.join(split_words(normalise(text)))} "
    return (spaced[place : place + GRAM] for place in range(len(spaced) - GRAM + 1))


def coverage(target: Counter[str], source: Counter[str]) -> float:
    """Return which share of the words of a target, as often as they stand there, a source has."""
    common = sum(count for word, count in target.items() if word in source)
    return common / max(target.total(), 1)


def divergence(first: Counter[str], second: Counter[str]) -> float:
    """Return the Jensen-Shannon divergence of two distributions, from 0 (the same) to 1, in bits.

    Lin 1991, Divergence Measures Based on the Shannon Entropy.
    """
    names = sorted(first.keys() | second.keys())
    shares = np.array([[counts[name] for name in names] for counts in (first, second)], float)
    shares /= shares.sum(axis=1, keepdims=True)
    ratios = np.divide(shares, shares.mean(axis=0), out=np.ones_like(shares), where=shares > 0)
    return float((shares * np.log2(ratios)).sum(axis=1).mean())
