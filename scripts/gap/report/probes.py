"""The section and the chart on what each layer of a checkpoint tells of the labels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import altair as alt

from gap.report.charts import concatenated, datasets_of, prefix_of
from gap.report.encodings import Datum, Panel, data, tooltips
from gap.report.figures import WIDE, legend_below, make_figure, titled
from gap.report.sections import Figure, Figures, Paragraph, Section
from gap.report.tables import by_dataset
from gap.report.wording import points
from gap.results.findings import Findings
from gap.results.probes import ProbeRow
from gap.results.reading import ReadingRecipe

HEIGHT = 240


def probes(findings: Findings) -> Section | None:
    """Return the best layer at each size, and a figure; None where no model compares layers."""
    rows = findings.probes
    if not rows:
        return None
    text = (
        "A classifier is fitted on the states of each layer by itself, the embeddings being layer "
        "0, and asked for the labels of the test texts: where the task lies. In the comparisons "
        "above, the model has the layer that its validation texts chose. Accuracies are in "
        "percent, the mean of seeds; a layer that is the best of several by chance looks better "
        "than it is."
    )
    header = ["Model", "Labels", "Seeds", "Best layer", "Accuracy", "Last layer", "Embeddings"]
    lines = [(layers[0].dataset, _cells(findings, layers)) for layers in by_size(rows)]
    return Section(
        "probes",
        "Where the task lies",
        [
            Figures(lambda: probe_figures(findings)),
            Paragraph(text),
            *by_dataset(findings, header, lines, set(range(1, 7))),
        ],
    )


def by_size(rows: Sequence[ProbeRow]) -> list[list[ProbeRow]]:
    """Return the layers of each data set, model and size together, in their order."""
    cells: dict[tuple[str, str, str], list[ProbeRow]] = {}
    for row in rows:
        cells.setdefault((row.dataset, row.model, row.size), []).append(row)
    return list(cells.values())


def _cells(findings: Findings, layers: Sequence[ProbeRow]) -> list[str]:
    best = max(layers, key=lambda row: row.accuracy)
    return [
        findings.title(best.model),
        f"{best.n:,}",
        str(best.seeds),
        f"{best.layer} of {len(layers) - 1}",
        points(best.accuracy),
        points(layers[-1].accuracy),
        points(layers[0].accuracy),
    ]


def probe_figures(findings: Findings) -> list[Figure]:
    """Return accuracy by layer, one figure per data set and model, a line per size."""
    figures = []
    for title, rows in _panels(findings.probes, findings.recipe):
        chart = titled(_panel(rows), title, WIDE, HEIGHT)
        figures.append(make_figure(chart, f"{title}: accuracy by layer, a line per size."))
    return figures


def probe_chart(rows: Sequence[ProbeRow], recipe: ReadingRecipe) -> alt.ConcatChart:
    """Return the chart of accuracy by layer, a panel per data set and model."""
    panels = [titled(_panel(chosen), title, 420, 300) for title, chosen in _panels(rows, recipe)]
    text = (
        f"{', '.join(map(recipe.title, datasets_of(rows)))} · a classifier on the states of each "
        "layer, a line per number of labels · mean of seeds, bands from the lowest to the highest"
    )
    return concatenated(
        panels, "Where does the task lie?", textwrap.wrap(text, 90), min(2, len(panels))
    )


def _panels(rows: Sequence[ProbeRow], recipe: ReadingRecipe) -> list[tuple[str, list[ProbeRow]]]:
    """Return the title and the rows of each data set and model."""
    datasets = datasets_of(rows)
    pairs = dict.fromkeys((row.dataset, row.model) for row in rows)
    return [
        (
            prefix_of(dataset, datasets, recipe) + recipe.title(model),
            [row for row in rows if (row.dataset, row.model) == (dataset, model)],
        )
        for dataset, model in pairs
    ]


def _legend() -> alt.Legend:
    legend = legend_below()
    # Else they would be as pale as the bands.
    legend.symbolOpacity = 1
    return legend


def _panel(rows: Sequence[ProbeRow]) -> Panel:
    """Return accuracy (%) by layer, a line per size, darker with more labels."""
    sizes = sorted({row.n for row in rows})
    drawn: list[Datum] = [vars(row) | {"labels": f"{row.n:,} labels"} for row in rows]
    shades = alt.Scale(scheme="viridis", reverse=True)
    base = alt.Chart(data(drawn)).encode(
        x=alt.X("layer:O", title="layer (0: embeddings)", axis=alt.Axis(labelAngle=0)),
        color=alt.Color(
            "labels:N",
            sort=[f"{n:,} labels" for n in sizes],
            scale=shades,
            legend=_legend(),
        ),
        tooltip=tooltips(
            {
                "layer:O": ("layer", None),
                "labels:N": ("size", None),
                "accuracy:Q": ("accuracy (%)", ".1f"),
                "accuracy_lowest:Q": ("lowest seed", ".1f"),
                "accuracy_highest:Q": ("highest seed", ".1f"),
            }
        ),
    )
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(zero=False))
    return alt.layer(
        base.mark_area(opacity=0.12).encode(
            y=alt.Y("accuracy_lowest:Q", title="accuracy (%)", scale=alt.Scale(zero=False)),
            y2="accuracy_highest:Q",
        ),
        base.mark_line(strokeWidth=1.6, point={"size": 30}).encode(y=y),
    )
