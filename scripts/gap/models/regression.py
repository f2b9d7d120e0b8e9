"""Logistic regression on fixed features: fitted, saved, and loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from gap.study.recipes import LogisticRegression
from gap.study.tuning import Evaluation

if TYPE_CHECKING:
    import scipy.sparse as sp

Matrix = npt.NDArray[np.float32]
# Features of texts, (rows, features).
Features: TypeAlias = "Matrix | sp.csr_array | sp.csr_matrix"
Labels = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float64]

# A label that training never showed is less likely than all others, by so much log-probability.
ABSENT = 20.0


def train_regression(
    features: tuple[Features, Features],
    labels: tuple[Labels, Labels],
    settings: LogisticRegression,
    num_labels: int,
    folder: Path,
) -> Evaluation:
    """Fit on the first features and labels, save the model, and return what the second ones say.

    It is saved as a transformers model, see `gap.models.linear_head`. Nothing is random.
    """
    training, validation = zip(features, labels, strict=True)
    weights, bias, evaluation = fit_logistic_regression(training, validation, settings, num_labels)
    save_regression(weights, bias, folder)
    return evaluation


def save_regression(weights: Weights | Matrix, bias: Weights | Matrix, folder: Path) -> None:
    """Write a regression with weights (labels, features) and biases (labels,) to a folder."""
    import torch

    from gap.models.linear_head import LinearConfig, LinearForSequenceClassification

    config = LinearConfig(num_features=weights.shape[1], num_labels=len(weights))
    model = LinearForSequenceClassification(config)
    model.classifier.weight.data = torch.from_numpy(weights.astype(np.float32))
    model.classifier.bias.data = torch.from_numpy(bias.astype(np.float32))
    model.save_pretrained(folder)


def load_regression(folder: Path) -> Callable[[Features], Matrix]:
    """Return a trained function from features to log-probabilities, (rows, labels).

    The weights are those of LinearForSequenceClassification, whose import takes longer than this.
    """
    from safetensors.numpy import load_file

    tensors = load_file(folder / "model.safetensors")
    weights, bias = tensors["classifier.weight"], tensors["classifier.bias"]

    def log_scores(features: Features) -> Matrix:
        scores: Matrix = log_softmax(features @ weights.T + bias)
        return scores

    return log_scores


def regression_parameters(folder: Path) -> int:
    """Return the number of weights and biases that `train_regression` saved."""
    from safetensors.numpy import load_file

    return sum(tensor.size for tensor in load_file(folder / "model.safetensors").values())


def log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return log-probabilities, (rows, labels), of logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def fit_logistic_regression(
    training: tuple[Features, Labels],
    validation: tuple[Features, Labels],
    settings: LogisticRegression,
    num_labels: int,
) -> tuple[Matrix, npt.NDArray[np.float32], Evaluation]:
    """Return weights (labels, features), biases (labels,), and what validation says of them.

    `training` and `validation` are features and labels. Nothing is random.
    """
    from sklearn.preprocessing import StandardScaler

    features, labels = training
    scaler = StandardScaler(with_mean=isinstance(features, np.ndarray))
    if settings.standardise:
        features = scaler.fit_transform(features)
    weights, bias = _fit(features, labels, settings, num_labels)
    if settings.standardise:
        weights = weights / scaler.scale_
        bias = bias if scaler.mean_ is None else bias - weights @ scaler.mean_
    evaluation = validate(*validation, weights, bias)
    return weights.astype(np.float32), bias.astype(np.float32), evaluation


def _fit(
    features: Features, labels: Labels, settings: LogisticRegression, num_labels: int
) -> tuple[Weights, Weights]:
    """Fit once; a row of the result for each of `num_labels`, also those absent from `labels`."""
    from sklearn.linear_model import LogisticRegression as Solver

    classes = np.unique(labels)
    weights = np.zeros((num_labels, features.shape[1]))
    bias = np.full(num_labels, -ABSENT)
    if len(classes) == 1:
        bias[classes] = 0.0
        return weights, bias
    solver = Solver(C=settings.inverse_regularisation, max_iter=settings.max_iterations)
    fitted = solver.fit(features, labels)
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(classes) == 2:
        # scikit-learn gives one row for two classes: the log-odds of the second.
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercept = np.array([0.0, intercept[0]])
    weights[classes], bias[classes] = coefficients, intercept
    bias[np.setdiff1d(np.arange(num_labels), classes)] += intercept.min()
    return weights, bias


def validate(features: Features, labels: Labels, weights: Weights, bias: Weights) -> Evaluation:
    """Return the mean negative log-probability of the true label (nats), and the accuracy."""
    logits = features @ weights.T + bias
    losses = -log_softmax(logits)[np.arange(len(labels)), labels]
    accuracy = (logits.argmax(1) == labels).mean()
    return {"loss": float(losses.mean()), "accuracy": float(accuracy)}
