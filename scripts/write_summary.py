"""Write the answer of a study: one sentence, then tables that read well in a terminal."""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gap.report.markdown import markdown_table
from gap.report.verdict import verdict
from gap.report.wording import WIDTH, points, sentence, several, size_label, two_digits
from gap.results.curves import REACH
from gap.results.findings import Row, Study
from gap.results.missing import count_missing, name_unpaired, spell_size
from gap.results.tables import read_table, study_order
from gap.results.trials import budgets, expected_best
from gap.run.json import read_json
from gap.run.program import run

SCALES = (
    "Means over seeds, in percent; log loss in nats; ECE is the expected calibration error of the\n"
    "top label's probability (15 bins)."
)
METRICS = ("macro_f1", "log_loss", "calibration_error")
OTHERS = (
    "Of others, and in none of the numbers above: their texts, test set and settings may differ,\n"
    "and a share is one of their own data. A gap is the difference of two figures of one source."
)

TRIED = (
    "Accuracy on the validation rows, never the test set, in percent, that the best of 1, 2, 4 "
    "and so on trials is expected to have: the mean over all choices of as many of those that "
    "were run, and over seeds (Dodge et al. 2019, in the unbiased form of Tang et al. 2020). The "
    "lowest validation loss tells which is best. The more trials, the more this accuracy "
    "flatters. Models trained by gradient descent all have the same number; logistic regressions, "
    "on words or frozen states, try all that their recipe lists."
)


def summary(study: Study) -> str:
    """Return the summary as Markdown; its first paragraph is the answer in one sentence.

    Where runs are missing, a line before that sentence says so.
    """
    parts = [_notice(study) + answer(study), _explanation(study)]
    if study.gaps:
        parts.append(f"## The verdict\n\n{verdict(study)}")
    if others := _other_comparisons(study):
        parts.append("## The other comparisons\n\n" + "\n".join(others))
    if study.gaps:
        parts.append(f"## Gap to {study.reference}, in percentage points\n\n{_gap_table(study)}")
    if study.crossings:
        parts.append(f"## From which size on the gap is closed\n\n{_closing(study)}")
    parts.append(f"## Accuracy on the test set\n\n{SCALES}\n\n{_accuracy_table(study)}")
    if study.published:
        parts.append(f"## Published figures\n\n{OTHERS}\n\n{_published_table(study)}")
    if len(study.trials) > len(study.scores):
        text = textwrap.fill(TRIED, WIDTH, break_on_hyphens=False)
        parts.append(f"## What was tried\n\n{text}\n\n{_trials_table(study)}")
    if study.latencies:
        parts.append(f"## What inference costs\n\n{_inference(study)}")
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
    sentences = [
        _on(study, dataset) + comparison(rows, study)
        for (dataset, model), rows in study.comparisons.items()
        if model == study.main
    ]
    return sentence("; ".join(sentences))


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
    return [
        textwrap.fill(
            sentence(_on(study, dataset) + comparison(rows, study)),
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for (dataset, model), rows in study.comparisons.items()
        if model != study.main
    ]


def _explanation(study: Study) -> str:
    models = list(dict.fromkeys(row["model"] for row in study.accuracies))
    sizes = sorted({row["n"] for row in study.accuracies})
    span = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    text = (
        f"Measured on {several(study.datasets, 'data set')} with {several(models, 'model')}, "
        f"trained with {span} labelled examples ({several(sizes, 'size')}), validation examples "
        f"included. The gap is the accuracy of {study.reference} minus that of the other model, on "
        "the same test examples and with the same seeds; a seed draws the training examples, the "
        "first weights and the order of batches."
    )
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _gap_table(study: Study) -> str:
    header = ["Model", "Labels", "Gap", study.interval, "Seeds", "Difference"]
    rows = [
        [
            study.title(row["model"]),
            size_label(row),
            points(row["gap"]),
            f"{points(row['gap_low'])} to {points(row['gap_high'])}",
            str(row["seeds"]),
            row["difference"],
        ]
        for row in study.gaps
    ]
    return _by_dataset(study, header, rows, study.gaps, right={1, 2, 3, 4})


def _closing(study: Study) -> str:
    """Return where the gaps' curves fall to the margin, and how well curves forecast so far."""
    texts = [
        f"The size from which on the curve through a model's gaps is at most {study.margin}. The "
        "form of the curve is that which, fitted to all sizes but the largest, comes nearest to "
        "the gap there; the interval holds the doubt about the form, too. Beyond "
        f"{REACH:g} times the largest measured size nothing is forecast. Shapes of learning "
        "curves: Viering and Loog 2021; Hestness et al. 2017."
    ]
    if study.forecasts:
        texts.append(_held_back(study))
    filled = [textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in texts]
    return "\n\n".join([filled[0], _crossing_table(study), *filled[1:]])


def _crossing_table(study: Study) -> str:
    header = ["Model", f"At most {study.margin} from", study.interval, "Curve"]
    rows, comparisons = [], study.comparisons
    for row in study.crossings:
        smallest = comparisons[row["dataset"], row["model"]][0]["n"]
        low, n, high = (
            _closing_size(row[key], smallest, row["largest"]) for key in ("n_low", "n", "n_high")
        )
        interval = low if low == high else f"{low} to {high}"
        rows.append([study.title(row["model"]), n, interval, row["form"]])
    return _by_dataset(study, header, rows, study.crossings, right={1, 2})


def _closing_size(n: float, smallest: int, largest: int) -> str:
    if math.isinf(n):
        return "not within reach"
    if n <= smallest:
        return f"{smallest:,} or before"
    return f"{two_digits(n):,.0f}" + (" (not measured)" if n > largest else "")


def _held_back(study: Study) -> str:
    errors = [abs(row["value"] - row["measured"]) for row in study.forecasts]
    inside = sum(row["low"] <= row["measured"] <= row["high"] for row in study.forecasts)
    return (
        f"Held back, {several(errors, 'gap')} of larger sizes of this study were forecast from "
        f"the smaller ones alone: off by {sum(errors) / len(errors):.1f} points in the mean, "
        f"{max(errors):.1f} at most; {inside} of {len(errors)} lay within the forecast's interval."
    )


def _accuracy_table(study: Study) -> str:
    header = ["Model", "Labels", "Accuracy", study.interval]
    header += ["Macro-F1", "Log loss", "ECE", "Seeds"]
    rows = []
    for row in study.accuracies:
        means = _means(study.scores, row)
        rows.append(
            [
                study.title(row["model"]),
                size_label(row),
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
    ours = _of_same_cell(scores, cell)
    return {name: sum(row[name] for row in ours) / len(ours) for name in METRICS}


def _published_table(study: Study) -> str:
    """Return published figures beside the study's own, and a list of where they are from."""
    header = ["Data set", "Model", "Size", "Published", "Here", "Published gap", "Gap here"]
    rows = []
    for figure in study.published:
        here, gap_here = (
            next(iter(_of_same_cell(rows, figure)), None) for rows in (study.accuracies, study.gaps)
        )
        rows.append(
            [
                study.title(figure["dataset"]),
                study.title(figure["model"]),
                spell_size(figure["size"]),
                f"{figure['accuracy']:.2f}",
                f"{here['accuracy']:.2f}" if here else "",
                "" if figure["gap"] is None else f"{figure['gap']:.2f}",
                f"{gap_here['gap']:.2f}" if gap_here else "",
            ]
        )
    notes = [
        textwrap.fill(
            f"- {', '.join(row[:3])}: {figure['source']}"
            + (f"; {figure['note']}" if "note" in figure else ""),
            WIDTH,
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for row, figure in zip(rows, study.published, strict=True)
    ]
    return markdown_table(header, rows, right={2, 3, 4, 5, 6}) + "\n\n" + "\n".join(notes)


def _of_same_cell(rows: Sequence[Row], cell: Row) -> list[Row]:
    keys = ("dataset", "model", "size")
    return [row for row in rows if all(row[key] == cell[key] for key in keys)]


def _trials_table(study: Study) -> str:
    """Return what fewer trials would have come to: a row for each model, at its largest size."""
    runs: dict[tuple[str, str], dict[tuple[int, str], list[Row]]] = defaultdict(dict)
    for row in study.trials:
        sizes = runs[row["dataset"], row["model"]]
        sizes.setdefault((row["n"], row["size"]), []).append(row)
    largest = [rows[max(rows)] for rows in runs.values()]
    numbers = sorted({number for rows in largest for number in budgets(_trials_of(rows))})
    header = ["Model", "Labels", "Trials", *map(str, numbers)]
    lines = [
        [study.title(rows[0]["model"]), size_label(rows[0]), str(_trials_of(rows))]
        + [_expected(rows, number) for number in numbers]
        for rows in largest
    ]
    source = [rows[0] for rows in largest]
    return _by_dataset(study, header, lines, source, right=set(range(1, len(header))))


def _trials_of(rows: Sequence[Row]) -> int:
    """Return the trials that each seed of a model had."""
    return len(rows) // len({row["seed"] for row in rows})


def _expected(rows: Sequence[Row], budget: int) -> str:
    """Return the expected accuracy of the best of so many trials, in percent; empty if too many."""
    if budget > _trials_of(rows):
        return ""
    seeds: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_validation_loss):
        seeds[row["seed"]].append(row)
    means = [
        expected_best([row["validation_accuracy"] for row in own], budget) for own in seeds.values()
    ]
    return f"{100 * sum(means) / len(means):.1f}"


def _validation_loss(row: Row) -> float:
    # That of a trial that diverged is missing.
    return math.inf if row["validation_loss"] == "" else float(row["validation_loss"])


def _inference(study: Study) -> str:
    """Return how the models were timed, the table, the paper's claim, and what disturbed them."""
    rows = study.latencies
    places = dict.fromkeys(
        f"{row['threads']} thread of {row['processor']}"
        if row["device"] == "cpu"
        else f"{row['processor']} and one thread of its host"
        for row in rows
    )
    method = (
        f"From text to class scores, tokenisation included, on {'; '.join(places)}, in "
        f"{' or '.join(dict.fromkeys(row['precision'] for row in rows))}. ms: the median of real "
        "test texts, one at a time; 95 %: what 95 of 100 of them take at most; Tokens: the share "
        "of that time that tokenisation takes; Texts/s: in batches of the best size. Faster: how "
        f"many times as fast as {study.reference}, one text at a time and in batches. Front: "
        "whether the model is on the Pareto front, as no other is at least as fast, one text at a "
        "time, and as accurate, and better in one of both."
    )
    parts = [method, _latency_table(study), _paper(study), _disturbed(study)]
    return "\n\n".join(
        part if part.startswith(("|", "#")) else textwrap.fill(part, WIDTH, break_on_hyphens=False)
        for part in parts
        if part
    )


def _latency_table(study: Study) -> str:
    header = ["Model", "Parameters", "ms", "95 %", "Tokens", "Faster"]
    header += ["Texts/s", "Faster", "Front"]
    rows = [
        [
            study.title(row["model"]),
            f"{row['parameters'] / 1e6:.3g} M",
            f"{row['milliseconds']:.3g}" + ("*" if row["disturbed"] == "yes" else ""),
            f"{row['milliseconds_95']:.3g}",
            f"{row['tokenisation']:.0%}",
            _times(row["speed_up"]),
            f"{row['examples_per_second']:,.0f}",
            _times(row["batched_speed_up"]),
            row["pareto"],
        ]
        for row in study.latencies
    ]
    return _by_dataset(study, header, rows, study.latencies, right=set(range(1, 8)))


def _times(factor: Any) -> str:
    """Return a speed-up; it is an empty text where the reference is not measured yet."""
    return f"{float(factor):.3g}x" if factor != "" else ""


def _paper(study: Study) -> str:
    """Return what the paper says of it, and what was measured here; empty where neither is."""
    families = {row["model"]: row["family"] for row in study.latencies}
    found = []
    for model in (name for name, family in families.items() if family == "lstm"):
        ours = [row for row in study.latencies if row["model"] == model and row["speed_up"] != ""]
        if ours:
            alone, batched = (
                _span([float(row[key]) for row in ours]) for key in ("speed_up", "batched_speed_up")
            )
            found.append(f"{study.title(model)} {alone} times ({batched} in batches)")
    if families.get(study.recipe["reference"]) != "transformer" or not found:
        return ""
    return (
        "Wang, Khabsa and Ma (2020) found LSTMs at least 20 times as fast as RoBERTa at inference; "
        "so says a summary of their paper, which names neither hardware nor batches. Theirs are "
        f"other models. Here, as fast as {study.reference}: {'; '.join(found)}."
    )


def _span(values: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{value:.3g}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _disturbed(study: Study) -> str:
    found = [
        f"{_on(study, row['dataset'])}{study.title(row['model'])} (CPU time {row['cpu_share']:.0%} "
        f"of the clock's, rounds {row['spread']:.0%} apart)"
        for row in study.latencies
        if row["disturbed"] == "yes"
    ]
    if not found:
        return ""
    return (
        f"*: other load on the machine disturbed the measurement of {'; '.join(found)}. On a quiet "
        "machine, measure again: snakemake --cores all --forcerun measure_latency"
    )


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
    texts = [
        "Seeds and test examples both count as random draws. The analysis of variance of seeds by "
        "test examples gives each its share of a mean's variance; each share has an interval of "
        "its own (Student's t), and their half-widths add up in squares (Banerjee 1960). "
        "With 2 seeds that is wide, as two say little of all; with 1 seed it covers test examples "
        "only, and is too narrow by what seeds do.",
        f"A difference is clear where the gap is larger than {study.margin}, and none where it is "
        "smaller, whichever model is ahead. Of all that the table calls clear or none, at most "
        f"{100 - 100 * study.recipe['confidence']:g} % are expected to be wrong (false discovery "
        "rate, Benjamini and Hochberg 1995); an interval is for its own gap alone.",
    ]
    return "\n\n".join(textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in texts)


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


def _on(study: Study, dataset: str) -> str:
    return f"on {study.title(dataset)} " if len(study.datasets) > 1 else ""


def _side(row: Row) -> str:
    return "behind" if _is_behind(row) else "ahead of"


def _is_behind(row: Row) -> bool:
    # What rounds to 0.0 is told as 0.0 ahead, with an interval on both sides.
    return row["gap"] < -0.05


def _size(row: Row) -> str:
    return points(abs(row["gap"]))


def _bounds(row: Row) -> str:
    low, high = row["gap_low"], row["gap_high"]
    if _is_behind(row):
        low, high = -high, -low
    return f"{points(low)} to {points(high)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = (
        "JSON: reference, margin (points), confidence (0..1), and optionally datasets "
        "and models, lists of names in order, titles {name: text}, compared, the model that the "
        "first sentence is about, missing, a list of {dataset, model, size, seeds}: the runs that "
        "are not done, published, a list of {dataset, model, size, accuracy, source, note}, and "
        "seeds {model: its blocks of seeds}"
    )
    parser.add_argument("--recipe", required=True, type=json.loads, help=keys)
    parser.add_argument("--scores", required=True, help="CSV of gather.py")
    parser.add_argument("--accuracies", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--gaps", required=True, help="CSV of estimate_gap.py")
    parser.add_argument("--trials", required=True, help="CSV of trials of gather.py")
    parser.add_argument("--latencies", required=True, help="CSV of gather_latency.py")
    parser.add_argument("--crossings", required=True, help="CSV of forecast_gap.py")
    parser.add_argument("--forecasts", required=True, help="CSV of forecast_gap.py")
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    parser.add_argument("--summary", required=True, help="Markdown file to write")
    arguments = parser.parse_args(argv)
    names = ("scores", "accuracies", "gaps", "trials", "latencies", "crossings", "forecasts")
    tables = {
        name: study_order(read_table(getattr(arguments, name)), arguments.recipe) for name in names
    }
    cards = [read_json(path) for path in arguments.cards]
    study = Study(arguments.recipe, cards=cards, **tables)
    target = Path(arguments.summary)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(summary(study), encoding="utf-8")


if __name__ == "__main__":
    run(main)
