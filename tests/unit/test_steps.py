"""Recipes on the command line are of the right kind, or end in one line."""

import pytest
from gap.run.errors import UserError
from gap.study.fields import Block


class Recipe(Block):
    words: int
    labels: list[str] | None = None


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("{", "recipe: JSON: "),
        ("{}", "recipe: words: Field required"),
        ('{"words": "3"}', r"recipe: words: .* integer; found '3'"),
        ('{"words": 3, "wrods": 4}', "recipe: wrods: "),
    ],
)
def test_any_other_recipe_is_one_line(argument, message):
    with pytest.raises(UserError, match=message) as error:
        Recipe.from_json(argument)
    assert "\n" not in str(error.value)
