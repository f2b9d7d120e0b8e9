"""The families of models: how each is trained on a subsample, and how it scores the test texts.

A family is made once per job with what all seeds of the job share. To add one, write a class with
`train` and `log_scores`, name it in `family_of`, and give it a recipe in the schema.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gap.data.prepared import iterate_texts
from gap.data.sampling import Subsample
from gap.data.vocabulary import EncodedTexts
from gap.run.durable import replace
from gap.run.errors import UserError
from gap.run.json import read_json, write_json

Matrix = npt.NDArray[np.float32]
Recipe = dict[str, Any]
# Evaluations on validation: loss (None if not finite), accuracy, and the step where it has one.
History = list[dict[str, float | None]]

# Texts whose features are computed and kept at a time: what a killed job loses at most.
PIECE = 10_000
# The keys of a recipe that decide what TF-IDF counts.
COUNTED = ("longest_phrase", "min_texts", "max_features")


@dataclass(frozen=True)
class Job:
    """What a training or prediction works with, for all of its seeds.

    `recipe` is the model's, with all values that it lists; `ids` the folder of encoded texts,
    `texts` the Parquet file of the pool (training) or of the test set (prediction); either may be
    missing where not needed.
    """

    recipe: Recipe
    labels: list[str]
    ids: Path | None
    texts: Path | None
    checkpoint: Path | None

    def encoded(self, part: str, seed: int) -> EncodedTexts:
        """Return the ids of "pool" or "test"; those of the seed's own vocabulary if it has one."""
        assert self.ids is not None
        own = self.ids / str(seed)
        return EncodedTexts.open((own if own.is_dir() else self.ids) / part)


@dataclass(frozen=True)
class Folders:
    """Where a training keeps its files.

    `state` is for its unfinished work, from which a killed training goes on, `shared` for work that
    all trials of a subsample use; the best weights go to `weights`.
    """

    shared: Path
    state: Path
    weights: Path


class Family(Protocol):
    """What the programs train and predict need of a family of models."""

    def __init__(self, job: Job) -> None: ...

    def train(self, recipe: Recipe, subsample: Subsample, folders: Folders) -> History:
        """Train on the subsample, write the best weights, and return what validation said.

        `recipe` is that of a trial: the job's with one value in place of each list.
        """
        ...

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """Return the log-probability of each label for each test text, (rows, labels)."""
        ...


class Network:
    """Networks trained by gradient descent: LSTMs, and fine-tuned transformers.

    Several processes that work together may train one run, each calling `train`.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def train(self, recipe: Recipe, subsample: Subsample, folders: Folders) -> History:
        """See Family.train."""
        from transformers import set_seed

        from gap.models.batching import LabelledTexts
        from gap.models.training import train_network
        from gap.run.processes import is_first

        texts = self.job.encoded("pool", subsample.seed)
        # The weights before training depend on the seed alone.
        set_seed(subsample.seed)
        model = self.build(recipe, texts)
        history = train_network(
            model,
            LabelledTexts(
                texts, texts.positions(subsample.training_rows), subsample.training_labels
            ),
            LabelledTexts(
                texts, texts.positions(subsample.validation_rows), subsample.validation_labels
            ),
            recipe["optimisation"],
            subsample.seed,
            folders.state,
        )
        if is_first():
            model.save_pretrained(folders.weights)
        return history

    def build(self, recipe: Recipe, texts: EncodedTexts) -> Any:
        """Return the model before training."""
        raise NotImplementedError

    def load(self, weights: Path) -> Any:
        """Return the trained model."""
        raise NotImplementedError

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        from gap.models.inference import log_scores

        texts = self.job.encoded("test", seed)
        return log_scores(self.load(weights), texts, np.arange(len(texts)))


class FineTuned(Network):
    """A pretrained checkpoint, all of its weights trained."""

    def build(self, recipe: Recipe, texts: EncodedTexts) -> Any:
        """See Network.build."""
        from gap.models.encoder import check_lengths, load_classifier

        assert self.job.checkpoint is not None
        check_lengths(self.job.checkpoint, texts)
        return load_classifier(self.job.checkpoint, self.job.labels)

    def load(self, weights: Path) -> Any:
        """See Network.load."""
        from gap.models.encoder import load_classifier

        return load_classifier(weights, self.job.labels)


class Lstm(Network):
    """An LSTM trained from scratch, on embeddings that it learns or that are a checkpoint's."""

    def build(self, recipe: Recipe, texts: EncodedTexts) -> Any:
        """See Network.build."""
        from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification

        sizes = {
            key: recipe[key] for key in ("layers", "width", "bidirectional", "dropout", "pooling")
        }
        sizes["num_labels"] = len(self.job.labels)
        if self.job.checkpoint is None or recipe["embeddings"] == "learned":
            sizes |= {"vocab_size": texts.vocabulary_size}
            config = LstmConfig(embedding_size=recipe["embedding_size"], **sizes)
            return LstmForSequenceClassification(config)
        table = self.embeddings
        # A checkpoint's table may have rows to spare, and its tokenizer tokens added later.
        sizes |= {"vocab_size": max(len(table), texts.vocabulary_size)}
        tuned = recipe["embeddings"] == "tuned"
        config = LstmConfig(embedding_size=table.shape[1], train_embeddings=tuned, **sizes)
        model = LstmForSequenceClassification(config)
        model.embeddings.weight.data[: len(table)] = table
        return model

    @functools.cached_property
    def embeddings(self) -> Any:
        """The checkpoint's token embeddings, (vocabulary, width)."""
        from gap.models.encoder import token_embeddings

        assert self.job.checkpoint is not None
        return token_embeddings(self.job.checkpoint)

    def load(self, weights: Path) -> Any:
        """See Network.load."""
        from gap.models.lstm_network import LstmForSequenceClassification

        return LstmForSequenceClassification.from_pretrained(weights)


class Frozen:
    """Logistic regression on a pretrained encoder's pooled states; the encoder stays as it is."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @functools.cached_property
    def encoder(self) -> Any:
        """The pretrained encoder."""
        from gap.models.encoder import load_encoder

        assert self.job.checkpoint is not None
        return load_encoder(self.job.checkpoint)

    def features(self, texts: EncodedTexts, rows: npt.NDArray[np.int64]) -> Matrix:
        """Return the encoder's states for the texts of these rows, (rows, width)."""
        from gap.models.encoder import check_lengths
        from gap.models.inference import features

        assert self.job.checkpoint is not None
        check_lengths(self.job.checkpoint, texts)
        return features(self.encoder, texts, texts.positions(rows), self.job.recipe["pooling"])

    def train(self, recipe: Recipe, subsample: Subsample, folders: Folders) -> History:
        """See Family.train."""
        texts = self.job.encoded("pool", subsample.seed)
        rows = np.concatenate([subsample.training_rows, subsample.validation_rows])
        features = self.kept_features(texts, rows, folders.shared)
        parts = np.split(features, [len(subsample.training_rows)])
        return _train_linear(recipe, self.job.labels, subsample, parts, folders.weights)

    def kept_features(
        self, texts: EncodedTexts, rows: npt.NDArray[np.int64], folder: Path
    ) -> Matrix:
        """Return what `features` does, in pieces, each of which is kept in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        pieces = []
        for start in range(0, len(rows), PIECE):
            path, partial = folder / f"{start}.npy", folder / "partial.npy"
            if not path.exists():
                np.save(partial, self.features(texts, rows[start : start + PIECE]))
                replace(partial, path)
            pieces.append(np.load(path))
        return np.concatenate(pieces)

    @functools.cached_property
    def test_features(self) -> Matrix:
        """The encoder's states for the test texts, which are the same for every seed."""
        texts = self.job.encoded("test", seed=0)
        return self.features(texts, np.arange(len(texts)))

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        return load_regression(weights)(self.test_features)


class Tfidf:
    """Logistic regression on the TF-IDF of words and word pairs."""

    def __init__(self, job: Job) -> None:
        self.job = job
        # What decided the last features, and they: trials that differ in the fit share them.
        self.kept: tuple[Any, Any] = (None, None)

    def train(self, recipe: Recipe, subsample: Subsample, folders: Folders) -> History:
        """See Family.train."""
        from safetensors.numpy import save_file

        wanted = [subsample.seed, *(recipe[key] for key in COUNTED)]
        if self.kept[0] != wanted:
            self.kept = wanted, self.features(recipe, subsample)
        vectorizer, *features = self.kept[1]
        history = _train_linear(recipe, self.job.labels, subsample, features, folders.weights)
        terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
        write_json(folders.weights / "terms.json", terms)
        save_file({"idf": vectorizer.idf_}, folders.weights / "idf.safetensors")
        return history

    def features(self, recipe: Recipe, subsample: Subsample) -> tuple[Any, Any, Any]:
        """Return the fitted vectorizer, and TF-IDF of the texts to train and to validate on."""
        assert self.job.texts is not None
        vectorizer = _vectorizer(*(recipe[key] for key in COUNTED))
        try:
            training = vectorizer.fit_transform(_texts_at(self.job.texts, subsample.training_rows))
        except ValueError as error:
            raise UserError(
                f"TF-IDF found no word to count in the training texts: {error}"
            ) from None
        validation = vectorizer.transform(_texts_at(self.job.texts, subsample.validation_rows))
        return vectorizer, training, validation

    def load(self, weights: Path) -> Any:
        """Return the vectorizer of the training."""
        from safetensors.numpy import load_file

        terms = read_json(weights / "terms.json")
        longest = max(term.count(" ") for term in terms) + 1
        vectorizer = _vectorizer(longest, vocabulary=terms)
        vectorizer.idf_ = load_file(weights / "idf.safetensors")["idf"]
        return vectorizer

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        assert self.job.texts is not None
        vectorizer, classify = self.load(weights), load_regression(weights)
        batches = iterate_texts(self.job.texts)
        return np.concatenate([classify(vectorizer.transform(texts)) for texts in batches])


def _texts_at(path: Path, rows: npt.NDArray[np.int64]) -> list[str]:
    """Return the texts of these rows in their order."""
    order = np.argsort(rows, kind="stable")
    texts = [text for batch in iterate_texts(path, rows[order]) for text in batch]
    back = np.argsort(order, kind="stable")
    return [texts[position] for position in back]


def _vectorizer(
    longest_phrase: int,
    min_texts: int = 1,
    max_features: int | None = None,
    vocabulary: list[str] | None = None,
) -> Any:
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


def _train_linear(
    recipe: Recipe, labels: list[str], subsample: Subsample, features: Sequence[Any], weights: Path
) -> History:
    """Fit logistic regression on the features and save it as a transformers model.

    `features` are those of the texts to train and to validate on, dense or scipy-sparse.
    """
    import torch

    from gap.models.linear_head import LinearConfig, LinearForSequenceClassification
    from gap.models.regression import fit_logistic_regression

    training, validation = features
    matrix, bias, scores = fit_logistic_regression(
        (training, subsample.training_labels),
        (validation, subsample.validation_labels),
        recipe["optimisation"],
        len(labels),
    )
    config = LinearConfig(num_features=matrix.shape[1], num_labels=len(labels))
    model = LinearForSequenceClassification(config)
    model.classifier.weight.data = torch.from_numpy(matrix)
    model.classifier.bias.data = torch.from_numpy(bias)
    model.save_pretrained(weights)
    return [scores]


def load_regression(weights: Path) -> Callable[[Any], Matrix]:
    """Return a trained function from features, dense or scipy-sparse, to log-probabilities.

    (rows, features) to (rows, labels). The weights are those of LinearForSequenceClassification,
    whose import takes longer than this.
    """
    from safetensors.numpy import load_file

    tensors = load_file(weights / "model.safetensors")
    matrix, bias = tensors["classifier.weight"], tensors["classifier.bias"]

    def log_scores(features: Any) -> Matrix:
        logits = features @ matrix.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        scores: Matrix = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return scores

    return log_scores


def family_of(job: Job) -> Family:
    """Return the family that the job's recipe names."""
    recipe = job.recipe
    if recipe["family"] == "transformer":
        return Frozen(job) if recipe["frozen"] else FineTuned(job)
    return Lstm(job) if recipe["family"] == "lstm" else Tfidf(job)
