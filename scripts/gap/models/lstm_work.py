"""What LSTM layers take: products, bytes, seconds. Imports nothing heavy."""

from __future__ import annotations

from gap.models.workload import Assumption

# Numbers that an LSTM keeps per token, direction and unit of width: four gates before and after
# their functions, cell and hidden state, input and output, their flipped copies and masks.
KEPT_NUMBERS = 24
# Seconds that a GPU takes, forward, for one position of a batch's texts in one layer and direction:
# a few kernels of 5 to 10 microseconds, each of which waits for the one before it.
STEP_SECONDS = 40e-6
# Fewer texts for each GPU shorten little of a step, whose tokens come one after the other.
SPEED_UP = 0.4
ASSUMPTION = Assumption(
    value="lstm_step",
    slower=2.0,
    models="LSTMs",
    origin="assumed step",
    text=(
        "An LSTM is assumed to take `lstm_step` for a position of its texts in a layer and "
        "direction, twice that on the way back: its products are too small for a GPU, "
        "though not for a core."
    ),
)


def gate_products(embedding_size: int, layers: int, width: int, directions: int) -> int:
    """Return how many weights of all gates multiply each token."""
    inputs = embedding_size + (layers - 1) * directions * width
    return directions * 4 * width * (inputs + layers * width)


def gate_biases(layers: int, width: int, directions: int) -> int:
    """Return the number of biases of all gates: torch.nn.LSTM has two vectors of them."""
    return directions * 4 * width * 2 * layers


def steps_rate(
    full: float, products: int, layers: int, directions: int, texts: int, seconds: float | None
) -> float:
    """Return the operations a second on a GPU of LSTM layers, whose positions wait for each other.

    Going forward, a position of all texts of a batch takes the assumed seconds in each layer and
    direction, whatever their width, and going backward twice that. It is no more than `full`.
    """
    step = (seconds or STEP_SECONDS) * layers * directions
    return min(full, 2.0 * products * texts / step)
