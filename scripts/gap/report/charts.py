"""The charts: accuracy and gap by labels of one study or several, accuracy by cost of inference."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from scipy.optimize import isotonic_regression

from gap.results.missing import count_missing, name_missing, name_unpaired
from gap.results.published import published_figures
from gap.run.json import write_json

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
SOLID = (1, 0)
# A study's lines, where there are several studies.
DASHES = {"solid": SOLID, "dashed": (7, 4), "dotted": (1.5, 3), "dash-dotted": (9, 3, 2, 3)}


@dataclass(frozen=True)
class Style:
    """How a line is drawn: its label, colour, symbol and dash."""

    title: str
    colour: str
    shape: str
    dash: Sequence[float] = SOLID


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
    holds reference, margin (points), confidence (0..1), and optionally titles {name: text},
    missing, rows of dataset, model, size and seeds: the runs that are not done, which the chart
    names, and published, see `published_figures`, drawn hollow.
    """
    styles = model_styles(accuracies, recipe)
    titles = recipe.get("titles", {})
    published = _figures_to_draw(accuracies, styles, recipe)
    question = f"How far is {_reference(recipe)} ahead, by number of labelled examples?"
    subtitle = [
        *_subtitle(_titles(accuracies, titles), accuracies, _percent(recipe)),
        *_published_in_the_chart(published),
        *_gaps_in_the_study(accuracies, gaps, recipe),
    ]
    return _concatenated(
        _dataset_panels(accuracies, gaps, published, styles, recipe),
        textwrap.wrap(f"Preliminary: {question}" if recipe.get("missing") else question, 90),
        subtitle,
        columns=2 if gaps else 1,
    )


def comparison_chart(
    accuracies: Sequence[Row],
    gaps: Sequence[Row],
    recipes: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
) -> alt.ConcatChart:
    """Return the chart of several studies, one row of panels per data set, about 800 px wide.

    `accuracies` and `gaps` are the rows of estimate_gap's tables with a column study; `recipes`
    holds the recipe of each, see `study_chart`, by its name, of as many studies as there are
    DASHES at most. A model has one colour and symbol, a study one dash. `notes` says what to know
    before the studies are compared.
    """
    styles = series_styles(accuracies, recipes)
    ours, theirs = (
        [{**row, "model": _series(row["model"], row["study"])} for row in rows]
        for rows in (accuracies, gaps)
    )
    reference, *others = dict.fromkeys(map(_reference, recipes.values()))
    margins = sorted({float(recipe["margin"]) for recipe in recipes.values()})
    confidences = dict.fromkeys(map(_percent, recipes.values()))
    subtitle = [
        ", ".join(f"{dash}: {study}" for study, dash in zip(recipes, DASHES, strict=False)),
        *_subtitle(datasets_of(accuracies), accuracies, " or ".join(confidences)),
        *notes,
    ]
    question = (
        f"How far is {'the reference' if others else reference} ahead in each of {len(recipes)} "
        "studies, by number of labelled examples?"
    )
    common = {"reference": "the study's reference" if others else reference, "margins": margins}
    return _concatenated(
        _dataset_panels(ours, theirs, [], styles, common),
        textwrap.wrap(question, 90),
        [part for line in subtitle for part in textwrap.wrap(line, 120)],
        columns=2 if gaps else 1,
    )


def _dataset_panels(
    accuracies: Sequence[Row],
    gaps: Sequence[Row],
    published: Sequence[Row],
    styles: Mapping[str, Style],
    recipe: Mapping[str, Any],
) -> list[Panel]:
    """Return the panel of accuracies of each data set and, where there are gaps, that of gaps."""
    panels = []
    titles = recipe.get("titles", {})
    datasets = datasets_of(accuracies)
    for dataset in datasets:
        prefix = prefix_of(dataset, datasets, titles)
        ours, theirs = (
            [row for row in rows if row["dataset"] == dataset] for rows in (accuracies, published)
        )
        there = {row["model"] for row in (*ours, *theirs)}
        drawn = {model: style for model, style in styles.items() if model in there}
        panels.append(accuracy_panel(ours, theirs, drawn, prefix))
        if gaps:
            differences = [row for row in gaps if row["dataset"] == dataset]
            panels.append(gap_panel(differences, ours, theirs, drawn, recipe, prefix))
    return panels


def datasets_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the data sets of rows, in their order."""
    return list(dict.fromkeys(str(row["dataset"]) for row in rows))


def prefix_of(dataset: str, datasets: Sequence[str], titles: Mapping[str, str]) -> str:
    """Return what a panel's title begins with: the data set, if it is not the only one."""
    return f"{titles.get(dataset, dataset)}: " if len(datasets) > 1 else ""


def _titles(rows: Sequence[Row], titles: Mapping[str, str]) -> list[str]:
    return [titles.get(name, name) for name in datasets_of(rows)]


def _reference(recipe: Mapping[str, Any]) -> str:
    return str(recipe.get("titles", {}).get(recipe["reference"], recipe["reference"]))


def _percent(recipe: Mapping[str, Any]) -> str:
    return f"{100 * recipe['confidence']:g} %"


def _series(model: str, study: str) -> str:
    # A model's name has no space.
    return f"{model} {study}"


def _concatenated(
    panels: Sequence[Panel], question: str | list[str], subtitle: Sequence[str], columns: int
) -> alt.ConcatChart:
    title = alt.Title(
        question,
        subtitle=list(subtitle),
        anchor="start",
        fontSize=15,
        subtitlePadding=5,
        offset=14,
    )
    chart = alt.concat(*panels, columns=columns, title=title, spacing=18)
    # Data sets need not have the same lines.
    return configured(
        chart.resolve_scale(color="independent", shape="independent", strokeDash="independent")
    )


def cost_chart(latencies: Sequence[Row], recipe: Mapping[str, Any]) -> alt.ConcatChart:
    """Return the chart of accuracy by milliseconds of a text, a panel per data set.

    `latencies` are the rows of gather_latency's table with numbers as numbers; `recipe` is that of
    `study_chart`. Where nothing is measured yet, the chart says so.
    """
    if not latencies:
        return configured(alt.concat(_nothing("no model is measured yet", CHART_WIDTH / 2, 0.0)))
    styles = model_styles(latencies, recipe)
    titles = recipe.get("titles", {})
    datasets = datasets_of(latencies)
    columns = min(2, len(datasets))
    panels = []
    for dataset in datasets:
        prefix = prefix_of(dataset, datasets, titles)
        ours = [row for row in latencies if row["dataset"] == dataset]
        panels.append(cost_panel(ours, styles, prefix, columns))
    question = "What does accuracy cost at inference?"
    return _concatenated(
        panels,
        f"Preliminary: {question}" if recipe.get("missing") else question,
        _cost_subtitle(latencies, recipe),
        columns,
    )


def cost_panel(
    rows: Sequence[Row], styles: Mapping[str, Style], prefix: str, columns: int
) -> Panel:
    """Return accuracy (%) by milliseconds of a text for one data set, with the Pareto front."""
    lows, highs = _ends(rows, "accuracy")
    costs = [{"n": row["milliseconds"]} for row in rows]
    axes = _axes(costs, [], styles, (min(lows), max(highs)), columns)
    points = [_cost_point(row, styles[row["model"]]) for row in rows]
    front = sorted((point for point in points if point["pareto"] == "yes"), key=lambda p: p["x"])
    # What is best at some cost is so at any higher one, up to the next model.
    front = [*front, front[-1] | {"x": axes.n[1]}]
    mark = {"model": "", "label": "Pareto front", "end": axes.n[1], "value": front[-1]["value"]}
    labels = _labels(points, styles, axes, [mark])
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=_cost_axis(axes), color=_colour(styles), tooltip=_cost_tooltip()
    )
    shape = _shape(styles)
    line = alt.Chart(alt.InlineData(values=front)).mark_line(
        interpolate="step-after", strokeWidth=5, color="#DDDDDD"
    )
    layers = [
        line.encode(x=_cost_axis(axes), y="value:Q"),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(y="value:Q", shape=shape),
        *_label_layers(labels, styles, axes),
    ]
    return _panel(layers, axes, f"{prefix}Accuracy (%) with {rows[0]['n']:,} labels")


def _cost_point(row: Row, style: Style) -> dict[str, Any]:
    return {
        "model": row["model"],
        "title": style.title,
        # The label stands at the end of a model's line, here its only point.
        "n": row["milliseconds"],
        "x": row["milliseconds"],
        "value": row["accuracy"],
        "low": row["accuracy_low"],
        "high": row["accuracy_high"],
        "interval": f"{row['accuracy_low']:.1f} to {row['accuracy_high']:.1f}",
        "rate": row["examples_per_second"],
        "parameters": row["parameters"],
        "pareto": row["pareto"],
        "disturbed": row["disturbed"],
    }


def _cost_axis(axes: Axes) -> alt.X:
    low, high = axes.n
    # Of many decades, their labels alone have room.
    factors = (1, 2, 5) if 100 * log10(high / low) < axes.width else (1,)
    steps = [factor * 10.0**power for power in range(-5, 7) for factor in factors]
    ticks = [round(step, 9) for step in steps if low <= step <= high]
    return alt.X(
        "x:Q",
        title="milliseconds of one text (log scale)",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks, format="~g", grid=False),
    )


def _cost_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("title:N", title="model"),
        alt.Tooltip("value:Q", title="%", format=".1f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("x:Q", title="milliseconds", format=".3~g"),
        alt.Tooltip("rate:Q", title="texts a second, in batches", format=",.0f"),
        alt.Tooltip("parameters:Q", title="parameters", format=","),
        alt.Tooltip("pareto:N", title="on the Pareto front"),
        alt.Tooltip("disturbed:N", title="measurement disturbed"),
    ]


def _cost_subtitle(latencies: Sequence[Row], recipe: Mapping[str, Any]) -> list[str]:
    titles = recipe.get("titles", {})
    machines = dict.fromkeys(
        f"{row['processor']}, {row['precision']}" for row in latencies if row["device"] != "cpu"
    ) or dict.fromkeys(f"one core of {row['processor']}" for row in latencies)
    datasets = ", ".join(_titles(latencies, titles))
    text = (
        f"{datasets} · from text to class scores, one text at a time, median · "
        f"{'; '.join(machines)} · bars: {100 * recipe['confidence']:g} % intervals · Pareto front: "
        "no model is at least as fast and as accurate, and better in one of both"
    )
    lines = textwrap.wrap(text, 120)
    if disturbed := [row for row in latencies if row["disturbed"] == "yes"]:
        names = dict.fromkeys(titles.get(row["model"], row["model"]) for row in disturbed)
        lines += textwrap.wrap(f"Measured beside other load: {_shortened(list(names))}", 120)
    return lines


def save_chart(chart: alt.ConcatChart, html: str, svg: str, png: str, spec: str) -> None:
    """Write a chart as HTML that works offline, SVG, PNG and Vega-Lite."""
    for path in (html, svg, png):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    actions = {"export": True, "source": False, "compiled": False, "editor": False}
    chart.save(html, format="html", inline=True, embed_options={"actions": actions})
    chart.save(svg, format="svg")
    chart.save(png, format="png", scale_factor=2)
    write_json(spec, chart.to_dict())


def model_styles(accuracies: Sequence[Row], recipe: Mapping[str, Any]) -> dict[str, Style]:
    """Return {model: style}: the reference dark and round, the others told apart by both.

    A model looks the same while those that the recipe lists before it are not there yet.
    """
    there = dict.fromkeys(str(row["model"]) for row in accuracies)
    models = list(dict.fromkeys([*recipe.get("models", []), *there]))
    titles = recipe.get("titles", {})
    styles = {
        model: Style(titles.get(model, model), colour, shape)
        for model, (colour, shape) in _looks(models, [recipe["reference"]])
    }
    return {model: style for model, style in styles.items() if model in there}


def series_styles(
    accuracies: Sequence[Row], recipes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Style]:
    """Return {model and study: style} for `comparison_chart`: a model's studies side by side."""
    there = {_series(row["model"], row["study"]) for row in accuracies}
    listed = [model for recipe in recipes.values() for model in recipe.get("models", [])]
    models = dict.fromkeys([*listed, *(str(row["model"]) for row in accuracies)])
    references = dict.fromkeys(recipe["reference"] for recipe in recipes.values())
    styles: dict[str, Style] = {}
    for model, (colour, shape) in _looks(list(models), list(references)):
        for (study, recipe), dash in zip(recipes.items(), DASHES.values(), strict=False):
            if _series(model, study) in there:
                # A space at which no line is broken, so that the dot begins one.
                title = f"{recipe.get('titles', {}).get(model, model)} ·\u00a0{study}"
                styles[_series(model, study)] = Style(title, colour, shape, dash)
    return styles


def _looks(
    models: Sequence[str], references: Sequence[str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each model with its colour and symbol; references are dark, and the first is round."""
    others = [model for model in models if model not in references]
    for model in models:
        if model in others:
            place = others.index(model)
            # The symbols shift by one per round of colours, so that no pair comes twice.
            shape = SHAPES[(place + place // len(COLOURS)) % len(SHAPES)]
            yield model, (COLOURS[place % len(COLOURS)], shape)
        else:
            yield model, (INK, ("circle", *SHAPES)[references.index(model) % (len(SHAPES) + 1)])


def accuracy_panel(
    rows: Sequence[Row], published: Sequence[Row], styles: Mapping[str, Style], prefix: str
) -> Panel:
    """Return accuracy (%) by n for one data set, and published figures of it."""
    lows, highs = _ends(rows, "accuracy")
    theirs = [row["accuracy"] for row in published]
    axes = _axes(rows, published, styles, (min([*lows, *theirs]), max([*highs, *theirs])))
    points = _points(rows, "accuracy", styles, axes)
    labels = _labels(points, styles, axes, [])
    layers = [
        *_lines(points, styles, axes, "%"),
        *_published_layer(published, "accuracy", points, styles, axes),
        *_label_layers(labels, styles, axes),
    ]
    return _panel(layers, axes, f"{prefix}Accuracy (%)")


def gap_panel(
    rows: Sequence[Row],
    accuracies: Sequence[Row],
    published: Sequence[Row],
    styles: Mapping[str, Style],
    recipe: Mapping[str, Any],
    prefix: str,
) -> Panel:
    """Return the gap to the reference (points) by n for one data set, with the margin marked.

    A recipe of several studies has `margins` in place of the margin.

    `accuracies` and `published` give the sizes, so that both panels have one x axis. Where `rows`
    is empty, the panel says so, and keeps the place beside the other one.
    """
    margins = recipe.get("margins") or [float(recipe["margin"])]
    lows, highs = _ends(rows, "gap")
    theirs = [row["gap"] for row in published if row["gap"] is not None]
    ends = min([0.0, *lows, *theirs]), max([*margins, *highs, *theirs])
    axes = _axes(accuracies, published, styles, ends)
    points = _points(rows, "gap", styles, axes)
    marks = [
        {"model": "", "label": f"margin: {_points_of(margin)}", "end": axes.n[1], "value": margin}
        for margin in margins
    ]
    labels = _labels(points, styles, axes, marks)
    layers = [
        _level(0.0, axes, alt.value(INK), [1, 0], 0.8),
        *(_level(margin, axes, alt.value(QUIET), [5, 3], 1.5) for margin in margins),
        *_lines(points, styles, axes, "points"),
        *_published_layer(published, "gap", points, styles, axes),
        *_label_layers(labels, styles, axes),
    ]
    if not rows:
        layers.append(_nothing("no runs to compare yet", axes.width / 2, sum(axes.y) / 2))
    return _panel(layers, axes, f"{prefix}Gap to {_reference(recipe)} (points)")


def _points_of(margin: float) -> str:
    """Return a margin in words: "1 point"."""
    return f"{margin:g} {'point' if margin == 1 else 'points'}"


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


def _axes(
    rows: Sequence[Row],
    published: Sequence[Row],
    styles: Mapping[str, Style],
    values: tuple[float, float],
    columns: int = 2,
) -> Axes:
    """Return the axes; the plot takes what labels and y axis leave of its share of the width."""
    longest = max(len(line) for style in styles.values() for line in _wrapped(style.title))
    labels = LABEL_OFFSET + CHARACTER_WIDTH * max(longest, len("margin: 1 point"))
    width = int((CHART_WIDTH + 18) / columns - 18 - Y_AXIS_WIDTH - labels)
    boxes = sum(LINE_HEIGHT * len(_wrapped(style.title)) + 2 for style in styles.values())
    last = float(max(row["n"] for row in rows))
    sizes = [row["n"] for row in (*rows, *published)]
    low, high = float(min(sizes)), float(max(sizes))
    # Room for the symbols beside the first and the last size; a lone size stands in the middle.
    pad = (high / low) ** (SIDE / (width - 2 * SIDE)) if high > low else 2.0
    ticks = nice_ticks(*values)
    height = max(PLOT_HEIGHT, boxes + 2 * LINE_HEIGHT)
    return Axes((low / pad, high * pad), last, (ticks[0], ticks[-1]), ticks, width, height)


def _points(
    rows: Sequence[Row], name: str, styles: Mapping[str, Style], axes: Axes
) -> list[dict[str, Any]]:
    """Return what is drawn per model and size."""
    place = _places([row["n"] for row in rows], styles, axes)
    points = []
    for row in rows:
        style = styles[row["model"]]
        points.append(
            {
                "model": row["model"],
                "title": style.title,
                "n": row["n"],
                "x": place(row),
                "size": row["size"],
                "value": row[name],
                "low": row[f"{name}_low"],
                "high": row[f"{name}_high"],
                "interval": f"{row[f'{name}_low']:.1f} to {row[f'{name}_high']:.1f}",
                "seeds": f"{row['seeds']} ({', '.join(str(row['seed_list']).split())})",
            }
        )
    return points


def _places(
    numbers: Sequence[int], styles: Mapping[str, Style], axes: Axes
) -> Callable[[Row], float]:
    """Return what tells x from a row's model and n: models stand side by side around the true n."""
    sizes = np.unique(numbers)
    per_px = np.log(axes.n[1] / axes.n[0]) / axes.width
    nearest = np.diff(np.log(sizes)).min() / per_px if len(sizes) > 1 else 60.0
    # Within the room beside the first and the last size, and apart from the next size's.
    step = min(5.0, 1.6 * SIDE / len(styles), 0.5 * nearest / len(styles))
    order = {model: number for number, model in enumerate(styles)}

    def place(row: Row) -> float:
        shift = step * (order[row["model"]] - (len(styles) - 1) / 2)
        return float(row["n"] * np.exp(shift * per_px))

    return place


def _figures_to_draw(
    accuracies: Sequence[Row], styles: Mapping[str, Style], recipe: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the published figures that have a place: of models and sizes that are there."""
    found = published_figures(recipe.get("published", []), accuracies, recipe["reference"])
    return [row for row in found if row["model"] in styles and row["n"] is not None]


def _published_layer(
    published: Sequence[Row],
    name: str,
    points: Sequence[Row],
    styles: Mapping[str, Style],
    axes: Axes,
) -> list[alt.Chart]:
    """Return hollow marks where published figures stand beside the `points`; none without any."""
    place = _places([point["n"] for point in points], styles, axes)
    figures = [
        {
            "model": row["model"],
            "title": f"{styles[row['model']].title} (published)",
            "x": place(row),
            "size": row["size"],
            "value": row[name],
            "source": row["source"],
            "note": row.get("note", ""),
        }
        for row in published
        if row[name] is not None
    ]
    if not figures:
        return []
    names = {"title:N": "model", "size:N": "size", "value:Q": name}
    names |= {"source:N": "source", "note:N": "known"}
    marks = alt.Chart(alt.InlineData(values=figures)).mark_point(
        filled=False, fill="white", size=75, strokeWidth=1.6, opacity=1
    )
    return [
        marks.encode(
            x=_x(axes, points),
            y="value:Q",
            shape=alt.Shape("model:N", legend=None),
            color=_colour(styles),
            tooltip=[alt.Tooltip(field, title=title) for field, title in names.items()],
        )
    ]


def _published_in_the_chart(published: Sequence[Row]) -> list[str]:
    """Return the lines that say what hollow marks are; none where there are none."""
    sources = "; ".join(dict.fromkeys(row["source"] for row in published))
    text = f"Hollow: published, in no estimate here, at shares of their own data ({sources})"
    return textwrap.wrap(text, 120) if published else []


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
    return [
        base.mark_line(strokeWidth=1.8).encode(y=y, order="n:Q", **_dash(styles)),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=55, opacity=1).encode(y=y, shape=_shape(styles)),
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


def _nothing(text: str, x: float, value: float) -> alt.Chart:
    data = alt.InlineData(values=[{"text": text, "value": value}])
    words = alt.Chart(data).mark_text(fontSize=FONT_SIZE, color=QUIET)
    return words.encode(x=alt.value(x), y="value:Q", text="text:N")


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


def _shape(styles: Mapping[str, Style]) -> alt.Shape:
    shapes = [style.shape for style in styles.values()]
    return alt.Shape("model:N", scale=alt.Scale(domain=list(styles), range=shapes), legend=None)


def _dash(styles: Mapping[str, Style]) -> dict[str, alt.StrokeDash]:
    """Return the channel that tells studies apart; none where all lines are solid."""
    dashes = [list(style.dash) for style in styles.values()]
    if all(style.dash == SOLID for style in styles.values()):
        return {}
    scale = alt.Scale(domain=list(styles), range=dashes)
    return {"strokeDash": alt.StrokeDash("model:N", scale=scale, legend=None)}


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


def _subtitle(datasets: Sequence[str], accuracies: Sequence[Row], confidence: str) -> list[str]:
    fewest, most = (choose(int(row["seeds"]) for row in accuracies) for choose in (min, max))
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    over = "seeds and test examples" if most > 1 else "test examples"
    text = (
        f"{', '.join(datasets)} · mean of {seeds} seed{'s' if most > 1 else ''} · bars: "
        f"{confidence} intervals over {over} · gaps paired by seed"
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


def configured(chart: alt.TopLevelMixin) -> Any:
    """Return a chart with the fonts, lines and colours that all charts of a study have."""
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
