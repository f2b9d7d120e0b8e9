"""The panels by number of labels: accuracy, and the gap to the reference, of one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import altair as alt
import numpy as np

from gap.report.axes import CHARACTER_WIDTH, SIDE, Axes, make_axes
from gap.report.encodings import Panel, colour, dash, data, level, note, panel, shape, tooltips
from gap.report.labels import LineEnd, label_layers
from gap.report.styles import INK, QUIET, Styles
from gap.results.published import Placed
from gap.results.reading import spell_margin
from gap.results.rows import AccuracyRow, GapRow
from gap.study.metrics import METRICS

# Tells x from a model and its n.
Place = Callable[[str, float], float]


@dataclass(frozen=True)
class Point:
    """What is drawn of a model at a size; `x` is beside the true `n`."""

    model: str
    title: str
    n: int
    x: float
    size: str
    value: float
    low: float
    high: float
    interval: str
    seeds: str


@dataclass(frozen=True)
class PublishedPoint:
    """A published figure as it is drawn."""

    model: str
    title: str
    x: float
    size: str
    value: float
    source: str
    note: str


def accuracy_panel(
    rows: Sequence[AccuracyRow], published: Sequence[Placed], styles: Styles, prefix: str
) -> Panel:
    """Return accuracy, or what stands for it, by n for one data set, and published figures."""
    values = [
        value for row in rows for value in (row.accuracy, row.accuracy_low, row.accuracy_high)
    ]
    values += [figure.accuracy for figure in published]
    axes = _axes(rows, published, (min(values), max(values)), styles)
    place = _places([row.n for row in rows], styles, axes)
    points = [_accuracy_point(row, styles, place) for row in rows]
    figures = [_published_point(figure, figure.accuracy, styles, place) for figure in published]
    layers = [
        *_lines(points, styles, axes, "%"),
        *_hollow(figures, "accuracy", points, styles, axes),
        *label_layers(_line_ends(points, styles, axes), styles, axes),
    ]
    return panel(layers, axes, f"{prefix}{METRICS[rows[0].metric].axis}")


def gap_panel(
    rows: Sequence[GapRow],
    accuracies: Sequence[AccuracyRow],
    published: Sequence[Placed],
    styles: Styles,
    margins: Sequence[float],
    reference: str,
    prefix: str,
) -> Panel:
    """Return the gap to the reference (points) by n for one data set, with the margins marked.

    `accuracies` and `published` give the sizes, so that both panels have one x axis. Where `rows`
    is empty, the panel says so, and keeps the place beside the other one.
    """
    differences = [(figure, figure.gap) for figure in published if figure.gap is not None]
    values = [value for row in rows for value in (row.gap, row.gap_low, row.gap_high)]
    values += [0.0, *margins, *(gap for _, gap in differences)]
    axes = _axes(accuracies, published, (min(values), max(values)), styles)
    place = _places([row.n for row in rows], styles, axes)
    points = [_gap_point(row, styles, place) for row in rows]
    figures = [_published_point(figure, gap, styles, place) for figure, gap in differences]
    ends = _line_ends(points, styles, axes) + [
        LineEnd("", f"margin: {spell_margin(margin)}", axes.x[1], margin) for margin in margins
    ]
    layers = [
        level(0.0, axes, INK, [1, 0], 0.8),
        *(level(margin, axes, QUIET, [5, 3], 1.5) for margin in margins),
        *_lines(points, styles, axes, "points"),
        *_hollow(figures, "gap", points, styles, axes),
        *label_layers(ends, styles, axes),
    ]
    if not rows:
        layers.append(note("no runs to compare yet", axes.width / 2, sum(axes.y) / 2))
    return panel(layers, axes, f"{prefix}Gap to {reference} (points)")


def _axes(
    rows: Sequence[AccuracyRow],
    published: Sequence[Placed],
    values: tuple[float, float],
    styles: Styles,
) -> Axes:
    return make_axes([row.n for row in rows], [figure.n for figure in published], values, styles)


def _accuracy_point(row: AccuracyRow, styles: Styles, place: Place) -> Point:
    return _point(row, (row.accuracy, row.accuracy_low, row.accuracy_high), styles, place)


def _gap_point(row: GapRow, styles: Styles, place: Place) -> Point:
    return _point(row, (row.gap, row.gap_low, row.gap_high), styles, place)


def _point(
    row: AccuracyRow | GapRow, estimate: tuple[float, float, float], styles: Styles, place: Place
) -> Point:
    value, low, high = estimate
    return Point(
        model=row.model,
        title=styles[row.model].title,
        n=row.n,
        x=place(row.model, row.n),
        size=row.size,
        value=value,
        low=low,
        high=high,
        interval=f"{low:.1f} to {high:.1f}",
        seeds=f"{row.seeds} ({', '.join(row.seed_list.split())})",
    )


def _published_point(figure: Placed, value: float, styles: Styles, place: Place) -> PublishedPoint:
    return PublishedPoint(
        model=figure.model,
        title=f"{styles[figure.model].title} (published)",
        x=place(figure.model, figure.n),
        size=figure.size,
        value=value,
        source=figure.source,
        note=figure.note,
    )


def _places(numbers: Sequence[int], styles: Styles, axes: Axes) -> Place:
    """Return what tells x from a model and its n: models stand side by side around the true n."""
    sizes = np.unique(numbers)
    per_px = np.log(axes.x[1] / axes.x[0]) / axes.width
    nearest = np.diff(np.log(sizes)).min() / per_px if len(sizes) > 1 else 60.0
    # Within the room beside the first and the last size, and apart from the next size's.
    step = min(5.0, 1.6 * SIDE / len(styles), 0.5 * nearest / len(styles))
    order = {model: number for number, model in enumerate(styles)}

    def place(model: str, n: float) -> float:
        shift = step * (order[model] - (len(styles) - 1) / 2)
        return float(n * np.exp(shift * per_px))

    return place


def _line_ends(points: Sequence[Point], styles: Styles, axes: Axes) -> list[LineEnd]:
    last: dict[str, Point] = {}
    for point in points:
        if point.model not in last or point.n > last[point.model].n:
            last[point.model] = point
    return [
        LineEnd(model, styles[model].title, point.x, point.value, early=point.n < axes.last)
        for model, point in last.items()
    ]


def _lines(points: Sequence[Point], styles: Styles, axes: Axes, unit: str) -> list[alt.Chart]:
    base = alt.Chart(data([asdict(point) for point in points])).encode(
        x=_x(axes, points), color=colour(styles), tooltip=_tooltip(unit)
    )
    y = alt.Y("value:Q")
    return [
        base.mark_line(strokeWidth=1.8).encode(y=y, order="n:Q", **dash(styles)),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=55, opacity=1).encode(y=y, shape=shape(styles)),
    ]


def _hollow(
    figures: Sequence[PublishedPoint],
    name: str,
    points: Sequence[Point],
    styles: Styles,
    axes: Axes,
) -> list[alt.Chart]:
    """Return hollow marks where published figures stand beside the `points`; none without any."""
    if not figures:
        return []
    names = {"title:N": "model", "size:N": "size", "value:Q": name}
    names |= {"source:N": "source", "note:N": "known"}
    marks = alt.Chart(data([asdict(figure) for figure in figures])).mark_point(
        filled=False, fill="white", size=75, strokeWidth=1.6, opacity=1
    )
    return [
        marks.encode(
            x=_x(axes, points),
            y="value:Q",
            shape=shape(styles, scaled=False),
            color=colour(styles),
            tooltip=tooltips({field: (title, None) for field, title in names.items()}),
        )
    ]


def _x(axes: Axes, points: Sequence[Point]) -> alt.X:
    sizes = sorted({point.n for point in points})
    width = sum(CHARACTER_WIDTH * (len(f"{size:,}") + 2) for size in sizes)
    return alt.X(
        "x:Q",
        title="labelled examples (log scale)",
        scale=alt.Scale(type="log", domain=list(axes.x), nice=False),
        axis=alt.Axis(
            values=sizes,
            format="," if width < axes.width else "~s",
            labelOverlap="greedy",
            labelSeparation=4,
            grid=False,
        ),
    )


def _tooltip(unit: str) -> list[alt.Tooltip]:
    fields: Mapping[str, tuple[str, str | None]] = {
        "title:N": ("model", None),
        "n:Q": ("labelled examples", ","),
        "size:N": ("size", None),
        "value:Q": (unit, ".1f"),
        "interval:N": ("interval", None),
        "seeds:N": ("seeds", None),
    }
    return tooltips(fields)
