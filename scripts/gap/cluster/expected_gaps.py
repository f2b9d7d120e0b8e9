"""How small a gap a study is expected to tell, before anything of it is run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gap.config.study import Study
from gap.results.missing import join_names
from gap.results.outlook import POWER, Outlook, quantile
from gap.results.reading import spell_margin
from gap.run.json import read_json
from gap.study import paths
from gap.study.recipes import ModelRecipe
from gap.study.sizes import count_rows, parse_seeds

# The labels with which the spread of seeds is given; what it is with more was not measured.
LABELS = 4000


@dataclass(frozen=True)
class UsualSpreads:
    """What seeds and test rows usually do to a mean, as standard deviations in points.

    `seed` is that of a model's seeds with LABELS labels and more; with fewer it rises with the
    power `slope` of how many times fewer they are. `chance` is what one training has right or wrong
    of a single row by chance, and `row` how differently the means of two models are on a row.
    """

    seed: float
    slope: float
    chance: float
    row: float

    def outlook(self, n: int, seeds: int, rows: int, confidence: float) -> Outlook:
        """Return what is expected of a gap of zero between two models of so many seeds each.

        Each has `n` labels, and `rows` test rows. The gap is alone: among many it takes more.
        """
        fewer = max(1.0, LABELS / n)
        of_seed = self.seed**2 * fewer ** (2 * self.slope) + self.chance**2 / rows
        errors = (2 * of_seed / seeds) ** 0.5, self.row / rows**0.5
        return Outlook(0.0, *errors, seeds, rows, quantile(confidence))


# Those of an LSTM beside a linear model, of 20 seeds in benchmarks/real_seeds.parquet; the slope is
# the mean of four cheap models, from 250 to 4,000 labels. A test compares them.
USUAL = UsualSpreads(seed=0.8, slope=0.47, chance=38, row=19)


def fewest_seeds(models: Iterable[ModelRecipe]) -> int:
    """Return how many seeds that model has that has fewest."""
    return min(sum(len(parse_seeds(block)) for block in model.seeds) for model in models)


def expected_gaps(study: Study, results: Path) -> list[str]:
    """Return a line for each data set on the smallest gap that the study is expected to tell.

    There is none where its test rows are not known yet, or where gaps are not of accuracy. What
    earlier runs in the folder of results have found out is used.
    """
    if study.gap.metric[0] != "accuracy":
        return []
    seeds = fewest_seeds(study.model_zoo[name] for name in study.models)
    margin = study.gap.margin
    lines = []
    for dataset in study.datasets:
        test, pool = _rows(study, dataset, results)
        if test is None:
            continue
        sizes = [
            count_rows(size, pool or 0)
            for size in study.sizes_of(dataset)
            if pool or not size.endswith("%")
        ]
        smallest = {
            n: USUAL.outlook(n, seeds, test, study.gap.confidence).smallest_told(margin)
            for n in sizes
        }
        told = [f"{points:.1f} with {n:,}" for n, points in sorted(smallest.items())]
        if told:
            lines.append(
                f"{dataset}: {100 * POWER:.0f} % of studies with {test:,} test rows and {seeds} "
                f"seed{'s' * (seeds > 1)} tell a single gap to be larger than "
                f"{spell_margin(margin)} from so many points on, if seeds differ as they usually "
                f"do: {join_names(told)} labels"
            )
    return lines


def _rows(study: Study, dataset: str, results: Path) -> tuple[int | None, int | None]:
    """Return the rows of a data set's test set and of its pool, as far as they are known."""
    made = [
        paths.located(pattern, results, dataset=dataset)
        for pattern in (paths.TEST_MANIFEST, paths.POOL_MANIFEST)
    ]
    if all(path.exists() for path in made):
        test, pool = (int(read_json(path)["rows"]) for path in made)
        return test, pool
    asked = study.dataset_zoo[dataset].test
    known = isinstance(asked, str) and not asked.endswith("%")
    return (int(str(asked)) if known else None), None
