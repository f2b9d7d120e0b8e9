"""What a study found: its tables, cards and records, and the recipe that says how to read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gap.data.manifests import Card
from gap.results.bridges import BridgeRow
from gap.results.forgetting import ForgettingRow, LayerRow, PlaneRow
from gap.results.pretrainings import PretrainingRow
from gap.results.probes import ProbeRow
from gap.results.published import Published, published_figures
from gap.results.reading import ReadingRecipe
from gap.results.records import StudyRecord
from gap.results.rows import (
    AccuracyRow,
    AgreementRow,
    CalibrationRow,
    CrossingRow,
    CurveRow,
    ExampleRow,
    ForecastRow,
    GapRow,
    HistoryRow,
    LabelRow,
    LatencyRow,
    LengthRow,
    MetricRow,
    ScoreRow,
    TrialRow,
)
from gap.results.targets import TargetRow
from gap.results.transfer import ChoiceRow, TransferRow
from gap.results.trials import training_seconds


@dataclass(frozen=True)
class Encoding:
    """What a model could not read of a test set: shares (0 to 1), see `IdsManifest`."""

    dataset: str
    model: str
    unknown_share: float
    collapsed_share: float
    shortened_share: float


@dataclass(frozen=True)
class Findings:
    """The tables of a study and what its recipe says on how to read them.

    A table that a program does not read is empty: what would be told of it is left out. `record` is
    what the results were made from, `references` the BibTeX of the methods.
    """

    recipe: ReadingRecipe
    accuracies: Sequence[AccuracyRow]
    gaps: Sequence[GapRow] = ()
    metrics: Sequence[MetricRow] = ()
    scores: Sequence[ScoreRow] = ()
    trials: Sequence[TrialRow] = ()
    latencies: Sequence[LatencyRow] = ()
    crossings: Sequence[CrossingRow] = ()
    forecasts: Sequence[ForecastRow] = ()
    curves: Sequence[CurveRow] = ()
    calibration: Sequence[CalibrationRow] = ()
    labels: Sequence[LabelRow] = ()
    lengths: Sequence[LengthRow] = ()
    agreements: Sequence[AgreementRow] = ()
    examples: Sequence[ExampleRow] = ()
    histories: Sequence[HistoryRow] = ()
    forgetting: Sequence[ForgettingRow] = ()
    layers: Sequence[LayerRow] = ()
    plane: Sequence[PlaneRow] = ()
    probes: Sequence[ProbeRow] = ()
    pretrainings: Sequence[PretrainingRow] = ()
    bridges: Sequence[BridgeRow] = ()
    transfer: Sequence[TransferRow] = ()
    choices: Sequence[ChoiceRow] = ()
    targets: Sequence[TargetRow] = ()
    cards: Sequence[Card] = ()
    encodings: Sequence[Encoding] = ()
    record: StudyRecord | None = None
    references: str = ""

    def title(self, name: str) -> str:
        """Return the name of a model or data set in texts for people."""
        return self.recipe.title(name)

    @property
    def reference(self) -> str:
        """The reference's name in texts for people."""
        return self.recipe.reference_title

    @property
    def metric(self) -> str:
        """What gaps are of, as in a sentence: "accuracy"."""
        return self.recipe.headline.title

    @property
    def margin(self) -> str:
        """The margin with its unit: "1 point"."""
        return self.recipe.spelled_margin

    @property
    def interval(self) -> str:
        """What intervals are called: "95 % interval"."""
        return self.recipe.interval

    @property
    def published(self) -> list[Published]:
        """The figures of others, with their gaps."""
        return published_figures(self.recipe, self.accuracies)

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets, in order."""
        return list(dict.fromkeys(row.dataset for row in self.accuracies))

    @property
    def main(self) -> str | None:
        """The model of the main comparison: the recipe's `compared`, else the gaps' first."""
        models = list(dict.fromkeys(row.model for row in self.gaps))
        compared = self.recipe.compared
        return compared if compared in models else next(iter(models), None)

    @property
    def comparisons(self) -> dict[tuple[str, str], list[GapRow]]:
        """The gaps by data set and model, by n."""
        groups: dict[tuple[str, str], list[GapRow]] = defaultdict(list)
        for row in self.gaps:
            groups[row.dataset, row.model].append(row)
        return {key: sorted(rows, key=lambda row: row.n) for key, rows in groups.items()}

    def card(self, dataset: str) -> Card:
        """Return the card of a data set."""
        return next(card for card in self.cards if card["dataset"] == dataset)

    def seconds(self, dataset: str, model: str, size: str) -> float | None:
        """Return the seconds that a seed of this cell was trained, all its trials; mean of seeds.

        None where no trial is known.
        """
        return self._seconds.get((dataset, model, size))

    @cached_property
    def _seconds(self) -> dict[tuple[str, str, str], float]:
        return training_seconds(self.trials)
