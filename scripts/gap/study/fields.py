"""What blocks of a config are made of: values that are tuned, left out, or spelled in many ways."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable
from typing import Annotated, ClassVar, Self, TypeGuard, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gap.run.errors import UserError

# The key of a JSON schema that says in a few words, for the page of all keys, what may be written.
WRITTEN = "written"

Value = TypeVar("Value")

# Beyond it, numpy, torch or the database overflow.
LARGEST_WHOLE = 2**31 - 1

# Types of errors that pydantic does not have; gap.config.explain puts all of them into words.
NOT_AS_DESCRIBED = "not_as_described"
NOT_UNIQUE = "not_unique"
NEITHER_TEXT_NOR_NUMBER = "neither_text_nor_number"
WRONG_VALUE = "wrong_value"
UNKNOWN_KEY = "unknown_key"
TOO_LARGE = "too_large"


class Block(BaseModel):
    """A block of a config: keys that are not known are refused, and nothing is converted."""

    # A block as a person writes it, in YAML, for the page of all keys.
    example: ClassVar[str] = ""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _check_whole_numbers(cls, value: object) -> object:
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and abs(number) > LARGEST_WHOLE:
                raise PydanticCustomError(TOO_LARGE, "too large", {"found": str(number)})
        return value

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the block that a command line gives as JSON.

        Raises UserError, which names the first wrong key, for any other text.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            mistake = error.errors(include_url=False)[0]
            where = ".".join(map(str, mistake["loc"])) or "JSON"
            value = repr(mistake["input"])[:80]
            raise UserError(f"recipe: {where}: {mistake['msg']}; found {value}") from None

    def plain(self) -> dict[str, object]:
        """Return the keys that have a value, as JSON has them: what a recipe is made from."""
        return self.model_dump(mode="json", exclude_none=True)


class Unit:
    """Says what a number counts, for the page of all keys."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with the unit."""
        return handler(schema) | {"unit": self.name}


class Tuned:
    """Marks a value that may be a list of values to try, each once.

    The annotation is that of a single value, which is what a trial has; before its trials are told
    apart, a recipe may hold a list (see `gap.study.tuning`). It is sorted then; a list of a single
    value is that value.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of one value, or of a list of them."""
        value = handler(source)
        values = core_schema.list_schema(value, min_length=1)
        return _value_or_list(value, values, _spell_values)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema, in which the list is described."""
        return _describe_list(handler(schema), "Values to try, each once.")


class Listed:
    """Marks a list, each value once, of which a single value may be written without brackets."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of a list, or of one of its values."""
        values = handler(source)
        return _value_or_list(values["items_schema"], values, _spell_list)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema, in which the list is described."""
        return _describe_list(handler(schema), "Several, each once.")


def _value_or_list(
    value: CoreSchema, values: CoreSchema, spell: Callable[[object], object]
) -> CoreSchema:
    """Return the schema of a value or of a list that has each once, to be spelled afterwards."""
    choices: dict[Hashable, CoreSchema] = {
        "value": value,
        "values": core_schema.no_info_before_validator_function(each_once, values),
    }
    either = core_schema.tagged_union_schema(choices, _name_choice)
    return core_schema.no_info_after_validator_function(spell, either)


def _name_choice(given: object) -> str:
    return "values" if isinstance(given, list) else "value"


def _describe_list(schema: JsonSchemaValue, description: str) -> JsonSchemaValue:
    """Return the schema of a value or a list, in which the list is described."""
    schema["oneOf"][1] |= {"uniqueItems": True, "description": description}
    return schema


def _spell_values(given: object) -> object:
    if not isinstance(given, list):
        return given
    return sorted(given) if len(given) > 1 else given[0]


def _spell_list(given: object) -> object:
    return given if isinstance(given, list) else [given]


class Completed:
    """Gives keys of a block that a config leaves out the values that they have in one place."""

    def __init__(self, **defaults: object) -> None:
        self.defaults = defaults

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the block; missing keys are filled in before it is checked."""
        return core_schema.no_info_before_validator_function(self.complete, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the block with these defaults; it stands where the block is used."""
        block = handler.resolve_ref_schema(handler(schema))
        filled = {
            key: {"default": self.defaults[key]} if key in self.defaults else {}
            for key in block["properties"]
        }
        properties = {key: part | filled[key] for key, part in block["properties"].items()}
        required = [key for key in block.get("required", []) if key not in self.defaults]
        made = {key: part for key, part in block.items() if key != "required"}
        return made | {"properties": properties} | ({"required": required} if required else {})

    def complete(self, given: object) -> object:
        """Return the keys that are given, and defaults for the others."""
        return self.defaults | given if isinstance(given, dict) else given


class _NotNull:
    """Refuses a key that is written without a value."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler(source)["schema"]


# A key that may be left out, and is None then. Writing the key without a value is an error.
Omittable = Annotated[Value | None, _NotNull()]


def each_once(given: object) -> object:
    """Return a list as it is; raise an error of pydantic's for a value that it has twice."""
    if isinstance(given, list):
        # 1 and 1.0 are the same value; true is another one, although Python takes it for 1.
        spellings = [
            str(float(value)) if is_number(value) else json.dumps(value, default=str)
            for value in given
        ]
        if len(set(spellings)) < len(spellings):
            raise PydanticCustomError(NOT_UNIQUE, "a value stands in the list twice")
    return given


class Spelled:
    """A value that may be spelled in several ways, and has one spelling afterwards, a text.

    `spell` returns that spelling, or raises an error of pydantic's; `schema` is the JSON schema of
    what may be written, `written` says it in a few words.
    """

    def __init__(
        self, spell: Callable[[object], object], schema: JsonSchemaValue, written: str
    ) -> None:
        self.spell = spell
        self.schema = schema | {WRITTEN: written}

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema that spells a value."""
        return core_schema.no_info_plain_validator_function(self.spell)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of what may be written."""
        return dict(self.schema)


def is_number(given: object) -> TypeGuard[int | float]:
    """Return whether a value is a finite number that programs can count with."""
    if isinstance(given, float):
        return math.isfinite(given)
    return isinstance(given, int) and not isinstance(given, bool) and abs(given) <= LARGEST_WHOLE


class Unique:
    """Marks a list that has each value once."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the list, whose values are compared before they are looked at."""
        return core_schema.no_info_before_validator_function(each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the list."""
        return handler(schema) | {"uniqueItems": True}
