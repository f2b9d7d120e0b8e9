"""Turn a source into texts without labels, within their budget, and describe them in a card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gap.data.manifests import SourceManifest, UnlabelledManifest
from gap.data.preparing.rejects import Rejects
from gap.data.preparing.source import Reader
from gap.data.preparing.store import Store, take_batch
from gap.data.preparing.unlabelled import budget_of, describe_texts, write_texts
from gap.run.folders import scratch_folder
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.run.workers import Workers
from gap.study.rules import TextsRecipe


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Make texts, manifest, rejects and card, with scratch files in `folder`."""
    recipe: TextsRecipe = arguments.recipe
    source: SourceManifest = read_json(arguments.source)
    store = Store(folder, arguments.memory, arguments.threads, grouped=False, unit=recipe.unit)
    reader = Reader(recipe, store, None, Rejects(arguments.rejects))
    work = partial(take_batch, budget_of(recipe), recipe.keep, False, False)
    with Workers(work, arguments.threads) as workers:
        reader.take(source, workers, in_test=False)
    write_texts(store, arguments.texts)
    reader.rejects.close(arguments.rejects)
    card = describe_texts(reader, recipe, source["sha256"], arguments.texts)
    manifest: UnlabelledManifest = {"rows": card["rows"], "sha256": card["sha256"]}
    write_json(arguments.manifest, manifest)
    write_json(arguments.card, card)
    print(
        f"{recipe.name}: {card['rows_read']:,} rows read; {card['rows']:,} texts, rejected "
        f"{sum(card['rejected'].values()):,}",
        file=sys.stderr,
    )
    for warning in card["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "--recipe", type=TextsRecipe.from_json, required=True, help="that of the texts, as JSON"
    )
    parser.add_argument("--provenance", required=True, help="JSON: code, packages")
    for name, what in {
        "source": "manifest of the source",
        "texts": "Parquet file to write",
        "manifest": "JSON file to write",
        "rejects": "rows set aside (CSV)",
        "card": "what became of the rows (JSON)",
    }.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--threads", type=int, default=1, help="processes that work at once")
    parser.add_argument("--memory", default="1GB", help="beyond it, the database spills to disk")
    arguments = parser.parse_args(argv)
    outputs = [arguments.texts, arguments.manifest, arguments.rejects, arguments.card]
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    specification = [arguments.recipe.plain(), arguments.provenance]
    state = state_folder(arguments.card.parent, "prepare_texts", specification, [arguments.source])
    if restore(state, outputs):
        return
    with scratch_folder(state / "unfinished") as folder:
        prepare(arguments, folder)
    keep(state, outputs)


if __name__ == "__main__":
    run(main)
