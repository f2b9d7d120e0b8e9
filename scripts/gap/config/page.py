"""The page of all keys of a config, made from its classes: docs/config.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from pydantic.json_schema import JsonSchemaValue

from gap.config.schema import config_schema
from gap.config.study import FAMILIES, Study
from gap.study.checkpoints import TrainedCheckpoint
from gap.study.datasets import Dataset, Relatives, UnlabelledTexts, VocabularyRecipe
from gap.study.fields import WRITTEN, Block
from gap.study.metrics import Gap
from gap.study.pretraining import (
    EncoderSize,
    LanguageModel,
    LstmSize,
    MaskedLm,
    Pretraining,
    TokenizerRecipe,
    WordVectors,
)
from gap.study.prices import Costs, Target
from gap.study.published import PublishedFigure
from gap.study.recipes import Folders, Review, Tuning, Validation
from gap.study.sources import (
    DataFile,
    DataUrl,
    Folder,
    HubDataset,
    HubModel,
    Wheel,
    WheelCheckpoint,
)

HEAD = """\
# Config

<!-- Made by `python scripts/gap/config/generate.py`. Change the classes that it is made from. -->

A config is a YAML file. `config.yaml` is the default study. A file that you give with
`--configfile` is laid over it: blocks are merged key by key, all other values are replaced. So your
own config has only the keys that differ. A key that is not on this page is an error, and so is a
value outside its bounds.

YAML reads `2e-5` as text: write `2.0e-5`. It reads `yes`, `no`, `on` and `off` as truth values: put
such a word in quotes.

Each table has the keys of one block, and the example below it shows all of them. *Left out* means
that a key has no value unless you give one. "Or a list" means that several values may be given: the
study tries them and keeps the best ([Tuning](models.md#tuning)).
"""
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
}
BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} or less",
    "exclusiveMaximum": "less than {}",
}
SOURCES = """\
A data set's `source`, and its `test` where a test set is given, are each one of these; so is the
`source` of texts without labels. A folder of files in a wheel is written as
[that of a checkpoint](#folder-in-a-wheel-kind-wheel) is, without `origin`, which stands beside
`source`.
"""
CHECKPOINTS = """\
A pretrained checkpoint is an entry of `checkpoint_zoo`, of one of these kinds: fetched, or made by
the workflow.
"""
REVIEWED = ("model_zoo", "my-model", "optimisation", "mix")
MODELS = "A model is an entry of `model_zoo`. Its `family` says which other keys it has.\n"


@dataclass(frozen=True)
class Section:
    """A block of the config: its title, its class, and the keys that lead to it.

    `schema` is where its JSON schema stands, for one that has not the name of its class. A section
    that has a text and no block is a heading of those that follow.
    """

    level: int
    title: str
    block: type[Block] | None = None
    keys: tuple[str, ...] = ()
    schema: str = ""
    text: str = ""

    @property
    def name(self) -> str:
        """The name of the block's JSON schema."""
        return self.schema or (self.block.__name__ if self.block else "")

    @property
    def link(self) -> str:
        """A link to the section."""
        letters = "".join(c for c in self.title.lower() if c.isalnum() or c in " -_")
        return f"[{self.title}](#{letters.replace(' ', '-')})"

    @property
    def example(self) -> str:
        """The example of the block, as YAML, under the keys that lead to it."""
        text = self.block.example if self.block else ""
        for key in reversed(self.keys):
            text = f"{key}:\n" + textwrap.indent(text, "  ")
        return text


def sections() -> list[Section]:
    """Return the sections of the page, in order."""
    data, checkpoint = ("dataset_zoo", "tickets"), ("checkpoint_zoo", "my-encoder")
    source, own = (*data, "source"), ("checkpoint_zoo", "own-encoder")
    trained = ("checkpoint_zoo", "on-letters")
    return [
        Section(2, "The study", Study),
        Section(2, "Data sets: dataset_zoo", Dataset, data),
        Section(3, "Relatives", Relatives, (*data, "relatives")),
        Section(3, "Published figures", PublishedFigure, (*data, "published")),
        Section(2, "Sources of rows", text=SOURCES),
        Section(3, "File (kind: file)", DataFile, source),
        Section(3, "File behind an address (kind: url)", DataUrl, source),
        Section(3, "Data set of the hub (kind: hub)", HubDataset, source),
        Section(3, "File in a wheel (kind: wheel)", Wheel, source),
        Section(2, "Texts without labels: text_zoo", UnlabelledTexts, ("text_zoo", "mails")),
        Section(2, "Checkpoints: checkpoint_zoo", text=CHECKPOINTS),
        Section(3, "Folder (kind: file)", Folder, checkpoint),
        Section(3, "Model of the hub (kind: hub)", HubModel, checkpoint),
        Section(3, "Folder in a wheel (kind: wheel)", WheelCheckpoint, checkpoint),
        Section(3, "Masked language model (kind: pretrained)", MaskedLm, own),
        Section(4, "Size of a new transformer", EncoderSize, (*own, "start")),
        Section(3, "LSTM language model (kind: pretrained)", LanguageModel, own),
        Section(4, "Size of a new LSTM", LstmSize, (*own, "start")),
        Section(3, "Word vectors (kind: pretrained)", WordVectors, own),
        Section(3, "Weights of a run (kind: trained)", TrainedCheckpoint, trained),
        Section(3, "Tokenizer of a pretrained checkpoint", TokenizerRecipe, (*own, "tokenizer")),
        Section(3, "How networks are pretrained", Pretraining, (*own, "optimisation")),
        Section(2, "Vocabularies: vocabulary_zoo", VocabularyRecipe, ("vocabulary_zoo", "pieces")),
        Section(2, "Models: model_zoo", text=MODELS),
        *(section for name in FAMILIES for section in _family_sections(name)),
        Section(3, "Blocks of the corpus beside labelled texts", Review, REVIEWED),
        Section(2, "Validation rows: validation", Validation, ("validation",)),
        Section(2, "Number of trials: tuning", Tuning, ("tuning",)),
        Section(2, "Margin and confidence: gap", Gap, ("gap",)),
        Section(2, "A target: target", Target, ("target",)),
        Section(2, "Prices: costs", Costs, ("costs",)),
        Section(2, "Folders: pathvars", Folders, ("pathvars",)),
    ]


def _family_sections(name: str) -> list[Section]:
    """Return the section of a family's recipe, and the section on how its models are trained."""
    recipe, keys, schema = FAMILIES[name], ("model_zoo", "my-model"), f"{name}_model"
    training = recipe.model_fields["optimisation"].annotation
    assert isinstance(training, type)
    return [
        Section(3, f"family: {name}", recipe, keys, schema),
        Section(
            4,
            f"optimisation of {name}",
            training,
            (*keys, "optimisation"),
            f"{schema}/optimisation",
        ),
    ]


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([HEAD, *(line for section in sections() for line in _lines(section))])


def _schema(section: Section) -> JsonSchemaValue:
    """Return the JSON schema of a section's block."""
    root = config_schema()
    if section.block is Study:
        return root
    name, _, inner = section.name.partition("/")
    schema: JsonSchemaValue = root["$defs"][name]
    return schema["properties"][inner] if inner else schema


def _lines(section: Section) -> Iterator[str]:
    yield f"{'#' * section.level} {section.title}\n"
    if section.block is None:
        yield section.text
        return
    schema = _schema(section)
    yield f"{schema['description']}\n"
    yield "| key | value | unit | default | meaning |\n|---|---|---|---|---|"
    # How a model is trained comes last: its table follows.
    keys = sorted(schema["properties"], key=lambda key: key == "optimisation")
    for key in keys:
        part = schema["properties"][key]
        default = "required" if key in schema.get("required", []) else _default(part)
        cells = [f"`{key}`", _value(part), part.get("unit", ""), default, _meaning(part)]
        yield f"| {' | '.join(cells)} |"
    yield f"\n```yaml\n{section.example}```\n"


def _resolved(part: JsonSchemaValue) -> JsonSchemaValue:
    if "$ref" not in part:
        return part
    return config_schema()["$defs"][part["$ref"].rpartition("/")[2]] | part


def _meaning(part: JsonSchemaValue) -> str:
    # What stands in angle brackets is HTML to Markdown.
    return re.sub(r"(<[^>]*>)", r"`\1`", str(_resolved(part).get("description", "")))


def _default(part: JsonSchemaValue) -> str:
    if "properties" in _resolved(part):
        return "see its table"
    return f"`{_spelled(part['default'])}`" if "default" in part else "*left out*"


def _spelled(value: object) -> str:
    """Return a value as YAML reads it: 2e-05 would be text."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]


def _value(part: JsonSchemaValue) -> str:
    """Return what a value may be, with its bounds, in words."""
    if WRITTEN in part:
        return str(part[WRITTEN])
    if "properties" in part:
        return "the keys of the next table"
    if "$ref" in part:
        return _links([part])
    if "oneOf" in part:
        return _alternatives(part["oneOf"])
    if "const" in part or "enum" in part:
        choices = part.get("enum", [part.get("const")])
        return ", ".join(f"`{_spelled(choice)}`" for choice in choices)
    if part["type"] == "array":
        least = f" of {part['minItems']} or more" if part.get("minItems") else ""
        return f"list{least}: {_value(part['items'])}"
    if part["type"] == "object":
        return f"names, each with: {_value(part['additionalProperties'])}"
    bounds = [words.format(part[bound]) for bound, words in BOUNDS.items() if bound in part]
    if {"minimum", "maximum"} <= part.keys():
        bounds = [f"{part['minimum']} to {part['maximum']}"]
    return ", ".join([KINDS[part["type"]], *bounds])


def _alternatives(choices: list[JsonSchemaValue]) -> str:
    if all("$ref" in choice or "properties" in choice for choice in choices):
        return _links(choices)
    first, second = choices
    return f"{_value(first)}, or {'a list' if second.get('type') == 'array' else _value(second)}"


def _links(choices: list[JsonSchemaValue]) -> str:
    """Return a link to the table of a block; of several kinds, to what they stand under."""
    name = choices[0]["$ref"].rpartition("/")[2]
    heading = ""
    for section in sections():
        if section.block is None:
            heading = section.link
        if section.name == name:
            return section.link if len(choices) == 1 else heading
    raise KeyError(name)
