"""Logistic regressions on features of the texts: what a family of them need not write itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from gap.models.family import Family, Folders
from gap.models.workload import Memory, Workload
from gap.study.recipes import LogisticRegression, ModelRecipe
from gap.study.tuning import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gap.data.sampling import Subsample
    from gap.models.regression import Features, Labels

    Matrix = npt.NDArray[np.float32]

# Iterations of the solver, an assumption; a recipe may allow fewer. The solver ends when the loss
# is level. That is earlier where the regularisation is stronger.
ITERATIONS = 150
# Operations a second of a core. Solvers wait for memory; 1.5e9 was measured, and more features miss
# the cache more often.
CORE_RATE = 0.2e9
# Seconds of a core per token, for cutting a text into words and pairs and counting them: 3.5 to
# 4 µs were measured on film reviews.
COUNTING = 8e-6


class RegressionRecipe(ModelRecipe):
    """A recipe with settings of a logistic regression."""

    by_gradient_descent: ClassVar[bool] = False
    if TYPE_CHECKING:
        # Each family declares the field itself, with its own defaults, after its other keys.
        optimisation: LogisticRegression


R = TypeVar("R", bound=RegressionRecipe)


class FeatureRegression(Family[R]):
    """A logistic regression on features that are computed once and stay as they are.

    A family of them writes `train_features`, `test_features`, `serve`, `describe` and
    `count_parameters`; and, where counting a few features per token on one core is not what it
    does, what it takes.
    """

    @abstractmethod
    def train_features(
        self, recipe: R, subsample: Subsample, folders: Folders
    ) -> tuple[Features, Features]:
        """Return the features of the texts to train on and to validate on, (rows, features).

        Dense or scipy-sparse. What scoring needs of their making is written to `folders.weights`.
        """

    @abstractmethod
    def test_features(self, weights: Path, seed: int) -> Iterator[Features]:
        """Yield the features of the test texts, some rows at a time, (rows, features)."""

    def train(self, recipe: R, subsample: Subsample, folders: Folders) -> list[Evaluation]:
        """See Family.train."""
        features = self.train_features(recipe, subsample, folders)
        labels = subsample.training_labels, subsample.validation_labels
        return [self.fit(recipe, features, labels, subsample, folders.weights)]

    def fit(
        self,
        recipe: R,
        features: tuple[Features, Features],
        labels: tuple[Labels, Labels],
        subsample: Subsample,
        weights: Path,
    ) -> Evaluation:
        """Fit on the first features and labels, save it, and return what the second ones say."""
        from gap.models.regression import train_regression

        count = len(self.job.labels)
        return train_regression(features, labels, recipe.optimisation, count, weights)

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        import numpy as np

        from gap.models.regression import load_regression

        classify = load_regression(weights)
        pieces = self.test_features(weights, seed)
        return np.concatenate([classify(features) for features in pieces])

    # ------------------------------------------------------------ what it takes

    def feature_operations(self, workload: Workload) -> float:
        """Return the operations of computing the features of one text."""
        return COUNTING * CORE_RATE * workload.tokens

    def fitted_products(self, workload: Workload) -> float:
        """Return the products of a text's features and the weights, in one iteration."""
        return self.count_parameters(workload).products * workload.tokens

    def shared_operations(self, workload: Workload) -> float:
        """See Family.shared_operations."""
        return self.feature_operations(workload) * (workload.rows + workload.validation)

    def trial_operations(self, workload: Workload) -> float:
        """See Family.trial_operations."""
        iterations = min(self.recipe.optimisation.max_iterations, ITERATIONS)
        return 4.0 * self.fitted_products(workload) * workload.rows * iterations

    def prediction_operations(self, workload: Workload) -> float:
        """See Family.prediction_operations."""
        return self.feature_operations(workload) * workload.rows

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory."""
        features = self.fitted_products(workload) / workload.labels
        # Texts as strings; an index and a number per feature and text, while they are sorted, too.
        texts = workload.rows * (100 + 8 * workload.tokens + 24 * features)
        solver = 8 * 25 * self.count_parameters(workload).everything
        return Memory(data=texts + solver)

    def core_rate(self, cores: int) -> float:
        """See Family.core_rate. One core does it all."""
        return CORE_RATE
