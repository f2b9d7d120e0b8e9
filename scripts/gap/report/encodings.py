"""What all panels are drawn with: their rows, and how colours, symbols and dashes are given."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import altair as alt

from gap.report.axes import FONT_SIZE, Axes
from gap.report.styles import QUIET, SOLID, Styles
from gap.results.rows import Row

# A row of the data that are drawn.
Datum = dict[str, str | float | None]
Panel = alt.LayerChart | alt.FacetChart


def data(rows: Sequence[Row] | Sequence[Mapping[str, object]]) -> alt.InlineData:
    """Return rows as the data of a chart."""
    return alt.InlineData(values=[vars(row) if isinstance(row, Row) else dict(row) for row in rows])


def colour(styles: Styles) -> alt.Color:
    """Return the colours of models."""
    colours = [style.colour for style in styles.values()]
    return alt.Color("model:N", scale=alt.Scale(domain=list(styles), range=colours), legend=None)


def shape(styles: Styles, scaled: bool = True) -> alt.Shape:
    """Return the symbols of models; those of another layer's scale where not `scaled`."""
    if not scaled:
        return alt.Shape("model:N", legend=None)
    shapes = [style.shape for style in styles.values()]
    return alt.Shape("model:N", scale=alt.Scale(domain=list(styles), range=shapes), legend=None)


def dash(styles: Styles) -> dict[str, alt.StrokeDash]:
    """Return the channel that tells studies apart; none where all lines are solid."""
    if all(style.dash == SOLID for style in styles.values()):
        return {}
    scale = alt.Scale(domain=list(styles), range=[list(style.dash) for style in styles.values()])
    return {"strokeDash": alt.StrokeDash("model:N", scale=scale, legend=None)}


def tooltips(fields: Mapping[str, tuple[str, str | None]]) -> list[alt.Tooltip]:
    """Return the lines of a tooltip: {field: (title, format)}, a format being that of numbers."""
    return [
        alt.Tooltip(field, title=title, format=spelled)
        if spelled
        else alt.Tooltip(field, title=title)
        for field, (title, spelled) in fields.items()
    ]


def level(
    value: float, axes: Axes, tint: str, strokes: Sequence[float], thickness: float
) -> alt.Chart:
    """Return a horizontal line through the whole plot."""
    return (
        alt.Chart(data([{"value": value}]))
        .mark_rule(strokeDash=list(strokes), strokeWidth=thickness)
        .encode(x=alt.value(0), x2=alt.value(axes.width), y="value:Q", color=alt.value(tint))
    )


def note(text: str, x: float, value: float) -> alt.Chart:
    """Return a text in the middle of a plot that has nothing else to show."""
    words = alt.Chart(data([{"text": text, "value": value}])).mark_text(
        fontSize=FONT_SIZE, color=QUIET
    )
    return words.encode(x=alt.value(x), y="value:Q", text="text:N")


def panel(layers: Sequence[alt.Chart], axes: Axes, title: str) -> Panel:
    """Return layers as one plot on common axes."""
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
