"""Write the answer of a study: one sentence, then tables that read well in a terminal."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gap.cli import read_json, run
from gap.missing import count_missing, name_unpaired, spell_size
from gap.tables import read_table, study_order

Row = Mapping[str, Any]
WIDTH = 100
SCALES = (
    "Means over seeds, in percent; log loss in nats; ECE is the expected calibration error of the\n"
    "top label's probability (15 bins)."
)
METRICS = ("macro_f1", "log_loss", "calibration_error")


@dataclass(frozen=True)
class Study:
    """The tables of a study and what its recipe says on how to read them."""

    recipe: Mapping[str, Any]
    scores: Sequence[Row]
    accuracies: Sequence[Row]
    gaps: Sequence[Row]
    cards: Sequence[Row]

    def title(self, name: str) -> str:
        return str(self.recipe.get("titles", {}).get(name, name))

    @property
    def reference(self) -> str:
        return self.title(self.recipe["reference"])

    @property
    def margin(self) -> str:
        margin = self.recipe["margin"]
        return f"{margin:g} point" if margin == 1 else f"{margin:g} points"

    @property
    def interval(self) -> str:
        return f"{100 * self.recipe['confidence']:g} % interval"

    @property
    def missing(self) -> Sequence[Row]:
        return self.recipe.get("missing") or []

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(row["dataset"] for row in self.accuracies))


def summary(study: Study) -> str:
    """Return the summary as Markdown; its first paragraph is the answer in one sentence.

    Where runs are missing, a line before that sentence says so.
    """
    parts = [_notice(study) + answer(study), _explanation(study)]
    if others := _other_comparisons(study):
        parts.append("The other comparisons:\n\n" + "\n".join(others))
    if study.gaps:
        parts.append(f"## Gap to {study.reference}, in percentage points\n\n{_gap_table(study)}")
    parts.append(f"## Accuracy on the test set\n\n{SCALES}\n\n{_accuracy_table(study)}")
    if study.cards:
        parts.append(f"## Data\n\n{_data_table(study)}")
    if study.missing or _unpaired(study):
        parts.append(f"## What is missing\n\n{_missing(study)}")
    parts.append(f"## How the intervals were made\n\n{_method(study)}")
    return "\n\n".join(parts) + "\n"


def answer(study: Study) -> str:
    """Return one sentence about the main comparison, on every data set.

    The main comparison is with the recipe's `compared`, else with the first model of the gaps.
    """
    if not study.gaps:
        return f"No gap can be told: no model beside {study.reference} was run."
    main = _main_comparison(study)
    sentences = [
        _on(study, dataset) + comparison(rows, study)
        for (dataset, model), rows in _comparisons(study).items()
        if model == main
    ]
    return _sentence("; ".join(sentences))


def _main_comparison(study: Study) -> str | None:
    models = list(dict.fromkeys(row["model"] for row in study.gaps))
    compared = study.recipe.get("compared")
    return compared if compared in models else next(iter(models), None)


def comparison(rows: Sequence[Row], study: Study) -> str:
    """Return what the gaps to one model on one data set say, without capital and full stop.

    `rows` are ordered by n. The gap is said to narrow or to widen only where the intervals of the
    smallest and the largest size lie apart.
    """
    first, last = rows[0], rows[-1]
    text = (
        f"with {first['n']:,} labels {study.reference} is {_size(first)} points "
        f"({study.interval} {_bounds(first)}) {_side(first)} {study.title(first['model'])}"
    )
    if first is last:
        return f"{text}; only one size was measured, so it is open whether the gap narrows"
    side = "" if _side(first) == _side(last) else f" {_side(last).split()[0]}"
    text += f"; with {last['n']:,} labels {_size(last)} ({_bounds(last)}){side}"
    # Four decimals stand in the table: what ends at 0 is not ahead.
    reversed_from = _from(rows, -0.0001)
    if reversed_from:
        model = study.title(last["model"])
        return f"{text}; {_range(reversed_from, rows)} {model} is ahead"
    return f"{text}; {_course(first, last)}{_verdict(rows, study)}"


def _course(first: Row, last: Row) -> str:
    if last["gap_high"] < first["gap_low"]:
        return "the gap narrows"
    if last["gap_low"] > first["gap_high"]:
        return "the gap widens"
    if last["gap"] < first["gap"]:
        return "the gap looks narrower (the intervals overlap)"
    return "the gap does not narrow"


def _verdict(rows: Sequence[Row], study: Study) -> str:
    """Return how the gaps stand to the margin, as the end of a sentence."""
    margin, last = study.recipe["margin"], rows[-1]
    closed_from = _from(rows, margin)
    if closed_from:
        return f", and {_range(closed_from, rows)} it is at most {study.margin}"
    if last["gap"] <= margin:
        return (
            f", and with {last['n']:,} labels it is {study.margin} or less, but the interval "
            f"reaches {last['gap_high']:.2f}"
        )
    if any(row["gap"] <= margin for row in rows):
        return f", and at the largest size it is above {study.margin}"
    joint = " but" if last["gap_high"] < rows[0]["gap_low"] else " and"
    return f"{joint} has not fallen to {study.margin} at any measured size"


def _from(rows: Sequence[Row], limit: float) -> int | None:
    """Return the smallest n from which on every interval ends at `limit` or under."""
    above = [place for place, row in enumerate(rows) if row["gap_high"] > limit]
    rest = rows[above[-1] + 1 :] if above else rows
    return int(rest[0]["n"]) if rest else None


def _range(n: int, rows: Sequence[Row]) -> str:
    if n == rows[0]["n"]:
        return "at every measured size"
    return f"with {n:,} labels" if n == rows[-1]["n"] else f"from {n:,} labels on"


def _other_comparisons(study: Study) -> list[str]:
    main = _main_comparison(study)
    return [
        textwrap.fill(
            _sentence(_on(study, dataset) + comparison(rows, study)),
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for (dataset, model), rows in _comparisons(study).items()
        if model != main
    ]


def _comparisons(study: Study) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in study.gaps:
        groups[row["dataset"], row["model"]].append(row)
    return {key: sorted(rows, key=lambda row: row["n"]) for key, rows in groups.items()}


def _explanation(study: Study) -> str:
    models = list(dict.fromkeys(row["model"] for row in study.accuracies))
    sizes = sorted({row["n"] for row in study.accuracies})
    span = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    text = (
        f"Measured on {_several(study.datasets, 'data set')} with {_several(models, 'model')}, "
        f"trained with {span} labelled examples ({_several(sizes, 'size')}), validation examples "
        f"included. The gap is the accuracy of {study.reference} minus that of the other model, on "
        "the same test examples and with the same seeds; a seed draws the training examples, the "
        "first weights and the order of batches."
    )
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _gap_table(study: Study) -> str:
    header = ["Model", "Labels", "Gap", study.interval, "Seeds", f"At most {study.margin}?"]
    rows = [
        [
            study.title(row["model"]),
            _labels(row),
            _number(row["gap"]),
            f"{_number(row['gap_low'])} to {_number(row['gap_high'])}",
            str(row["seeds"]),
            row["within_margin"],
        ]
        for row in study.gaps
    ]
    return _by_dataset(study, header, rows, study.gaps, right={1, 2, 3, 4})


def _accuracy_table(study: Study) -> str:
    header = ["Model", "Labels", "Accuracy", study.interval]
    header += ["Macro-F1", "Log loss", "ECE", "Seeds"]
    rows = []
    for row in study.accuracies:
        means = _means(study.scores, row)
        rows.append(
            [
                study.title(row["model"]),
                _labels(row),
                f"{row['accuracy']:.1f}",
                f"{row['accuracy_low']:.1f} to {row['accuracy_high']:.1f}",
                f"{100 * means['macro_f1']:.1f}",
                f"{means['log_loss']:.3f}",
                f"{100 * means['calibration_error']:.1f}",
                str(row["seeds"]),
            ]
        )
    return _by_dataset(study, header, rows, study.accuracies, right={1, 2, 3, 4, 5, 6, 7})


def _means(scores: Sequence[Row], cell: Row) -> dict[str, float]:
    keys = ("dataset", "model", "size")
    ours = [row for row in scores if all(row[key] == cell[key] for key in keys)]
    return {name: sum(row[name] for row in ours) / len(ours) for name in METRICS}


def _data_table(study: Study) -> str:
    header = [
        "Data set",
        "Rows to train on",
        "Rows to test on",
        "Set aside",
        "Words read",
        "Labels",
    ]
    rows = [
        [
            study.title(card["dataset"]),
            f"{card['pool']['rows']:,}",
            f"{card['test']['rows']:,}",
            f"{sum(card.get('rejected', {}).values()):,}",
            str(card.get("text_budget", {}).get("words", "all")),
            textwrap.shorten(", ".join(card["labels"]), 30, placeholder=" ..."),
        ]
        for card in study.cards
    ]
    origins = [
        textwrap.fill(f"{study.title(card['dataset'])}: {card['origin']}", WIDTH)
        for card in study.cards
        if card.get("origin")
    ]
    return "\n\n".join([markdown_table(header, rows, right={1, 2, 3, 4}), *origins])


def _notice(study: Study) -> str:
    if not study.missing:
        return ""
    count = count_missing(study.missing, study.accuracies)
    return f'Preliminary, as {count} (listed under "What is missing").\n'


def _missing(study: Study) -> str:
    """Return a table of the runs that are missing, and what has no gap for that."""
    blocks: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in study.missing:
        blocks[row["dataset"], row["model"], row["size"]].append(row["seeds"])
    rows = [
        [study.title(dataset), study.title(model), spell_size(size), ", ".join(seeds)]
        for (dataset, model, size), seeds in blocks.items()
    ]
    header = ["Data set", "Model", "Labels", "Seeds"]
    parts = [markdown_table(header, rows, right={2})] if rows else []
    if unpaired := _unpaired(study):
        text = f"No gap, as {study.reference} has no run with the same seed: {'; '.join(unpaired)}."
        parts.append(textwrap.fill(text, WIDTH, break_on_hyphens=False))
    return "\n\n".join(parts)


def _unpaired(study: Study) -> list[str]:
    return name_unpaired(study.accuracies, study.gaps, study.recipe)


def _method(study: Study) -> str:
    recipe = study.recipe
    text = (
        f"Percentile intervals of a crossed bootstrap (Owen 2007), {recipe['resamples']:,} "
        "resamples: seeds and test examples are drawn anew, each pair of a drawn seed and a drawn "
        "example counts, and both models of a gap get the same draws. With 2 or 3 seeds the part "
        "that seeds play is a rough guide, and the interval is likely too narrow where seeds "
        "differ much; with 1 seed it covers test examples only."
    )
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Return a Markdown table, padded so that it reads well as plain text.

    `right` are the numbers of the columns that are aligned to the right.
    """
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, *rows)]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    rule = [
        "-" * (width - 1) + ":" if place in right else "-" * width
        for place, width in enumerate(widths)
    ]
    cells.insert(1, rule)
    return "\n".join("| " + " | ".join(_padded(row, widths, right)) + " |" for row in cells)


def _padded(row: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    return [
        text.rjust(width) if place in right else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def _by_dataset(
    study: Study,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    source: Sequence[Row],
    right: set[int],
) -> str:
    """Return one table per data set, under its name if there are several.

    `source` are the rows of the study that the `rows` of text were made of.
    """
    tables = []
    for dataset in study.datasets:
        pairs = zip(source, rows, strict=True)
        ours = [cells for row, cells in pairs if row["dataset"] == dataset]
        heading = f"### {study.title(dataset)}\n\n" if len(study.datasets) > 1 else ""
        tables.append(heading + (markdown_table(header, ours, right) if ours else "None yet."))
    return "\n\n".join(tables)


def _labels(row: Row) -> str:
    return f"{row['n']:,}" if row["size"] == str(row["n"]) else f"{row['n']:,} ({row['size']})"


def _on(study: Study, dataset: str) -> str:
    return f"on {study.title(dataset)} " if len(study.datasets) > 1 else ""


def _side(row: Row) -> str:
    return "behind" if _is_behind(row) else "ahead of"


def _is_behind(row: Row) -> bool:
    # What rounds to 0.0 is told as 0.0 ahead, with an interval on both sides.
    return row["gap"] < -0.05


def _size(row: Row) -> str:
    return _number(abs(row["gap"]))


def _bounds(row: Row) -> str:
    low, high = row["gap_low"], row["gap_high"]
    if _is_behind(row):
        low, high = -high, -low
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-0.0", "0.0") if abs(value) < 0.05 else f"{value:.1f}"


def _several(items: Sequence[Any], noun: str) -> str:
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    keys = (
        "JSON: reference, margin (points), confidence (0..1), resamples, and optionally datasets "
        "and models, lists of names in order, titles {name: text}, compared, the model that the "
        "first sentence is about, and missing, a list of {dataset, model, size, seeds}: the runs "
        "that are not done"
    )
    parser.add_argument("--recipe", required=True, type=json.loads, help=keys)
    parser.add_argument("--scores", required=True, help="CSV of gather.py")
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--gaps", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    parser.add_argument("--summary", required=True, help="Markdown file to write")
    arguments = parser.parse_args(argv)
    tables = (arguments.scores, arguments.accuracies, arguments.gaps)
    cards = [read_json(path) for path in arguments.cards]
    scores, accuracies, gaps = (
        study_order(read_table(table), arguments.recipe) for table in tables
    )
    study = Study(arguments.recipe, scores, accuracies, gaps, cards)
    target = Path(arguments.summary)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(summary(study), encoding="utf-8")


if __name__ == "__main__":
    run(main)
