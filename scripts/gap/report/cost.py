"""The chart of what accuracy costs at inference."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log10

import altair as alt

from gap.report.axes import CHART_WIDTH, Axes, make_axes
from gap.report.charts import concatenated, configured, datasets_of, prefix_of, shorten
from gap.report.encodings import Panel, colour, data, note, panel, shape, tooltips
from gap.report.labels import LineEnd, label_layers
from gap.report.pretraining import cost
from gap.report.styles import Style, Styles, model_styles
from gap.results.pretrainings import PretrainingRow
from gap.results.reading import NamingRecipe
from gap.results.rows import LatencyRow
from gap.study.metrics import METRICS


@dataclass(frozen=True)
class CostPoint:
    """What is drawn of a model: `x` are milliseconds of a text, the values are in percent."""

    model: str
    title: str
    x: float
    value: float
    low: float
    high: float
    interval: str
    rate: float
    parameters: int
    pareto: str
    disturbed: str


def cost_chart(
    latencies: Sequence[LatencyRow],
    recipe: NamingRecipe,
    pretrainings: Sequence[PretrainingRow] = (),
) -> alt.ConcatChart:
    """Return the chart of accuracy by milliseconds of a text, a panel per data set.

    Below its title stands what the study's own pretraining took, which is in no point. Where
    nothing is measured yet, the chart says so.
    """
    if not latencies:
        return configured(alt.concat(note("no model is measured yet", CHART_WIDTH / 2, 0.0)))
    styles = model_styles((row.model for row in latencies), recipe)
    datasets = datasets_of(latencies)
    columns = min(2, len(datasets))
    panels = [
        cost_panel(
            [row for row in latencies if row.dataset == dataset],
            styles,
            prefix_of(dataset, datasets, recipe),
            columns,
        )
        for dataset in datasets
    ]
    question = f"What does {METRICS[latencies[0].metric].title} cost at inference?"
    return concatenated(
        panels,
        f"Preliminary: {question}" if recipe.missing else question,
        _subtitle(latencies, recipe, pretrainings),
        columns,
    )


def cost_panel(rows: Sequence[LatencyRow], styles: Styles, prefix: str, columns: int) -> Panel:
    """Return accuracy (%) by milliseconds of a text for one data set, with the Pareto front."""
    values = [
        value for row in rows for value in (row.accuracy, row.accuracy_low, row.accuracy_high)
    ]
    axes = make_axes(
        [row.milliseconds for row in rows], [], (min(values), max(values)), styles, columns
    )
    points = [_point(row, styles[row.model]) for row in rows]
    front = _front(points, axes)
    # The label stands at the end of a model's line, here its only point.
    ends = [
        LineEnd(point.model, point.title, point.x, point.value, early=point.x < axes.last)
        for point in points
    ]
    ends.append(LineEnd("", "Pareto front", axes.x[1], front[-1].value))
    base = alt.Chart(data([asdict(point) for point in points])).encode(
        x=_x(axes), color=colour(styles), tooltip=_tooltip()
    )
    line = alt.Chart(data([asdict(point) for point in front])).mark_line(
        interpolate="step-after", strokeWidth=5, color="#DDDDDD"
    )
    layers = [
        line.encode(x=_x(axes), y="value:Q"),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(y="value:Q", shape=shape(styles)),
        *label_layers(ends, styles, axes),
    ]
    return panel(layers, axes, f"{prefix}{METRICS[rows[0].metric].axis} with {rows[0].n:,} labels")


def _front(points: Sequence[CostPoint], axes: Axes) -> list[CostPoint]:
    """Return the points of the Pareto front, from the cheapest on."""
    front = sorted((point for point in points if point.pareto == "yes"), key=lambda p: p.x)
    # The best model at some cost stays the best at any higher cost, up to the next model's.
    return [*front, replace(front[-1], x=axes.x[1])]


def _point(row: LatencyRow, style: Style) -> CostPoint:
    return CostPoint(
        model=row.model,
        title=style.title,
        x=row.milliseconds,
        value=row.accuracy,
        low=row.accuracy_low,
        high=row.accuracy_high,
        interval=f"{row.accuracy_low:.1f} to {row.accuracy_high:.1f}",
        rate=row.examples_per_second,
        parameters=row.parameters,
        pareto="yes" if row.pareto else "no",
        disturbed="yes" if row.disturbed else "no",
    )


def _x(axes: Axes) -> alt.X:
    low, high = axes.x
    # Where there are many decades, only their own labels have room.
    factors = (1, 2, 5) if 100 * log10(high / low) < axes.width else (1,)
    steps = [factor * 10.0**power for power in range(-5, 7) for factor in factors]
    ticks = [round(step, 9) for step in steps if low <= step <= high]
    return alt.X(
        "x:Q",
        title="milliseconds of one text (log scale)",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks, format="~g", grid=False),
    )


def _tooltip() -> list[alt.Tooltip]:
    fields: Mapping[str, tuple[str, str | None]] = {
        "title:N": ("model", None),
        "value:Q": ("%", ".1f"),
        "interval:N": ("interval", None),
        "x:Q": ("milliseconds", ".3~g"),
        "rate:Q": ("texts a second, in batches", ",.0f"),
        "parameters:Q": ("parameters", ","),
        "pareto:N": ("on the Pareto front", None),
        "disturbed:N": ("measurement disturbed", None),
    }
    return tooltips(fields)


def _subtitle(
    latencies: Sequence[LatencyRow],
    recipe: NamingRecipe,
    pretrainings: Sequence[PretrainingRow],
) -> list[str]:
    machines = dict.fromkeys(
        f"{row.processor}, {row.precision}" for row in latencies if row.device != "cpu"
    ) or dict.fromkeys(f"one core of {row.processor}" for row in latencies)
    datasets = ", ".join(map(recipe.title, datasets_of(latencies)))
    text = (
        f"{datasets} · from text to class scores, one text at a time, median · "
        f"{'; '.join(machines)} · bars: {recipe.interval}s · Pareto front: no other model is at "
        "least as fast and as accurate, and better in one of the two"
    )
    lines = textwrap.wrap(text, 120)
    if disturbed := [row for row in latencies if row.disturbed]:
        names = dict.fromkeys(recipe.title(row.model) for row in disturbed)
        lines += textwrap.wrap(f"Measured beside other load: {shorten(list(names))}", 120)
    if pretrainings:
        spent = "; ".join(f"{row.checkpoint} {cost([row])}" for row in pretrainings)
        lines += textwrap.wrap(f"Pretrained for this study, once for all runs: {spent}", 120)
    return lines
