"""The section on trials: how good the chosen one of fewer would have been."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from gap.report.sections import Paragraph, Section
from gap.report.tables import Line, by_dataset
from gap.report.wording import size_label
from gap.results.findings import Findings
from gap.results.rows import TrialRow
from gap.results.trials import budgets, expected_best

TRIED = (
    "The accuracy, in percent, that the best of 1, 2, 4 and more trials is expected to have on the "
    "validation rows (never the test set). It is the mean over all subsets of so many of the "
    "trials that were run, and over seeds (Dodge et al. 2019, in the unbiased form of Tang et al. "
    "2020). The best trial is the one with the lowest validation loss. The more trials there are, "
    "the more this accuracy flatters, because the same rows choose the trial. Models trained by "
    "gradient descent all have the same number of trials; logistic regressions, on words or on "
    "frozen states, try all settings that their recipe lists."
)


def tried(findings: Findings) -> Section | None:
    """Return what fewer trials would have come to: a row for each model, at its largest size."""
    # One trial for each run is no choice.
    if len(findings.trials) <= len(findings.scores):
        return None
    largest = _trials_at_largest_size(findings.trials)
    numbers = sorted({number for rows in largest for number in budgets(_trials_of(rows))})
    header = ["Model", "Labels", "Trials", *map(str, numbers)]
    lines: list[Line] = [
        (
            rows[0].dataset,
            [
                findings.title(rows[0].model),
                size_label(rows[0].size, rows[0].n),
                str(_trials_of(rows)),
                *(_expected(rows, number) for number in numbers),
            ],
        )
        for rows in largest
    ]
    tables = by_dataset(findings, header, lines, set(range(1, len(header))))
    return Section("trials", "What was tried", [Paragraph(TRIED), *tables])


def _trials_at_largest_size(trials: Sequence[TrialRow]) -> list[list[TrialRow]]:
    """Return the trials of each data set and model at its largest size."""
    models: dict[tuple[str, str], dict[tuple[int, str], list[TrialRow]]] = defaultdict(dict)
    for row in trials:
        models[row.dataset, row.model].setdefault((row.n, row.size), []).append(row)
    return [sizes[max(sizes)] for sizes in models.values()]


def _trials_of(rows: Sequence[TrialRow]) -> int:
    """Return the trials that each seed of a model had."""
    return len(rows) // len({row.seed for row in rows})


def _expected(rows: Sequence[TrialRow], budget: int) -> str:
    """Return the expected accuracy of the best of so many trials, in percent; empty if too many."""
    if budget > _trials_of(rows):
        return ""
    accuracies: dict[int, list[float]] = defaultdict(list)
    for row in sorted(rows, key=_validation_loss):
        accuracies[row.seed].append(row.validation_accuracy)
    return f"{100 * fmean(expected_best(values, budget) for values in accuracies.values()):.1f}"


def _validation_loss(row: TrialRow) -> float:
    # A trial that diverged has none.
    return math.inf if row.validation_loss is None else row.validation_loss
