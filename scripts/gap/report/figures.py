"""The figures of a study's report: small charts of one thing each, which stand beside each other.

A figure is narrow, so that a few stand in a row of a wide window, and one in that of a telephone.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from gap.report.charts import (
    INK,
    QUIET,
    Panel,
    Style,
    accuracy_panel,
    configured,
    cost_panel,
    datasets_of,
    gap_panel,
    prefix_of,
)
from gap.results.published import published_figures

Row = Mapping[str, Any]
WIDTH, HEIGHT = 200, 160
WIDE = 300
# Labels of a data set that are drawn; the table has all.
MOST_LABELS = 20


@dataclass(frozen=True)
class Figure:
    """A drawing, as SVG that stands in a page of HTML, and what is told of it without eyes."""

    svg: str
    text: str


@dataclass(frozen=True)
class Look:
    """What all figures of a study go by: how models look, names, and how gaps are judged."""

    styles: Mapping[str, Style]
    recipe: Mapping[str, Any]

    def title(self, name: str) -> str:
        """Return the name that a data set or model has in charts."""
        return str(self.recipe.get("titles", {}).get(name, name))

    @property
    def reference(self) -> str:
        """Return the title of the model that others are compared with."""
        return self.title(self.recipe["reference"])


def gap_figures(accuracies: Sequence[Row], gaps: Sequence[Row], look: Look) -> list[Figure]:
    """Return accuracy by n and, where there are gaps, the gap by n, one of each per data set."""
    figures = []
    for dataset in datasets_of(accuracies):
        ours, differences = (
            [row for row in rows if row["dataset"] == dataset] for rows in (accuracies, gaps)
        )
        published = _published(accuracies, dataset, look)
        title = _prefix(accuracies, dataset, look)
        chart = accuracy_panel(ours, published, look.styles, title)
        text = f"{title}Accuracy in percent by number of labelled examples, a line per model."
        figures.append(_figure(chart, text))
        if gaps:
            chart = gap_panel(differences, ours, published, look.styles, look.recipe, title)
            text = f"{title}Gap to {look.reference} in points by number of labelled examples."
            figures.append(_figure(chart, text))
    return figures


def _published(accuracies: Sequence[Row], dataset: str, look: Look) -> list[dict[str, Any]]:
    """Return the published figures of a data set that have a place: of models and sizes there."""
    recipe = look.recipe
    found = published_figures(recipe.get("published", []), accuracies, recipe["reference"])
    return [
        row
        for row in found
        if row["dataset"] == dataset and row["model"] in look.styles and row["n"] is not None
    ]


def cost_figures(latencies: Sequence[Row], look: Look) -> list[Figure]:
    """Return accuracy by milliseconds of a text, one per data set."""
    figures = []
    for dataset in datasets_of(latencies):
        ours = [row for row in latencies if row["dataset"] == dataset]
        title = _prefix(latencies, dataset, look)
        chart = cost_panel(ours, look.styles, title, 2)
        text = f"{title}Accuracy in percent by milliseconds of one text, with the Pareto front."
        figures.append(_figure(chart, text))
    return figures


def curve_figures(curves: Sequence[Row], gaps: Sequence[Row], look: Look) -> list[Figure]:
    """Return the gap's curve, its interval and what was measured, one per data set and model."""
    figures = []
    for dataset, model, ours in _by_model(curves):
        measured = [row for row in gaps if row["dataset"] == dataset and row["model"] == model]
        title = _prefix(curves, dataset, look) + look.title(model)
        text = f"{title}: curve through the gaps, drawn on beyond the largest measured size."
        figures.append(_figure(_curve_chart(ours, measured, look, model, title), text))
    return figures


def _curve_chart(
    curve: Sequence[Row], measured: Sequence[Row], look: Look, model: str, title: str
) -> Panel:
    margin = float(look.recipe["margin"])
    values = [row["gap"] for row in measured]
    # Where few seeds make intervals wide, they would leave the gaps no room.
    pad = max(2 * margin, 0.5 * (max(values) - min(values)))
    domain = [min(0.0, *values) - pad, max(margin, *values) + pad]
    largest = max(row["n"] for row in measured)
    ticks = [factor * 10.0**power for power in range(1, 9) for factor in (1, 3)]
    x = alt.X(
        "n:Q",
        title="labelled examples (log scale)",
        scale=alt.Scale(type="log", nice=False, domain=[curve[0]["n"] / 1.2, curve[-1]["n"]]),
        axis=alt.Axis(values=ticks, format="~s", grid=False, labelOverlap="greedy"),
    )
    y = alt.Scale(domain=domain, nice=False)
    colour = alt.value(look.styles[model].colour)
    line = alt.Chart(alt.InlineData(values=[dict(row) for row in curve])).encode(x=x)
    points = alt.Chart(alt.InlineData(values=[dict(row) for row in measured])).encode(x=x)
    inside = line.transform_filter(f"datum.n <= {largest}")
    marks = [
        line.mark_area(opacity=0.15, clip=True).encode(
            y=alt.Y("gap_low:Q", title="gap (points)", scale=y), y2="gap_high:Q", color=colour
        ),
        _horizontal(margin, [5, 3], QUIET),
        _horizontal(0.0, [1, 0], INK),
        line.mark_line(strokeDash=[2, 3], strokeWidth=1.5, clip=True).encode(
            y="gap:Q", color=colour
        ),
        inside.mark_line(strokeWidth=1.8, clip=True).encode(y="gap:Q", color=colour),
        points.mark_rule(clip=True).encode(y="gap_low:Q", y2="gap_high:Q", color=colour),
        points.mark_point(filled=True, size=50, opacity=1, shape=look.styles[model].shape).encode(
            y="gap:Q", color=colour
        ),
    ]
    return _titled(alt.layer(*marks), title, WIDE)


def _horizontal(value: float, dash: Sequence[float], colour: str) -> alt.Chart:
    data = alt.InlineData(values=[{"value": value}])
    mark = alt.Chart(data).mark_rule(strokeDash=list(dash), strokeWidth=0.8, color=colour)
    return mark.encode(y="value:Q")


def calibration_figures(calibration: Sequence[Row], look: Look) -> list[Figure]:
    """Return how often models were right, by the probability that they gave, at the largest size.

    One per data set and model; the size of a point goes by how many test texts it stands for.
    """
    figures = []
    for dataset, model, rows in _by_model(calibration):
        ours = _of_largest(rows)
        title = _prefix(calibration, dataset, look) + look.title(model)
        text = (
            f"{title}, {ours[0]['n']:,} labels: share of right answers by the probability of the "
            "top label; on the diagonal both are the same."
        )
        figures.append(_figure(_calibration_chart(ours, look.styles[model], title), text))
    return figures


def _calibration_chart(rows: Sequence[Row], style: Style, title: str) -> Panel:
    whole = alt.Scale(domain=[0, 1], nice=False)
    ends = alt.InlineData(
        values=[{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]
    )
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    x = alt.X("confidence:Q", title="probability of the top label", scale=whole, axis=axis)
    y = alt.Y("accuracy:Q", title="right", scale=whole, axis=axis)
    data = alt.Chart(alt.InlineData(values=[dict(row) for row in rows])).encode(x=x, y=y)
    marks = [
        alt.Chart(ends).mark_line(color=QUIET, strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y),
        data.mark_line(color=style.colour, strokeWidth=1, opacity=0.6),
        data.mark_point(filled=True, color=style.colour, shape=style.shape, opacity=0.9).encode(
            size=alt.Size("rows:Q", legend=None, scale=alt.Scale(range=[12, 160]))
        ),
    ]
    return _titled(alt.layer(*marks), title, WIDTH)


def label_figures(labels: Sequence[Row], look: Look) -> list[Figure]:
    """Return the share of each label's test texts that models get right, one per data set.

    At each model's largest size; of many labels the most frequent.
    """
    figures = []
    for dataset in datasets_of(labels):
        rows = _largest_of(labels, dataset)
        counts = {row["label"]: row["rows"] for row in rows}
        shown = sorted(counts, key=lambda label: -counts[label])[:MOST_LABELS]
        ours = [row for row in rows if row["label"] in shown]
        order = [label for label in counts if label in shown]
        title = f"{_prefix(labels, dataset, look)}Right, by true label (%)"
        points = [
            {
                "label": row["label"],
                "title": look.title(row["model"]),
                "value": 100 * row["recall"],
            }
            for row in ours
        ]
        chart = _dots(points, look, order, "of the label's test texts (%)", title)
        figures.append(_figure(chart, f"{title}: share of right answers of each model."))
    return figures


def length_figures(lengths: Sequence[Row], look: Look) -> list[Figure]:
    """Return accuracy by words of the text, one per data set whose texts differ in length."""
    figures = []
    for dataset in datasets_of(lengths):
        points = [
            {
                "label": f"{row['words_from']:,} to {row['words_to']:,}",
                "title": look.title(row["model"]),
                "value": row["accuracy"],
                "low": row["accuracy_low"],
                "high": row["accuracy_high"],
            }
            for row in _largest_of(lengths, dataset)
        ]
        order = list(dict.fromkeys(str(point["label"]) for point in points))
        if len(order) < 2:
            continue
        title = f"{_prefix(lengths, dataset, look)}Accuracy (%) by words of the text"
        chart = _dots(points, look, order, "accuracy (%)", title)
        figures.append(_figure(chart, f"{title}: accuracy of each model."))
    return figures


def _dots(points: Sequence[Row], look: Look, order: Sequence[str], unit: str, title: str) -> Panel:
    """Return points by label, models a little apart, with intervals where known."""
    titles = [style.title for style in look.styles.values()]
    colours = alt.Scale(domain=titles, range=[style.colour for style in look.styles.values()])
    shapes = alt.Scale(domain=titles, range=[style.shape for style in look.styles.values()])
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, labelLimit=WIDE)
    base = alt.Chart(alt.InlineData(values=[dict(point) for point in points])).encode(
        y=alt.Y("label:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=120)),
        yOffset=alt.YOffset("title:N", sort=titles),
        color=alt.Color("title:N", scale=colours, legend=legend),
    )
    x = alt.X("value:Q", title=unit, scale=alt.Scale(zero=False, nice=True))
    marks = [
        base.mark_point(filled=True, size=50, opacity=1).encode(
            x=x, shape=alt.Shape("title:N", scale=shapes, legend=legend)
        )
    ]
    if any("low" in point for point in points):
        marks.insert(0, base.mark_rule(opacity=0.6).encode(x="low:Q", x2="high:Q"))
    height = (12 * len(look.styles) + 8) * len(order) + 10
    return _titled(alt.layer(*marks), title, WIDE, height)


def history_figures(
    histories: Sequence[Row], labels: Mapping[str, int], look: Look
) -> list[Figure]:
    """Return the validation loss by step, one per data set and model, a line for each seed.

    At the largest size. `labels` are the numbers of labels of each data set: the loss of guessing
    is the dashed line, and twice of it the end of the axis.
    """
    figures = []
    for dataset, model, rows in _by_model(histories):
        ours = [row for row in _of_largest(rows) if row["validation_loss"] != ""]
        if not ours:
            continue
        title = _prefix(histories, dataset, look) + look.title(model)
        guessing = math.log(max(2, labels[dataset]))
        x = alt.X("step:Q", title="optimisation step", axis=alt.Axis(grid=False, tickCount=4))
        y = alt.Y(
            "validation_loss:Q",
            title="validation loss (nats)",
            scale=alt.Scale(domain=[0, 2 * guessing], nice=False),
        )
        colour = look.styles[model].colour
        lines = (
            alt.Chart(alt.InlineData(values=[dict(row) for row in ours]))
            .mark_line(
                clip=True, color=colour, strokeWidth=1.4, point={"color": colour, "size": 20}
            )
            .encode(x=x, y=y, detail="seed:N")
        )
        chart = _titled(alt.layer(_horizontal(guessing, [4, 3], QUIET), lines), title, WIDTH)
        seeds = len({row["seed"] for row in ours})
        text = (
            f"{title}, {ours[0]['n']:,} labels: validation loss by step, "
            f"{seeds} seed{'' if seeds == 1 else 's'}."
        )
        figures.append(_figure(chart, text))
    return figures


def _titled(chart: Panel, title: str, width: int, height: int = HEIGHT) -> Panel:
    lines = textwrap.wrap(title, width // 7)
    return chart.properties(
        width=width, height=height, title=alt.Title(lines, anchor="start", fontSize=13)
    )


def _figure(chart: Any, text: str) -> Figure:
    file = io.StringIO()
    configured(chart).save(file, format="svg")
    # Of all figures of a page, each has ids of its own.
    own = f"figure{zlib.crc32(text.encode()):08x}-"
    return Figure(re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{own}", file.getvalue()), text)


def _by_model(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["model"]), []).append(row)
    yield from ((dataset, model, ours) for (dataset, model), ours in groups.items())


def _of_largest(rows: Sequence[Row]) -> list[Row]:
    largest = max(row["n"] for row in rows)
    return [row for row in rows if row["n"] == largest]


def _largest_of(rows: Sequence[Row], dataset: str) -> list[Row]:
    """Return the rows of a data set, of each model those of its largest size."""
    groups = (ours for one, _, ours in _by_model(rows) if one == dataset)
    return [row for ours in groups for row in _of_largest(ours)]


def _prefix(rows: Sequence[Row], dataset: str, look: Look) -> str:
    return prefix_of(dataset, datasets_of(rows), look.recipe.get("titles", {}))
