"""What a config may spell in several ways: names, sizes, seeds, labels, columns, encodings."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, PydanticKnownError

from gap.run.errors import UserError
from gap.study.fields import (
    NEITHER_TEXT_NOR_NUMBER,
    NOT_AS_DESCRIBED,
    NOT_UNIQUE,
    WRONG_VALUE,
    Spelled,
    Unique,
    is_number,
)
from gap.study.sizes import canonical_size


def _check_size(given: object) -> object:
    """Return a size as it is written; raise an error of pydantic's for what is none."""
    if isinstance(given, str):
        fine = re.fullmatch(r"[0-9]+(\.[0-9]+)?%", given) is not None
    else:
        fine = is_number(given) and (0 < given <= 1 or (given >= 4 and isinstance(given, int)))
    if fine:
        return given
    raise PydanticCustomError(NOT_AS_DESCRIBED, "no size")


def _spell_size(given: int | float | str) -> str:
    try:
        return canonical_size(given)
    except UserError as error:
        line = str(error).partition(": ")[2]
        raise PydanticCustomError(WRONG_VALUE, "{line}", {"line": line}) from None


def _spell_sizes(given: Sequence[int | float | str]) -> list[str]:
    spellings: dict[str, int | float | str] = {}
    for size in given:
        spelling = _spell_size(size)
        if spelling in spellings:
            line = f"{spellings[spelling]} and {size} are the same size, {spelling}; keep one"
            raise PydanticCustomError(WRONG_VALUE, "{line}", {"line": line})
        spellings[spelling] = size
    return list(spellings)


def _spell_seeds(given: object) -> str:
    if isinstance(given, int) and is_number(given) and 0 <= given <= 999_999:
        return str(given)
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,6}(-[0-9]{1,6})?", given):
        return given
    raise PydanticCustomError(NOT_AS_DESCRIBED, "no seed")


def _spell_label(given: object) -> str:
    if isinstance(given, str):
        return given.strip()
    if is_number(given):
        return json.dumps(given)
    raise PydanticCustomError(NEITHER_TEXT_NOR_NUMBER, "no label")


def _spell_columns(given: object) -> list[str]:
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise PydanticKnownError("string_type")
    if len(set(names)) < len(names):
        raise PydanticCustomError(NOT_UNIQUE, "a column stands in the list twice")
    return list(names)


def _check_encoding(given: str) -> str:
    try:
        codec = codecs.lookup(given)
        # Refused are codecs such as zip, which decode no text.
        "".encode(codec.name)
    except (LookupError, ValueError):
        line = f"found {given!r}; expected an encoding that Python has, such as cp1252 or utf-16"
        raise PydanticCustomError(WRONG_VALUE, "{line}", {"line": line}) from None
    return codec.name


Name = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description=(
            "A name of letters, digits, dots, hyphens and underscores, as file names have it."
        ),
    ),
]
Text = Annotated[str, Field(min_length=1)]
# The names of columns; a single one may be written without a list.
ColumnNames = Annotated[
    list[str],
    Spelled(
        _spell_columns,
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "uniqueItems": True,
                },
            ],
        },
        "text or a list of texts",
    ),
]
Encoding = Annotated[str, Field(min_length=1), AfterValidator(_check_encoding)]
Sha256 = Annotated[
    str,
    Field(
        pattern="^[0-9a-fA-F]{64}$",
        description="The sha256 of a file, 64 hexadecimal digits.",
    ),
]

_SIZE: JsonSchemaValue = {
    "description": 'A number of rows, 4 or more (250), or a share of all (0.1 or "10%").',
    "anyOf": [
        {"type": "integer", "minimum": 4},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"},
    ],
}
# A number of rows as a text ("250"), or a share of all rows ("10%").
_ANY_SIZE = Spelled(_check_size, _SIZE, "rows (`250`) or a share (`0.1`, `10%`)")
Size = Annotated[str, _ANY_SIZE, AfterValidator(_spell_size)]
Sizes = Annotated[
    list[Annotated[str, _ANY_SIZE]],
    Field(min_length=1),
    AfterValidator(_spell_sizes),
]
# A seed ("3") or a block of seeds ("1-5").
SeedBlock = Annotated[
    str,
    Spelled(
        _spell_seeds,
        {
            "description": "A seed (3) or a block of seeds (1-5), numbers from 0 to 999999.",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 999_999},
                {"type": "string", "pattern": "^[0-9]{1,6}(-[0-9]{1,6})?$"},
            ],
        },
        "a seed (`3`) or a block (`1-5`)",
    ),
]
Label = Annotated[
    str,
    Spelled(
        _spell_label,
        {"description": "A label.", "type": ["string", "number"]},
        "text or a number",
    ),
]


Names = Annotated[list[Name], Unique()]
SeedBlocks = Annotated[list[SeedBlock], Field(min_length=1), Unique()]
Labels = Annotated[list[Label], Field(min_length=2), Unique()]
