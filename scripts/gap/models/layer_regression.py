"""Logistic regression on the states of all layers: on a weighted sum of them, or on each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gap.models.regression import (
    ABSENT,
    Labels,
    Matrix,
    Weights,
    fit_logistic_regression,
    log_softmax,
    save_regression,
    validate,
)
from gap.run.json import write_json
from gap.study.recipes import LogisticRegression
from gap.study.tuning import Evaluation

# In the folder of weights: the share of each layer in the sum, or the heads of all layers.
SHARES, HEADS = "layers.json", "layers.safetensors"
EPSILON = float(np.finfo(np.float64).eps)


def train_mix(
    features: tuple[Matrix, Matrix],
    labels: tuple[Labels, Labels],
    settings: LogisticRegression,
    num_labels: int,
    layers: int,
    folder: Path,
) -> Evaluation:
    """Fit a weighted sum of layers and a regression on it, save them, return what validation says.

    Features are (rows, layers * width). The weights of the layers are positive and add up to 1
    (Peters et al. 2018, Deep Contextualized Word Representations, equation 1; the scale there is
    the regression's here). What is saved is a regression on the states of all layers, with the
    weights multiplied out. Nothing is random.
    """
    from sklearn.preprocessing import StandardScaler

    training, validation = features
    center, spread = np.zeros(training.shape[1]), np.ones(training.shape[1])
    if settings.standardise:
        scaler = StandardScaler()
        training = scaler.fit_transform(training)
        center, spread = scaler.mean_, scaler.scale_
    # (layers, rows, width): one sum over layers is one product.
    stacked = np.ascontiguousarray(training.reshape(len(training), layers, -1).swapaxes(0, 1))
    del training
    mix, shares = fit_mix(stacked, labels[0], settings, num_labels)
    weights = (shares[:, None] * mix[:, None, :-1]).reshape(num_labels, -1) / spread
    bias = mix[:, -1] - weights @ center
    save_regression(weights, bias, folder)
    write_json(folder / SHARES, {"shares": shares.tolist()})
    return validate(validation, labels[1], weights, bias)


def fit_mix(
    stacked: Matrix, labels: Labels, settings: LogisticRegression, num_labels: int
) -> tuple[Weights, Weights]:
    """Return weights and biases of each label, (labels, width + 1), and the layers' shares.

    `stacked` are states, (layers, rows, width). The loss is that of scikit-learn's regression, and
    with one layer that is what is fitted. It is not convex in the shares, which begin alike.
    """
    from scipy.optimize import minimize

    classes, targets = np.unique(labels, return_inverse=True)
    layers, _, width = stacked.shape
    shares = np.full(layers, 1 / layers)
    fitted = np.zeros((num_labels, width + 1))
    fitted[:, -1] = -ABSENT
    if len(classes) == 1:
        fitted[classes, -1] = 0.0
        return fitted, shares
    # With two classes, as in scikit-learn, the first one's weights are 0.
    outputs = 1 if len(classes) == 2 else len(classes)
    problem = _Mixture(stacked, targets, outputs, 1 / settings.inverse_regularisation)
    start = np.zeros(outputs * (width + 1) + layers)
    # The solver ends where scikit-learn's does.
    options = {"maxiter": settings.max_iterations, "gtol": 1e-4, "ftol": 64 * EPSILON}
    solution = minimize(problem.loss, start, jac=True, method="L-BFGS-B", options=options)
    weights, shares = problem.unpack(solution.x)
    if outputs == 1:
        weights = np.vstack([np.zeros(width + 1), weights])
    fitted[classes] = weights
    absent = np.setdiff1d(np.arange(num_labels), classes)
    fitted[absent, -1] += weights[:, -1].min()
    return fitted, shares


class _Mixture:
    """The loss of a regression on a sum of layers, and its gradient."""

    def __init__(
        self, stacked: Matrix, targets: npt.NDArray[np.int64], outputs: int, penalty: float
    ) -> None:
        self.stacked = stacked
        self.targets = targets
        self.outputs = outputs
        self.penalty = penalty

    def unpack(self, parameters: Weights) -> tuple[Weights, Weights]:
        """Return the weights and biases, (outputs, width + 1), and the shares, (layers,)."""
        layers = len(self.stacked)
        scores = parameters[-layers:]
        weights = parameters[:-layers].reshape(self.outputs, -1)
        return weights, np.exp(log_softmax(scores[None])[0])

    def loss(self, parameters: Weights) -> tuple[float, Weights]:
        """Return the penalised mean negative log-probability in nats, and its gradient."""
        weights, shares = self.unpack(parameters)
        precision = self.stacked.dtype
        mixed = np.tensordot(shares.astype(precision), self.stacked, 1)
        logits = mixed @ weights[:, :-1].T.astype(precision) + weights[:, -1]
        first = self.outputs == 1
        if first:
            logits = np.hstack([np.zeros_like(logits), logits])
        logs = log_softmax(logits)
        rows = np.arange(len(logs))
        slopes = np.exp(logs)
        slopes[rows, self.targets] -= 1.0
        slopes = slopes[:, 1:] if first else slopes
        of_weights = np.hstack([slopes.T @ mixed, slopes.sum(0)[:, None]])
        of_weights[:, :-1] += self.penalty * weights[:, :-1]
        of_states = (slopes @ weights[:, :-1]).astype(precision)
        of_shares = self.stacked.reshape(len(shares), -1) @ of_states.ravel()
        of_scores = shares * (of_shares - shares @ of_shares)
        penalty = 0.5 * self.penalty * float((weights[:, :-1] ** 2).sum())
        loss = penalty - float(logs[rows, self.targets].sum(dtype=np.float64))
        return loss / len(rows), np.concatenate([of_weights.ravel(), of_scores]) / len(rows)


def train_each(
    features: tuple[Matrix, Matrix],
    labels: tuple[Labels, Labels],
    settings: LogisticRegression,
    num_labels: int,
    layers: int,
    folder: Path,
) -> Evaluation:
    """Fit a regression on each layer, save all, and return what validation says of the best one.

    The best has the lowest loss; that of the texts to score is its. Nothing is random.
    """
    from safetensors.numpy import save_file

    heads: list[tuple[Matrix, Matrix, Evaluation]] = []
    parts = [np.split(part, layers, axis=1) for part in features]
    for training, validation in zip(*parts, strict=True):
        heads.append(
            fit_logistic_regression(
                (training, labels[0]), (validation, labels[1]), settings, num_labels
            )
        )
    best = min(range(layers), key=lambda layer: heads[layer][2]["loss"] or 0.0)
    weights = np.zeros((num_labels, layers, heads[0][0].shape[1]), dtype=np.float32)
    weights[:, best], bias, evaluation = heads[best]
    save_regression(weights.reshape(num_labels, -1), bias, folder)
    stacked = {
        "weights": np.stack([head[0] for head in heads]),
        "bias": np.stack([head[1] for head in heads]),
    }
    save_file(stacked, folder / HEADS)
    return evaluation


def accuracies_of_layers(folder: Path, features: Matrix, labels: Labels) -> list[float]:
    """Return the share of right answers of each layer's regression, 0 to 1, from the embeddings on.

    `features` are the states of the texts, (rows, layers * width), `labels` are (rows,).
    """
    from safetensors.numpy import load_file

    heads = load_file(folder / HEADS)
    parts = np.split(features, len(heads["bias"]), axis=1)
    return [
        float(((part @ weights.T + bias).argmax(1) == labels).mean())
        for part, weights, bias in zip(parts, heads["weights"], heads["bias"], strict=True)
    ]
