"""The JSON schema of a study's config, made from its classes."""

from __future__ import annotations

import re
from functools import cache

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gap.config.study import Study

# In a schema of alternatives: the tags by which errors name them, in the same order.
TAGS = "tags"


class _Generator(GenerateJsonSchema):
    """Makes plain schemas: no titles made of names, no null as a default."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Return that no field has a title of its own."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema with its default, unless that is none, or filled in by others."""
        if schema.get("default") in (None, {}, []):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Return the schema of a mapping from names, which have a schema of their own."""
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            ((_, values),) = made.pop("patternProperties").items()
            keys = self.generate_inner(schema["keys_schema"])
            made |= {"propertyNames": keys, "additionalProperties": values}
        return made

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Return the schema of the alternatives, with their tags."""
        return super().tagged_union_schema(schema) | {TAGS: [str(tag) for tag in schema["choices"]]}


@cache
def config_schema() -> JsonSchemaValue:
    """Return the JSON schema (2020-12) of a config, with the tags of its alternatives."""
    schema = Study.model_json_schema(schema_generator=_Generator)
    renamed = _renamed(schema)
    assert isinstance(renamed, dict)
    return renamed


def _renamed(part: object) -> object:
    """Return a schema in which each family's recipe has a short name, and no class a title."""
    if isinstance(part, dict):
        return {
            _short(key): _renamed(value)
            for key, value in part.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(part, list):
        return [_renamed(item) for item in part]
    return _short(part) if isinstance(part, str) else part


def _short(name: str) -> str:
    return re.sub(r"gap__models__families__(\w+)__Recipe", r"\1_model", name)
