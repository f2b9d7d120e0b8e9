"""How a study's results are read: names in their order, titles, and how gaps are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gap.models.family import load_recipe
from gap.study.metrics import METRICS, Metric, MetricName
from gap.study.recipes import Block, ModelRecipe


class SharedRecipe(Block):
    """A recipe for several programs: each reads the keys that it uses."""

    model_config = ConfigDict(extra="ignore")


class MissingRuns(SharedRecipe):
    """Runs that are not done: a block of seeds ("1-2", "3") of one data set, model and size."""

    dataset: str
    model: str
    size: str
    seeds: str


class PublishedFigure(SharedRecipe):
    """An accuracy (percent) that others published, and where; `size` as in the config."""

    dataset: str
    model: str
    size: str
    accuracy: float
    source: str
    note: str = ""


class NamingRecipe(SharedRecipe):
    """How results name what they are of.

    `datasets` and `models` are names in their order, `titles` what people read in place of names,
    `reference` the model that others are compared with, `confidence` (0..1) that of intervals.
    """

    reference: str
    confidence: float
    datasets: Sequence[str] = ()
    models: Sequence[str] = ()
    titles: Mapping[str, str] = {}
    missing: Sequence[MissingRuns] = ()

    def title(self, name: str) -> str:
        """Return the name of a model or data set in texts for people."""
        return self.titles.get(name, name)

    @property
    def reference_title(self) -> str:
        """The reference's name in texts for people."""
        return self.title(self.reference)

    @property
    def percent(self) -> str:
        """The confidence as a text: "95 %"."""
        return f"{100 * self.confidence:g} %"

    @property
    def wrong_claims(self) -> str:
        """How many claims are expected to be wrong at most: "2.5 %"; each names a side."""
        return f"{50 - 50 * self.confidence:g} %"

    @property
    def interval(self) -> str:
        """What intervals are called: "95 % interval"."""
        return f"{self.percent} interval"


class ReadingRecipe(NamingRecipe):
    """How results are named and gaps are judged.

    Gaps are of the first `metric` (gap.study.metrics); the report shows the others, too. A
    gap of at most `margin` points counts as none. `compared` is the model of the main comparison;
    without it, that is the first beside the reference. `seeds` has the blocks of seeds of each
    model, as in the config; `checkpoints` says what each checkpoint of the models is, where the
    config tells. `scratch` are the models without pretrained weights, where the study pretrains
    checkpoints itself. `extractions` says of models that take features of a checkpoint which other
    one fine-tunes it.
    """

    metric: Annotated[Sequence[MetricName], Field(min_length=1)] = ("accuracy",)
    margin: float
    compared: str | None = None
    published: Sequence[PublishedFigure] = ()
    seeds: Mapping[str, Sequence[str]] = {}
    checkpoints: Mapping[str, str] = {}
    scratch: Sequence[str] = ()
    extractions: Mapping[str, str] = {}

    @property
    def headline(self) -> Metric:
        """The metric that gaps are of."""
        return METRICS[self.metric[0]]

    @property
    def spelled_margin(self) -> str:
        """The margin with its unit: "1 point"."""
        return spell_margin(self.margin)


def spell_margin(margin: float) -> str:
    """Return a margin with its unit: "1 point"."""
    return f"{margin:g} {'point' if margin == 1 else 'points'}"


class TargetRecipe(SharedRecipe):
    """What is to be reached: `metric` at `target` with this `risk`; and the prices of `Costs`."""

    reference: str
    metric: MetricName
    target: float
    risk: float
    label: float
    training_hour: float
    thousand_texts: float


class ErrorsRecipe(NamingRecipe):
    """Where errors are looked for.

    `examples` texts of each kind are shown, of the model `compared`; without it, of the first
    beside the reference.
    """

    examples: int
    compared: str | None = None


def reading_recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ReadingRecipe of a config, whose defaults are filled in, as JSON has it."""
    zoo = config["model_zoo"]
    titles = {model: zoo[model].get("title") or model for model in config["models"]}
    named = {key: config[key] for key in ("datasets", "models", "reference")}
    return named | {"titles": titles} | config["gap"]


def extractions(zoo: Mapping[str, ModelRecipe], models: Sequence[str]) -> dict[str, str]:
    """Return which models take features of a checkpoint that another one fine-tunes, and which.

    Of several, that is the first in the study's order.
    """
    fine_tuned: dict[str | None, str] = {}
    for name in models:
        if zoo[name].fine_tunes:
            fine_tuned.setdefault(zoo[name].pretrained, name)
    fine_tuned.pop(None, None)
    return {
        name: rival
        for name in models
        if zoo[name].extracts and (rival := fine_tuned.get(zoo[name].pretrained))
    }


def checkpoint_origins(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what the config says of the checkpoints that its models use, by their names."""
    used = {
        load_recipe(config["model_zoo"][name]).name_in("checkpoint_zoo")
        for name in config["models"]
    }
    return {
        name: source["origin"]
        for name, source in config.get("checkpoint_zoo", {}).items()
        if name in used and "origin" in source
    }
