"""What a study found: its tables, and what its recipe says on how to read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gap.results.published import published_figures

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Findings:
    """The tables of a study and what its recipe says on how to read them."""

    recipe: Mapping[str, Any]
    scores: Sequence[Row]
    accuracies: Sequence[Row]
    gaps: Sequence[Row]
    cards: Sequence[Row]
    trials: Sequence[Row] = ()
    latencies: Sequence[Row] = ()
    crossings: Sequence[Row] = ()
    forecasts: Sequence[Row] = ()

    def title(self, name: str) -> str:
        """Return the name of a model or data set in texts for people."""
        return str(self.recipe.get("titles", {}).get(name, name))

    @property
    def reference(self) -> str:
        """The reference's title."""
        return self.title(self.recipe["reference"])

    @property
    def margin(self) -> str:
        """The margin with its unit: "1 point"."""
        margin = self.recipe["margin"]
        return f"{margin:g} point" if margin == 1 else f"{margin:g} points"

    @property
    def interval(self) -> str:
        """What intervals are called: "95 % interval"."""
        return f"{100 * self.recipe['confidence']:g} % interval"

    @property
    def missing(self) -> Sequence[Row]:
        """The runs that are not done: dataset, model, size, and seeds (a block)."""
        return self.recipe.get("missing") or []

    @property
    def published(self) -> list[dict[str, Any]]:
        """The figures of others, with their gaps."""
        rows = self.recipe.get("published", [])
        return published_figures(rows, self.accuracies, self.recipe["reference"])

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets, in order."""
        return list(dict.fromkeys(row["dataset"] for row in self.accuracies))

    @property
    def main(self) -> str | None:
        """The model of the main comparison: the recipe's `compared`, else the gaps' first."""
        models = list(dict.fromkeys(row["model"] for row in self.gaps))
        compared = self.recipe.get("compared")
        return compared if compared in models else next(iter(models), None)

    @property
    def comparisons(self) -> dict[tuple[str, str], list[Row]]:
        """The gaps by data set and model, by n."""
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.gaps:
            groups[row["dataset"], row["model"]].append(row)
        return {key: sorted(rows, key=lambda row: row["n"]) for key, rows in groups.items()}

    def seconds(self, dataset: str, model: str, size: str) -> float | None:
        """Return the seconds that a seed of this cell was trained, all its trials; mean of seeds.

        None where no trial is known.
        """
        cell = (dataset, model, size)
        ours = [row for row in self.trials if (row["dataset"], row["model"], row["size"]) == cell]
        seeds = {row["seed"] for row in ours}
        return sum(float(row["seconds"]) for row in ours) / len(seeds) if seeds else None


# Its name before.
Study = Findings
