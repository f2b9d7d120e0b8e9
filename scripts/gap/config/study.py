"""The whole config of a study, typed."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gap.models.family import family_names, recipe_class
from gap.study.cells import Cell, cells_of, kept_sizes
from gap.study.checkpoints import Checkpoint, TrainedCheckpoint
from gap.study.datasets import Dataset, UnlabelledTexts, VocabularyRecipe
from gap.study.fields import UNKNOWN_KEY, Omittable, Unit
from gap.study.metrics import Gap
from gap.study.pretraining import PretrainedCheckpoint
from gap.study.prices import Costs, Target
from gap.study.recipes import Block, Folders, ModelRecipe, Tuning, Validation
from gap.study.spellings import Name, Names, SeedBlocks, Sizes

FAMILIES = {name: recipe_class(name) for name in family_names()}


class _OfItsFamily:
    """Reads a model's entry by its family's class, one for each file in gap/models/families."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        recipes = {name: handler.generate_schema(recipe) for name, recipe in FAMILIES.items()}
        by_family = core_schema.tagged_union_schema(recipes, "family")
        return core_schema.no_info_before_validator_function(_by_family, by_family)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        made = handler(schema)
        for name, recipe in FAMILIES.items():
            if recipe.also_spelled:
                block = handler.resolve_ref_schema({"$ref": made["discriminator"]["mapping"][name]})
                keys = {key: {"const": value} for key, value in recipe.also_spelled.items()}
                required = [key for key in block["required"] if key not in keys]
                made["oneOf"].append(
                    block
                    | {"properties": keys | {**block["properties"], **keys}}
                    | {"required": [*keys, *required]}
                )
        return made | {"description": "A recipe of a model."}


def _by_family(given: object) -> object:
    """Return a model's entry with its family's own name, where the config spells another."""
    if not isinstance(given, dict):
        return given
    if "trials" in given:
        raise PydanticCustomError(UNKNOWN_KEY, "trials", {"key": "trials"})
    for name, recipe in FAMILIES.items():
        spelling = recipe.also_spelled
        # 1 is no spelling of true.
        if spelling and all(repr(given.get(key)) == repr(spelling[key]) for key in spelling):
            return {"family": name} | {key: given[key] for key in given if key not in spelling}
    return given


def _spell_off(given: object) -> object:
    # YAML reads off as false.
    return "off" if given is False else given


def _spell_truth(given: object) -> object:
    # What follows --config is text.
    return {"true": True, "false": False}.get(given, given) if isinstance(given, str) else given


class Study(Block):
    """Data sets x models x sizes x seeds."""

    example: ClassVar[str] = """\
datasets: [tickets]
models: [minilm, lstm]
reference: minilm
sizes: [250, 1000, 10%]
seeds: [1-3]
forgetting: [minilm]
transfer: [lstm]
examples: 10
packages: exact
partial: true
dataset_zoo:
  tickets: {source: {kind: file, path: tickets.csv}, text: body, label: queue}
text_zoo:
  mails: {source: {kind: file, path: mails.txt}}
checkpoint_zoo:
  minilm: {kind: file, path: my-encoder}
vocabulary_zoo:
  pieces: {algorithm: unigram}
model_zoo:
  minilm: {family: transformer, checkpoint: minilm}
  lstm: {family: lstm, vocabulary: pieces}
validation: {min: 10}
tuning: {trials: 1}
gap: {margin: 0.5}
target: {accuracy: 85.0}
costs: {label: 0.20}
pathvars: {results: results/tickets}
"""

    datasets: Names = Field(
        min_length=1,
        description="Names in dataset_zoo of the data sets to study, one row of the chart each.",
    )
    models: Names = Field(
        min_length=2,
        description=(
            "Names in model_zoo of the models to compare, in the order of tables and colours."
        ),
    )
    reference: Name = Field(
        description="The model, one of models, that the others are compared with."
    )
    sizes: Sizes = Field(description="Label budgets, training and validation rows together.")
    seeds: SeedBlocks = Field(description="Blocks of seeds, for models that list none.")
    validation: Validation = Field(
        {},
        validate_default=True,
        description="How many rows of each size are held out to choose weights and settings.",
    )
    tuning: Tuning = Field(
        {},
        validate_default=True,
        description="How many combinations are tried where a recipe lists several values.",
    )
    gap: Gap = Field({}, validate_default=True, description="How gaps are judged.")
    target: Omittable[Target] = Field(
        None,
        description=(
            "What a model has to reach: the summary tells with how many labels each does, with "
            "what risk, and at what price."
        ),
    )
    costs: Omittable[Costs] = Field(
        None, description="Prices of labels, training and answers, where there is a target."
    )
    forgetting: Names = Field(
        [],
        description=(
            "Models of family transformer whose checkpoints the workflow makes (objective "
            "masked_lm): what fine-tuning forgets of the pretraining is measured for them."
        ),
    )
    transfer: Names = Field(
        [],
        description=(
            "Models with a checkpoint of kind trained: what they gain over the reference, which "
            "was trained to it, is compared with what a likeness of the data sets foretells."
        ),
    )
    examples: Annotated[int, Unit("texts")] = Field(
        5,
        ge=0,
        le=100,
        description=(
            "Test texts of each kind that the report shows where reference and model disagree; 0 "
            "shows none."
        ),
    )
    packages: Annotated[Literal["exact", "minor", "off"], BeforeValidator(_spell_off)] = Field(
        "minor",
        description=(
            "Packages such as torch, transformers and scikit-learn decide results. This key says "
            "which change of their version makes results anew. A new value of this key makes all "
            "results anew."
        ),
    )
    partial: Annotated[bool, BeforeValidator(_spell_truth)] = Field(
        False,
        description=(
            "Draw chart and tables from the runs that are there, and say which are missing."
        ),
    )
    dataset_zoo: dict[Name, Dataset] = Field(
        description="Data sets by name; those that datasets does not name are left alone."
    )
    text_zoo: dict[Name, UnlabelledTexts] = Field(
        {},
        description=(
            "Texts without labels by name, to pretrain checkpoints on; those that no `corpus` of a "
            "used checkpoint names are left alone."
        ),
    )
    checkpoint_zoo: dict[Name, Checkpoint] = Field(
        {},
        description=(
            "Pretrained checkpoints (config.json, tokenizer, model.safetensors) by name, fetched "
            "or made by the workflow."
        ),
    )
    vocabulary_zoo: dict[Name, VocabularyRecipe] = Field(
        {}, description="Vocabularies that are fitted on a run's own training texts, by name."
    )
    model_zoo: dict[Name, Annotated[ModelRecipe, _OfItsFamily()]] = Field(
        description="Models by name; those that models does not name are left alone."
    )
    pathvars: Folders = Field(
        {},
        validate_default=True,
        description="Snakemake's key for folders, so that several studies can stand side by side.",
    )

    @cached_property
    def cells(self) -> list[Cell]:
        """Every run of the study, in its order."""
        models = {name: self.model_zoo[name] for name in self.models}
        return cells_of({name: self.sizes_of(name) for name in self.datasets}, models)

    def sizes_of(self, dataset: str) -> list[str]:
        """Return the sizes of a data set, in the order of the study."""
        return kept_sizes(self.sizes, self.dataset_zoo[dataset].sizes)

    @cached_property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoints that models begin with, and those that these were made from."""
        begun = [name for model in self.models if (name := self._checkpoint_of(model))]
        names = {origin for name in begun for origin in self.origins_of(name)}
        return {name: self.checkpoint_zoo[name] for name in sorted(names)}

    def _checkpoint_of(self, model: str) -> str | None:
        return self.model_zoo[model].name_in("checkpoint_zoo")

    def start_of(self, checkpoint: str) -> str | None:
        """Return the checkpoint, by its name, that another one was made from, if there is one."""
        source = self.checkpoint_zoo[checkpoint]
        if isinstance(source, TrainedCheckpoint):
            return self._checkpoint_of(source.model)
        return source.continued if isinstance(source, PretrainedCheckpoint) else None

    def origins_of(self, checkpoint: str) -> list[str]:
        """Return a checkpoint's name, and those of all that it was made from, the nearest first."""
        start = self.start_of(checkpoint)
        return [checkpoint, *(self.origins_of(start) if start else [])]

    def trained_on(self, checkpoint: str) -> list[str]:
        """Return the data sets that a checkpoint, or what it was made from, was trained on."""
        sources = [self.checkpoint_zoo[name] for name in self.origins_of(checkpoint)]
        return [source.dataset for source in sources if isinstance(source, TrainedCheckpoint)]

    @cached_property
    def pretrained(self) -> dict[str, PretrainedCheckpoint]:
        """Those of the checkpoints that the workflow pretrains."""
        return {
            name: source
            for name, source in self.checkpoints.items()
            if isinstance(source, PretrainedCheckpoint)
        }

    @cached_property
    def trained(self) -> dict[str, TrainedCheckpoint]:
        """Those of the checkpoints that are what runs of the study were trained to."""
        return {
            name: source
            for name, source in self.checkpoints.items()
            if isinstance(source, TrainedCheckpoint)
        }

    def targets_of(self, checkpoint: str) -> list[str]:
        """Return the data sets on which models are run that descend from a checkpoint."""
        models = {
            model
            for model in self.models
            if (name := self._checkpoint_of(model)) and checkpoint in self.origins_of(name)
        }
        return sorted({cell.dataset for cell in self.cells if cell.model in models})

    @cached_property
    def prepared(self) -> list[str]:
        """The data sets of the study, and those whose pools are read to pretrain only."""
        pools = [name for name in self._corpora if name in self.dataset_zoo]
        return list(dict.fromkeys([*self.datasets, *pools]))

    @cached_property
    def unlabelled(self) -> list[str]:
        """The texts without labels that are read to pretrain."""
        return [name for name in self._corpora if name not in self.dataset_zoo]

    @property
    def _corpora(self) -> list[str]:
        """The names in the corpora of all checkpoints that the workflow makes, each once."""
        names = [name for source in self.pretrained.values() for name in source.corpus]
        return list(dict.fromkeys(names))

    def with_named_entries(self) -> Self:
        """Return the study without the entries of its zoos that it does not use."""
        models = {name: self.model_zoo[name] for name in self.models}
        vocabularies = {
            name for model in models.values() if (name := model.name_in("vocabulary_zoo"))
        }
        return self.model_copy(
            update={
                "dataset_zoo": {name: self.dataset_zoo[name] for name in self.prepared},
                "text_zoo": {name: self.text_zoo[name] for name in sorted(self.unlabelled)},
                "model_zoo": models,
                "checkpoint_zoo": self.checkpoints,
                "vocabulary_zoo": {
                    name: self.vocabulary_zoo[name] for name in sorted(vocabularies)
                },
            }
        )
