"""The figures of a study's report: small charts of one thing each, which stand beside each other.

A figure is narrow: a wide window shows several beside each other, a telephone shows one.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import altair as alt

from gap.data.units import plural
from gap.report.charts import configured, datasets_of, prefix_of
from gap.report.cost import cost_panel
from gap.report.encodings import Datum, Panel, data
from gap.report.gap_charts import dataset_panels, study_lines
from gap.report.sections import Figure
from gap.report.styles import INK, QUIET, Style, Styles, model_styles
from gap.report.wording import several
from gap.results.findings import Findings
from gap.results.rows import (
    CalibrationRow,
    CurveRow,
    GapRow,
    HistoryRow,
    LabelRow,
    LengthRow,
    Row,
)

WIDTH, HEIGHT = 200, 160
WIDE = 300
# Labels of a data set that are drawn; the table has all.
MOST_LABELS = 20
RowType = TypeVar("RowType", bound=Row)
SizedRow = TypeVar("SizedRow", CalibrationRow, LabelRow, LengthRow, HistoryRow)


def styles_of(findings: Findings) -> Styles:
    """Return how the models of a study look, in all of its charts."""
    return model_styles((row.model for row in findings.accuracies), findings.recipe)


def gap_figures(findings: Findings) -> list[Figure]:
    """Return accuracy by n and, where there are gaps, the gap by n, one of each per data set."""
    lines = study_lines(findings.accuracies, findings.gaps, findings.recipe)
    figures = []
    for dataset in findings.datasets:
        title = _prefix(findings, findings.accuracies, dataset)
        axis = findings.recipe.headline.axis
        texts = [f"{title}{axis} by number of labelled examples, a line per model."]
        if findings.gaps:
            texts.append(
                f"{title}Gap to {findings.reference} in points by number of labelled examples."
            )
        panels = dataset_panels(lines, dataset)
        figures += [make_figure(panel, text) for panel, text in zip(panels, texts, strict=True)]
    return figures


def cost_figures(findings: Findings) -> list[Figure]:
    """Return accuracy by milliseconds of a text, one per data set."""
    figures = []
    for dataset in datasets_of(findings.latencies):
        rows = [row for row in findings.latencies if row.dataset == dataset]
        title = _prefix(findings, findings.latencies, dataset)
        chart = cost_panel(rows, styles_of(findings), title, 2)
        text = f"{title}{findings.recipe.headline.axis} by milliseconds of one text, Pareto front."
        figures.append(make_figure(chart, text))
    return figures


def curve_figures(findings: Findings) -> list[Figure]:
    """Return the gap's curve, its interval and what was measured, one per data set and model."""
    figures = []
    for dataset, model, rows in _by_model(findings.curves):
        measured = [row for row in findings.gaps if (row.dataset, row.model) == (dataset, model)]
        title = _prefix(findings, findings.curves, dataset) + findings.title(model)
        text = f"{title}: curve through the gaps, drawn on beyond the largest measured size."
        style = styles_of(findings)[model]
        chart = _curve_chart(rows, measured, style, findings.recipe.margin, title)
        figures.append(make_figure(chart, text))
    return figures


def _curve_chart(
    curve: Sequence[CurveRow], measured: Sequence[GapRow], style: Style, margin: float, title: str
) -> Panel:
    values = [row.gap for row in measured]
    # Where few seeds make intervals wide, they would leave the gaps no room.
    pad = max(2 * margin, 0.5 * (max(values) - min(values)))
    domain = [min(0.0, *values) - pad, max(margin, *values) + pad]
    largest = max(row.n for row in measured)
    ticks = [factor * 10.0**power for power in range(1, 9) for factor in (1, 3)]
    x = alt.X(
        "n:Q",
        title="labelled examples (log scale)",
        scale=alt.Scale(type="log", nice=False, domain=[curve[0].n / 1.2, curve[-1].n]),
        axis=alt.Axis(values=ticks, format="~s", grid=False, labelOverlap="greedy"),
    )
    y = alt.Scale(domain=domain, nice=False)
    colour = alt.value(style.colour)
    line = alt.Chart(data(curve)).encode(x=x)
    points = alt.Chart(data(measured)).encode(x=x)
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
        points.mark_point(filled=True, size=50, opacity=1, shape=style.shape).encode(
            y="gap:Q", color=colour
        ),
    ]
    return titled(alt.layer(*marks), title, WIDE)


def _horizontal(value: float, dash: Sequence[float], colour: str) -> alt.Chart:
    mark = alt.Chart(data([{"value": value}])).mark_rule(
        strokeDash=list(dash), strokeWidth=0.8, color=colour
    )
    return mark.encode(y="value:Q")


def calibration_figures(findings: Findings) -> list[Figure]:
    """Return how often models were right, by the probability that they gave, at the largest size.

    One per data set and model; the size of a point goes by how many test texts it stands for.
    """
    figures = []
    for dataset, model, rows in _by_model(findings.calibration):
        largest = _of_largest(rows)
        title = _prefix(findings, findings.calibration, dataset) + findings.title(model)
        text = (
            f"{title}, {largest[0].n:,} labels: share of right answers by the probability of the "
            "top label; on the diagonal both are the same."
        )
        chart = _calibration_chart(largest, styles_of(findings)[model], title)
        figures.append(make_figure(chart, text))
    return figures


def _calibration_chart(rows: Sequence[CalibrationRow], style: Style, title: str) -> Panel:
    whole = alt.Scale(domain=[0, 1], nice=False)
    ends = data([{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}])
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    x = alt.X("confidence:Q", title="probability of the top label", scale=whole, axis=axis)
    y = alt.Y("accuracy:Q", title="right", scale=whole, axis=axis)
    bins = alt.Chart(data(rows)).encode(x=x, y=y)
    marks = [
        alt.Chart(ends).mark_line(color=QUIET, strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y),
        bins.mark_line(color=style.colour, strokeWidth=1, opacity=0.6),
        bins.mark_point(filled=True, color=style.colour, shape=style.shape, opacity=0.9).encode(
            size=alt.Size("rows:Q", legend=None, scale=alt.Scale(range=[12, 160]))
        ),
    ]
    return titled(alt.layer(*marks), title, WIDTH)


def label_figures(findings: Findings) -> list[Figure]:
    """Return the share of each label's test texts that models get right, one per data set.

    At each model's largest size; of many labels the most frequent.
    """
    figures = []
    for dataset in datasets_of(findings.labels):
        rows = _largest_of(findings.labels, dataset)
        counts = {row.label: row.rows for row in rows}
        shown = sorted(counts, key=lambda label: -counts[label])[:MOST_LABELS]
        order = [label for label in counts if label in shown]
        title = f"{_prefix(findings, findings.labels, dataset)}Right, by true label (%)"
        points: list[Datum] = [
            {"label": row.label, "title": findings.title(row.model), "value": 100 * row.recall}
            for row in rows
            if row.label in shown
        ]
        styles = styles_of(findings)
        chart = _dots(points, styles, order, "of the label's test texts (%)", title)
        figures.append(make_figure(chart, f"{title}: share of right answers of each model."))
    return figures


def length_figures(findings: Findings) -> list[Figure]:
    """Return accuracy by length of the text, one per data set whose texts differ in length."""
    figures = []
    for dataset in datasets_of(findings.lengths):
        largest = _largest_of(findings.lengths, dataset)
        points: list[Datum] = [
            {
                "label": name_lengths(row.words_from, row.words_to, row.called),
                "title": findings.title(row.model),
                "value": row.accuracy,
                "low": row.accuracy_low,
                "high": row.accuracy_high,
            }
            for row in largest
        ]
        order = list(dict.fromkeys(str(point["label"]) for point in points))
        if len(order) < 2:
            continue
        prefix = _prefix(findings, findings.lengths, dataset)
        title = f"{prefix}Accuracy (%) by {plural(largest[0].called)} of the text"
        chart = _dots(points, styles_of(findings), order, "accuracy (%)", title, room=200)
        figures.append(make_figure(chart, f"{title}: accuracy of each model."))
    return figures


def name_lengths(fewest: int, most: int, called: str) -> str:
    """Return a range of lengths: "3 to 12 words", or "32 words" where all texts are as long.

    `called` is what one unit is called.
    """
    if fewest == most:
        return f"{fewest:,} {called if fewest == 1 else plural(called)}"
    return f"{fewest:,} to {most:,} {plural(called)}"


def _dots(
    points: Sequence[Datum],
    styles: Styles,
    order: Sequence[str],
    unit: str,
    title: str,
    room: int = 120,
) -> Panel:
    """Return points by label, models a little apart, with intervals where known.

    Labels have `room` pixels, and are cut beyond.
    """
    titles = [style.title for style in styles.values()]
    shapes = alt.Scale(domain=titles, range=[style.shape for style in styles.values()])
    base = alt.Chart(data(points)).encode(
        y=alt.Y("label:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=room)),
        yOffset=alt.YOffset("title:N", sort=titles),
        color=titled_colour("title:N", styles.values()),
    )
    x = alt.X("value:Q", title=unit, scale=alt.Scale(zero=False, nice=True))
    marks = [
        base.mark_point(filled=True, size=50, opacity=1).encode(
            x=x, shape=alt.Shape("title:N", scale=shapes, legend=legend_below())
        )
    ]
    if any("low" in point for point in points):
        marks.insert(0, base.mark_rule(opacity=0.6).encode(x="low:Q", x2="high:Q"))
    height = (12 * len(styles) + 8) * len(order) + 10
    return titled(alt.layer(*marks), title, WIDE, height)


def history_figures(findings: Findings) -> list[Figure]:
    """Return the validation loss by step, one per data set and model, a line for each seed.

    At the largest size. The loss of guessing is the dashed line, and twice of it the end of the
    axis.
    """
    figures = []
    for dataset, model, rows in _by_model(findings.histories):
        largest = [row for row in _of_largest(rows) if row.validation_loss is not None]
        if not largest:
            continue
        title = _prefix(findings, findings.histories, dataset) + findings.title(model)
        labels = len(findings.card(dataset)["labels"])
        chart = _history_chart(largest, styles_of(findings)[model], labels, title)
        seeds = several({row.seed for row in largest}, "seed")
        text = f"{title}, {largest[0].n:,} labels: validation loss by step, {seeds}."
        figures.append(make_figure(chart, text))
    return figures


def _history_chart(rows: Sequence[HistoryRow], style: Style, labels: int, title: str) -> Panel:
    guessing = math.log(max(2, labels))
    x = alt.X("step:Q", title="optimisation step", axis=alt.Axis(grid=False, tickCount=4))
    y = alt.Y(
        "validation_loss:Q",
        title="validation loss (nats)",
        scale=alt.Scale(domain=[0, 2 * guessing], nice=False),
    )
    lines = (
        alt.Chart(data(rows))
        .mark_line(
            clip=True,
            color=style.colour,
            strokeWidth=1.4,
            point={"color": style.colour, "size": 20},
        )
        .encode(x=x, y=y, detail="seed:N")
    )
    return titled(alt.layer(_horizontal(guessing, [4, 3], QUIET), lines), title, WIDTH)


def legend_below() -> alt.Legend:
    """Return a legend of models below a plot, a line for each."""
    return alt.Legend(orient="bottom", direction="vertical", title=None, labelLimit=WIDE)


def titled_colour(field: str, styles: Iterable[Style]) -> alt.Color:
    """Return the colours of models, which the field names by their titles, with a legend below."""
    chosen = list(styles)
    scale = alt.Scale(
        domain=[style.title for style in chosen], range=[style.colour for style in chosen]
    )
    return alt.Color(field, scale=scale, legend=legend_below())


def titled(chart: Panel, title: str, width: int, height: int = HEIGHT) -> Panel:
    """Return a plot of this size under a title."""
    lines = textwrap.wrap(title, width // 7)
    return chart.properties(
        width=width, height=height, title=alt.Title(lines, anchor="start", fontSize=13)
    )


def make_figure(chart: Panel, text: str) -> Figure:
    """Return a chart as a figure that is told by a text."""
    file = io.StringIO()
    configured(chart).save(file, format="svg")
    # Each figure of a page has ids of its own.
    prefix = f"figure{zlib.crc32(text.encode()):08x}-"
    return Figure(re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", file.getvalue()), text)


def _by_model(rows: Sequence[RowType]) -> Iterator[tuple[str, str, list[RowType]]]:
    groups: dict[tuple[str, str], list[RowType]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.model), []).append(row)
    yield from ((dataset, model, group) for (dataset, model), group in groups.items())


def _of_largest(rows: Sequence[SizedRow]) -> list[SizedRow]:
    largest = max(row.n for row in rows)
    return [row for row in rows if row.n == largest]


def _largest_of(rows: Sequence[SizedRow], dataset: str) -> list[SizedRow]:
    """Return the rows of a data set: for each model, the rows of its largest size."""
    groups = (group for name, _, group in _by_model(rows) if name == dataset)
    return [row for group in groups for row in _of_largest(group)]


def _prefix(findings: Findings, rows: Sequence[Row], dataset: str) -> str:
    return prefix_of(dataset, datasets_of(rows), findings.recipe)
