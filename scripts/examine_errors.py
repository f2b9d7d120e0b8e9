"""Tell where models are right and wrong: by length, beside the reference, on single texts."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from gap.data.cards import read_card
from gap.data.manifests import Card, TextBudget
from gap.data.pairs import SEPARATOR
from gap.data.prepared import iterate_texts
from gap.data.units import count_units
from gap.results.predictions import (
    Cell,
    CorrectRows,
    Paths,
    beside_reference,
    index,
    read_predictions,
)
from gap.results.reading import ErrorsRecipe
from gap.results.rows import AgreementRow, ExampleRow, LengthRow
from gap.results.run_scores import scores_of
from gap.results.study_errors import StudyErrors
from gap.results.tables import study_order, write_rows
from gap.run.errors import UserError
from gap.run.program import run
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pair:
    """A model and the reference at one data set and size, and the seeds that both have."""

    reference: Cell
    model: Cell
    seeds: frozenset[int]


@dataclass(frozen=True)
class Tables:
    """The rows of all tables."""

    lengths: list[LengthRow] = field(default_factory=list)
    agreements: list[AgreementRow] = field(default_factory=list)
    examples: list[ExampleRow] = field(default_factory=list)


def text_lengths(path: str, budget: TextBudget) -> NDArray[np.int64]:
    """Return the length of each test text as models read it, in the budget's unit, (rows,)."""
    # Neither the mark between the texts of a pair is a word, nor are the dots between head and tail
    # of a text that was cut.
    wholes = (text.replace(SEPARATOR, " ") for texts in iterate_texts(path) for text in texts)
    counts = [count_units(whole, budget["unit"]) for whole in wholes]
    return np.minimum(np.array(counts, dtype=np.int64), budget["words"])


def length_groups(lengths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return up to four ranges of lengths, ends included, about a quarter of the texts in each.

    Texts of one length are never parted, so there are fewer ranges where many have the same.
    """
    different = np.unique(lengths)
    ends = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75, 1], method="inverted_cdf"))
    after = (int(different[np.searchsorted(different, end) + 1]) for end in ends[:-1])
    starts = [int(different[0]), *after]
    return list(zip(starts, map(int, ends), strict=True))


def by_length(
    cell: Cell,
    correct: CorrectRows,
    lengths: NDArray[np.int64],
    budget: TextBudget,
    confidence: float,
) -> list[LengthRow]:
    """Return a model's accuracy in percent on the texts of each range of lengths."""
    rows = []
    for low, high in length_groups(lengths):
        inside = (lengths >= low) & (lengths <= high)
        scores = scores_of({cell: {seed: right[inside] for seed, right in correct.items()}})
        estimate = StudyErrors(scores, cell.model).mean(cell)
        ends = np.clip(estimate.interval(confidence), 0, 100)
        row = LengthRow(
            cell.dataset,
            cell.model,
            cell.size,
            cell.n,
            words_from=low,
            words_to=high,
            unit=budget["unit"],
            called=budget["called"],
            rows=int(inside.sum()),
            accuracy=estimate.value,
            accuracy_low=float(ends[0]),
            accuracy_high=float(ends[1]),
        )
        rows.append(row)
    return rows


def agreement(
    pair: Pair, reference_correct: CorrectRows, model_correct: CorrectRows
) -> AgreementRow:
    """Return how often both models were right, one of them, or none, in percent, over seeds."""
    shares = [
        np.bincount(2 * (~reference_correct[seed]) + (~model_correct[seed]), minlength=4)
        / len(reference_correct[seed])
        for seed in sorted(pair.seeds)
    ]
    both_right, only_reference, only_model, both_wrong = (100 * np.mean(shares, axis=0)).tolist()
    return AgreementRow(
        pair.model.dataset,
        pair.model.model,
        pair.reference.model,
        pair.model.size,
        pair.model.n,
        len(pair.seeds),
        both_right=both_right,
        only_reference=only_reference,
        only_model=only_model,
        both_wrong=both_wrong,
    )


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


def mean_scores(paths: Sequence[str], seeds: Set[int]) -> Scored:
    """Return the mean probabilities of a model over these seeds; all of a test set in memory."""
    labels: dict[int, list[NDArray[np.int32]]] = defaultdict(list)
    scores: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for path in paths:
        for block in read_predictions(path):
            if block.seed in seeds:
                labels[block.seed].append(block.labels)
                scores[block.seed].append(block.scores)
    total = sum(np.exp(np.concatenate(blocks), dtype=np.float64) for blocks in scores.values())
    return Scored(np.concatenate(labels[min(seeds)]), np.asarray(total) / len(seeds))


def examples(
    reference: Scored, model: Scored, count: int
) -> Iterator[tuple[int, Literal["reference", "model"]]]:
    """Yield the rows on which one model is right and the other wrong, and which is right.

    For each kind these are the `count` rows in which the two models' probabilities of the true
    label are furthest apart.
    """
    yield from ((row, "reference") for row in _furthest(reference, model, count))
    yield from ((row, "model") for row in _furthest(model, reference, count))


def _furthest(winner: Scored, loser: Scored, count: int) -> list[int]:
    """Return the rows on which the one is right and the other wrong, the furthest apart first."""
    distance = winner.of_truth - loser.of_truth
    rows = np.flatnonzero((winner.top == winner.labels) & (loser.top != loser.labels))
    order = np.argsort(-distance[rows], kind="stable")
    return [int(row) for row in rows[order][:count]]


def example_rows(
    cells: Paths, pair: Pair, test: str, names: Sequence[str], count: int
) -> list[ExampleRow]:
    """Return the rows of `examples` of reference and model, with their texts."""
    reference, model = (
        mean_scores(cells[cell], pair.seeds) for cell in (pair.reference, pair.model)
    )
    shown = list(examples(reference, model, count))
    texts = read_texts(test, {row for row, _ in shown})
    return [
        ExampleRow(
            pair.model.dataset,
            pair.model.model,
            pair.reference.model,
            pair.model.size,
            pair.model.n,
            len(pair.seeds),
            row,
            right,
            label=names[reference.labels[row]],
            reference_label=names[reference.top[row]],
            reference_probability=reference.scores[row].max(),
            model_label=names[model.top[row]],
            model_probability=model.scores[row].max(),
            text=texts[row],
        )
        for row, right in shown
    ]


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
    cells: Paths,
    tests: Mapping[str, str],
    cards: Mapping[str, Card],
    recipe: ErrorsRecipe,
) -> Tables:
    """Return the rows of all tables.

    `tests` are the test sets and `cards` the cards of the data sets, by name. Examples are of one
    model per data set, at the largest size. Memory holds two models of one data set and size.
    """
    tables = Tables()
    shown: dict[str, Pair] = {}
    budgets = {dataset: cards[dataset]["text_budget"] for dataset in tests}
    lengths = {dataset: text_lengths(path, budgets[dataset]) for dataset, path in tests.items()}
    for cell, correct, reference, reference_correct in beside_reference(cells, recipe.reference):
        _check(cell, correct, lengths)
        budget, counts = budgets[cell.dataset], lengths[cell.dataset]
        tables.lengths.extend(by_length(cell, correct, counts, budget, recipe.confidence))
        seeds = frozenset(reference_correct.keys() & correct.keys())
        if reference and cell != reference and seeds:
            pair = Pair(reference, cell, seeds)
            tables.agreements.append(agreement(pair, reference_correct, correct))
            if _is_rather_shown(pair, shown.get(cell.dataset), recipe):
                shown[cell.dataset] = pair
    for dataset, pair in shown.items():
        tables.examples.extend(
            example_rows(cells, pair, tests[dataset], cards[dataset]["labels"], recipe.examples)
        )
    return Tables(
        study_order(tables.lengths, recipe),
        study_order(tables.agreements, recipe),
        study_order(tables.examples, recipe),
    )


def _is_rather_shown(pair: Pair, before: Pair | None, recipe: ErrorsRecipe) -> bool:
    """Whether examples are rather of this model and size than of those found `before`."""
    if before is None:
        return True
    names = dict.fromkeys([recipe.compared, *recipe.models])
    places = {name: place for place, name in enumerate(names)}
    place, place_before = (
        places.get(name, len(places)) for name in (pair.model.model, before.model.model)
    )
    return (-place, pair.model.n) > (-place_before, before.model.n)


def _check(cell: Cell, correct: CorrectRows, lengths: Mapping[str, NDArray[np.int64]]) -> None:
    rows = {len(right) for right in correct.values()}
    if rows != {len(lengths[cell.dataset])}:
        raise UserError(
            f"{cell.model} of {cell.size} of {cell.dataset}: predictions of {sorted(rows)} rows, "
            f"the test set has {len(lengths[cell.dataset])}; run predict again"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, confidence (0..1), examples (how many of each kind), and optionally "
        "compared, the model whose texts are shown, and models, a list of names in order"
    )
    parser.add_argument("--recipe", required=True, type=ErrorsRecipe.from_json, help=keys)
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    order = "test sets of prepare.py, in the order of the cards"
    parser.add_argument("--tests", required=True, nargs="+", help=order)
    for name in ("lengths", "agreements", "examples"):
        parser.add_argument(f"--{name}", required=True, help="CSV file to write")
    parser.add_argument("predictions", nargs="*", help="Parquet files, or @FILE that lists them")
    arguments = parser.parse_args(argv)
    cards = {card["dataset"]: card for card in map(read_card, arguments.cards)}
    tests = dict(zip(cards, arguments.tests, strict=True))
    tables = examine(index(arguments.predictions), tests, cards, arguments.recipe)
    write_rows(arguments.lengths, LengthRow, tables.lengths)
    write_rows(arguments.agreements, AgreementRow, tables.agreements)
    write_rows(arguments.examples, ExampleRow, tables.examples)


if __name__ == "__main__":
    run(main)
