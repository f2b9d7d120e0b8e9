"""The charts of accuracy and gap by number of labels: of one study, and of several studies."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import altair as alt

from gap.report.charts import concatenated, datasets_of, prefix_of, shorten
from gap.report.encodings import Panel
from gap.report.panels import accuracy_panel, gap_panel
from gap.report.styles import DASHES, Styles, model_styles, series, series_styles
from gap.results.missing import count_missing, name_missing, name_unpaired
from gap.results.published import Placed, placed_figures
from gap.results.reading import NamingRecipe, ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow


@dataclass(frozen=True)
class Lines:
    """All that is drawn by number of labels, and what it is called.

    `styles` has each model of the rows, `margins` are in points, `naming` has the titles of data
    sets, or is None where they go by their names.
    """

    accuracies: Sequence[AccuracyRow]
    gaps: Sequence[GapRow]
    published: Sequence[Placed]
    styles: Styles
    margins: Sequence[float]
    reference: str
    naming: NamingRecipe | None = None


@dataclass(frozen=True)
class StudyTables:
    """The accuracies and gaps of one of several studies, and the recipe that they are read by."""

    recipe: ReadingRecipe
    accuracies: Sequence[AccuracyRow]
    gaps: Sequence[GapRow]


def study_chart(
    accuracies: Sequence[AccuracyRow], gaps: Sequence[GapRow], recipe: ReadingRecipe
) -> alt.ConcatChart:
    """Return the chart of a study, one row of panels per data set, about 800 px wide.

    It names the runs that are missing, and has the recipe's published figures, drawn hollow.
    """
    lines = study_lines(accuracies, gaps, recipe)
    question = f"How far is {recipe.reference_title} ahead, by number of labelled examples?"
    datasets = [recipe.title(name) for name in datasets_of(accuracies)]
    subtitle = [
        *_subtitle(datasets, accuracies, recipe.percent),
        *_on_published(lines.published),
        *_on_missing(accuracies, gaps, recipe),
    ]
    return concatenated(
        all_panels(lines),
        textwrap.wrap(f"Preliminary: {question}" if recipe.missing else question, 90),
        subtitle,
        columns=2 if gaps else 1,
    )


def study_lines(
    accuracies: Sequence[AccuracyRow], gaps: Sequence[GapRow], recipe: ReadingRecipe
) -> Lines:
    """Return what is drawn of one study."""
    return Lines(
        accuracies,
        gaps,
        placed_figures(recipe, accuracies),
        model_styles((row.model for row in accuracies), recipe),
        [recipe.margin],
        recipe.reference_title,
        recipe,
    )


def comparison_chart(studies: Mapping[str, StudyTables], notes: Sequence[str]) -> alt.ConcatChart:
    """Return the chart of several studies, one row of panels per data set, about 800 px wide.

    `studies` are by name, as many as there are DASHES at most. A model has one colour and symbol, a
    study one dash. `notes` says what to know before the studies are compared.
    """
    recipes = {name: study.recipe for name, study in studies.items()}
    accuracies = [row for study in studies.values() for row in study.accuracies]
    cells = [(row.model, name) for name, study in studies.items() for row in study.accuracies]
    reference, *others = dict.fromkeys(recipe.reference_title for recipe in recipes.values())
    confidences = dict.fromkeys(recipe.percent for recipe in recipes.values())
    subtitle = [
        ", ".join(f"{dash}: {study}" for study, dash in zip(recipes, DASHES, strict=False)),
        *_subtitle(datasets_of(accuracies), accuracies, " or ".join(confidences)),
        *notes,
    ]
    question = (
        f"How far is {'the reference' if others else reference} ahead in each of {len(recipes)} "
        "studies, by number of labelled examples?"
    )
    lines = Lines(
        [
            replace(row, model=series(row.model, name))
            for name, study in studies.items()
            for row in study.accuracies
        ],
        [
            replace(row, model=series(row.model, name))
            for name, study in studies.items()
            for row in study.gaps
        ],
        published=[],
        styles=series_styles(cells, recipes),
        margins=sorted({recipe.margin for recipe in recipes.values()}),
        reference="the study's reference" if others else reference,
    )
    return concatenated(
        all_panels(lines),
        textwrap.wrap(question, 90),
        [part for line in subtitle for part in textwrap.wrap(line, 120)],
        columns=2 if lines.gaps else 1,
    )


def all_panels(lines: Lines) -> list[Panel]:
    """Return the panel of accuracies of each data set and, where there are gaps, that of gaps."""
    datasets = datasets_of(lines.accuracies)
    return [panel for dataset in datasets for panel in dataset_panels(lines, dataset)]


def dataset_panels(lines: Lines, dataset: str) -> list[Panel]:
    """Return the panel of accuracies of a data set and, where there are gaps, that of gaps."""
    prefix = prefix_of(dataset, datasets_of(lines.accuracies), lines.naming)
    accuracies = [row for row in lines.accuracies if row.dataset == dataset]
    published = [figure for figure in lines.published if figure.dataset == dataset]
    present = {row.model for row in accuracies} | {figure.model for figure in published}
    styles = {model: style for model, style in lines.styles.items() if model in present}
    panels = [accuracy_panel(accuracies, published, styles, prefix)]
    if lines.gaps:
        gaps = [row for row in lines.gaps if row.dataset == dataset]
        panels.append(
            gap_panel(gaps, accuracies, published, styles, lines.margins, lines.reference, prefix)
        )
    return panels


def _subtitle(
    datasets: Sequence[str], accuracies: Sequence[AccuracyRow], confidence: str
) -> list[str]:
    fewest, most = (choose(row.seeds for row in accuracies) for choose in (min, max))
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    over = "seeds and test examples" if most > 1 else "test examples"
    text = (
        f"{', '.join(datasets)} · mean of {seeds} seed{'s' if most > 1 else ''} · bars: "
        f"{confidence} intervals over {over} · gaps paired by test example"
    )
    return textwrap.wrap(text, 120)


def _on_published(published: Sequence[Placed]) -> list[str]:
    """Return the lines that say what hollow marks are; none where there are none."""
    sources = "; ".join(dict.fromkeys(figure.source for figure in published))
    text = (
        "Hollow marks: published by others and in no estimate here; a share is one of their own "
        f"data ({sources})"
    )
    return textwrap.wrap(text, 120) if published else []


def _on_missing(
    accuracies: Sequence[AccuracyRow], gaps: Sequence[GapRow], recipe: ReadingRecipe
) -> list[str]:
    """Return the lines on what is not in the chart; none where it is whole."""
    lines = []
    if recipe.missing:
        names = shorten(name_missing(recipe, accuracies))
        lines.append(f"{count_missing(recipe.missing, accuracies)}: {names}")
    if unpaired := name_unpaired(recipe, accuracies, gaps):
        lines.append(f"No gap, because the reference has no run there: {shorten(unpaired)}")
    return [part for line in lines for part in textwrap.wrap(line, 120)]
