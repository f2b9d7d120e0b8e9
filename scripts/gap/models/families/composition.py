"""Logistic regression on which letters a text is made of, and how long it is.

It is the plain floor for sequences such as proteins or DNA: what it reaches, the composition alone
tells, whatever the order of the letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.family import Folders
from gap.models.feature_regression import CORE_RATE, FeatureRegression, RegressionRecipe
from gap.models.workload import ParameterCount, Workload
from gap.study.fields import Completed
from gap.study.recipes import LogisticRegression

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gap.data.sampling import Subsample
    from gap.models.serving import ServedModel, TextReader

    Matrix = npt.NDArray[np.float32]

# Letters that have a share of their own; those beyond, and those that training never showed, have
# one together.
MOST_LETTERS = 256
# Texts whose letters are counted at once; a text may be long.
BATCH = 64
# Seconds of a core per token, for counting its letters: 0.1 to 0.14 µs a letter were measured, and
# a token of words has about five of them.
COUNTING_LETTERS = 1e-6

DEFAULTS = Completed(standardise=True, inverse_regularisation=[0.01, 0.1, 1.0, 10.0, 100.0])


class Recipe(RegressionRecipe):
    """Logistic regression on the share of each letter in a text, and on the text's length."""

    example: ClassVar[str] = """\
family: composition
title: Composition
seeds: [1-5]
datasets: [tickets]
sizes: [250]
optimisation: {inverse_regularisation: [0.1, 1.0, 10.0]}
"""

    family: Literal["composition"] = Field(description="The kind of model.")
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How it is fitted."
    )


class Model(FeatureRegression[Recipe]):
    """See Family: a logistic regression on shares of letters and the length of a text."""

    def train_features(
        self, recipe: Recipe, subsample: Subsample, folders: Folders
    ) -> tuple[Matrix, Matrix]:
        """See FeatureRegression.train_features."""
        from gap.data.prepared import texts_at
        from gap.run.json import write_json

        assert self.job.texts is not None
        training = texts_at(self.job.texts, subsample.training_rows)
        validation = texts_at(self.job.texts, subsample.validation_rows)
        letters = frequent_letters(training)
        folders.weights.mkdir(parents=True, exist_ok=True)
        write_json(folders.weights / "letters.json", letters)
        return measure_composition(training, letters), measure_composition(validation, letters)

    def test_features(self, weights: Path, seed: int) -> Iterator[Matrix]:
        """See FeatureRegression.test_features."""
        from gap.data.prepared import iterate_texts
        from gap.run.json import read_json

        assert self.job.texts is not None
        letters = read_json(weights / "letters.json")
        return (measure_composition(texts, letters) for texts in iterate_texts(self.job.texts))

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.regression import load_regression, regression_parameters
        from gap.models.serving import ServedModel
        from gap.run.json import read_json

        letters = read_json(weights / "letters.json")
        parameters = regression_parameters(weights)
        return ServedModel(
            lambda texts: measure_composition(texts, letters),
            load_regression(weights),
            parameters,
            parameters,
        )

    def describe(self) -> str:
        """See Family.describe."""
        return (
            "logistic regression on the share of each letter in a text (the "
            f"{MOST_LETTERS} most frequent of its training texts, all others together) and the "
            "logarithm of its length"
        )

    # ------------------------------------------------------------ what it takes

    @property
    def weight_files(self) -> int:
        """See Family.weight_files: weights with their config, the letters."""
        return 3

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters: each letter of a token adds to one share."""
        return ParameterCount((MOST_LETTERS + 3) * workload.labels, workload.labels)

    def feature_operations(self, workload: Workload) -> float:
        """See FeatureRegression.feature_operations."""
        return COUNTING_LETTERS * CORE_RATE * workload.tokens

    def fitted_products(self, workload: Workload) -> float:
        """See FeatureRegression.fitted_products: those of all shares, whatever the length."""
        return float((MOST_LETTERS + 2) * workload.labels)


# ---------------------------------------------------------------- what is counted


def frequent_letters(texts: Iterable[str]) -> list[str]:
    """Return the most frequent letters of texts, at most MOST_LETTERS, in Unicode's order.

    A letter is any character (code point) but white space and the mark between texts of a pair. Of
    equally frequent ones, the first in Unicode's order are taken.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(without_spaces(text))
    frequent = sorted(counts, key=lambda letter: (-counts[letter], letter))
    return sorted(frequent[:MOST_LETTERS])


def measure_composition(texts: list[str], letters: list[str]) -> Matrix:
    """Return the composition of texts, (texts, letters + 2).

    These are the share of each letter, that of all others, and the natural logarithm of one more
    than the number of letters. A text without letters has shares of 0.
    """
    import numpy as np

    width = len(letters) + 2
    features = np.zeros((len(texts), width), dtype=np.float32)
    codes = np.array([ord(letter) for letter in letters], dtype=np.uint32)
    for start in range(0, len(texts), BATCH):
        plain = [without_spaces(text) for text in texts[start : start + BATCH]]
        lengths = np.array([len(text) for text in plain], dtype=np.int64)
        signs = np.frombuffer("".join(plain).encode("utf-32-le"), dtype=np.uint32)
        places = np.searchsorted(codes, signs)
        padded = np.append(codes, np.uint32(0))
        places = np.where(padded[places] == signs, places, len(letters))
        rows = np.repeat(np.arange(len(plain)), lengths)
        counts = np.bincount(rows * width + places, minlength=len(plain) * width)
        counts = counts.reshape(len(plain), width)
        block = features[start : start + BATCH]
        block[:] = counts / np.maximum(lengths, 1)[:, None]
        block[:, -1] = np.log1p(lengths)
    return features


def without_spaces(text: str) -> str:
    """Return the letters of a text, without white space and the mark of a pair."""
    from gap.data.pairs import MARK

    return "".join(text.replace(MARK, " ").split())
