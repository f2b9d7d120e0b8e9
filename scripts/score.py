"""Compute accuracy, macro-F1, log loss and calibration error from the predictions of one job.

The counts from which calibration and scores of single labels are computed are written, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from gap.results.predictions import Block, read_cell, read_predictions
from gap.results.records import RunScores, Scores
from gap.results.row_values import LOWEST_LOG_PROBABILITY
from gap.run.json import write_json
from gap.run.program import run
from numpy.typing import NDArray

BINS = 15


@dataclass
class Tally:
    """Sums over the test rows of one seed, from which every score follows."""

    confusion: NDArray[np.int64]
    loss: float = 0.0
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    correct: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))

    def add(self, block: Block) -> None:
        """Count a block of rows."""
        scores = np.maximum(block.scores.astype(np.float64), LOWEST_LOG_PROBABILITY)
        top = block.scores.argmax(axis=1)
        labels = self.confusion.shape[0]
        pairs = np.bincount(block.labels * labels + top, minlength=labels**2)
        self.confusion += pairs.reshape(labels, labels)
        self.loss -= float(scores[np.arange(len(scores)), block.labels].sum())
        confidence = np.exp(scores.max(axis=1))
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.rows += np.bincount(bins, minlength=BINS)
        self.confidence += np.bincount(bins, weights=confidence, minlength=BINS)
        self.correct += np.bincount(bins[block.correct], minlength=BINS)

    def scores(self) -> Scores:
        """Return rows, and as shares accuracy, macro_f1 and calibration_error; log_loss in nats.

        `confusion` counts rows by true and by top label; `bins` has, for each bin of the top
        label's probability, the rows, the sum of that probability, and how many were right.

        Macro-F1 is the plain mean of F1 over the labels that occur among truths or predictions.
        The calibration error is the expected calibration error over 15 equal-width bins of the
        top label's probability (Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 3).
        """
        rows = int(self.confusion.sum())
        right = np.diag(self.confusion)
        occurrences = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        seen = occurrences > 0
        return {
            "rows": rows,
            "accuracy": float(right.sum() / rows),
            "macro_f1": float((2 * right[seen] / occurrences[seen]).mean()),
            "log_loss": self.loss / rows,
            "calibration_error": float(abs(self.confidence - self.correct).sum() / rows),
            "confusion": self.confusion.tolist(),
            "bins": {
                "rows": self.rows.tolist(),
                "confidence": self.confidence.tolist(),
                "correct": self.correct.tolist(),
            },
        }


def score(path: str) -> list[RunScores]:
    """Return one object of scores per seed of a predictions file, seeds ascending."""
    tallies: dict[int, Tally] = {}
    for block in read_predictions(path):
        labels = block.scores.shape[1]
        tally = tallies.setdefault(block.seed, Tally(np.zeros((labels, labels), dtype=np.int64)))
        tally.add(block)
    cell = read_cell(path)
    return [
        {
            "dataset": cell.dataset,
            "model": cell.model,
            "size": cell.size,
            "n": cell.n,
            "seed": seed,
            **tally.scores(),
        }
        for seed, tally in sorted(tallies.items())
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--predictions", required=True, help="Parquet file that predict.py wrote")
    parser.add_argument("--scores", required=True, help="JSON file to write, one object per seed")
    arguments = parser.parse_args(argv)
    write_json(arguments.scores, score(arguments.predictions))


if __name__ == "__main__":
    run(main)
