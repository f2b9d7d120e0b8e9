"""Logistic regression on the TF-IDF of words, phrases, and sequences of characters.

Words are those of Unicode's rules, so nothing of a text is lost in any script: marks, symbols and
words of one letter are kept. In scripts without spaces, where these rules find single characters,
sequences of characters say more. Whether they are counted beside the words is tuned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.data.words import normalise, split_words
from gap.models.describing import spell_values
from gap.models.family import Folders, Job
from gap.models.feature_regression import FeatureRegression, RegressionRecipe
from gap.models.workload import Memory, ParameterCount, Workload
from gap.run.errors import UserError
from gap.study.fields import Completed, Tuned, Unit
from gap.study.recipes import LogisticRegression
from gap.study.tuning import values_of

if TYPE_CHECKING:
    import scipy.sparse as sp
    from sklearn.feature_extraction.text import TfidfVectorizer

    from gap.data.sampling import Subsample
    from gap.models.serving import ServedModel, TextReader

# Bytes of a phrase or sequence and its weight on disk.
TERM_BYTES = 24
# Seconds of a core per token, for cutting a text into sequences of so many lengths and counting
# them, relative to words and pairs; and the different sequences of one length per token of a text.
# 3 to 4 and 3.4 to 4.2 were measured on the first 48 words of film reviews; in longer texts more of
# them repeat.
SEQUENCES_TIME, TIMED_LENGTHS = 4, 2
SEQUENCES = 4

DEFAULTS = Completed(standardise=False, inverse_regularisation=[0.1, 1.0, 10.0, 100.0])


Analyser = Literal["characters", "words", "words_and_characters"]


@dataclass(frozen=True)
class Counted:
    """What decides what TF-IDF counts, once for all trials that agree in it."""

    analyser: Analyser
    longest_phrase: int
    shortest_sequence: int
    longest_sequence: int
    min_texts: int
    max_features: int

    @property
    def kinds(self) -> list[str]:
        """What is counted: "words", "characters" or both."""
        return sorted(self.analyser.split("_and_"))


class Recipe(RegressionRecipe):
    """Logistic regression on the TF-IDF of words, phrases, and sequences of characters."""

    example: ClassVar[str] = """\
family: linear
title: Words and phrases
seeds: [1-5]
datasets: [tickets]
sizes: [250]
analyser: words
longest_phrase: [1, 2, 3]
shortest_sequence: 2
longest_sequence: 5
min_texts: 2
max_features: 50000
optimisation: {inverse_regularisation: [1.0, 10.0]}
"""

    family: Literal["linear"] = Field(description="The kind of model.")
    # Plans take the last in the order of the alphabet for the costliest.
    analyser: Annotated[Analyser, Tuned()] = Field(
        ["words", "words_and_characters"],
        validate_default=True,
        description="What is counted: words and phrases, sequences of characters, or both.",
    )
    longest_phrase: Annotated[int, Tuned(), Unit("words")] = Field(
        2, ge=1, le=10, description="Words of the longest phrases that are counted."
    )
    shortest_sequence: Annotated[int, Unit("characters")] = Field(
        3,
        ge=1,
        le=10,
        description=(
            "Characters of the shortest sequences that are counted. In scripts without spaces, "
            "words are as short as 1 or 2."
        ),
    )
    longest_sequence: Annotated[int, Tuned(), Unit("characters")] = Field(
        4, ge=1, le=10, description="Characters of the longest sequences that are counted."
    )
    min_texts: Annotated[int, Tuned(), Unit("texts")] = Field(
        1, ge=1, description="A phrase or sequence counts if it stands in so many texts or more."
    )
    max_features: Annotated[int, Tuned(), Unit("phrases")] = Field(
        200_000, ge=1, description="Phrases at most, and sequences at most."
    )
    optimisation: Annotated[LogisticRegression, DEFAULTS] = Field(
        {}, validate_default=True, description="How it is fitted."
    )

    def check(self, where: str) -> None:
        """See ModelRecipe.check."""
        longest = min(values_of(self.longest_sequence))
        if longest < self.shortest_sequence:
            raise UserError(
                f"{where}.longest_sequence: found {longest}; expected {self.shortest_sequence} or "
                "more, as `shortest_sequence` says"
            )

    @property
    def counted(self) -> Counted:
        """What a trial counts."""
        return Counted(
            self.analyser,
            self.longest_phrase,
            self.shortest_sequence,
            self.longest_sequence,
            self.min_texts,
            self.max_features,
        )


class Model(FeatureRegression[Recipe]):
    """See Family: a logistic regression on the TF-IDF of words and sequences of characters."""

    def __init__(self, recipe: Recipe, job: Job | None = None) -> None:
        super().__init__(recipe, job)
        # The last features, and what decided them: trials that differ only in the fit share them.
        self._counted: tuple[int, Counted] | None = None
        self._features: tuple[sp.csr_matrix, sp.csr_matrix] | None = None
        self._vectorizers: dict[str, TfidfVectorizer] = {}

    def train_features(
        self, recipe: Recipe, subsample: Subsample, folders: Folders
    ) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """See FeatureRegression.train_features."""
        counted = (subsample.seed, recipe.counted)
        if self._features is None or self._counted != counted:
            self._vectorizers, self._features = self._count(recipe, subsample)
            self._counted = counted
        save_vectorizers(self._vectorizers, folders.weights)
        return self._features

    def _count(
        self, recipe: Recipe, subsample: Subsample
    ) -> tuple[dict[str, TfidfVectorizer], tuple[sp.csr_matrix, sp.csr_matrix]]:
        """Return fitted vectorizers, and TF-IDF of the texts to train and to validate on."""
        from gap.data.prepared import texts_at

        assert self.job.texts is not None
        texts = texts_at(self.job.texts, subsample.training_rows)
        vectorizers = {
            kind: make_vectorizer(
                kind,
                (1, recipe.longest_phrase)
                if kind == "words"
                else (recipe.shortest_sequence, recipe.longest_sequence),
                recipe.min_texts,
                recipe.max_features,
            )
            for kind in recipe.counted.kinds
        }
        try:
            features = [vectorizer.fit_transform(texts) for vectorizer in vectorizers.values()]
        except ValueError:
            raise UserError(
                f"seed {subsample.seed}: TF-IDF has nothing to count: of {len(texts):,} training "
                f"texts, nothing stands in {recipe.min_texts:,} or more; lower `min_texts`, or "
                "raise the smallest size"
            ) from None
        validation = transform(vectorizers, texts_at(self.job.texts, subsample.validation_rows))
        return vectorizers, (beside(features), validation)

    def test_features(self, weights: Path, seed: int) -> Iterator[sp.csr_matrix]:
        """See FeatureRegression.test_features."""
        from gap.data.prepared import iterate_texts

        assert self.job.texts is not None
        vectorizers = load_vectorizers(weights)
        return (transform(vectorizers, texts) for texts in iterate_texts(self.job.texts))

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.regression import load_regression, regression_parameters
        from gap.models.serving import ServedModel

        vectorizers, trained = load_vectorizers(weights), regression_parameters(weights)
        # A weight of each phrase and sequence is counted, not trained.
        return ServedModel(
            lambda texts: transform(vectorizers, texts),
            load_regression(weights),
            trained + sum(len(vectorizer.idf_) for vectorizer in vectorizers.values()),
            trained,
        )

    def describe(self) -> str:
        """See Family.describe."""
        phrases = f"phrases of up to {spell_values(self.recipe.longest_phrase)} words"
        longest = spell_values(self.recipe.longest_sequence)
        sequences = f"sequences of {self.recipe.shortest_sequence} to {longest} characters"
        spelled = {
            "words": phrases,
            "characters": sequences,
            "words_and_characters": f"{phrases} and {sequences}",
        }
        weighed = ", or of ".join(spelled[value] for value in values_of(self.recipe.analyser))
        return f"logistic regression on TF-IDF weights of {weighed}"

    # ------------------------------------------------------------ what it takes

    @property
    def costly(self) -> tuple[str, ...]:
        """See Family.costly."""
        return ("analyser", "longest_phrase", "longest_sequence", "max_features")

    @property
    def weight_files(self) -> int:
        """See Family.weight_files: weights with their config, what is counted, its weights."""
        return 3

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        features = self.recipe.max_features * len(self.recipe.counted.kinds)
        return ParameterCount(
            (features + 1) * workload.labels, round(self._per_token() * workload.labels)
        )

    def _per_token(self) -> float:
        """Return the phrases and sequences that there are for each token of a text."""
        recipe, kinds = self.recipe, self.recipe.counted.kinds
        lengths = recipe.longest_sequence - recipe.shortest_sequence + 1
        phrases = recipe.longest_phrase if "words" in kinds else 0
        return phrases + (SEQUENCES * lengths if "characters" in kinds else 0)

    def feature_operations(self, workload: Workload) -> float:
        """See FeatureRegression.feature_operations."""
        recipe, kinds = self.recipe, self.recipe.counted.kinds
        lengths = recipe.longest_sequence - recipe.shortest_sequence + 1
        slower = SEQUENCES_TIME * max(1.0, lengths / TIMED_LENGTHS)
        times = ("words" in kinds) + slower * ("characters" in kinds)
        return times * super().feature_operations(workload)

    def shared_operations(self, workload: Workload) -> float:
        """See Family.shared_operations."""
        recipe = self.recipe
        tuned = (
            recipe.longest_phrase,
            recipe.longest_sequence,
            recipe.min_texts,
            recipe.max_features,
        )
        times = math.prod(len(values_of(setting)) for setting in tuned)
        return times * sum(
            Model(recipe.model_copy(update={"analyser": analyser})).feature_operations(workload)
            * (workload.rows + workload.validation)
            for analyser in values_of(recipe.analyser)
        )

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory: the phrases and sequences, too."""
        counted = workload.rows * workload.tokens * self._per_token()
        # The number of different ones, before the most frequent are chosen. Among n words and
        # pairs of words of film reviews it is 3.8 n^0.8 with 1,000 reviews, and 3.2 n^0.8 with
        # 45,000; sequences are fewer.
        different = 200 * 4 * counted**0.8
        return Memory(data=super().training_memory(workload, gpus).data + different)

    def weight_bytes(self, workload: Workload) -> float:
        """See Family.weight_bytes: those of the phrases and sequences, too."""
        features = self.recipe.max_features * len(self.recipe.counted.kinds)
        return super().weight_bytes(workload) + TERM_BYTES * features


# ---------------------------------------------------------------- what is counted


def make_vectorizer(
    kind: str,
    lengths: tuple[int, int],
    min_texts: int = 1,
    max_features: int | None = None,
    vocabulary: list[str] | None = None,
) -> TfidfVectorizer:
    """Return scikit-learn's vectorizer, to be fitted or with a vocabulary.

    `lengths` are those of the shortest and the longest that it counts: phrases of "words", or
    sequences of "characters" in what stands between spaces.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = kind == "words"
    return TfidfVectorizer(
        analyzer="word" if words else "char_wb",
        tokenizer=split_words if words else None,
        token_pattern=None,
        ngram_range=lengths,
        preprocessor=normalise,
        min_df=min_texts,
        max_features=max_features,
        sublinear_tf=True,
        vocabulary=vocabulary,
        dtype=np.float32,
    )


def beside(features: list[sp.csr_matrix]) -> sp.csr_matrix:
    """Return features of several kinds beside each other, (texts, features).

    Rows of each kind have length 1 or 0, and so do, all kinds being there, those that are returned.
    """
    import numpy as np
    from scipy.sparse import hstack

    if len(features) == 1:
        return features[0]
    return hstack(features, format="csr") * np.float32(len(features) ** -0.5)


def transform(vectorizers: Mapping[str, TfidfVectorizer], texts: list[str]) -> sp.csr_matrix:
    """Return the TF-IDF of texts, (texts, features)."""
    return beside([vectorizer.transform(texts) for vectorizer in vectorizers.values()])


def save_vectorizers(vectorizers: Mapping[str, TfidfVectorizer], folder: Path) -> None:
    """Write what fitted vectorizers count, and its weights; `load_vectorizers` reads them."""
    from safetensors.numpy import save_file

    from gap.run.json import write_json

    folder.mkdir(parents=True, exist_ok=True)
    terms = {
        kind: {
            "lengths": list(vectorizer.ngram_range),
            "terms": sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__),
        }
        for kind, vectorizer in vectorizers.items()
    }
    write_json(folder / "terms.json", terms)
    weights = {kind: vectorizer.idf_ for kind, vectorizer in vectorizers.items()}
    save_file(weights, folder / "idf.safetensors")


def load_vectorizers(folder: Path) -> dict[str, TfidfVectorizer]:
    """Return the vectorizers of a training, by what they count."""
    from safetensors.numpy import load_file

    from gap.run.json import read_json

    weights, vectorizers = load_file(folder / "idf.safetensors"), {}
    for kind, counted in read_json(folder / "terms.json").items():
        shortest, longest = counted["lengths"]
        vectorizers[kind] = make_vectorizer(kind, (shortest, longest), vocabulary=counted["terms"])
        vectorizers[kind].idf_ = weights[kind]
    return vectorizers
