"""How models, and studies beside each other, are told apart in charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gap.results.reading import NamingRecipe

INK, QUIET = "#222222", "#767676"
# Okabe and Ito, Color Universal Design (2008), without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
SOLID = (1, 0)
# A study's lines, where there are several studies.
DASHES = {"solid": SOLID, "dashed": (7, 4), "dotted": (1.5, 3), "dash-dotted": (9, 3, 2, 3)}


@dataclass(frozen=True)
class Style:
    """How a line is drawn: its label, colour, symbol and dash."""

    title: str
    colour: str
    shape: str
    dash: Sequence[float] = SOLID


Styles = Mapping[str, Style]


def model_styles(models: Iterable[str], recipe: NamingRecipe) -> dict[str, Style]:
    """Return {model: style}: the reference dark and round, the others told apart by both.

    `models` are those with results. A model looks the same while those that the recipe lists
    before it are not there yet.
    """
    present = dict.fromkeys(models)
    listed = list(dict.fromkeys([*recipe.models, *present]))
    return {
        model: Style(recipe.title(model), colour, shape)
        for model, colour, shape in _looks(listed, [recipe.reference])
        if model in present
    }


def series_styles(
    cells: Iterable[tuple[str, str]], recipes: Mapping[str, NamingRecipe]
) -> dict[str, Style]:
    """Return {series: style} for several studies: a model's series stand side by side.

    `cells` are models with results, each with its study; `recipes` are by study. A model has one
    colour and symbol, a study one dash.
    """
    cells = list(cells)
    present = {series(model, study) for model, study in cells}
    listed = [model for recipe in recipes.values() for model in recipe.models]
    models = list(dict.fromkeys([*listed, *(model for model, _ in cells)]))
    references = list(dict.fromkeys(recipe.reference for recipe in recipes.values()))
    styles: dict[str, Style] = {}
    for model, colour, shape in _looks(models, references):
        for (study, recipe), dash in zip(recipes.items(), DASHES.values(), strict=False):
            if series(model, study) in present:
                # A space at which no line is broken, so that the dot begins one.
                title = f"{recipe.title(model)} ·\u00a0{study}"
                styles[series(model, study)] = Style(title, colour, shape, dash)
    return styles


def series(model: str, study: str) -> str:
    """Return the name of a model's line in one of several studies."""
    # A model's name has no space.
    return f"{model} {study}"


def _looks(models: Sequence[str], references: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each model with its colour and symbol; references are dark, and the first is round."""
    others = [model for model in models if model not in references]
    for model in models:
        if model in others:
            place = others.index(model)
            # The symbols shift by one per round of colours, so that no pair comes twice.
            shape = SHAPES[(place + place // len(COLOURS)) % len(SHAPES)]
            yield model, COLOURS[place % len(COLOURS)], shape
        else:
            shapes = ("circle", *SHAPES)
            yield model, INK, shapes[references.index(model) % len(shapes)]
