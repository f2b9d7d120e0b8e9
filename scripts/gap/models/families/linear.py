"""Logistic regression on the TF-IDF of words and phrases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_values
from gap.models.family import Folders, Job
from gap.models.feature_regression import FeatureRegression, RegressionRecipe
from gap.models.workload import Memory, ParameterCount, Workload
from gap.study.fields import Completed, Tuned, Unit
from gap.study.recipes import LogisticRegression
from gap.study.tuning import values_of

if TYPE_CHECKING:
    import scipy.sparse as sp
    from sklearn.feature_extraction.text import TfidfVectorizer

    from gap.data.sampling import Subsample
    from gap.models.serving import ServedModel, TextReader

# Bytes of a phrase and its weight on disk.
TERM_BYTES = 24

DEFAULTS = Completed(standardise=False, inverse_regularisation=[0.1, 1.0, 10.0, 100.0])


class Recipe(RegressionRecipe):
    """Logistic regression on the TF-IDF of words and phrases."""

    example: ClassVar[str] = """\
family: linear
title: Words and phrases
seeds: [1-5]
longest_phrase: [1, 2, 3]
min_texts: 2
max_features: 50000
optimisation: {inverse_regularisation: [1.0, 10.0]}
"""

    family: Literal["linear"] = Field(description="The kind of model.")
    longest_phrase: Annotated[int, Tuned(), Unit("words")] = Field(
        2, ge=1, le=10, description="Words of the longest phrases that are counted."
    )
    min_texts: Annotated[int, Tuned(), Unit("texts")] = Field(
        1, ge=1, description="A phrase counts if it stands in so many texts or more."
    )
    max_features: Annotated[int, Tuned(), Unit("phrases")] = Field(
        200_000, ge=1, description="Phrases at most."
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How it is fitted."
    )

    @property
    def counted(self) -> tuple[int, int, int]:
        """What decides what TF-IDF counts, once for all trials that agree in it."""
        return self.longest_phrase, self.min_texts, self.max_features


class Model(FeatureRegression[Recipe]):
    """See Family: a logistic regression on the TF-IDF of words and phrases."""

    def __init__(self, recipe: Recipe, job: Job | None = None) -> None:
        super().__init__(recipe, job)
        # The last features, and what decided them: trials that differ only in the fit share them.
        self._counted: tuple[int, ...] = ()
        self._features: tuple[sp.csr_matrix, sp.csr_matrix] | None = None
        self._vectorizer: TfidfVectorizer | None = None

    def train_features(
        self, recipe: Recipe, subsample: Subsample, folders: Folders
    ) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """See FeatureRegression.train_features."""
        from safetensors.numpy import save_file

        from gap.run.json import write_json

        counted = (subsample.seed, *recipe.counted)
        if self._features is None or self._counted != counted:
            self._vectorizer, self._features = self._count(recipe, subsample)
            self._counted = counted
        assert self._vectorizer is not None
        places = self._vectorizer.vocabulary_
        folders.weights.mkdir(parents=True, exist_ok=True)
        write_json(folders.weights / "terms.json", sorted(places, key=places.__getitem__))
        save_file({"idf": self._vectorizer.idf_}, folders.weights / "idf.safetensors")
        return self._features

    def _count(
        self, recipe: Recipe, subsample: Subsample
    ) -> tuple[TfidfVectorizer, tuple[sp.csr_matrix, sp.csr_matrix]]:
        """Return the fitted vectorizer, and TF-IDF of the texts to train and to validate on."""
        from gap.data.prepared import texts_at
        from gap.run.errors import UserError

        assert self.job.texts is not None
        vectorizer = make_vectorizer(*recipe.counted)
        try:
            training = vectorizer.fit_transform(texts_at(self.job.texts, subsample.training_rows))
        except ValueError as error:
            raise UserError(
                f"TF-IDF found no word to count in the training texts: {error}"
            ) from None
        validation = vectorizer.transform(texts_at(self.job.texts, subsample.validation_rows))
        return vectorizer, (training, validation)

    def load_vectorizer(self, weights: Path) -> TfidfVectorizer:
        """Return the vectorizer of the training."""
        from safetensors.numpy import load_file

        from gap.run.json import read_json

        terms = read_json(weights / "terms.json")
        longest = max(term.count(" ") for term in terms) + 1
        vectorizer = make_vectorizer(longest, vocabulary=terms)
        vectorizer.idf_ = load_file(weights / "idf.safetensors")["idf"]
        return vectorizer

    def test_features(self, weights: Path, seed: int) -> Iterator[sp.csr_matrix]:
        """See FeatureRegression.test_features."""
        from gap.data.prepared import iterate_texts

        assert self.job.texts is not None
        return map(self.load_vectorizer(weights).transform, iterate_texts(self.job.texts))

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.regression import load_regression, regression_parameters
        from gap.models.serving import ServedModel

        vectorizer, trained = self.load_vectorizer(weights), regression_parameters(weights)
        # A weight of each phrase is counted, not trained.
        return ServedModel(
            vectorizer.transform,
            load_regression(weights),
            trained + len(vectorizer.idf_),
            trained,
        )

    def describe(self) -> str:
        """See Family.describe."""
        longest = spell_values(self.recipe.longest_phrase)
        return f"logistic regression on TF-IDF weights of phrases of up to {longest} words"

    # ------------------------------------------------------------ what it takes

    @property
    def costly(self) -> tuple[str, ...]:
        """See Family.costly."""
        return ("longest_phrase", "max_features")

    @property
    def weight_files(self) -> int:
        """See Family.weight_files: weights with their config, phrases, their weights."""
        return 3

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        recipe, labels = self.recipe, workload.labels
        return ParameterCount((recipe.max_features + 1) * labels, recipe.longest_phrase * labels)

    def shared_operations(self, workload: Workload) -> float:
        """See Family.shared_operations."""
        times = math.prod(len(values_of(setting)) for setting in self.recipe.counted)
        return times * super().shared_operations(workload)

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory: the phrases, too."""
        phrases = workload.rows * workload.tokens * self.recipe.longest_phrase
        # The number of different phrases, before the most frequent are chosen. Among n words and
        # pairs of words of film reviews it is 3.8 n^0.8 with 1,000 reviews, and 3.2 n^0.8 with
        # 45,000.
        different = 200 * 4 * phrases**0.8
        return Memory(data=super().training_memory(workload, gpus).data + different)

    def weight_bytes(self, workload: Workload) -> float:
        """See Family.weight_bytes: those of the phrases, too."""
        return super().weight_bytes(workload) + TERM_BYTES * self.recipe.max_features


def make_vectorizer(
    longest_phrase: int,
    min_texts: int = 1,
    max_features: int | None = None,
    vocabulary: list[str] | None = None,
) -> TfidfVectorizer:
    """Return scikit-learn's vectorizer, to be fitted or with a vocabulary."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, longest_phrase),
        min_df=min_texts,
        max_features=max_features,
        sublinear_tf=True,
        strip_accents="unicode",
        vocabulary=vocabulary,
        dtype=np.float32,
    )
