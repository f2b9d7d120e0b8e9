"""The section and the chart on what fine-tuning forgot of what was pretrained."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import altair as alt

from gap.report.charts import concatenated, datasets_of, prefix_of
from gap.report.encodings import Datum, Panel, data, tooltips
from gap.report.figures import WIDE, make_figure, styles_of, titled, titled_colour
from gap.report.sections import Figure, Figures, Paragraph, Section
from gap.report.styles import QUIET, Styles, model_styles
from gap.report.tables import by_dataset
from gap.report.wording import points
from gap.results.findings import Findings
from gap.results.forgetting import ForgettingRow, LayerRow, PlaneRow
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, Row

HEIGHT = 240


def forgetting(findings: Findings) -> Section | None:
    """Return what was measured, the table and the figures; None where nothing was measured."""
    rows = findings.forgetting
    if not rows:
        return None
    text = (
        "Fine-tuning changes what a network was pretrained to tell. Each network is asked for "
        "masked tokens of the texts that were held out of its pretraining, with the head that it "
        "was pretrained with. Forgotten: the mean loss after fine-tuning less that before, in nats "
        f"a token, with its {findings.interval} over seeds and blocks of text. Told: masked tokens "
        "told rightly, in percent, before and after. Fewer, mixed: how much higher the loss is "
        "where 30 % of the other tokens are hidden, or where they stand in another order, before "
        "and after: the less, the less a network makes of what stands around. Alike: how alike the "
        "states of its layers are to those before (linear CKA, 0 to 1)."
    )
    header = ["Model", "Labels", "Seeds", "Forgotten", findings.interval]
    header += ["Told", "Fewer", "Mixed", "Alike"]
    lines = [(row.dataset, _cells(findings, row)) for row in rows]
    return Section(
        "forgetting",
        "What fine-tuning forgets",
        [
            Figures(lambda: forgetting_figures(findings)),
            Paragraph(text),
            *by_dataset(findings, header, lines, set(range(1, 9))),
        ],
    )


def _cells(findings: Findings, row: ForgettingRow) -> list[str]:
    return [
        findings.title(row.model),
        f"{row.n:,}",
        str(row.seeds),
        f"{row.forgotten:.2f}",
        f"{row.forgotten_low:.2f} to {row.forgotten_high:.2f}",
        f"{points(row.right_before)}, {points(row.right_after)}",
        f"{row.dropped_before:.2f}, {row.dropped_after:.2f}",
        f"{row.shuffled_before:.2f}, {row.shuffled_after:.2f}",
        f"{row.similarity:.2f}",
    ]


def forgetting_figures(findings: Findings) -> list[Figure]:
    """Return accuracy by what was forgotten, likeness by layer, and the plane, per data set."""
    figures = []
    for dataset in datasets_of(findings.forgetting):
        prefix = prefix_of(dataset, datasets_of(findings.forgetting), findings.recipe)
        styles = styles_of(findings)
        axis = findings.recipe.headline.axis
        title = f"{prefix}{axis} by what was forgotten"
        rows = [row for row in findings.forgetting if row.dataset == dataset]
        chart = titled(_gain_panel(rows, findings.accuracies, styles, axis), title, WIDE, HEIGHT)
        figures.append(make_figure(chart, f"{title}, a line per model, a point per size."))
        layers = [row for row in findings.layers if row.dataset == dataset]
        title = f"{prefix}Likeness of states to those before fine-tuning, by layer"
        figures.append(make_figure(titled(_layer_panel(layers, styles), title, WIDE), title))
        figures += _plane_figures(findings, dataset, prefix)
    return figures


def forgetting_chart(
    rows: Sequence[ForgettingRow], accuracies: Sequence[AccuracyRow], recipe: ReadingRecipe
) -> alt.ConcatChart:
    """Return the chart of accuracy by what was forgotten, a panel per data set."""
    styles = model_styles((row.model for row in accuracies), recipe)
    datasets = datasets_of(rows)
    axis = recipe.headline.axis
    panels = []
    for dataset in datasets:
        chosen = [row for row in rows if row.dataset == dataset]
        title = f"{prefix_of(dataset, datasets, recipe)}{axis} by what was forgotten"
        panels.append(titled(_gain_panel(chosen, accuracies, styles, axis), title, 420, 300))
    text = (
        f"{', '.join(map(recipe.title, datasets))} · a point per number of labels, joined in their "
        "order · forgotten: loss on masked tokens of held-out texts, after fine-tuning less before "
        f"· bars: {recipe.interval}s"
    )
    question = f"What does {recipe.headline.title} cost in what was pretrained?"
    return concatenated(panels, question, textwrap.wrap(text, 90), min(2, len(panels)))


def _gain_panel(
    rows: Sequence[ForgettingRow],
    accuracies: Sequence[AccuracyRow],
    styles: Styles,
    axis: str,
) -> Panel:
    """Return accuracy (%) by nats that were forgotten, a line per model in the order of sizes."""
    reached = {(row.dataset, row.model, row.n): row for row in accuracies}
    drawn: list[Datum] = []
    for row in rows:
        accuracy = reached[row.dataset, row.model, row.n]
        drawn.append(
            {
                "model": styles[row.model].title,
                "n": row.n,
                "labels": f"{row.n:,}",
                "x": row.forgotten,
                "x_low": row.forgotten_low,
                "x_high": row.forgotten_high,
                "y": accuracy.accuracy,
                "y_low": accuracy.accuracy_low,
                "y_high": accuracy.accuracy_high,
            }
        )
    base = alt.Chart(data(drawn)).encode(
        x=alt.X("x:Q", title="forgotten (nats a token)", scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", title=axis, scale=alt.Scale(zero=False)),
        color=_colour(styles, rows),
        tooltip=tooltips(
            {
                "model:N": ("model", None),
                "n:Q": ("labels", ","),
                "x:Q": ("forgotten", ".3f"),
                "y:Q": (axis, ".1f"),
            }
        ),
    )
    return alt.layer(
        base.mark_line(strokeWidth=1.5, opacity=0.6).encode(order="n:Q"),
        base.mark_rule(opacity=0.5).encode(y="y_low:Q", y2="y_high:Q"),
        base.mark_rule(opacity=0.5).encode(x="x_low:Q", x2="x_high:Q"),
        base.mark_point(filled=True, size=50, opacity=1),
        base.mark_text(align="left", dx=6, dy=-6, fontSize=10).encode(text="labels:N"),
    )


def _colour(styles: Styles, rows: Sequence[Row]) -> alt.Color:
    """Return the colours of the models of these rows, with a legend below."""
    models = {row.model for row in rows}
    return titled_colour("model:N", (style for name, style in styles.items() if name in models))


def _layer_panel(rows: Sequence[LayerRow], styles: Styles) -> Panel:
    """Return likeness by layer, a line per model and size."""
    drawn: list[Datum] = [
        {
            "model": styles[row.model].title,
            "n": row.n,
            "layer": row.layer,
            "likeness": row.similarity,
        }
        for row in rows
    ]
    base = alt.Chart(data(drawn)).encode(
        x=alt.X("layer:O", title="layer (0: embeddings)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("likeness:Q", title="linear CKA", scale=alt.Scale(zero=False)),
        color=_colour(styles, rows),
        detail="n:Q",
    )
    last = max(row.layer for row in rows)
    names = base.mark_text(align="left", dx=5, fontSize=9).encode(text=alt.Text("n:Q", format=","))
    return alt.layer(
        base.mark_line(strokeWidth=1.5, opacity=0.8),
        names.transform_filter(f"datum.layer == {last}"),
    )


def _plane_figures(findings: Findings, dataset: str, prefix: str) -> list[Figure]:
    """Return where blocks stand before and after, at each model's largest size."""
    figures = []
    rows = [row for row in findings.plane if row.dataset == dataset]
    for model in dict.fromkeys(row.model for row in rows):
        largest = max(row.n for row in rows if row.model == model)
        chosen = [row for row in rows if (row.model, row.n) == (model, largest)]
        title = f"{prefix}{findings.title(model)}: held-out blocks, {largest:,} labels"
        colour = styles_of(findings)[model].colour
        text = f"{title}, in the plane of their states, from before (grey) to after fine-tuning."
        figures.append(make_figure(titled(_plane_panel(chosen, colour), title, WIDE), text))
    return figures


def _plane_panel(rows: Sequence[PlaneRow], colour: str) -> Panel:
    base = alt.Chart(data(rows))
    axis = alt.Axis(labels=False, ticks=False, grid=False)
    x = alt.X("x_before:Q", title="first component", axis=axis)
    y = alt.Y("y_before:Q", title="second component", axis=axis)
    return alt.layer(
        base.mark_rule(color=QUIET, opacity=0.25).encode(x=x, y=y, x2="x_after:Q", y2="y_after:Q"),
        base.mark_point(filled=True, color=QUIET, size=18, opacity=0.8).encode(x=x, y=y),
        base.mark_point(filled=True, color=colour, size=18, opacity=0.9).encode(
            x="x_after:Q", y="y_after:Q"
        ),
    )
