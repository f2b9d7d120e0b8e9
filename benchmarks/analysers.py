"""Measure what the linear model gains or loses by how it takes texts apart, on real reviews.

Beside it stands the model as it was before: words of two or more letters or digits, without their
accents, and pairs of them. Both are tuned on the same validation rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import common
import numpy as np
from gap.models.families import linear

if TYPE_CHECKING:
    from gap.data.sampling import Subsample
    from sklearn.feature_extraction.text import TfidfVectorizer

GOAL = -0.3  # points


def former_vectorizer(
    kind: str,
    lengths: tuple[int, int],
    min_texts: int = 1,
    max_features: int | None = None,
    vocabulary: list[str] | None = None,
) -> TfidfVectorizer:
    """Return the vectorizer that the model had before; it counts words only."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    assert kind == "words"
    return TfidfVectorizer(
        ngram_range=lengths,
        min_df=min_texts,
        max_features=max_features,
        sublinear_tf=True,
        strip_accents="unicode",
        vocabulary=vocabulary,
        dtype=np.float32,
    )


def accuracy(recipe: linear.Recipe, subsample: Subsample, folder: Path) -> float:
    """Return the accuracy in percent on the test set of the best trial on the validation rows."""
    from gap.data.prepared import load_labels
    from gap.models.family import Folders, Job, family_of
    from gap.run.json import read_json
    from gap.study.tuning import choose, trials_of

    labels = read_json(folder / "card.json")["labels"]
    family = family_of(recipe, Job(labels, texts=folder / "pool.parquet"))
    reports = []
    for trial in trials_of(recipe, subsample.seed):
        weights = folder / str(trial.number)
        (evaluation,) = family.train(trial.recipe, subsample, Folders(folder, folder, weights))
        reports.append({"loss": evaluation["loss"], "trial": trial.number})
    best = folder / str(choose(reports)["trial"])
    test = family_of(recipe, Job(labels, texts=folder / "test.parquet"))
    right = test.log_scores(best, subsample.seed).argmax(1) == load_labels(folder / "test.parquet")
    return 100 * float(right.mean())


def former_accuracy(recipe: linear.Recipe, subsample: Subsample, folder: Path) -> float:
    """Return the accuracy in percent of the model as it was before."""
    from gap.study.tuning import grid_size

    former = recipe.model_copy(update={"analyser": "words"})
    former = former.model_copy(update={"trials": grid_size(former)})
    with mock.patch.object(linear, "make_vectorizer", former_vectorizer):
        return accuracy(former, subsample, folder)


def measure(config: dict[str, Any], folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the accuracies before and now, a pair for each seed, by size."""
    from gap.data.prepared import load_labels
    from gap.data.sampling import subsample
    from gap.models.family import load_recipe
    from gap.study.recipes import Validation
    from gap.study.sizes import parse_seeds, rows_of_size

    (entry,) = [entry for entry in config["model_zoo"].values() if entry["family"] == "linear"]
    recipe = load_recipe(entry)
    assert isinstance(recipe, linear.Recipe)
    pool, validation = load_labels(folder / "pool.parquet"), Validation(**config["validation"])
    pairs: dict[str, list[tuple[float, float]]] = {}
    for size in config["sizes"]:
        n = rows_of_size(size, len(pool))
        for seed in [seed for block in recipe.seeds for seed in parse_seeds(block)]:
            rows = subsample(pool, seed, n, validation)
            scores = (
                former_accuracy(recipe, rows, folder),
                accuracy(recipe, rows, folder),
            )
            print(
                f"{n:,} labels, seed {seed}: {scores[0]:.2f} %, now {scores[1]:.2f} %", flush=True
            )
            pairs.setdefault(size, []).append(scores)
    return pairs


def section(pairs: Mapping[str, Sequence[tuple[float, float]]], confidence: float) -> str:
    """Return the table of all sizes, with the mean difference of each and of all, in points."""
    lines = [
        f"| labels | before, % | now, % | difference, points | {confidence:.0%} interval |",
        "|---|---|---|---|---|",
    ]
    for size, scores in pairs.items():
        before, now = np.mean(scores, axis=0)
        mean, low, high = interval([new - old for old, new in scores], confidence)
        lines.append(
            f"| {size} | {before:.2f} | {now:.2f} | {mean:+.2f} | {low:+.2f} to {high:+.2f} |"
        )
    differences = np.array([[new - old for old, new in scores] for scores in pairs.values()])
    # Subsamples of one seed are nested, so a seed's sizes are no draws of their own.
    mean, low, high = interval(differences.mean(axis=0), confidence)
    lines.append(f"| all | | | {mean:+.2f} | {low:+.2f} to {high:+.2f} |")
    verdict = "reached" if low >= GOAL else "missed"
    return "\n".join(
        [
            f"TF-IDF on film reviews, {differences.shape[1]} seeds, sizes of the default study.",
            "",
            *lines,
            "",
            f"- not worse than {-GOAL:g} points, all sizes together: {verdict}",
        ]
    )


def interval(
    differences: Sequence[float] | np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Return the mean over seeds, and the ends of its interval (Student's t)."""
    from scipy.stats import t

    mean, error = np.mean(differences), np.std(differences, ddof=1) / len(differences) ** 0.5
    reach = error * t.ppf((1 + confidence) / 2, len(differences) - 1)
    return float(mean), float(mean - reach), float(mean + reach)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = common.arguments(__doc__).parse_args(argv)
    config = common.load_config(given.config)
    dataset = config["dataset_zoo"][config["datasets"][0]]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        test, words = int(dataset["test"]), dataset["words"]
        common.prepare_texts(config, given.results, folder, test, words)
        pairs = measure(config, folder)
    common.write_section(given.page, "Words in all scripts", section(pairs, 0.95))


if __name__ == "__main__":
    main()
