"""Metrics as means over test rows."""

import numpy as np
import pytest
from gap.results.predictions import Cell
from gap.results.row_values import ROW_VALUES
from gap.results.run_scores import join_runs
from gap.results.study_errors import StudyErrors
from gap.study.metrics import METRICS
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
)

SHARES = {2: [0.8, 0.2], 3: [0.65, 0.25, 0.1], 5: [0.4, 0.3, 0.1, 0.1, 0.1]}


def predicted(labels, rows, seed=0):
    """Return true labels (rows,) and log-probabilities (rows, labels) of a fair model."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(labels, rows, p=SHARES[labels]).astype(np.int32)
    logits = rng.normal(size=(rows, labels)) + 1.5 * np.eye(labels)[truth]
    return truth, normalised(logits)


def normalised(logits):
    """Return log-probabilities of logits (rows, labels)."""
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def by_scikit_learn(name, truth, scores):
    """Return a metric as scikit-learn has it."""
    top, shares = scores.argmax(axis=1), np.exp(scores.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    functions = {
        "accuracy": lambda: accuracy_score(truth, top),
        "macro_f1": lambda: f1_score(truth, top, average="macro"),
        "balanced_accuracy": lambda: balanced_accuracy_score(truth, top),
        "mcc": lambda: matthews_corrcoef(truth, top),
        "auroc": lambda: roc_auc_score(
            truth, shares[:, 1] if shares.shape[1] == 2 else shares, multi_class="ovr"
        ),
        "log_loss": lambda: -log_loss(truth, shares),
    }
    return functions[name]()


def value_of(name, truth, scores):
    return ROW_VALUES[name](truth, scores).metric


@pytest.mark.parametrize("labels", SHARES)
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_that_of_scikit_learn(name, labels):
    truth, scores = predicted(labels, 3000)
    assert value_of(name, truth, scores) == pytest.approx(
        100 * by_scikit_learn(name, truth, scores), abs=1e-3
    )


@pytest.mark.parametrize("labels", SHARES)
@pytest.mark.parametrize("name", METRICS)
def test_a_row_adds_what_the_metric_loses_without_it(name, labels):
    truth, scores = predicted(labels, 2000)
    values = ROW_VALUES[name](truth, scores)
    whole = value_of(name, truth, scores)
    for row in range(20):
        rest = np.delete(np.arange(len(truth)), row)
        lost = (len(truth) - 1) * (whole - value_of(name, truth[rest], scores[rest]))
        added = values.values[row] - values.values.mean()
        assert lost == pytest.approx(added, rel=0.02, abs=0.2)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "accuracy"])
def test_the_variance_of_a_mean_over_rows_is_that_of_the_metric(name):
    draws = [predicted(3, 500, seed) for seed in range(400)]
    spread = np.std([value_of(name, *draw) for draw in draws], ddof=1)
    errors = [ROW_VALUES[name](*draw).values.std() / np.sqrt(500) for draw in draws]
    # The standard error of a standard deviation of 400 draws is 3.5 %.
    assert np.mean(errors) == pytest.approx(spread, rel=0.11)


def study(name, **scores):
    """Return the errors of a study of one run of each model on the same test rows."""
    truth = scores.pop("truth")
    runs = {
        Cell("films", model, "100", 100): {1: ROW_VALUES[name](truth, of_model)}
        for model, of_model in scores.items()
    }
    return StudyErrors(join_runs(runs), "big")


@pytest.mark.parametrize("name", METRICS)
def test_models_that_never_disagree_are_not_known_to_be_alike(name):
    truth, scores = predicted(3, 100)
    gap = (errors := study(name, truth=truth, big=scores, small=scores)).gap(errors.compared[0])
    low, high = gap.interval(0.95)
    assert gap.value == 0 and low < -1 and high > 1


@pytest.mark.parametrize("name", ["macro_f1", "balanced_accuracy", "mcc"])
def test_a_label_that_is_never_predicted_widens_the_interval(name):
    """No row shows what a prediction of that label changes, so that its spread looks too small."""
    truth, scores = predicted(3, 400)
    blind = scores.copy()
    blind[:, 2] = -20.0
    errors = study(name, truth=truth, big=blind, small=blind)
    gap = errors.gap(errors.compared[0])
    low, high = gap.interval(0.95)
    # One row in a hundred of the rare label may be told, for all that 400 rows say.
    rare = (truth == 2).mean()
    assert high - low > 100 * 2 * (3 / 400) / rare / 3


def test_a_correlation_of_one_label_alone_is_zero_and_not_certain():
    truth, _ = predicted(3, 400)
    scores = normalised(np.tile([5.0, 0.0, 0.0], (400, 1)))
    values = ROW_VALUES["mcc"](truth, scores)
    assert values.level == 0 and values.largest > 100


def test_an_area_without_a_label_is_a_half():
    truth = np.zeros(20, dtype=np.int32)
    _, scores = predicted(3, 20)
    assert value_of("auroc", truth, scores) == 50
