"""The rows of a study's tables: one class for each table, its fields in the order of the columns.

Columns that several tables have: `dataset` and `model` are names of the config; `reference` is the
model that others are compared with; `size` is the number of labels as the config says it ("250",
"10%"), and `n` the number of labelled examples that it comes to; `seed` is one seed, `seeds` the
number of them and `seed_list` which ("1 2 3"); `rows` counts test texts. A field that may be None
is an empty cell of the table where it is. Ends of intervals have `_low` and `_high` in their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gap.study.datasets import TextUnit
from gap.study.metrics import MetricName


@dataclass(frozen=True)
class TableRow:
    """What the rows of every table have."""

    # Digits after the point with which the table spells fractions.
    decimals: ClassVar[int] = 4
    # Fractions that are spelled with the digits that they have.
    exact: ClassVar[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Row(TableRow):
    """What most rows have: they tell of a model on a data set."""

    dataset: str
    model: str


@dataclass(frozen=True)
class ScoreRow(Row):
    """How good one run is on the test set.

    `accuracy`, `macro_f1` and `calibration_error` are shares (0..1); `log_loss` is in nats.
    """

    decimals = 6

    size: str
    n: int
    seed: int
    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class AccuracyRow(Row):
    """A model's mean accuracy on the test set over its seeds, in percent, with its interval.

    Where `metric` is another one, the columns of the accuracy have that, times 100. `seed_error`
    and `row_error` (points) are the standard errors that seeds and test rows give it. What seeds
    do is learned from all cells of a data set; None where each has one seed. `diverged` of the
    seeds have diverged (gap.results.study_errors).
    """

    size: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    seed_error: float | None
    row_error: float
    seeds: int
    seed_list: str
    diverged: int
    metric: MetricName


@dataclass(frozen=True)
class GapRow(Row):
    """The reference's metric minus the model's, in percentage points, with its interval.

    `seed_error` and `row_error` as in AccuracyRow. Of the former, `chance_error` is what chance in
    single test rows gives; `own_seed_error` is what the seeds of the two cells alone would say,
    None where one of them has one seed. `seeds` are those of the model, beside `reference_seeds` of
    the reference, and `diverged` of both have diverged; `ordinary_gap` is the gap without these,
    None where there are none. `ahead`, `within` and `behind` are the chances (0..1) that the
    reference is ahead by more than the margin, that the gap is within it, and that the reference is
    behind by more; `difference` is what is said of the gap among all gaps, see
    `gap.results.statistics.differences`.
    """

    reference: str
    size: str
    n: int
    gap: float
    gap_low: float
    gap_high: float
    seed_error: float | None
    row_error: float
    chance_error: float
    own_seed_error: float | None
    rows: int
    reference_seeds: int
    seeds: int
    seed_list: str
    diverged: int
    ordinary_gap: float | None
    ahead: float
    within: float
    behind: float
    difference: Literal["clear", "none", "unclear"]
    metric: MetricName


@dataclass(frozen=True)
class MetricRow(Row):
    """A model's mean of another metric than that of the gaps, times 100, and the gap in it.

    The gap is the reference's metric minus the model's, as in GapRow, and None for the reference
    and where the reference was not run. `difference` is said of the gap among all gaps of the
    metric.
    """

    metric: MetricName
    reference: str
    size: str
    n: int
    value: float
    value_low: float
    value_high: float
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    difference: Literal["clear", "none", "unclear"] | None


@dataclass(frozen=True)
class CrossingRow(Row):
    """The number of labelled examples from which on a gap is at most the margin, and forecasts.

    `n` and its ends are infinite where the curve does not come to it; the gap does not close before
    `n_low`. `sizes` is the number of sizes that were measured, `largest` the largest of them, in
    labelled examples. The gap is forecast at 2 and 4 times that, in points; `within_2x` and
    `within_4x` are the chances (0..1) that it is at most the margin there. `withheld`: forecasts
    were no better than the last gap, so the gap is taken to stay; `falls`: the accuracy of one of
    the two models falls from one size to a larger one by more than noise.
    """

    reference: str
    sizes: int
    largest: int
    withheld: bool
    falls: bool
    n: float
    n_low: float
    n_high: float
    gap_2x: float
    gap_2x_low: float
    gap_2x_high: float
    within_2x: float
    gap_4x: float
    gap_4x_low: float
    gap_4x_high: float
    within_4x: float


@dataclass(frozen=True)
class ForecastRow(Row):
    """What the smaller sizes say of the gap at a larger one that was measured too, in points.

    `sizes` is the number of sizes that were used, `largest` the largest of them, `n` the one that
    was held back, both in labelled examples; `last` is the gap that was measured at `largest`.
    """

    reference: str
    sizes: int
    largest: int
    n: int
    value: float
    low: float
    high: float
    last: float
    measured: float


@dataclass(frozen=True)
class CurveRow(Row):
    """A point of the curve of a gap: `n` labelled examples, and the gap in points.

    `within` is the chance (0..1) that the gap is at most the margin there.
    """

    reference: str
    n: float
    gap: float
    gap_low: float
    gap_high: float
    within: float


@dataclass(frozen=True)
class TrialRow(Row):
    """One trial of a run: the settings that are tuned, and what they came to.

    `settings` has the tuned values of this trial as JSON spells them; each is a column of its own.
    The loss (nats) is None where training diverged; the accuracy is a share (0..1); `seconds` is
    the time of the training; `chosen` says whether the run has the weights of this trial.
    """

    decimals = 6
    exact = frozenset({"seconds"})

    size: str
    n: int
    seed: int
    trial: int
    settings: Mapping[str, str]
    validation_loss: float | None
    validation_accuracy: float
    seconds: float
    chosen: bool


@dataclass(frozen=True)
class HistoryRow(Row):
    """What the chosen trial of a run came to on the validation rows after `step` steps.

    The loss is in nats and None where it is not finite, the accuracy is a share (0..1).
    """

    decimals = 6

    size: str
    n: int
    seed: int
    step: int
    validation_loss: float | None
    validation_accuracy: float


@dataclass(frozen=True)
class CalibrationRow(Row):
    """How often a model is right where the probability of its top label lies in a bin.

    The bin is over `bin_low` and up to `bin_high`; all numbers but `rows` are shares (0..1), and
    `rows` counts the test texts of all seeds.
    """

    decimals = 6

    size: str
    n: int
    bin_low: float
    bin_high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class LabelRow(Row):
    """How well one label is told from the others, over all seeds; shares (0..1)."""

    decimals = 6

    size: str
    n: int
    label: str
    rows: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True)
class LengthRow(Row):
    """A model's accuracy (percent) on texts of `words_from` to `words_to` words, ends included.

    `unit` says what is counted, as in the data set's text budget: a "word" or a "character";
    `called` is what reports call one.
    """

    size: str
    n: int
    words_from: int
    words_to: int
    unit: TextUnit
    called: str
    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True)
class AgreementRow(Row):
    """How often both models are right, one of them, or none, in percent of the test texts."""

    reference: str
    size: str
    n: int
    seeds: int
    both_right: float
    only_reference: float
    only_model: float
    both_wrong: float


@dataclass(frozen=True)
class ExampleRow(Row):
    """A test text on which one model is right and the other wrong.

    `row` is its place in the test set, `right` the one that is right, `label` the true label; the
    probabilities (0..1) are those of the label that each model takes, as a mean over seeds.
    """

    reference: str
    size: str
    n: int
    seeds: int
    row: int
    right: Literal["reference", "model"]
    label: str
    reference_label: str
    reference_probability: float
    model_label: str
    model_probability: float
    text: str


@dataclass(frozen=True)
class LatencyRow(Row):
    """What inference costs with one model.

    `milliseconds` (median) and `milliseconds_95` (what 95 of 100 take at most) are for one text,
    `tokenisation` is the share (0..1) of it that is spent on reading the text; the throughput is
    of batches of `batch_size`; the speed-ups are against the reference, None where that was not
    measured. `cpu_share` (0..1) and `spread` (of the rounds, relative) tell whether other load
    `disturbed` the measurement. Accuracies are as in AccuracyRow. `pareto`: no other model
    is as fast and as accurate, and better in one of both.
    """

    family: str
    size: str
    n: int
    parameters: int
    trained_parameters: int
    milliseconds: float
    milliseconds_95: float
    tokenisation: float
    examples_per_second: float
    batch_size: int
    speed_up: float | None
    batched_speed_up: float | None
    cpu_share: float
    spread: float
    disturbed: bool
    device: str
    processor: str
    precision: str
    threads: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    pareto: bool
    metric: MetricName


# The tables of a study, by the names of their files.
TABLES: dict[str, type[Row]] = {
    "scores": ScoreRow,
    "accuracies": AccuracyRow,
    "gaps": GapRow,
    "metrics": MetricRow,
    "crossings": CrossingRow,
    "forecasts": ForecastRow,
    "curves": CurveRow,
    "trials": TrialRow,
    "latency": LatencyRow,
    "histories": HistoryRow,
    "calibration": CalibrationRow,
    "labels": LabelRow,
    "lengths": LengthRow,
    "agreements": AgreementRow,
    "examples": ExampleRow,
}
