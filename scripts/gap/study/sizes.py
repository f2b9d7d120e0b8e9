"""Sizes and seeds: their one spelling, and how many rows they come to."""

from __future__ import annotations

import math
from fractions import Fraction

from gap.run.errors import UserError

# Few texts have more tokens than this for each of their words, or of their characters where the
# text budget counts these.
TOKENS_PER_WORD = 2
# A learning curve takes so many sizes.
FEWEST_SIZES = 3


def parse_seeds(block: str) -> list[int]:
    """Return the seeds of a block: "3" is [3], "1-5" is [1, 2, 3, 4, 5]."""
    first, _, last = block.partition("-")
    return list(range(int(first), int(last or first) + 1))


def count_rows(size: str, rows: int) -> int:
    """Return how many of `rows` the size ("250", or a share such as "10%") asks for.

    A share of the rows is rounded, a half upwards: "10%" of 105 rows is 11.
    """
    if not size.endswith("%"):
        return int(size)
    return math.floor(Fraction(size[:-1]) / 100 * rows + Fraction(1, 2))


def rows_of_size(size: str, pool_rows: int) -> int:
    """Return how many rows the size ("250", or a share such as "10%") comes to.

    Raises UserError if that is more than the pool holds.
    """
    n = count_rows(size, pool_rows)
    if not 0 < n <= pool_rows:
        raise UserError(
            f"sizes: {size} asks for {n:,} rows but the pool has {pool_rows:,}; "
            "choose a size between 1 row and the whole pool (100%)"
        )
    return n


def validation_rows(n: int, share: float, minimum: int, maximum: int) -> int:
    """Return how many of `n` rows are for validation; at least one row is left on each side."""
    wanted = min(max(round(share * n), minimum), maximum)
    return min(max(wanted, 1), n - 1)


def canonical_size(size: float | str, key: str = "sizes") -> str:
    """Return the one spelling of a size: 250 is "250"; 0.1, "10%" and "10.0%" are "10%".

    Raises UserError, which names `key`, for a share that is not above 0% and up to 100%, and
    ValueError for text that is no size.
    """
    if isinstance(size, str) and not size.endswith("%"):
        size = float(size) if "." in size else int(size)
    if isinstance(size, int):
        return str(size)
    percent = float(size.removesuffix("%")) if isinstance(size, str) else size * 100
    percent = round(percent, 6)
    if not 0 < percent <= 100:
        raise UserError(f"{key}: found {size}; expected a share above 0% and up to 100%")
    return f"{percent:.6f}".rstrip("0").rstrip(".") + "%"


def longest_text(words: int, max_tokens: int) -> int:
    """Return the tokens of the longest text of a data set at most, from what its entry allows.

    `words` is the text budget, whatever its unit.
    """
    return min(max_tokens, TOKENS_PER_WORD * words)
