"""Tell where models are right and wrong: by length of text, together, and on single texts."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from gap.results.predictions import Cell, Paths, beside_reference, index, read_predictions
from gap.results.statistics import Correct, accuracy
from gap.results.tables import study_order, write_table
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run
from numpy.typing import NDArray

CELL = ("dataset", "model", "size", "n")
LENGTH_COLUMNS = (
    *(*CELL, "words_from", "words_to", "rows"),
    *("accuracy", "accuracy_low", "accuracy_high"),
)
AGREEMENT_COLUMNS = (
    *("dataset", "model", "reference", "size", "n", "seeds"),
    *("both_right", "only_reference", "only_model", "both_wrong"),
)
EXAMPLE_COLUMNS = (
    *("dataset", "model", "reference", "size", "n", "seeds", "row", "right", "label"),
    *("reference_label", "reference_probability", "model_label", "model_probability", "text"),
)

Row = dict[str, Any]


def word_counts(path: str) -> NDArray[np.int64]:
    """Return the words of each test text as models read it, shape (rows,)."""
    with pq.ParquetFile(path) as file:
        counts = [
            pc.count_substring_regex(batch["text"], r"\S+").to_numpy(zero_copy_only=False)
            for batch in file.iter_batches(columns=["text"])
        ]
    return np.concatenate(counts).astype(np.int64)


def length_groups(words: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return up to four ranges of words, ends included, about a quarter of the texts in each.

    Texts of one length are never parted, so there are fewer ranges where many have the same.
    """
    lengths = np.unique(words)
    ends = np.unique(np.quantile(words, [0.25, 0.5, 0.75, 1], method="inverted_cdf"))
    starts = [int(lengths[0]), *(int(lengths[np.searchsorted(lengths, e) + 1]) for e in ends[:-1])]
    return list(zip(starts, map(int, ends), strict=True))


def by_length(
    cell: Cell, correct: Correct, words: NDArray[np.int64], confidence: float
) -> list[Row]:
    """Return a model's accuracy in percent on the texts of each range of words."""
    rows = []
    for low, high in length_groups(words):
        inside = (words >= low) & (words <= high)
        found = accuracy({seed: right[inside] for seed, right in correct.items()})
        ends = np.clip(found.interval(confidence), 0, 100)
        values = (low, high, int(inside.sum()), found.value, *ends)
        rows.append(dict(zip(LENGTH_COLUMNS, (*_named(cell), *values), strict=True)))
    return rows


def agreement(reference: Cell, cell: Cell, ours: Correct, theirs: Correct) -> Row:
    """Return how often both models were right, one of them, or none, in percent, over seeds."""
    seeds = sorted(ours.keys() & theirs.keys())
    pairs = [
        np.bincount(2 * (~ours[seed]) + (~theirs[seed]), minlength=4) / len(ours[seed])
        for seed in seeds
    ]
    shares = 100 * np.mean(pairs, axis=0)
    who = (cell.dataset, cell.model, reference.model, cell.size, cell.n, len(seeds))
    return dict(zip(AGREEMENT_COLUMNS, (*who, *shares), strict=True))


@dataclass(frozen=True)
class Scored:
    """What a model says of the test texts, as a mean of probabilities over seeds.

    `labels` (rows,) are the true ones, `scores` (rows, labels).
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float64]

    @property
    def top(self) -> NDArray[np.int64]:
        return self.scores.argmax(axis=1)

    @property
    def of_truth(self) -> NDArray[np.float64]:
        return self.scores[np.arange(len(self.labels)), self.labels]


def mean_scores(paths: Sequence[str], seeds: set[int]) -> Scored:
    """Return the mean probabilities of a model over these seeds; all of a test set in memory."""
    labels: dict[int, list[NDArray[np.int32]]] = defaultdict(list)
    scores: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for path in paths:
        for block in read_predictions(path):
            if block.seed in seeds:
                labels[block.seed].append(block.labels)
                scores[block.seed].append(block.scores)
    total = sum(np.exp(np.concatenate(parts), dtype=np.float64) for parts in scores.values())
    return Scored(np.concatenate(labels[min(seeds)]), np.asarray(total) / len(seeds))


def examples(reference: Scored, model: Scored, count: int) -> Iterator[tuple[int, str]]:
    """Yield the rows on which one model is right and the other wrong, and which is right.

    Of each kind the `count` rows in which the probabilities of the true label are furthest apart.
    """
    for right, winner, loser in (("reference", reference, model), ("model", model, reference)):
        apart = winner.of_truth - loser.of_truth
        told = (winner.top == winner.labels) & (loser.top != loser.labels)
        rows = np.flatnonzero(told)
        yield from (
            (int(row), right) for row in rows[np.argsort(-apart[rows], kind="stable")][:count]
        )


def example_rows(
    cells: Paths,
    pair: tuple[Cell, Cell],
    seeds: set[int],
    test: str,
    names: Sequence[str],
    count: int,
) -> list[Row]:
    """Return the rows of `examples` of reference and model, with their texts."""
    ours, theirs = (mean_scores(cells[cell], seeds) for cell in pair)
    found = list(examples(ours, theirs, count))
    texts = read_texts(test, {row for row, _ in found})
    reference, cell = pair
    who = (cell.dataset, cell.model, reference.model, cell.size, cell.n, len(seeds))
    rows = []
    for row, right in found:
        said = [(names[one.top[row]], one.scores[row].max()) for one in (ours, theirs)]
        values = (row, right, names[ours.labels[row]], *said[0], *said[1], texts[row])
        rows.append(dict(zip(EXAMPLE_COLUMNS, (*who, *values), strict=True)))
    return rows


def read_texts(path: str, rows: set[int]) -> dict[int, str]:
    """Return {row: text} of some rows of a test set."""
    with pq.ParquetFile(path) as file:
        return {
            row: text
            for batch in file.iter_batches(columns=["row", "text"])
            for row, text in zip(batch["row"].to_pylist(), batch["text"].to_pylist(), strict=True)
            if row in rows
        }


def examine(
    cells: Paths, tests: Mapping[str, str], names: Mapping[str, Sequence[str]], recipe: Row
) -> dict[str, list[Row]]:
    """Return the rows of the tables lengths, agreements and examples.

    `tests` are the test sets and `names` the labels of each data set. Examples are of one model per
    data set, the recipe's `compared` or else the first beside the reference, at the largest size.
    Memory holds two models of one data set and size.
    """
    tables: dict[str, list[Row]] = {"lengths": [], "agreements": [], "examples": []}
    chosen: dict[str, tuple[Cell, Cell, set[int]]] = {}
    words = {dataset: word_counts(path) for dataset, path in tests.items()}
    for cell, correct, reference, ours in beside_reference(cells, recipe["reference"]):
        _check(cell, correct, words)
        tables["lengths"] += by_length(cell, correct, words[cell.dataset], recipe["confidence"])
        shared = ours.keys() & correct.keys()
        if reference and cell != reference and shared:
            tables["agreements"].append(agreement(reference, cell, ours, correct))
            if _is_main(cell, chosen.get(cell.dataset), recipe):
                chosen[cell.dataset] = (reference, cell, set(shared))
    for dataset, (reference, cell, seeds) in chosen.items():
        tables["examples"] += example_rows(
            cells, (reference, cell), seeds, tests[dataset], names[dataset], recipe["examples"]
        )
    return {name: study_order(rows, recipe) for name, rows in tables.items()}


def _is_main(cell: Cell, before: tuple[Cell, Cell, set[int]] | None, recipe: Row) -> bool:
    """Whether examples are rather of this model and size than of those found `before`."""
    if before is None:
        return True
    compared = recipe.get("compared")
    places = {name: place for place, name in enumerate([compared, *recipe.get("models", [])])}
    ours, theirs = (places.get(one.model, len(places)) for one in (cell, before[1]))
    return (-ours, cell.n) > (-theirs, before[1].n)


def _check(cell: Cell, correct: Correct, words: Mapping[str, NDArray[np.int64]]) -> None:
    rows = {len(right) for right in correct.values()}
    if rows != {len(words[cell.dataset])}:
        raise UserError(
            f"{cell.model} of {cell.size} of {cell.dataset}: predictions of {sorted(rows)} rows, "
            f"the test set has {len(words[cell.dataset])}; run predict again"
        )


def _named(cell: Cell) -> tuple[Any, ...]:
    return cell.dataset, cell.model, cell.size, cell.n


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, confidence (0..1), examples (how many of each kind), and optionally "
        "compared, the model whose texts are shown, and models, a list of names in order"
    )
    parser.add_argument("--recipe", required=True, type=json.loads, help=keys)
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    order = "test sets of prepare.py, in the order of the cards"
    parser.add_argument("--tests", required=True, nargs="+", help=order)
    for name in ("lengths", "agreements", "examples"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    cards = [read_json(path) for path in arguments.cards]
    names = {card["dataset"]: card["labels"] for card in cards}
    tests = dict(zip(names, arguments.tests, strict=True))
    tables = examine(index(arguments.predictions), tests, names, arguments.recipe)
    for name, columns in (
        ("lengths", LENGTH_COLUMNS),
        ("agreements", AGREEMENT_COLUMNS),
        ("examples", EXAMPLE_COLUMNS),
    ):
        write_table(getattr(arguments, name), columns, tables[name], decimals=4)


if __name__ == "__main__":
    run(main)
