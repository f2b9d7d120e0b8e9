"""What teaching a generator of vectors takes. Imports nothing heavy."""

from __future__ import annotations

# Steps by the vectors of hidden tokens, tokens of a step, and learning rate.
STEPS, BATCH, LR = 400, 512, 0.02
# Steps by the loss of masked tokens, and blocks of a step.
LESSON_STEPS, BLOCKS = 200, 8


def lesson_products(parameters: float, block: int) -> float:
    """Return the multiplications that teaching by the loss of masked tokens takes.

    Each token of a block of so many goes forward through the network, and back to its vectors.
    """
    return 2.0 * parameters * LESSON_STEPS * BLOCKS * block
