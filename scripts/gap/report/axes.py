"""The axes of a panel: which part of the numbers it shows, and how much room it has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np

from gap.report.styles import Styles

CHART_WIDTH = 800
PLOT_HEIGHT = 270
Y_AXIS_WIDTH = 34
LABEL_OFFSET = 26  # from the plot's edge to a label's text: leader line and symbol stand there
LABEL_CHARACTERS = 17
CHARACTER_WIDTH = 6.4  # of Arial at FONT_SIZE, on average
LINE_HEIGHT = 14
SIDE = 20  # from the plot's edge to the first and to the last size
FONT_SIZE = 12


@dataclass(frozen=True)
class Axes:
    """The scales of a panel, and its plot's size in px.

    `x` are the ends of the logarithmic axis, `last` is the largest value on it that was measured,
    `y` are the ends of the other one.
    """

    x: tuple[float, float]
    last: float
    y: tuple[float, float]
    ticks: list[float]
    width: int
    height: int


def make_axes(
    measured: Sequence[float],
    further: Sequence[float],
    values: tuple[float, float],
    styles: Styles,
    columns: int = 2,
) -> Axes:
    """Return axes that take in all; the plot takes what labels and y axis leave of its share.

    `measured` and `further` stand on the x axis, `values` are the least and greatest on the other.
    """
    longest = max(len(line) for style in styles.values() for line in wrap_label(style.title))
    labels = LABEL_OFFSET + CHARACTER_WIDTH * max(longest, len("margin: 1 point"))
    width = int((CHART_WIDTH + 18) / columns - 18 - Y_AXIS_WIDTH - labels)
    boxes = sum(LINE_HEIGHT * len(wrap_label(style.title)) + 2 for style in styles.values())
    low, high = float(min([*measured, *further])), float(max([*measured, *further]))
    # Room for the symbols beside the first and the last size; a lone size stands in the middle.
    pad = (high / low) ** (SIDE / (width - 2 * SIDE)) if high > low else 2.0
    ticks = nice_ticks(*values)
    height = max(PLOT_HEIGHT, boxes + 2 * LINE_HEIGHT)
    ends = (low / pad, high * pad)
    return Axes(ends, float(max(measured)), (ticks[0], ticks[-1]), ticks, width, height)


def wrap_label(title: str) -> list[str]:
    """Return a title in the lines of a label."""
    return textwrap.wrap(title, LABEL_CHARACTERS, break_on_hyphens=False) or [title]


def nice_ticks(low: float, high: float) -> list[float]:
    """Return ticks around [low, high]: four to eight steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-6)
    power = 10.0 ** floor(log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 8)
    ticks = np.arange(floor(low / step), max(ceil(high / step), floor(low / step) + 1) + 1) * step
    return [round(float(tick), 9) for tick in ticks]
