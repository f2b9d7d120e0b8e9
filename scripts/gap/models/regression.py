"""Logistic regression on fixed features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# Of a label that training never showed: less likely than the least likely by e^-20.
ABSENT = 20.0


def fit_logistic_regression(
    training: tuple[Any, npt.NDArray[np.int32]],
    validation: tuple[Any, npt.NDArray[np.int32]],
    recipe: dict[str, Any],
    num_labels: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], dict[str, float | None]]:
    """Return weights (labels, features), biases (labels,), and what validation says of them.

    Features (rows, features) may be sparse. `recipe` is the optimisation's. Nothing is random.
    """
    features, labels = training
    scaler = StandardScaler(with_mean=isinstance(features, np.ndarray))
    if recipe["standardise"]:
        features = scaler.fit_transform(features)
    strength = recipe["inverse_regularisation"]
    weights, bias = _fit(features, labels, strength, recipe["max_iterations"], num_labels)
    if recipe["standardise"]:
        weights = weights / scaler.scale_
        bias = bias if scaler.mean_ is None else bias - weights @ scaler.mean_
    scores = _validate(validation, weights, bias)
    return weights.astype(np.float32), bias.astype(np.float32), scores


def _fit(
    features: Any, labels: npt.NDArray[np.int32], strength: float, iterations: int, num_labels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fit once; a row of the result for each of `num_labels`, also those absent from `labels`."""
    classes = np.unique(labels)
    weights = np.zeros((num_labels, features.shape[1]))
    bias = np.full(num_labels, -ABSENT)
    if len(classes) == 1:
        bias[classes] = 0.0
        return weights, bias
    fitted = LogisticRegression(C=strength, max_iter=iterations).fit(features, labels)
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(classes) == 2:
        # scikit-learn gives one row for two classes: the log-odds of the second.
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercept = np.array([0.0, intercept[0]])
    weights[classes], bias[classes] = coefficients, intercept
    bias[np.setdiff1d(np.arange(num_labels), classes)] += intercept.min()
    return weights, bias


def _validate(
    validation: tuple[Any, npt.NDArray[np.int32]], weights: Any, bias: Any
) -> dict[str, float | None]:
    """Return the loss (mean negative log-probability of the true label, nats) and the accuracy."""
    features, labels = validation
    logits = features @ weights.T + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return {"loss": float(losses.mean()), "accuracy": float((logits.argmax(1) == labels).mean())}
