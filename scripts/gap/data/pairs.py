"""Pairs of texts, such as a premise and a hypothesis, in one text with a mark between them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

# The mark is a symbol, and so a word of its own to models that read a pair as one text. Nobody
# writes it.
MARK = "\N{TRIPLE VERTICAL BAR DELIMITER}"
SEPARATOR = f" {MARK} "

Lengths = npt.NDArray[np.int64]


def join_pair(parts: Iterable[str | None]) -> str:
    """Return the two texts of a pair as one; an empty text where one of them is empty."""
    texts = [(part or "").replace(MARK, "|||") for part in parts]
    return "" if any(not text or text.isspace() for text in texts) else SEPARATOR.join(texts)


def split_pair(text: str) -> list[str]:
    """Return the two texts of a pair."""
    first, _, second = text.partition(SEPARATOR)
    return [first, second]


def share_room(first: Lengths, second: Lengths, room: int) -> tuple[Lengths, Lengths]:
    """Return how much of the two texts of each pair there is room for, both (pairs,).

    The longer one is cut first, as by truncation "longest_first" of transformers: where both are
    longer than half of the room, each gets a half.
    """
    half = room // 2
    of_shorter = np.minimum(np.minimum(first, second), half)
    first_is_longer = first > second
    return (
        np.where(first_is_longer, room - of_shorter, of_shorter),
        np.where(first_is_longer, of_shorter, room - of_shorter),
    )
