"""Says in one plain line what is wrong with a config: which key, what was found, what to do."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import yaml
from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails

from gap.config.schema import TAGS, config_schema
from gap.run.errors import UserError
from gap.study.fields import (
    LARGEST_WHOLE,
    NEITHER_TEXT_NOR_NUMBER,
    NOT_AS_DESCRIBED,
    NOT_UNIQUE,
    TOO_LARGE,
    UNKNOWN_KEY,
    WRONG_VALUE,
    is_number,
)

Location = tuple[int | str, ...]

KEYS = "keys with values"
# What was expected, by the type of an error.
TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    TOO_LARGE: "a whole number",
    "string_type": "text",
    NEITHER_TEXT_NOR_NUMBER: "text or a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": KEYS,
    "model_type": KEYS,
    "model_attributes_type": KEYS,
}
BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"),
    "less_than_equal": ("le", "{} or less"),
    "greater_than": ("gt", "more than {}"),
    "less_than": ("lt", "less than {}"),
    "string_too_long": ("max_length", "{} characters or fewer"),
}
# Where there are several mistakes, those of keys come first, unknown keys before missing ones.
RANKS = {"extra_forbidden": 0, UNKNOWN_KEY: 0, "missing": 1}


@dataclass(frozen=True)
class Place:
    """Where in a config something is wrong."""

    path: str
    value: object
    # The JSON schema of what stands there.
    schema: JsonSchemaValue

    @property
    def where(self) -> str:
        """The key as a line begins with it; nothing for the config as a whole."""
        return f"{self.path.lstrip('.')}: " if self.path else ""

    @property
    def description(self) -> str:
        """The sentence of the schema."""
        return str(self.schema.get("description", ""))


def explain(error: ValidationError, config: object) -> str:
    """Return the line for the first thing that a config does wrong, in the order of the schema."""
    first = _first(error.errors(include_url=False))
    kind, location = first["type"], first["loc"]
    context = first.get("ctx", {})
    if kind == UNKNOWN_KEY:
        return _unknown_key(_place(location, config), context["key"])
    if kind == "extra_forbidden":
        return _unknown_key(_place(location[:-1], config), str(location[-1]))
    if kind == "missing":
        return _missing_key(_place(location[:-1], config), str(location[-1]))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(_place(location, config), context["discriminator"].strip("'()"))
    if location[-1] == "[key]":
        return _wrong_name(first, _place(location[:-2], config))
    return _wrong_value(first, _place(location, config))


def _first(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """Return the first error in the order of the schema; a block's keys precede their values."""
    begin: dict[Location, int] = {}
    for position, error in enumerate(errors):
        for depth in range(len(error["loc"]) + 1):
            begin.setdefault(error["loc"][:depth], position)

    def order(error: ErrorDetails) -> list[tuple[int, int]]:
        location, kind = error["loc"], error["type"]
        places = [(2, begin[location[:depth]]) for depth in range(1, len(location) + 1)]
        if location and location[-1] == "[key]":
            return [*places[:-2], (0, places[-2][1])]
        if kind == UNKNOWN_KEY:
            return [*places, (0, 0)]
        return [*places[:-1], (RANKS.get(kind, 2), places[-1][1])]

    return min(errors, key=order)


def _place(location: Location, config: object) -> Place:
    """Return the place of an error, which names alternatives of the schema beside keys."""
    root = config_schema()
    path, value, schema = "", config, root
    # Alternatives and items without a description take that of the last key.
    description = {"description": ""}
    for part in location:
        if "oneOf" in schema:
            chosen = schema["oneOf"][schema[TAGS].index(part)]
            schema = description | _resolved(chosen, root)
        elif isinstance(part, int):
            path, schema = (
                f"{path}, item {part + 1}",
                description | _resolved(schema["items"], root),
            )
            value = value[part] if isinstance(value, list) else None
        else:
            path = f"{path}.{part}"
            properties = schema.get("properties", {})
            schema = _resolved(properties.get(part) or schema["additionalProperties"], root)
            description = {"description": schema.get("description", "")}
            value = value.get(part) if isinstance(value, dict) else None
    return Place(path, value, schema)


def _resolved(schema: JsonSchemaValue, root: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema with what it refers to; what it says itself counts more."""
    if "$ref" not in schema:
        return schema
    return root["$defs"][schema["$ref"].rpartition("/")[2]] | schema


def _unknown_key(place: Place, wrong: str) -> str:
    keys, value = list(place.schema["properties"]), place.value
    assert isinstance(value, dict)
    chosen = next((f" with {key}: {value[key]}" for key in ("kind", "family") if key in value), "")
    suggestion = suggest(wrong, keys)
    if chosen and "did you mean" not in suggestion:
        suggestion += " (if config.yaml has an entry of this name, it is merged with yours: rename)"
    return f"{place.where}unknown key {wrong!r}{chosen}{suggestion}"


def _missing_key(place: Place, missing: str) -> str:
    properties = place.schema["properties"]
    return place.where + _missing(
        missing, properties[missing].get("description", ""), place, properties
    )


def _missing(missing: str, description: str, place: Place, keys: Iterable[str]) -> str:
    assert isinstance(place.value, dict)
    others = [str(key) for key in place.value if key not in keys]
    close = difflib.get_close_matches(missing, others, n=1)
    advice = f"is {close[0]!r} meant to be it?" if close else "add it"
    return f"{missing!r} is missing; {advice}{_in_brackets(description)}"


def _wrong_kind(place: Place, key: str) -> str:
    """Return the line for a block whose kind or family, in `key`, is missing or not known."""
    if not isinstance(place.value, dict):
        return f"{place.where}found {_show(place.value)}; expected {KEYS}" + _in_brackets(
            place.description
        )
    root = config_schema()
    kinds = [_resolved(choice, root)["properties"][key] for choice in place.schema["oneOf"]]
    description = kinds[0].get("description", "")
    if key not in place.value:
        return place.where + _missing(key, description, place, [key])
    value = place.value[key]
    names = dict.fromkeys(kind["const"] for kind in kinds)
    expected = f"one of {', '.join(names)}{_in_brackets(description)}{_advise_one_value(value)}"
    return f"{place.path.lstrip('.')}.{key}: found {_show(value)}; expected {expected}"


def _wrong_name(error: ErrorDetails, place: Place) -> str:
    names = place.schema["propertyNames"]
    return _wrong_value(error, Place(f"{place.path}, a name", error["input"], names))


def _wrong_value(error: ErrorDetails, place: Place) -> str:
    kind, value = error["type"], place.value
    if kind == WRONG_VALUE:
        return place.where + error["ctx"]["line"]
    numbers = kind in ("int_type", "float_type") or any(
        choice.get("type") == "integer" for choice in place.schema.get("anyOf", [])
    )
    if numbers and isinstance(value, str) and _spells_number(value):
        return place.where + _text_for_number(value)
    if kind in (NOT_AS_DESCRIBED, "string_pattern_mismatch"):
        # The description says it better.
        expected = _phrase(place.description)
    else:
        expected = _expected(error, place) + _in_brackets(place.description)
    return f"{place.where}found {_show(value)}; expected {expected}{_advice(kind, value)}"


def _expected(error: ErrorDetails, place: Place) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in TYPES:
        # A value that is tuned may be a list, too.
        return TYPES[kind] + (" or a list" if error["loc"][-1] == "value" else "")
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        return words.format(_spell_bound(context[key]))
    if kind == "literal_error":
        choices = place.schema.get("enum", [place.schema.get("const")])
        if choices == [False]:
            return TYPES["bool_type"]
        return "one of " + ", ".join(map(str, choices))
    others = {"string_too_short": "some text", NOT_UNIQUE: "each only once"}
    if kind == "too_short":
        least = context["min_length"]
        return (
            f"a list of {least} or more"
            if isinstance(place.value, list)
            else f"{least} key or more"
        )
    # Errors that are not foreseen here are told in pydantic's words.
    return others.get(kind, error["msg"])


def _spell_bound(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _advice(kind: str, value: object) -> str:
    """Return what to write instead, where YAML has read something other than was meant."""
    if kind == "literal_error" or (kind in TYPES and isinstance(value, list)):
        return _advise_one_value(value)
    if kind not in TYPES or value is None or isinstance(value, dict):
        return ""
    text = kind in ("string_type", NEITHER_TEXT_NOR_NUMBER)
    if text and isinstance(value, bool):
        return "; YAML takes yes, no, on and off for truth values: put the word in quotes"
    if text:
        return "; put it in quotes"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return f"; at most {LARGEST_WHOLE:,}"
    return f"; put it in brackets: [{value}]" if kind == "list_type" else ""


def _advise_one_value(value: object) -> str:
    return "; write one value: only what is tuned may be a list" if isinstance(value, list) else ""


def _spells_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _text_for_number(value: str) -> str:
    if is_number(yaml.safe_load(value)):
        return (
            f"{value!r} is text, where a number is expected; write it without quotes, and in a "
            "config file (what follows --config is text)"
        )
    # YAML 1.1, which Snakemake reads, wants both a dot and the exponent's sign.
    spelled = yaml.safe_dump(float(value)).splitlines()[0]
    spelled = spelled.replace("e-0", "e-").replace("e+0", "e+")
    return f"{value} is text to YAML, where a number is expected; write {spelled}"


def suggest(wrong: str, names: Iterable[str]) -> str:
    """Return which name may be meant by a wrong one, or else all of them, as the end of a line."""
    names = list(names)
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names)}" if names else ", which is empty"


def _phrase(description: str) -> str:
    """Return a description as part of a sentence."""
    text = description.removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _in_brackets(description: str) -> str:
    return f" ({_phrase(description)})" if description else ""


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        text = repr(value)
    else:
        # Only the beginning: a value may be of any length.
        encoder = json.JSONEncoder(default=str, skipkeys=True)
        text = "".join(islice(encoder.iterencode(value), 100))
    return text if len(text) <= 80 else text[:80] + "..."


def check_names(key: str, names: Sequence[str], entries: Collection[str], where: str) -> None:
    """Raise UserError for a name that is not among the `entries` that stand under `where`."""
    for name in names:
        if name not in entries:
            raise UserError(f"{key}: {name!r} is not in {where}{suggest(name, entries)}")
