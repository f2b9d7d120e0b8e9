"""The chart of a study: accuracy by number of labels, and beside it the gap to the reference."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

import altair as alt
import numpy as np
from scipy.optimize import isotonic_regression

from gap.missing import count_missing, name_missing, name_unpaired

Row = Mapping[str, Any]
Panel = alt.LayerChart | alt.FacetChart

CHART_WIDTH = 800
PLOT_HEIGHT = 270
Y_AXIS_WIDTH = 34
LABEL_OFFSET = 26  # from the plot's edge to a label's text: leader line and symbol stand there
LABEL_CHARACTERS = 17
CHARACTER_WIDTH = 6.4  # of Arial at FONT_SIZE, on average
LINE_HEIGHT = 14
SIDE = 20  # from the plot's edge to the first and to the last size
FONT_SIZE = 12
INK, QUIET = "#222222", "#767676"
LONGEST_LIST = 200  # characters of the list of what is missing
# Okabe and Ito, Color Universal Design (2008), without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")


@dataclass(frozen=True)
class Style:
    """How a model is drawn: label, colour, symbol, and its place among the models."""

    title: str
    colour: str
    shape: str
    order: int


@dataclass(frozen=True)
class Axes:
    """The scales that both panels of a data set share or own, and the plot's size in px."""

    n: tuple[float, float]
    last: float
    y: tuple[float, float]
    ticks: list[float]
    width: int
    height: int


def study_chart(
    accuracies: Sequence[Row], gaps: Sequence[Row], recipe: Mapping[str, Any]
) -> alt.ConcatChart:
    """Return the chart of a study, one row of panels per data set, about 800 px wide.

    `accuracies` and `gaps` are the rows of estimate_gap's tables with numbers as numbers. `recipe`
    holds reference, margin (points), confidence (0..1), and optionally titles {name: text} and
    missing, rows of dataset, model, size and seeds: the runs that are not done, which the chart
    names.
    """
    styles = model_styles(accuracies, recipe)
    titles = recipe.get("titles", {})
    datasets = list(dict.fromkeys(str(row["dataset"]) for row in accuracies))
    panels = []
    for dataset in datasets:
        prefix = f"{titles.get(dataset, dataset)}: " if len(datasets) > 1 else ""
        ours = [row for row in accuracies if row["dataset"] == dataset]
        panels.append(accuracy_panel(ours, styles, prefix))
        if gaps:
            differences = [row for row in gaps if row["dataset"] == dataset]
            panels.append(gap_panel(differences, ours, styles, recipe, prefix))
    reference = titles.get(recipe["reference"], recipe["reference"])
    question = f"How far is {reference} ahead, by number of labelled examples?"
    title = alt.Title(
        textwrap.wrap(f"Preliminary: {question}" if recipe.get("missing") else question, 90),
        subtitle=[
            *_subtitle(accuracies, [titles.get(name, name) for name in datasets], recipe),
            *_gaps_in_the_study(accuracies, gaps, recipe),
        ],
        anchor="start",
        fontSize=15,
        subtitlePadding=5,
        offset=14,
    )
    chart = alt.concat(*panels, columns=2 if gaps else 1, title=title, spacing=18)
    return _configured(chart)


def model_styles(accuracies: Sequence[Row], recipe: Mapping[str, Any]) -> dict[str, Style]:
    """Return {model: style}: the reference dark and round, the others told apart by both.

    A model looks the same while those that the recipe lists before it are not there yet.
    """
    there = dict.fromkeys(str(row["model"]) for row in accuracies)
    models = list(dict.fromkeys([*recipe.get("models", []), *there]))
    others = [model for model in models if model != recipe["reference"]]
    titles = recipe.get("titles", {})
    styles = {}
    for order, model in enumerate(models):
        colour, shape = INK, "circle"
        if model in others:
            place = others.index(model)
            colour = COLOURS[place % len(COLOURS)]
            # The symbols shift by one per round of colours, so that no pair comes twice.
            shape = SHAPES[(place + place // len(COLOURS)) % len(SHAPES)]
        styles[model] = Style(titles.get(model, model), colour, shape, order)
    return {model: style for model, style in styles.items() if model in there}


def accuracy_panel(rows: Sequence[Row], styles: Mapping[str, Style], prefix: str) -> Panel:
    """Return accuracy (%) by n for one data set."""
    lows, highs = _ends(rows, "accuracy")
    axes = _axes(rows, styles, (min(lows), max(highs)))
    points = _points(rows, "accuracy", styles, axes)
    labels = _labels(points, styles, axes, [])
    layers = [*_lines(points, styles, axes, "%"), *_label_layers(labels, styles, axes)]
    return _panel(layers, axes, f"{prefix}Accuracy (%)")


def gap_panel(
    rows: Sequence[Row],
    accuracies: Sequence[Row],
    styles: Mapping[str, Style],
    recipe: Mapping[str, Any],
    prefix: str,
) -> Panel:
    """Return the gap to the reference (points) by n for one data set, with the margin marked.

    `accuracies` gives the sizes, so that both panels have one x axis. Where `rows` is empty,
    the panel says so, and keeps the place beside the other one.
    """
    margin = float(recipe["margin"])
    lows, highs = _ends(rows, "gap")
    axes = _axes(accuracies, styles, (min([0.0, *lows]), max([margin, *highs])))
    points = _points(rows, "gap", styles, axes)
    unit = "point" if margin == 1 else "points"
    marks = [
        {"model": "", "label": f"margin: {margin:g} {unit}", "end": axes.n[1], "value": margin}
    ]
    labels = _labels(points, styles, axes, marks)
    layers = [
        _level(0.0, axes, alt.value(INK), [1, 0], 0.8),
        _level(margin, axes, alt.value(QUIET), [5, 3], 1.5),
        *_lines(points, styles, axes, "points"),
        *_label_layers(labels, styles, axes),
    ]
    if not rows:
        layers.append(_nothing_to_compare(axes))
    reference = recipe.get("titles", {}).get(recipe["reference"], recipe["reference"])
    return _panel(layers, axes, f"{prefix}Gap to {reference} (points)")


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


def nice_ticks(low: float, high: float) -> list[float]:
    """Return ticks around [low, high]: four to eight steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-6)
    power = 10.0 ** floor(log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 8)
    ticks = np.arange(floor(low / step), max(ceil(high / step), floor(low / step) + 1) + 1) * step
    return [round(float(tick), 9) for tick in ticks]


def _ends(rows: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    lows = [min(row[name], row[f"{name}_low"]) for row in rows]
    return lows, [max(row[name], row[f"{name}_high"]) for row in rows]


def _axes(rows: Sequence[Row], styles: Mapping[str, Style], values: tuple[float, float]) -> Axes:
    """Return the axes; the plot takes what labels and y axis leave of half the chart's width."""
    longest = max(len(line) for style in styles.values() for line in _wrapped(style.title))
    labels = LABEL_OFFSET + CHARACTER_WIDTH * max(longest, len("margin: 1 point"))
    width = int((CHART_WIDTH - 18) / 2 - Y_AXIS_WIDTH - labels)
    boxes = sum(LINE_HEIGHT * len(_wrapped(style.title)) + 2 for style in styles.values())
    sizes = [row["n"] for row in rows]
    low, high = float(min(sizes)), float(max(sizes))
    # Room for the symbols beside the first and the last size; a lone size stands in the middle.
    pad = (high / low) ** (SIDE / (width - 2 * SIDE)) if high > low else 2.0
    ticks = nice_ticks(*values)
    height = max(PLOT_HEIGHT, boxes + 2 * LINE_HEIGHT)
    return Axes((low / pad, high * pad), high, (ticks[0], ticks[-1]), ticks, width, height)


def _points(
    rows: Sequence[Row], name: str, styles: Mapping[str, Style], axes: Axes
) -> list[dict[str, Any]]:
    """Return what is drawn per model and size; models stand side by side around the true n."""
    sizes = np.unique([row["n"] for row in rows])
    per_px = np.log(axes.n[1] / axes.n[0]) / axes.width
    nearest = np.diff(np.log(sizes)).min() / per_px if len(sizes) > 1 else 60.0
    step = min(5.0, 0.5 * nearest / len(styles))
    points = []
    for row in rows:
        style = styles[row["model"]]
        shift = step * (style.order - (len(styles) - 1) / 2)
        points.append(
            {
                "model": row["model"],
                "title": style.title,
                "n": row["n"],
                "x": row["n"] * float(np.exp(shift * per_px)),
                "size": row["size"],
                "value": row[name],
                "low": row[f"{name}_low"],
                "high": row[f"{name}_high"],
                "interval": f"{row[f'{name}_low']:.1f} to {row[f'{name}_high']:.1f}",
                "seeds": f"{row['seeds']} ({', '.join(str(row['seed_list']).split())})",
            }
        )
    return points


def _labels(
    points: Sequence[Row], styles: Mapping[str, Style], axes: Axes, marks: Sequence[Row]
) -> list[dict[str, Any]]:
    """Return one label per model at its line's end, and per mark, spread so that none overlap."""
    ends: dict[str, Row] = {}
    for point in points:
        if point["model"] not in ends or point["n"] > ends[point["model"]]["n"]:
            ends[point["model"]] = point
    labels = [
        {"model": model, "label": styles[model].title, "end": point["x"], "value": point["value"]}
        | ({"early": True} if point["n"] < axes.last else {})
        for model, point in ends.items()
    ] + [dict(mark) for mark in marks]
    bottom, top = axes.y
    scale = axes.height / (top - bottom)
    wrapped = [_wrapped(label["label"]) for label in labels]
    heights = [LINE_HEIGHT * len(lines) + 2.0 for lines in wrapped]
    wanted = [(top - label["value"]) * scale for label in labels]
    for label, lines, centre in zip(
        labels, wrapped, spread(wanted, heights, (-8.0, axes.height + 8.0)), strict=True
    ):
        label["y"] = top - centre / scale
        # Vega centres the first line on its position, not the block of lines.
        label["first_line"] = label["y"] + LINE_HEIGHT * (len(lines) - 1) / 2 / scale
        label["label"] = "\n".join(lines)
    return labels


def _lines(
    points: list[dict[str, Any]], styles: Mapping[str, Style], axes: Axes, unit: str
) -> list[alt.Chart]:
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=_x(axes, points), color=_colour(styles), tooltip=_tooltip(unit)
    )
    y = alt.Y("value:Q")
    shape = alt.Shape(
        "model:N",
        scale=alt.Scale(domain=list(styles), range=[style.shape for style in styles.values()]),
        legend=None,
    )
    return [
        base.mark_line(strokeWidth=1.8).encode(y=y, order="n:Q"),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=55, opacity=1).encode(y=y, shape=shape),
    ]


def _label_layers(
    labels: list[dict[str, Any]], styles: Mapping[str, Style], axes: Axes
) -> list[alt.Chart]:
    ours = [label for label in labels if label["model"]]
    shape = alt.Shape("model:N", legend=None)
    leader: dict[str, Any] = {"x2": alt.value(axes.width + 11), "y": "value:Q", "y2": "y:Q"}
    if any("early" in label for label in labels):
        # On its long way, a leader could be taken for the model's line.
        dotted = alt.when("datum.early").then(alt.value([1, 4])).otherwise(alt.value([1, 0]))
        leader["strokeDash"] = dotted
    every = alt.Chart(alt.InlineData(values=labels))
    colour = _colour(styles)
    return [
        every.mark_rule(strokeWidth=0.8, opacity=0.6).encode(
            x="end:Q",
            color=alt.when("datum.model").then(colour).otherwise(alt.value(QUIET)),
            **leader,
        ),
        alt.Chart(alt.InlineData(values=ours))
        .mark_point(filled=True, size=55, opacity=1)
        .encode(x=alt.value(axes.width + 17), y="y:Q", shape=shape, color=colour),
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


def _level(
    value: float, axes: Axes, colour: Any, dash: Sequence[float], thickness: float
) -> alt.Chart:
    data = alt.InlineData(values=[{"value": value}])
    return (
        alt.Chart(data)
        .mark_rule(strokeDash=list(dash), strokeWidth=thickness)
        .encode(x=alt.value(0), x2=alt.value(axes.width), y="value:Q", color=colour)
    )


def _nothing_to_compare(axes: Axes) -> alt.Chart:
    data = alt.InlineData(values=[{"text": "no runs to compare yet", "value": sum(axes.y) / 2}])
    words = alt.Chart(data).mark_text(fontSize=FONT_SIZE, color=QUIET)
    return words.encode(x=alt.value(axes.width / 2), y="value:Q", text="text:N")


def _panel(layers: Sequence[alt.Chart], axes: Axes, title: str) -> Panel:
    scale = alt.Scale(domain=list(axes.y), nice=False, zero=False)
    axis = alt.Axis(values=axes.ticks)
    scaled = [
        layer.encode(y=alt.Y(layer.encoding.y.shorthand, title=None, scale=scale, axis=axis))
        for layer in layers
    ]
    return alt.layer(*scaled).properties(
        width=axes.width,
        height=axes.height,
        title=alt.Title(textwrap.wrap(title, 52), anchor="start"),
    )


def _x(axes: Axes, points: Sequence[Row]) -> alt.X:
    sizes = sorted({point["n"] for point in points})
    width = sum(CHARACTER_WIDTH * (len(f"{size:,}") + 2) for size in sizes)
    return alt.X(
        "x:Q",
        title="labelled examples (log scale)",
        scale=alt.Scale(type="log", domain=list(axes.n), nice=False),
        axis=alt.Axis(
            values=sizes,
            format="," if width < axes.width else "~s",
            labelOverlap="greedy",
            labelSeparation=4,
            grid=False,
        ),
    )


def _colour(styles: Mapping[str, Style]) -> alt.Color:
    colours = [style.colour for style in styles.values()]
    return alt.Color("model:N", scale=alt.Scale(domain=list(styles), range=colours), legend=None)


def _tooltip(unit: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("title:N", title="model"),
        alt.Tooltip("n:Q", title="labelled examples", format=","),
        alt.Tooltip("size:N", title="size"),
        alt.Tooltip("value:Q", title=unit, format=".1f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("seeds:N", title="seeds"),
    ]


def _wrapped(title: str) -> list[str]:
    return textwrap.wrap(title, LABEL_CHARACTERS, break_on_hyphens=False) or [title]


def _subtitle(
    accuracies: Sequence[Row], datasets: Sequence[str], recipe: Mapping[str, Any]
) -> list[str]:
    fewest, most = (choose(int(row["seeds"]) for row in accuracies) for choose in (min, max))
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    over = "seeds and test examples" if most > 1 else "test examples"
    text = (
        f"{', '.join(datasets)} · mean of {seeds} seed{'s' if most > 1 else ''} · bars: "
        f"{100 * recipe['confidence']:g} % intervals over {over} · gaps paired by seed"
    )
    return textwrap.wrap(text, 120)


def _gaps_in_the_study(
    accuracies: Sequence[Row], gaps: Sequence[Row], recipe: Mapping[str, Any]
) -> list[str]:
    """Return the lines on what is not in the chart; none where it is whole."""
    missing = recipe.get("missing", [])
    lines = []
    if missing:
        names = name_missing(missing, accuracies, recipe.get("titles", {}))
        lines += [f"{count_missing(missing, accuracies)}: {_shortened(names)}"]
    if unpaired := name_unpaired(accuracies, gaps, recipe):
        lines += [f"No gap, for want of a run of the reference: {_shortened(unpaired)}"]
    return [part for line in lines for part in textwrap.wrap(line, 120)]


def _shortened(names: Sequence[str]) -> str:
    """Return the names in a row, as many as are read at a glance, and the number of the others."""
    shown = [
        name for place, name in enumerate(names) if len("; ".join(names[:place])) < LONGEST_LIST
    ]
    others = len(names) - len(shown)
    return "; ".join(shown) + (f"; and {others} more" if others else "")


def _configured(chart: alt.ConcatChart) -> alt.ConcatChart:
    return (
        chart.configure(font="Arial, Helvetica, sans-serif", background="white", padding=8)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=FONT_SIZE,
            titleFontSize=FONT_SIZE,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor="#E6E6E6",
            domainColor="#999999",
            tickColor="#999999",
        )
        .configure_title(
            fontSize=13, subtitleFontSize=FONT_SIZE, color=INK, subtitleColor="#555555"
        )
    )
