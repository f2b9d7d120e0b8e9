"""The families of models: where they are found, and what each answers.

A family is one file in `gap.models.families`, whose name is what `family` in a recipe says. It has
two classes: `Recipe`, what a config may say of such a model, and `Model`, which derives from
`Family` below and answers all questions about it. Nobody outside a family's file asks which family
a model is of: programs and rules take `family_of(recipe)` and ask it.

To add a family, write such a file; nothing else names it. It must be light to import, since
Snakemake imports all families when it starts: torch, numpy and their like are imported inside the
methods that need them. Two bases leave little to write: `gap.models.network.Network`, for networks
trained by gradient descent, and `gap.models.feature_regression.FeatureRegression`, for logistic
regressions on features of the texts.

What a trained model comes to depends on `train`, `log_scores`, `serve`, and the methods that they
call: a change of one of these trains the family's models again. A change of the others does not.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from gap.models import families
from gap.models.workload import Assumption, Memory, ParameterCount, SpeedClaim, Workload
from gap.study.recipes import ModelRecipe
from gap.study.tuning import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
    from gap.models.serving import ServedModel, TextReader

    Matrix = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.int64]

R = TypeVar("R", bound=ModelRecipe)


@dataclass(frozen=True)
class Job:
    """What a training or prediction works with, for all of its seeds.

    `labels` are the names of the labels, `ids` the folder of encoded texts, `texts` the Parquet
    file of the pool (training) or of the test set (prediction), `checkpoint` the folder of the
    pretrained checkpoint, `corpus` the folder of the ids that it was pretrained on, `vocabulary`
    the folder of the seeds' fitted vocabularies and `bridge` the generator that leads from the
    checkpoint to them, where embeddings do, `kept` a folder for what the predictions of all sizes
    share; what the model does not use is None.
    """

    labels: list[str] = field(default_factory=list)
    ids: Path | None = None
    texts: Path | None = None
    checkpoint: Path | None = None
    corpus: Path | None = None
    vocabulary: Path | None = None
    bridge: Path | None = None
    kept: Path | None = None

    def encoded(self, part: str, seed: int) -> EncodedTexts:
        """Return the ids of "pool" or "test"; those of the seed's own vocabulary if it has one."""
        from gap.data.vocabulary import EncodedTexts

        assert self.ids is not None
        seed_folder = self.ids / str(seed)
        return EncodedTexts.open((seed_folder if seed_folder.is_dir() else self.ids) / part)


@dataclass(frozen=True)
class Folders:
    """Where a training keeps its files.

    `state` is for its unfinished work, from which a killed training goes on, `shared` for work that
    all trials of a subsample use; the best weights go to `weights`.
    """

    shared: Path
    state: Path
    weights: Path


class Family(ABC, Generic[R]):
    """All that the workflow asks about one model; one object for each recipe.

    Class attributes count as code of `train`; what only plans or describes is a method.

    `recipe` is an entry of `model_zoo`. It may list several values where it tunes; those methods
    that say so are asked with such a recipe, all others with one value for each setting. `job` has
    the files of a training or prediction; whoever only plans or describes leaves it out. The object
    is made once for all seeds of a job, so it may keep what they share.
    """

    # Whether it computes on a GPU where there is one.
    uses_gpu: ClassVar[bool] = False
    # Whether several processes, one for each GPU, can train one run together, each calling `train`.
    divisible: ClassVar[bool] = False
    # Whether predictions after trainings on different sizes share work, see Job.
    shares_prediction: ClassVar[bool] = False

    def __init__(self, recipe: R, job: Job | None = None) -> None:
        self.recipe = recipe
        self.job = job or Job()

    # ------------------------------------------------------------ training and prediction

    @abstractmethod
    def train(self, recipe: R, subsample: Subsample, folders: Folders) -> list[Evaluation]:
        """Train on the subsample, write the best weights, and return what validation said.

        `recipe` is that of a trial: this object's with one value in place of each list. All that is
        random comes from the subsample's seed; a call that finds the state of a killed one ends in
        the same weights. Raises UserError for data that cannot be learned from.
        """

    def chosen_by(self, recipe: R) -> str:
        """Return by which value, "loss" or "accuracy", `train` chose the weights of a trial."""
        return "loss"

    @abstractmethod
    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """Return the log-probability of each label for each test text, (rows, labels).

        `weights` is the folder that `train` wrote for the seed.
        """

    def layer_accuracies(
        self, weights: Path, seed: int, labels: npt.NDArray[np.int32]
    ) -> list[float] | None:
        """Return the accuracy of each layer on the test texts, 0 to 1, from the embeddings on.

        `labels` (rows,) are the true ones; None where `compares_layers` is false.
        """
        return None

    def head_inputs(self, weights: Path, texts: EncodedTexts, rows: Rows) -> Matrix | None:
        """Return what the last layer of what `train` wrote reads of texts at rows, (rows, width).

        None for a model that has no layers.
        """
        return None

    @abstractmethod
    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """Return the trained model, loaded, from raw texts to scores, for measuring what it takes.

        `reader` makes ids of texts; it is None for a model that reads the texts themselves.
        """

    # ------------------------------------------------------------ what papers say of it

    @property
    def compares_layers(self) -> bool:
        """Whether it has a classifier on each layer of a checkpoint, see `layer_accuracies`."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """Return what the methods section of a paper says of the model: a phrase without a stop.

        The recipe may list several values; `gap.models.describing` spells them.
        """

    @classmethod
    def speed_claim(cls) -> SpeedClaim | None:
        """Return what a paper says of the speed of such models at inference."""
        return None

    # ------------------------------------------------------------ what it takes, on the safe side

    @property
    def costly(self) -> tuple[str, ...]:
        """The settings that may be tuned and that decide how long a trial takes."""
        return ()

    @abstractmethod
    def count_parameters(self, workload: Workload) -> ParameterCount:
        """Return how many parameters the model has, and how many of them multiply each token."""

    @abstractmethod
    def trial_operations(self, workload: Workload) -> float:
        """Return the floating-point operations of training one trial with one seed."""

    def shared_operations(self, workload: Workload) -> float:
        """Return the operations that are done once for all trials of a seed.

        The recipe may list several values.
        """
        return 0.0

    @abstractmethod
    def prediction_operations(self, workload: Workload) -> float:
        """Return the floating-point operations of scoring the rows with one seed's model."""

    @abstractmethod
    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """Return the bytes that a training takes with so many GPUs; with 0, on the CPU."""

    @abstractmethod
    def core_rate(self, cores: int) -> float:
        """Return the operations a second that a training sustains on so many cores."""

    def gpu_rate(self, workload: Workload, full: float, assumed: float | None = None) -> float:
        """Return the operations a second of a training on one GPU.

        `full` is the rate of a training that keeps the GPU as busy as can be expected. `assumed` is
        the value that `assumption` names; with None, the rate is on the safe side.
        """
        return full

    @property
    def speed_up(self) -> float:
        """How GPUs shorten a training: n of them are n to the power of this faster."""
        return 0.0

    def assumption(self) -> Assumption | None:
        """Return where a plan takes its speed on a GPU from as long as none was measured."""
        return None

    def weight_bytes(self, workload: Workload) -> float:
        """Return the bytes of one seed's trained weights on disk."""
        return 4.0 * self.count_parameters(workload).everything

    def work_bytes(self, workload: Workload) -> float:
        """Return the bytes that a training of one seed keeps on disk for all of its trials."""
        return 0.0

    @property
    def weight_files(self) -> int:
        """The number of files of one seed's trained weights."""
        return 1


# A family, where the class of its recipe does not matter.
ModelFamily = Family[ModelRecipe]


def family_names() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(families.__path__))


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{families.__name__}.{name}")


def recipe_class(name: str) -> type[ModelRecipe]:
    """Return the class of the recipes of a family."""
    recipe: type[ModelRecipe] = _module(name).Recipe
    return recipe


def family_class(name: str) -> type[ModelFamily]:
    """Return the class that answers for a family."""
    model: type[ModelFamily] = _module(name).Model
    return model


def load_recipe(entry: Mapping[str, object]) -> ModelRecipe:
    """Return the checked recipe of an entry of `model_zoo`, or of what decides results in it."""
    for name in family_names():
        spelling = recipe_class(name).also_spelled
        if spelling and spelling.items() <= entry.items():
            kept = {key: value for key, value in entry.items() if key not in spelling}
            entry = kept | {"family": name}
    # In file names, a single seed is a text, too, and so is a size.
    for key in ("seeds", "sizes"):
        spelled = entry.get(key)
        if isinstance(spelled, list):
            read = [int(value) if str(value).isdigit() else value for value in spelled]
            entry = {**entry, key: read}
    return recipe_class(str(entry["family"])).model_validate(entry)


def family_of(recipe: ModelRecipe, job: Job | None = None) -> ModelFamily:
    """Return what answers for the model of a recipe; `job` has the files of its training."""
    return family_class(recipe.family)(recipe, job)
