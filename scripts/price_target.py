"""Tell with how many labels each model reaches the target, with what risk, and what that costs."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gap.results.curves import Measured
from gap.results.predictions import Paths, index
from gap.results.reading import TargetRecipe
from gap.results.rows import LatencyRow, TrialRow
from gap.results.run_scores import read_scores
from gap.results.study_errors import StudyErrors
from gap.results.tables import read_rows, write_rows
from gap.results.targets import (
    EVEN,
    Attainment,
    TargetRow,
    attainment,
    next_labels,
    seconds_with,
)
from gap.results.trials import training_seconds
from gap.run.json import read_json
from gap.run.program import run
from gap.study.sizes import FEWEST_SIZES


@dataclass(frozen=True)
class Prices:
    """What a study says of prices: seconds of trainings, milliseconds of a text, labels owned.

    `seconds` are by data set and model, then by n; `milliseconds` by data set and model; `pools`
    are the rows to train on, by data set.
    """

    recipe: TargetRecipe
    seconds: Mapping[tuple[str, str], Mapping[int, float]]
    milliseconds: Mapping[tuple[str, str], float]
    pools: Mapping[str, int]

    def labels(self, dataset: str, n: float | None) -> float | None:
        """Return the price of the labels that are missing to n; None where n is."""
        return None if n is None else max(0.0, n - self.pools[dataset]) * self.recipe.label

    def training(self, dataset: str, model: str, n: float | None) -> float | None:
        """Return the price of a training with n labels; None where n or its time is not known."""
        if n is None:
            return None
        seconds = seconds_with(self.seconds.get((dataset, model), {}), n)
        return None if seconds is None else seconds / 3600 * self.recipe.training_hour

    def texts(self, dataset: str, model: str) -> float | None:
        """Return the price of answers for a thousand texts; None where times are not known."""
        its = self.milliseconds.get((dataset, model))
        reference = self.milliseconds.get((dataset, self.recipe.reference))
        if its is None or not reference:
            return None
        return self.recipe.thousand_texts * its / reference


def target_rows(cells: Paths, recipe: TargetRecipe, prices: Prices) -> list[TargetRow]:
    """Return a row for each data set and model that was measured at three sizes or more."""
    rows = []
    for scores in read_scores(cells, recipe.metric):
        errors = StudyErrors(scores, recipe.reference)
        for model in dict.fromkeys(cell.model for cell in errors.cells):
            own = sorted((cell for cell in errors.cells if cell.model == model), key=lambda c: c.n)
            if len(own) < FEWEST_SIZES:
                continue
            measured = errors.by_size(own)
            row_variance = errors.mean(own[-1]).row_variance
            attainable = attainment(measured, row_variance, recipe.target)
            rows.append(_row(own[0].dataset, model, measured, attainable, prices))
    return rows


def _row(
    dataset: str, model: str, measured: Measured, attainable: Attainment, prices: Prices
) -> TargetRow:
    recipe, pool = prices.recipe, prices.pools[dataset]
    largest = int(measured.n[-1])
    sure = _finite(attainable.first(1 - recipe.risk))
    wanted = next_labels(attainable, largest, recipe.risk)
    return TargetRow(
        dataset=dataset,
        model=model,
        metric=recipe.metric,
        target=recipe.target,
        risk=recipe.risk,
        largest=largest,
        value=float(measured.values[-1]),
        reached=attainable.at(largest),
        even=_finite(attainable.first(EVEN)),
        sure=sure,
        pool=pool,
        next=wanted,
        next_reached=None if wanted is None else attainable.at(wanted),
        labels_price=prices.labels(dataset, sure),
        next_price=prices.labels(dataset, wanted),
        training_price=prices.training(dataset, model, sure),
        texts_price=prices.texts(dataset, model),
    )


def _finite(n: float) -> float | None:
    return None if math.isinf(n) else n


def seconds_by_n(trials: Iterable[TrialRow]) -> dict[tuple[str, str], dict[int, float]]:
    """Return the seconds of a seed's training by data set and model, then by n."""
    trials = list(trials)
    sizes = {(row.dataset, row.model, row.size): row.n for row in trials}
    seconds: dict[tuple[str, str], dict[int, float]] = {}
    for cell, value in training_seconds(trials).items():
        seconds.setdefault(cell[:2], {})[sizes[cell]] = value
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, metric, target (times 100), risk (0..1), and the prices label, "
        "training_hour and thousand_texts"
    )
    parser.add_argument("--recipe", required=True, type=TargetRecipe.from_json, help=keys)
    parser.add_argument("--trials", required=True, help="CSV of gather.py")
    parser.add_argument("--latencies", required=True, help="CSV of gather_latency.py")
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    parser.add_argument("--targets", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    given = parser.parse_args(argv)
    latencies = read_rows(given.latencies, LatencyRow)
    cards = [read_json(path) for path in given.cards]
    prices = Prices(
        given.recipe,
        seconds_by_n(read_rows(given.trials, TrialRow)),
        {(row.dataset, row.model): row.milliseconds for row in latencies},
        {card["dataset"]: card["pool"]["rows"] for card in cards},
    )
    rows = target_rows(index(given.predictions), given.recipe, prices)
    write_rows(given.targets, TargetRow, rows)


if __name__ == "__main__":
    run(main)
