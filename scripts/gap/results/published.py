"""Figures that others published: they stand beside a study's own and are in none of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gap.results.reading import PublishedFigure, ReadingRecipe
from gap.results.rows import AccuracyRow


@dataclass(frozen=True)
class Published:
    """A published figure beside a study's results.

    `accuracy` is in percent. `n` is where the figure stands on the axis of labelled examples: a
    share has the n of the study's own size of that name, as no other is known; None where the study
    has no such size. `gap` (points) is the difference of two figures of one source, data set and
    size; None where the source has no such figure of the reference.
    """

    dataset: str
    model: str
    size: str
    n: int | None
    accuracy: float
    gap: float | None
    source: str
    note: str


@dataclass(frozen=True)
class Placed(Published):
    """A published figure that has a place in a chart."""

    n: int


def published_figures(recipe: ReadingRecipe, accuracies: Sequence[AccuracyRow]) -> list[Published]:
    """Return the recipe's published figures, with their places and their gaps."""
    sizes = {(row.dataset, row.size): row.n for row in accuracies}
    of_reference = {
        _setting(figure): figure.accuracy
        for figure in recipe.published
        if figure.model == recipe.reference
    }
    return [
        Published(
            figure.dataset,
            figure.model,
            figure.size,
            _number(figure, sizes),
            figure.accuracy,
            _gap(figure, recipe.reference, of_reference.get(_setting(figure))),
            figure.source,
            figure.note,
        )
        for figure in recipe.published
    ]


def placed_figures(recipe: ReadingRecipe, accuracies: Sequence[AccuracyRow]) -> list[Placed]:
    """Return the published figures that a chart has a place for: of models and sizes there.

    There is none where the chart is of another metric than theirs, accuracy.
    """
    models = {row.model for row in accuracies}
    return [
        Placed(**{**vars(figure), "n": figure.n})
        for figure in published_figures(recipe, accuracies)
        if figure.model in models and figure.n is not None and recipe.metric[0] == "accuracy"
    ]


def _setting(figure: PublishedFigure) -> tuple[str, str, str]:
    return figure.dataset, figure.size, figure.source


def _number(figure: PublishedFigure, sizes: Mapping[tuple[str, str], int]) -> int | None:
    if figure.size.isdecimal():
        return int(figure.size)
    return sizes.get((figure.dataset, figure.size))


def _gap(figure: PublishedFigure, reference: str, best: float | None) -> float | None:
    if best is None or figure.model == reference:
        return None
    # Differences of decimals: 78.85 - 76.37 is 2.48.
    return round(best - figure.accuracy, 6)
