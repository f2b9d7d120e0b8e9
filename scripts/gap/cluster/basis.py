"""What the costs of a study are computed from: its config, assumptions, and measured speeds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal, Self

from gap.models.encoder_shape import EncoderShape
from gap.models.family import ModelFamily, family_of, load_recipe
from gap.models.workload import ParameterCount, Workload
from gap.run.errors import UserError
from gap.run.json import canonical_json
from gap.study.cells import Cell, cells_of_config
from gap.study.recipes import GradientDescent
from gap.study.sizes import count_rows, longest_text, validation_rows
from gap.study.tuning import largest, values_of

Config = dict[str, Any]
Key = tuple[str, ...]


@cache
def _family(entry: str) -> ModelFamily:
    return family_of(load_recipe(json.loads(entry)))


@dataclass(frozen=True)
class Basis:
    """What a plan goes by: a study's config, what is assumed beside it, and what was measured.

    `assumptions` has `values` (each with a `value`) and `checkpoints` (shapes by name), `measured`
    what benchmarks/throughput.py writes.
    """

    config: Config
    assumptions: Config
    measured: Config

    def value(self, name: str) -> float:
        """Return what is assumed; raises UserError where it is missing."""
        try:
            return float(self.assumptions["values"][name]["value"])
        except KeyError:
            raise UserError(f"assumptions: values.{name}.value is missing; give it") from None

    def assuming(self, **values: float) -> Self:
        """Return the study under other assumptions."""
        entries = dict(self.assumptions["values"])
        entries |= {name: entries[name] | {"value": value} for name, value in values.items()}
        return replace(self, assumptions=self.assumptions | {"values": entries})

    def choosing(self, **lists: object) -> Self:
        """Return the study with other keys of its config: fewer models, fewer sizes."""
        return replace(self, config=self.config | lists)

    @cached_property
    def cells(self) -> list[Cell]:
        """Every training job that the study names."""
        return cells_of_config(self.config)

    def family(self, model: str) -> ModelFamily:
        """Return what answers for a model."""
        return _family(canonical_json(self.config["model_zoo"][model]))

    def passes(self, model: str) -> list[float]:
        """Return how often a model goes through all rows at most; none if it does not step."""
        settings = self.family(model).recipe.optimisation
        return values_of(settings.max_epochs) if isinstance(settings, GradientDescent) else []

    def one_pass(self) -> Self:
        """Return the study with one pass through the rows where a recipe has more."""
        zoo = self.config["model_zoo"]
        once = {
            model: zoo[model] | {"optimisation": zoo[model]["optimisation"] | {"max_epochs": 1}}
            for model in self.config["models"]
            if max(self.passes(model), default=1) > 1
        }
        return self.choosing(model_zoo=zoo | once)

    def uses_gpu(self, model: str) -> bool:
        """Return whether a model has a use for a GPU."""
        return self.family(model).uses_gpu

    def shape(self, checkpoint: str | None) -> EncoderShape:
        """Return the shape of a checkpoint; a base-sized one where it is not given."""
        shapes = self.assumptions.get("checkpoints") or {}
        return EncoderShape.of(shapes.get(checkpoint))

    def workload(self, model: str, dataset: str, rows: int = 0, validation: int = 0) -> Workload:
        """Return what estimates go by for so many rows to train on, or to score."""
        recipe, entry = self.family(model).recipe, self.config["dataset_zoo"][dataset]
        vocabulary = recipe.name_in("vocabulary_zoo")
        return Workload(
            tokens=self.value("tokens"),
            rows=rows,
            validation=validation,
            longest=longest_text(entry["words"], entry["max_tokens"]),
            labels=len(entry.get("labels") or []) or int(self.value("labels")),
            pieces=int(self.config["vocabulary_zoo"][vocabulary]["size"]) if vocabulary else 0,
            encoder=self.shape(recipe.name_in("checkpoint_zoo")),
        )

    def parameters(self, model: str, dataset: str) -> ParameterCount:
        """Return the parameters of a model; of several values that it lists, of the largest."""
        family = family_of(largest(self.family(model).recipe))
        return family.count_parameters(self.workload(model, dataset))

    def rows(self, dataset: str) -> tuple[int, int]:
        """Return the rows of a data set's pool and of its test set."""
        rows, test = int(self.value("rows")), self.config["dataset_zoo"][dataset]["test"]
        if isinstance(test, dict):
            return rows, int(self.value("test_rows"))
        held_out = count_rows(test, rows)
        return rows - held_out, held_out

    def split(self, dataset: str, size: str) -> tuple[int, int]:
        """Return the rows of a size to train and to validate on."""
        n, rule = count_rows(size, self.rows(dataset)[0]), self.config["validation"]
        held_out = validation_rows(n, rule["share"], rule["min"], rule["max"])
        return n - held_out, held_out

    # ------------------------------------------------------------ blocks of seeds

    @cached_property
    def subsamples(self) -> list[Key]:
        """The blocks of subsamples: data set, size, seeds."""
        return sorted({(cell.dataset, cell.size, cell.seeds) for cell in self.cells})

    @cached_property
    def fitted(self) -> list[Key]:
        """The blocks of fitted vocabularies: data set, vocabulary, size, seeds."""
        named = ((cell, self._name(cell, "vocabulary_zoo")) for cell in self.cells)
        return sorted({(cell.dataset, name, cell.size, cell.seeds) for cell, name in named if name})

    @cached_property
    def encoded(self) -> list[Key]:
        """The data sets that are encoded for a checkpoint: data set, checkpoint."""
        named = (
            (cell.dataset, self._name(cell, "checkpoint_zoo"))
            for cell in self.cells
            if not self._name(cell, "vocabulary_zoo")
        )
        return sorted({(dataset, name) for dataset, name in named if name})

    def _name(self, cell: Cell, zoo: Literal["checkpoint_zoo", "vocabulary_zoo"]) -> str | None:
        return self.family(cell.model).recipe.name_in(zoo)

    @cached_property
    def bridged(self) -> list[str]:
        """The checkpoints whose embeddings a generator brings to other vocabularies."""
        recipes = [self.family(cell.model).recipe for cell in self.cells]
        return sorted({str(each.pretrained) for each in recipes if each.bridges == "generator"})

    @cached_property
    def sources(self) -> list[tuple[str, Config]]:
        """The role ("dataset", "test", "table", "text", "checkpoint") and spec of each source."""
        sets = [self.config["dataset_zoo"][name] for name in self.config["datasets"]]
        sources = [("dataset", entry["source"]) for entry in sets]
        sources += [("test", entry["test"]) for entry in sets if isinstance(entry["test"], dict)]
        sources += [("table", entry["label_table"]) for entry in sets if "label_table" in entry]
        used = sorted({name for _, name in self.encoded})
        checkpoints = [self.config["checkpoint_zoo"][name] for name in used]
        corpora = {name for spec in checkpoints for name in spec.get("corpus", [])}
        texts = sorted(corpora & self.config.get("text_zoo", {}).keys())
        sources += [("text", self.config["text_zoo"][name]["source"]) for name in texts]
        return sources + [("checkpoint", spec) for spec in checkpoints]
