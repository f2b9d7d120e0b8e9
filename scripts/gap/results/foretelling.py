"""What a start on a neighbour's task is foretold to gain, from how alike the two tasks are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gap.results.records import SimilarityRecord

Vector = npt.NDArray[np.float64]

# To learn from, beside the one that is foretold.
LEAST_TARGETS = 2


def features(record: SimilarityRecord) -> list[float]:
    """Return what is known of a pair before anything is trained on both."""
    return [
        record["coverage"],
        record["divergence"],
        record["turn"],
        record["misfit"],
        math.log10(record["n"]),
        math.log10(record["source_n"]),
        math.log10(record["labels"]),
        math.log10(record["source_labels"]),
    ]


def foretell(records: Sequence[SimilarityRecord], gains: Sequence[float]) -> list[float | None]:
    """Return the gain in points that is foretold of each pair, from pairs of other targets.

    For each target, a support vector machine learns the gains of all pairs of which the target is
    neither end, so nothing of what is trained on it is known to it (Lange et al. 2021, To Share or
    not to Share, leave one target out as well). None where fewer than LEAST_TARGETS others are
    left.
    """
    inputs = np.array([features(record) for record in records])
    outputs = np.array(gains)
    targets = np.array([record["dataset"] for record in records])
    sources = np.array([record["source"] for record in records])
    foretold: list[float | None] = [None] * len(records)
    for target in dict.fromkeys(targets.tolist()):
        others = (targets != target) & (sources != target)
        if len(set(targets[others])) < LEAST_TARGETS:
            continue
        asked = np.flatnonzero(targets == target)
        answers = _learn(inputs[others], outputs[others], inputs[asked])
        for place, gain in zip(asked, answers, strict=True):
            foretold[place] = float(gain)
    return foretold


def _learn(inputs: Vector, outputs: Vector, asked: Vector) -> Vector:
    """Return what inputs that are asked come to, (asked,), learned from (pairs, features)."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    if np.ptp(outputs) == 0:
        return np.full(len(asked), outputs[0])
    machine = make_pipeline(StandardScaler(), SVR())
    model = TransformedTargetRegressor(regressor=machine, transformer=StandardScaler())
    answers: Vector = model.fit(inputs, outputs).predict(asked)
    return answers
