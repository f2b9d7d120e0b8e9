"""What all charts of a study have: their frame, their fonts, and the files to write them to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import altair as alt

from gap.report.axes import FONT_SIZE
from gap.report.encodings import Panel
from gap.report.styles import INK
from gap.results.reading import NamingRecipe
from gap.results.rows import Row
from gap.run.json import write_json

LONGEST_LIST = 200  # characters of the list of what is missing
Chart = TypeVar("Chart", bound=alt.TopLevelMixin)


def concatenated(
    panels: Sequence[Panel], question: str | list[str], subtitle: Sequence[str], columns: int
) -> alt.ConcatChart:
    """Return panels as one chart under a question."""
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


def configured(chart: Chart) -> Chart:
    """Return a chart with the fonts, lines and colours that all charts of a study have."""
    styled: Chart = (
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
    return styled


def datasets_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the data sets of rows, in their order."""
    return list(dict.fromkeys(row.dataset for row in rows))


def prefix_of(dataset: str, datasets: Sequence[str], recipe: NamingRecipe | None = None) -> str:
    """Return what a panel's title begins with: the data set, if it is not the only one."""
    title = recipe.title(dataset) if recipe else dataset
    return f"{title}: " if len(datasets) > 1 else ""


def shorten(names: Sequence[str]) -> str:
    """Return the names in a row, as many as are read at a glance, and the number of the others."""
    shown = [
        name for place, name in enumerate(names) if len("; ".join(names[:place])) < LONGEST_LIST
    ]
    others = len(names) - len(shown)
    return "; ".join(shown) + (f"; and {others} more" if others else "")


def save_chart(chart: alt.ConcatChart, html: str, svg: str, png: str, spec: str) -> None:
    """Write a chart as HTML that works offline, SVG, PNG and Vega-Lite."""
    for path in (html, svg, png):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    actions = {"export": True, "source": False, "compiled": False, "editor": False}
    chart.save(html, format="html", inline=True, embed_options={"actions": actions})
    chart.save(svg, format="svg")
    chart.save(png, format="png", scale_factor=2)
    write_json(spec, chart.to_dict())
