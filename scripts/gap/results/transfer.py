"""What models gain by a start on a neighbour's task, beside what was foretold: rows of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gap.results.rows import Row, TableRow

Outcome = Literal["helps", "nothing", "harms"]


@dataclass(frozen=True)
class TransferRow(Row):
    """What a model gains on a data set by a start on another one, in points.

    The gain is the metric of the model less that of the same model from scratch, with its interval.
    `outcome` says whether it is more than the margin, to either side; `difference` is what is said
    of it among all gaps. `foretold` is the gain that pairs of other data sets foretell, None where
    there are too few. The others are those of a SimilarityRecord.
    """

    source: str
    size: str
    n: int
    source_n: int
    labels: int
    source_labels: int
    coverage: float
    divergence: float
    turn: float
    misfit: float
    gain: float
    gain_low: float
    gain_high: float
    outcome: Outcome
    difference: Literal["clear", "none", "unclear"]
    foretold: float | None


@dataclass(frozen=True)
class ChoiceRow(TableRow):
    """What comes of a rule that chooses a source for each data set, at a size.

    `gain` is the mean of the data sets' gains in points with its interval over data sets, `lost`
    what the best source of each would have given more. `rank_correlation` (Spearman) and `ndcg` say
    how well the rule orders the sources of a data set, `f1` how well it tells those that help from
    the others; means over data sets, None where a rule says nothing of it.
    """

    rule: str
    size: str
    n: int
    targets: int
    gain: float
    gain_low: float | None
    gain_high: float | None
    lost: float
    rank_correlation: float | None
    ndcg: float | None
    f1: float | None
