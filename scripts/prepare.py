"""Turn a source into a pool and a test set with no text in both, and describe them in a card."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from gap.data.excerpts import shorten
from gap.data.manifests import Card, SourceManifest, TextsManifest
from gap.data.preparing.card import describe
from gap.data.preparing.label_table import LabelTable
from gap.data.preparing.labels import Labels
from gap.data.preparing.mmseqs import check_program
from gap.data.preparing.near_duplicates import find_near_duplicates
from gap.data.preparing.rejects import Rejects
from gap.data.preparing.relatives import RelativesSearch, relatives_warnings
from gap.data.preparing.roles import assign_roles, check_classes, check_labels
from gap.data.preparing.source import Reader
from gap.data.preparing.store import Store, take_batch
from gap.data.preparing.writing import write_rows
from gap.data.units import plural
from gap.run.folders import scratch_folder
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.run.workers import Workers
from gap.study.rules import PrepareRecipe

# A loss of more pool rows than that to the test set is told, and fewer groups in it.
DROPPED_SHARE, FEW_GROUPS = 0.1, 20


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Make pool, test, rejects and card, with scratch files in `folder`."""
    started = time.monotonic()
    recipe: PrepareRecipe = arguments.recipe
    source: SourceManifest = read_json(arguments.source)
    test_source = read_manifest(arguments.test_source)
    table = read_manifest(arguments.label_table)
    if recipe.relatives is not None and recipe.relatives.by == "mmseqs2":
        check_program(recipe.name)
    grouped, labels = recipe.group is not None, Labels(recipe.labels)
    store = Store(folder, arguments.memory, arguments.threads, grouped, recipe.unit)
    reader = Reader(recipe, store, labels, Rejects(arguments.rejects))
    if table:
        reader.table = LabelTable.of(table, recipe, reader.warnings.append)
    work = partial(take_batch, recipe.words, recipe.keep, grouped, recipe.pair)
    with Workers(work, arguments.threads) as workers:
        reader.take(source, workers, in_test=False)
        check_classes(store, recipe, labels)
        if test_source:
            reader.take(test_source, workers, in_test=True)
    oddities = reader.sequences.warnings()
    relatives = None
    if recipe.relatives is not None:
        relatives = RelativesSearch(store, recipe, arguments.threads)
        if recipe.relatives.apart:
            relatives.group(has_test=test_source is not None)
    assign_roles(store, recipe, labels, has_test=test_source is not None)
    near, near_dropped = None, recipe.near_duplicates == "drop"
    if recipe.near_duplicates is not None:
        near = find_near_duplicates(store, arguments.threads, near_dropped)
    related = relatives.examine() if relatives else None
    check_labels(store, recipe, labels)
    groups = write_rows(store, labels, arguments.pool, arguments.test)
    reader.rejects.close(arguments.rejects)
    card: Card = {
        **describe(store, recipe, labels, arguments.pool, arguments.test),
        "origin": recipe.origin,
        "source_sha256": source["sha256"],
        "test_source_sha256": test_source["sha256"] if test_source else None,
        "label_table_sha256": table["sha256"] if table else None,
        "rows_read": reader.rows_read,
        "rejected": dict(reader.rejects.counts),
        "test_groups": groups if store.grouped else None,
        "near_duplicates": near,
        "relatives": related,
        "sequences": reader.sequences.counts(),
        "warnings": [*reader.warnings, *labels.warnings(), *oddities],
    }
    card["warnings"] += [*budget_warnings(card), *split_warnings(card, near_dropped)]
    card["warnings"] += relatives_warnings(related)
    write_json(arguments.pool_manifest, manifest_of(card, "pool"))
    write_json(arguments.test_manifest, manifest_of(card, "test"))
    write_json(arguments.card, card)
    tell(card, time.monotonic() - started)


def read_manifest(path: Path | None) -> SourceManifest | None:
    """Return the manifest of a source that may be left out."""
    return read_json(path) if path else None


def manifest_of(card: Card, side: Literal["pool", "test"]) -> TextsManifest:
    """Return the little of a card that later rules depend on; the rest makes none run again."""
    rows, digest = card[side]["rows"], card[side]["sha256"]
    return {"labels": card["labels"], "rows": rows, "sha256": digest}


def tell(card: Card, seconds: float) -> None:
    """Print what became of the rows, and what a person should know of them."""
    rows = card["rows_read"]["pool"] + card["rows_read"]["test"]
    near, related = card["near_duplicates"], card["relatives"]
    dropped = related["dropped"] if related else None
    print(
        f"{card['dataset']}: {rows:,} rows read; pool {card['pool']['rows']:,}, "
        f"test {card['test']['rows']:,}, rejected {sum(card['rejected'].values()):,}, merged "
        f"{card['merged']:,}, dropped for standing in test {card['dropped_in_test']:,}"
        f"{'' if near is None else f', near duplicates of test texts {near:,}'}"
        f"{'' if dropped is None else f', relatives of test texts {dropped:,}'}; {seconds:.1f} s",
        file=sys.stderr,
    )
    for warning in card["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)


def budget_warnings(card: Card) -> list[str]:
    """Return a sentence where the data decide what the text budget counts, and it is unusual."""
    budget = card["text_budget"]
    if not budget["unit_from_data"]:
        return []
    if budget["unit"] == "word":
        if budget["called"] == "word":
            return []
        return [
            f"the text budget counts words, which reports call {plural(budget['called'])}; write "
            "`unit: character` where each sign is one, or `unit: word` where this is right"
        ]
    return [
        "most texts are single long runs without spaces, so the text budget is "
        f"{budget['words']:,} characters of each; write `unit: word` where words are meant, or "
        "`unit: character` where this is right"
    ]


def split_warnings(card: Card, near_dropped: bool) -> list[str]:
    """Return a sentence about each thing that is odd in what is pool and what is test."""
    warnings = []
    if near := card["near_duplicates"]:
        total = card["pool"]["rows"] + near * near_dropped
        what = "were dropped, because their texts are" if near_dropped else "have texts that are"
        advice = "" if near_dropped else "; `near_duplicates: drop` leaves them out"
        warnings.append(
            f"{near:,} of {total:,} pool rows {what} nearly texts of the test set{advice}"
        )
    dropped, rows, groups = card["dropped_in_test"], card["pool"]["rows"], card["test_groups"]
    if dropped > rows * DROPPED_SHARE:
        shared = "texts stand" if groups is None else "texts or groups stand"
        warnings.append(
            f"{dropped:,} of {dropped + rows:,} pool rows were dropped, because their {shared} in "
            "the test set, too"
        )
    if groups is not None and groups < FEW_GROUPS:
        warnings.append(
            f"the test set has {groups:,} groups only, and intervals over so few say little; "
            "choose a larger `test`"
        )
    if absent := [label for label, count in card["test"]["label_counts"].items() if not count]:
        named = ", ".join(map(shorten, absent[:5]))
        warnings.append(f"{len(absent):,} labels have no row in the test set ({named})")
    return warnings


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe",
        type=PrepareRecipe.from_json,
        required=True,
        help="the data set's, as JSON",
    )
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    parser.add_argument("--source", required=True, type=Path, help="manifest of the source")
    parser.add_argument("--test-source", type=Path, help="manifest of a given test set")
    parser.add_argument("--label-table", type=Path, help="manifest of a table of labels by id")
    parser.add_argument("--pool", required=True, type=Path, help="Parquet file to write")
    parser.add_argument("--pool-manifest", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--test", required=True, type=Path, help="Parquet file to write")
    parser.add_argument("--test-manifest", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--rejects", required=True, type=Path, help="rows set aside (CSV)")
    parser.add_argument("--card", required=True, type=Path, help="the data card (JSON)")
    parser.add_argument("--threads", type=int, default=1, help="processes that work at once")
    parser.add_argument("--memory", default="1GB", help="beyond it, the database spills to disk")
    arguments = parser.parse_args(argv)
    if (arguments.label_table is None) != (arguments.recipe.id is None):
        parser.error("--label-table goes with `id` and `table_id` of the recipe")
    outputs = [arguments.pool, arguments.pool_manifest, arguments.test, arguments.test_manifest]
    outputs += [arguments.rejects, arguments.card]
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    specification = [arguments.recipe.plain(), arguments.provenance]
    inputs = [arguments.source, *filter(None, [arguments.test_source, arguments.label_table])]
    state = state_folder(arguments.card.parent, "prepare", specification, inputs)
    if restore(state, outputs):
        return
    with scratch_folder(state / "unfinished") as folder:
        prepare(arguments, folder)
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
