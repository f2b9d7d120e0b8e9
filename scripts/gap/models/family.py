"""The families of models: where they are found, and what each answers.

A family is one file in `gap.models.families`, whose name is what `family` in a recipe says. It has
a class `Recipe`, the part of the config that is its own. Nobody outside a family's file asks which
family a model is of.
"""

from __future__ import annotations

import importlib
import pkgutil

from gap.models import families
from gap.study.recipes import ModelRecipe


def family_names() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(families.__path__))


def recipe_class(name: str) -> type[ModelRecipe]:
    """Return the class of the recipes of a family."""
    recipe: type[ModelRecipe] = importlib.import_module(f"{families.__name__}.{name}").Recipe
    return recipe
