"""The labels at the ends of a panel's lines: spread so that none overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from scipy.optimize import isotonic_regression

from gap.report.axes import FONT_SIZE, LABEL_OFFSET, LINE_HEIGHT, Axes, wrap_label
from gap.report.encodings import Datum, colour, data, shape
from gap.report.styles import INK, QUIET, Styles


@dataclass(frozen=True)
class LineEnd:
    """Where the line of a label ends; `model` is empty where it is of no model.

    `x` and `y` are where the leader begins; `early` says that the line ends before the last size.
    """

    model: str
    title: str
    x: float
    y: float
    early: bool = False


def spread(
    wanted: Sequence[float], heights: Sequence[float], bounds: tuple[float, float]
) -> list[float]:
    """Return the centres nearest to `wanted` at which boxes of `heights` do not overlap.

    Nearest by least squares; all in px. Boxes keep the order of `wanted` and, where they fit, stay
    within `bounds`. With the stacked offsets taken away this is an isotonic regression, whose
    bounded solution is the clipped one (Barlow et al. 1972, Statistical Inference under Order
    Restrictions).
    """
    if not wanted:
        return []
    order = np.argsort(np.asarray(wanted, dtype=float), kind="stable")
    sizes = np.asarray(heights, dtype=float)[order]
    offsets = np.cumsum(sizes) - sizes / 2
    free = isotonic_regression(np.asarray(wanted, dtype=float)[order] - offsets).x
    highest = max(bounds[0], bounds[1] - float(sizes.sum()))
    centres = np.empty(len(order))
    centres[order] = np.clip(free, bounds[0], highest) + offsets
    return [float(centre) for centre in centres]


def label_layers(ends: Sequence[LineEnd], styles: Styles, axes: Axes) -> list[alt.Chart]:
    """Return a label for each line's end, beside the plot: a leader, the model's symbol, a text."""
    labels = _placed(ends, axes)
    every = alt.Chart(data(labels))
    models = alt.Chart(data([label for label in labels if label["model"]]))
    tint = colour(styles)
    leaders = every.mark_rule(strokeWidth=0.8, opacity=0.6).encode(
        x="end:Q",
        x2=alt.value(axes.width + 11),
        y="value:Q",
        y2="y:Q",
        color=alt.when("datum.model").then(tint).otherwise(alt.value(QUIET)),
    )
    if any(end.early for end in ends):
        # On its long way, a leader could be taken for the model's line.
        dotted = alt.when("datum.early").then(alt.value([1, 4])).otherwise(alt.value([1, 0]))
        leaders = leaders.encode(strokeDash=dotted)
    return [
        leaders,
        models.mark_point(filled=True, size=55, opacity=1).encode(
            x=alt.value(axes.width + 17), y="y:Q", shape=shape(styles, scaled=False), color=tint
        ),
        every.mark_text(
            align="left",
            baseline="middle",
            fontSize=FONT_SIZE,
            lineBreak="\n",
            lineHeight=LINE_HEIGHT,
        ).encode(
            x=alt.value(axes.width + LABEL_OFFSET),
            y="first_line:Q",
            text="label:N",
            color=alt.when("datum.model").then(alt.value(INK)).otherwise(alt.value(QUIET)),
        ),
    ]


def _placed(ends: Sequence[LineEnd], axes: Axes) -> list[Datum]:
    """Return the labels with their places on the y axis."""
    bottom, top = axes.y
    scale = axes.height / (top - bottom)
    wrapped = [wrap_label(end.title) for end in ends]
    heights = [LINE_HEIGHT * len(lines) + 2.0 for lines in wrapped]
    wanted = [(top - end.y) * scale for end in ends]
    centres = spread(wanted, heights, (-8.0, axes.height + 8.0))
    labels: list[Datum] = []
    for end, lines, centre in zip(ends, wrapped, centres, strict=True):
        y = top - centre / scale
        early: Mapping[str, bool] = {"early": True} if end.early else {}
        labels.append(
            {
                "model": end.model,
                "label": "\n".join(lines),
                "end": end.x,
                "value": end.y,
                "y": y,
                # Vega centres the first line on its position, not the block of lines.
                "first_line": y + LINE_HEIGHT * (len(lines) - 1) / 2 / scale,
                **early,
            }
        )
    return labels
