"""The families of models: how each is trained on a subsample, and how it scores the test texts.

A family is made once per job with what all seeds of the job share. To add one, write a class with
`train` and `log_scores`, name it in `family_of`, and give it a recipe in the schema.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gap.cli import UserError, read_json, write_json
from gap.data import iterate_texts
from gap.durable import replace
from gap.sampling import Subsample
from gap.vocabulary import EncodedTexts

Matrix = npt.NDArray[np.float32]
History = list[dict[str, float]]

# Texts whose features are computed and kept at a time: what a killed job loses at most.
PIECE = 10_000


@dataclass(frozen=True)
class Job:
    """What a training or prediction works with, for all of its seeds.

    `recipe` is the model's; `ids` the folder of encoded texts, `texts` the Parquet file of the
    pool (training) or of the test set (prediction); either may be missing where not needed.
    """

    recipe: dict[str, Any]
    labels: list[str]
    ids: Path | None
    texts: Path | None
    checkpoint: Path | None

    def encoded(self, part: str, seed: int) -> EncodedTexts:
        """Return the ids of "pool" or "test"; those of the seed's own vocabulary if it has one."""
        assert self.ids is not None
        own = self.ids / str(seed)
        return EncodedTexts.open((own if own.is_dir() else self.ids) / part)


class Family(Protocol):
    """What the programs train and predict need of a family of models."""

    def __init__(self, job: Job) -> None: ...

    def train(self, subsample: Subsample, state: Path, weights: Path) -> History:
        """Train on the subsample, write the best weights, and return what validation said.

        `state` is a folder for unfinished work, from which a killed training goes on.
        """
        ...

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """Return the log-probability of each label for each test text, (rows, labels)."""
        ...


class Network:
    """Networks trained by gradient descent: LSTMs, and fine-tuned transformers."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def train(self, subsample: Subsample, state: Path, weights: Path) -> History:
        """See Family.train."""
        from transformers import set_seed

        from gap.batching import LabelledTexts
        from gap.training import train_network

        texts = self.job.encoded("pool", subsample.seed)
        # The weights before training depend on the seed alone.
        set_seed(subsample.seed)
        model = self.build(texts)
        history = train_network(
            model,
            LabelledTexts(
                texts, texts.positions(subsample.training_rows), subsample.training_labels
            ),
            LabelledTexts(
                texts, texts.positions(subsample.validation_rows), subsample.validation_labels
            ),
            self.job.recipe["optimisation"],
            subsample.seed,
            state,
        )
        model.save_pretrained(weights)
        return history

    def build(self, texts: EncodedTexts) -> Any:
        """Return the model before training."""
        raise NotImplementedError

    def load(self, weights: Path) -> Any:
        """Return the trained model."""
        raise NotImplementedError

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        from gap.inference import log_scores

        texts = self.job.encoded("test", seed)
        return log_scores(self.load(weights), texts, np.arange(len(texts)))


class FineTuned(Network):
    """A pretrained checkpoint, all of its weights trained."""

    def build(self, texts: EncodedTexts) -> Any:
        """See Network.build."""
        from gap.models.transformer import check_lengths, load_classifier

        assert self.job.checkpoint is not None
        check_lengths(self.job.checkpoint, texts)
        return load_classifier(self.job.checkpoint, self.job.labels)

    def load(self, weights: Path) -> Any:
        """See Network.load."""
        from gap.models.transformer import load_classifier

        return load_classifier(weights, self.job.labels)


class Lstm(Network):
    """An LSTM trained from scratch, its token embeddings learned or a checkpoint's."""

    def build(self, texts: EncodedTexts) -> Any:
        """See Network.build."""
        from gap.models.lstm import LstmConfig, LstmForSequenceClassification

        recipe = self.job.recipe
        sizes = {
            key: recipe[key] for key in ("layers", "width", "bidirectional", "dropout", "pooling")
        }
        sizes["num_labels"] = len(self.job.labels)
        if self.job.checkpoint is None:
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
        from gap.models.transformer import token_embeddings

        assert self.job.checkpoint is not None
        return token_embeddings(self.job.checkpoint)

    def load(self, weights: Path) -> Any:
        """See Network.load."""
        from gap.models.lstm import LstmForSequenceClassification

        return LstmForSequenceClassification.from_pretrained(weights)


class Frozen:
    """Logistic regression on a pretrained encoder's pooled states; the encoder stays as it is."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @functools.cached_property
    def encoder(self) -> Any:
        """The pretrained encoder."""
        from gap.models.transformer import load_encoder

        assert self.job.checkpoint is not None
        return load_encoder(self.job.checkpoint)

    def features(self, texts: EncodedTexts, rows: npt.NDArray[np.int64]) -> Matrix:
        """Return the encoder's states for the texts of these rows, (rows, width)."""
        from gap.inference import features
        from gap.models.transformer import check_lengths

        assert self.job.checkpoint is not None
        check_lengths(self.job.checkpoint, texts)
        return features(self.encoder, texts, texts.positions(rows), self.job.recipe["pooling"])

    def train(self, subsample: Subsample, state: Path, weights: Path) -> History:
        """See Family.train."""
        texts = self.job.encoded("pool", subsample.seed)
        rows = np.concatenate([subsample.training_rows, subsample.validation_rows])
        features = self.kept_features(texts, rows, state)
        training, validation = np.split(features, [len(subsample.training_rows)])
        return _train_linear(self.job, subsample, training, validation, weights)

    def kept_features(
        self, texts: EncodedTexts, rows: npt.NDArray[np.int64], state: Path
    ) -> Matrix:
        """Return what `features` does, in pieces, each of which is kept in the folder `state`."""
        state.mkdir(parents=True, exist_ok=True)
        pieces = []
        for start in range(0, len(rows), PIECE):
            path, partial = state / f"{start}.npy", state / "partial.npy"
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
        return _linear_scores(weights, [self.test_features])


class Tfidf:
    """Logistic regression on the TF-IDF of words and word pairs."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def train(self, subsample: Subsample, state: Path, weights: Path) -> History:
        """See Family.train."""
        from safetensors.numpy import save_file

        assert self.job.texts is not None
        vectorizer = _vectorizer(self.job.recipe)
        try:
            training = vectorizer.fit_transform(_texts_at(self.job.texts, subsample.training_rows))
        except ValueError as error:
            raise UserError(
                f"TF-IDF found no word to count in the training texts: {error}"
            ) from None
        validation = vectorizer.transform(_texts_at(self.job.texts, subsample.validation_rows))
        history = _train_linear(self.job, subsample, training, validation, weights)
        terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
        write_json(weights / "terms.json", terms)
        save_file({"idf": vectorizer.idf_}, weights / "idf.safetensors")
        return history

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        from safetensors.numpy import load_file

        assert self.job.texts is not None
        vectorizer = _vectorizer(self.job.recipe, vocabulary=read_json(weights / "terms.json"))
        vectorizer.idf_ = load_file(weights / "idf.safetensors")["idf"]
        batches = iterate_texts(self.job.texts)
        return _linear_scores(weights, (vectorizer.transform(texts) for texts in batches))


def _texts_at(path: Path, rows: npt.NDArray[np.int64]) -> list[str]:
    """Return the texts of these rows in their order."""
    order = np.argsort(rows, kind="stable")
    texts = [text for batch in iterate_texts(path, rows[order]) for text in batch]
    back = np.argsort(order, kind="stable")
    return [texts[position] for position in back]


def _vectorizer(recipe: dict[str, Any], vocabulary: list[str] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, recipe["longest_phrase"]),
        min_df=recipe["min_texts"],
        max_features=recipe["max_features"],
        sublinear_tf=True,
        strip_accents="unicode",
        vocabulary=vocabulary,
        dtype=np.float32,
    )


def _train_linear(
    job: Job, subsample: Subsample, training: Any, validation: Any, weights: Path
) -> History:
    """Fit logistic regression on the features and save it as a transformers model."""
    import torch

    from gap.models.linear import LinearConfig, LinearForSequenceClassification
    from gap.regression import fit_logistic_regression

    matrix, bias, history = fit_logistic_regression(
        (training, subsample.training_labels),
        (validation, subsample.validation_labels),
        job.recipe["optimisation"],
        len(job.labels),
    )
    config = LinearConfig(num_features=matrix.shape[1], num_labels=len(job.labels))
    model = LinearForSequenceClassification(config)
    model.classifier.weight.data = torch.from_numpy(matrix)
    model.classifier.bias.data = torch.from_numpy(bias)
    model.save_pretrained(weights)
    return history


def _linear_scores(weights: Path, batches: Iterable[Any]) -> Matrix:
    """Return log-probabilities (rows, labels) of batches of features, dense or scipy-sparse.

    The weights are those of LinearForSequenceClassification, whose import takes longer than this.
    """
    from safetensors.numpy import load_file

    tensors = load_file(weights / "model.safetensors")
    matrix, bias = tensors["classifier.weight"], tensors["classifier.bias"]
    logits = np.concatenate([features @ matrix.T + bias for features in batches])
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def family_of(job: Job) -> Family:
    """Return the family that the job's recipe names."""
    recipe = job.recipe
    if recipe["family"] == "transformer":
        return Frozen(job) if recipe["frozen"] else FineTuned(job)
    return Lstm(job) if recipe["family"] == "lstm" else Tfidf(job)
