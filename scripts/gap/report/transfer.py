"""The section, the sentence and the chart on what a start on a neighbour's task gives."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import altair as alt

from gap.report.charts import concatenated, datasets_of, prefix_of
from gap.report.encodings import Datum, Panel, data, tooltips
from gap.report.figures import WIDE, make_figure, titled, titled_colour
from gap.report.sections import Figure, Figures, Heading, Paragraph, Section, Table
from gap.report.styles import QUIET, Styles, model_styles
from gap.report.tables import by_dataset
from gap.report.wording import points, sentence, span, with_interval
from gap.results.findings import Findings
from gap.results.missing import join_names, spell_size
from gap.results.reading import ReadingRecipe
from gap.results.transfer import ChoiceRow, TransferRow

HEIGHT = 240


def transfer(findings: Findings) -> Section | None:
    """Return what starts on other data sets gain, beside what was foretold; None without any."""
    rows = findings.transfer
    if not rows:
        return None
    text = (
        "A model begins with what another run was trained to on another data set, the source. Its "
        f"gain is its {findings.metric} less that of {findings.reference}, which begins with "
        f"random weights, in points with its {findings.interval}. Foretold: the gain by a support "
        "vector machine that learned from the pairs of which this data set is no part (Lange et "
        "al. 2021). What it goes by: Words, the share of the words of these texts that the source "
        "has; Letters, the divergence of runs of three letters; Turn, how far the features of the "
        "model that was trained on the source are turned against those of the one that was trained "
        "here, 0.71 at random; Misfit, what no rotation brings together; and how many examples and "
        "labels both have. All are from 0 to 1."
    )
    header = ["Model", "Source", "Labels", "Gain", "Foretold"]
    header += ["Words", "Letters", "Turn", "Misfit"]
    lines = [(row.dataset, _cells(findings, row)) for row in rows]
    return Section(
        "transfer",
        "What a neighbour's task gives",
        [
            Figures(lambda: transfer_figures(findings)),
            Paragraph(text),
            *by_dataset(findings, header, lines, set(range(2, 9))),
            *_choices(findings),
        ],
    )


def _cells(findings: Findings, row: TransferRow) -> list[str]:
    return [
        findings.title(row.model),
        findings.title(row.source),
        f"{row.n:,}",
        with_interval(row.gain, row.gain_low, row.gain_high),
        "" if row.foretold is None else points(row.foretold),
        f"{row.coverage:.2f}",
        f"{row.divergence:.2f}",
        f"{row.turn:.2f}",
        f"{row.misfit:.2f}",
    ]


def _choices(findings: Findings) -> list[Heading | Paragraph | Table]:
    """Return how rules that choose a source compare; nothing where no gain is foretold."""
    if not findings.choices:
        few = "There are too few data sets to foretell a gain from the others: three are needed."
        return [Paragraph(few)]
    text = (
        "Which source to take, by a rule: the one with the largest gain foretold, if that is above "
        f"{findings.margin}; the one with most examples; that whose words cover most; that whose "
        "features are turned least; none; or the best, known only afterwards. Gain: the mean over "
        f"data sets, with its {findings.interval} over them. Lost: what the best source would have "
        "given more. Order: Spearman's correlation of what the rule goes by with the gains of a "
        "data set's sources; NDCG: how near to the front it puts those that gain; F1: how well it "
        "tells which sources help."
    )
    header = ["Labels", "Rule", "Data sets", "Gain", "Lost", "Order", "NDCG", "F1"]
    rows = [_choice_cells(row) for row in findings.choices]
    table = Table(header, rows, frozenset({0, *range(2, 8)}))
    return [Heading("Rules that choose a source"), Paragraph(text), table]


def _choice_cells(row: ChoiceRow) -> list[str]:
    gain = points(row.gain)
    if row.gain_low is not None and row.gain_high is not None:
        gain = with_interval(row.gain, row.gain_low, row.gain_high)
    return [
        spell_size(row.size),
        row.rule,
        str(row.targets),
        gain,
        points(row.lost),
        *(
            "" if value is None else f"{value:.2f}"
            for value in (row.rank_correlation, row.ndcg, row.f1)
        ),
    ]


# ---------------------------------------------------------------- the verdict's sentence


def neighbours(findings: Findings, dataset: str) -> list[str]:
    """Return which source to begin with on a data set, and from which n on none is worth it."""
    rows = sorted(
        (row for row in findings.transfer if row.dataset == dataset), key=lambda row: row.n
    )
    if not rows:
        return []
    clear = [row for row in rows if row.difference == "clear"]
    helping = [row for row in clear if row.gain > 0]
    parts = [_best(findings, helping, n) for n in _ends([row.n for row in helping])]
    later = [row.n for row in rows if not helping or row.n > helping[-1].n]
    if later:
        where = f"from {later[0]:,} labels on" if helping else "at no measured size"
        none = "no start" if helping else "a start on another data set"
        parts.append(f"{where} {none} is known to gain more than {findings.margin}")
    if harming := [row for row in clear if row.gain < 0]:
        names = dict.fromkeys(findings.title(row.source) for row in harming)
        parts.append(f"a start on {join_names(list(names))} is known to do harm at some size")
    return [sentence("; ".join(parts))]


def _ends(sizes: Sequence[int]) -> list[int]:
    """Return the smallest and the largest, which tell enough."""
    return list(dict.fromkeys([*sizes[:1], *sizes[-1:]]))


def _best(findings: Findings, rows: Sequence[TransferRow], n: int) -> str:
    best = max((row for row in rows if row.n == n), key=lambda row: row.gain)
    return (
        f"with {n:,} labels a start on {findings.title(best.source)} gains {points(best.gain)} "
        f"points ({findings.interval} {span(best.gain_low, best.gain_high)})"
    )


# ---------------------------------------------------------------- the chart


def transfer_figures(findings: Findings) -> list[Figure]:
    """Return the gain by the number of labels, a figure per data set, a line per model."""
    styles = model_styles((row.model for row in findings.transfer), findings.recipe)
    figures = []
    for title, rows in _panels(findings.transfer, findings.recipe):
        chart = titled(_panel(rows, styles), title, WIDE, HEIGHT)
        figures.append(make_figure(chart, f"{title}: gain by number of labels."))
    return figures


def transfer_chart(rows: Sequence[TransferRow], recipe: ReadingRecipe) -> alt.ConcatChart:
    """Return the chart of gains by number of labels, a panel per data set."""
    styles = model_styles((row.model for row in rows), recipe)
    panels = [
        titled(_panel(chosen, styles), title, 300, 220) for title, chosen in _panels(rows, recipe)
    ]
    text = (
        f"gain in points over {recipe.reference_title}, which begins with random weights · a line "
        f"per data set that the start was trained on · bars: {recipe.interval}s"
    )
    question = "What does a start on a neighbour's task gain?"
    return concatenated(panels, question, textwrap.wrap(text, 90), min(3, len(panels)))


def _panels(
    rows: Sequence[TransferRow], recipe: ReadingRecipe
) -> list[tuple[str, list[TransferRow]]]:
    """Return the title and the rows of each data set."""
    datasets = datasets_of(rows)
    return [
        (
            f"{prefix_of(dataset, datasets, recipe)}gain of a start",
            [row for row in rows if row.dataset == dataset],
        )
        for dataset in datasets
    ]


def _panel(rows: Sequence[TransferRow], styles: Styles) -> Panel:
    """Return gains (points) by the number of labels, a line per model, and the line of no gain."""
    drawn: list[Datum] = [vars(row) | {"title": styles[row.model].title} for row in rows]
    models = {row.model for row in rows}
    colour = titled_colour("title:N", (style for name, style in styles.items() if name in models))
    base = alt.Chart(data(drawn)).encode(
        x=alt.X("n:Q", title="labelled examples", scale=alt.Scale(type="log", nice=False)),
        color=colour,
        tooltip=tooltips(
            {
                "title:N": ("model", None),
                "source:N": ("source", None),
                "n:Q": ("labels", ","),
                "gain:Q": ("gain (points)", ".1f"),
                "foretold:Q": ("foretold", ".1f"),
            }
        ),
    )
    y = alt.Y("gain:Q", title="gain (points)")
    rule = alt.Chart(data([{"gain": 0.0}])).mark_rule(color=QUIET, strokeDash=[4, 3])
    return alt.layer(
        rule.encode(y=y),
        base.mark_rule(opacity=0.35).encode(
            y=alt.Y("gain_low:Q", title="gain (points)"), y2="gain_high:Q"
        ),
        base.mark_line(strokeWidth=1.5).encode(y=y),
        base.mark_point(filled=True, size=40, opacity=1).encode(y=y),
    )
