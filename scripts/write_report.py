"""Write the report of a study: one page of HTML, to be read offline, printed and sent on."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from gap.report.charts import model_styles
from gap.report.figures import (
    Figure,
    Look,
    calibration_figures,
    cost_figures,
    curve_figures,
    gap_figures,
    history_figures,
    label_figures,
    length_figures,
)
from gap.report.markdown import markdown_table
from gap.report.methods import methods, spell_environments
from gap.results.tables import read_table, study_order
from gap.run.json import read_json
from gap.run.program import run
from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

Row = Mapping[str, Any]
TABLES = (
    *("accuracies", "gaps", "curves", "latencies", "calibration", "labels", "lengths"),
    *("agreements", "examples", "histories"),
)
# Of a text that is shown; examples.csv has all of it.
LONGEST_TEXT = 400


@dataclass(frozen=True)
class Part:
    """A part of a section: figures beside each other, then HTML."""

    html: Markup = field(default_factory=Markup)
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Section:
    """A section of the report."""

    title: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        """Return what a link to the section names."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Report:
    """What a report is made of: the summary, tables by name, cards, provenance, references."""

    recipe: Row
    summary: str
    tables: Mapping[str, Sequence[Row]]
    cards: Sequence[Row]
    provenance: Row
    references: str

    @property
    def look(self) -> Look:
        """Return how models are drawn and named."""
        return Look(model_styles(self.tables["accuracies"], self.recipe), self.recipe)


# The figures of the summary's sections, by how their titles begin.
FIGURES: dict[str, Callable[[Mapping[str, Sequence[Row]], Look], list[Figure]]] = {
    "Gap to": lambda tables, look: gap_figures(tables["accuracies"], tables["gaps"], look),
    "From which": lambda tables, look: curve_figures(tables["curves"], tables["gaps"], look),
    # Beside the gaps, where there are any.
    "Accuracy on": lambda tables, look: (
        [] if tables["gaps"] else gap_figures(tables["accuracies"], [], look)
    ),
    "What inference": lambda tables, look: cost_figures(tables["latencies"], look),
}
# Before the first of these sections of the summary stands what the report alone has.
BEHIND = ("What was tried", "Data", "What is missing", "How the intervals were made")


def render(report: Report, template: str) -> str:
    """Return the page: the summary's sections with their figures, and what it has no room for."""
    intro, *texts = re.split(r"^## ", report.summary, flags=re.MULTILINE)
    answer, _, explanation = intro.partition("\n\n")
    written = [_section(report, *text.split("\n", 1)) for text in texts]
    place = next((i for i, one in enumerate(written) if one.title in BEHIND), len(written))
    sections = [
        *written[:place],
        *(one for one in (_errors(report), _histories(report)) if one.parts),
        *written[place:],
        *_origins(report),
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(template).render(
        title=f"What does {report.look.reference} still gain?",
        answer=to_html(answer),
        explanation=to_html(explanation),
        sections=sections,
    )


def to_html(markdown: str) -> Markup:
    """Return Markdown as HTML; tags in it stay text, and a keyboard can scroll wide tables."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    # No name or text of a study becomes a link or a picture.
    reader.disable(["image", "link", "autolink", "html_inline", "html_block"])
    opened = '<div class="wide" role="region" tabindex="0" aria-label="Table"><table>'
    html = str(reader.render(markdown)).replace("<table>", opened)
    return Markup(html.replace("</table>", "</table></div>"))


def _section(report: Report, title: str, text: str) -> Section:
    draw = next((draw for start, draw in FIGURES.items() if title.startswith(start)), None)
    figures = draw(report.tables, report.look) if draw else []
    return Section(title, [Part(figures=figures), Part(to_html(text))])


def _errors(report: Report) -> Section:
    tables, look = report.tables, report.look
    parts = []
    if figures := calibration_figures(tables["calibration"], look):
        text = (
            "Calibration, at the largest size: how often a model is right, by the probability that "
            "it gives its answer. On the dashed line both are the same; below it a model claims to "
            "know more than it does. The larger a point, the more test texts. `calibration.csv` "
            "has all sizes."
        )
        parts += [Part(to_html(text)), Part(figures=figures)]
    figures = [
        *label_figures(tables["labels"], look),
        *length_figures(tables["lengths"], look),
    ]
    if figures:
        text = (
            "By true label and by length of the text, at the largest size. Texts are as long as "
            "models read them; where nearly all have the same length, nothing is drawn. "
            "`labels.csv` and `lengths.csv` have all sizes."
        )
        parts += [Part(to_html(text)), Part(figures=figures)]
    if tables["agreements"]:
        parts.append(Part(to_html(_agreement_text(report))))
    if tables["examples"]:
        parts.append(Part(_example_html(report)))
    return Section("Where the models err", parts)


def _agreement_text(report: Report) -> str:
    """Return how often both models are right, one of them, or none, at its largest size."""
    largest: dict[tuple[str, str], Row] = {}
    for row in report.tables["agreements"]:
        key = row["dataset"], row["model"]
        if key not in largest or row["n"] >= largest[key]["n"]:
            largest[key] = row
    look = report.look
    several = len({dataset for dataset, _ in largest}) > 1
    header = [*(["Data set"] if several else []), "Model", "Labels", "Both right"]
    header += [f"Only {look.reference}", "Only the model", "Both wrong"]
    rows = [
        [*([look.title(row["dataset"])] if several else []), look.title(row["model"])]
        + [f"{row['n']:,}"]
        + [
            f"{row[key]:.1f}"
            for key in ("both_right", "only_reference", "only_model", "both_wrong")
        ]
        for row in largest.values()
    ]
    table = markdown_table(header, rows, right=set(range(len(header) - 5, len(header))))
    return (
        f"### Together with {look.reference}\n\nThe share of the test texts, in percent, that both "
        "get right, one of the two, or none, over the seeds that both have. What one alone gets "
        f"right, the two together could.\n\n{table}"
    )


def _example_html(report: Report) -> Markup:
    """Return the test texts on which reference and model disagree, as HTML."""
    look = report.look
    parts = [
        to_html(
            "### Texts on which they disagree\n\nOf all test texts that one of the two gets right "
            "and the other wrong, by the mean of their probabilities over seeds, those in which "
            "the probabilities of the true label are furthest apart. They show extremes, not what "
            "is usual."
        )
    ]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in report.tables["examples"]:
        groups.setdefault((row["dataset"], row["model"], row["right"]), []).append(row)
    several = len({dataset for dataset, _, _ in groups}) > 1
    for (dataset, model, right), rows in groups.items():
        names = look.reference, look.title(model)
        winner, loser = names if right == "reference" else names[::-1]
        where = f"{look.title(dataset)}: " if several else ""
        heading = f"{where}{winner} is right, {loser} is not ({rows[0]['n']:,} labels)"
        parts.append(Markup("<h4>{}</h4>").format(heading))
        parts += [_quotation(row, names) for row in rows]
    return Markup().join(parts)


def _quotation(row: Row, names: Sequence[str]) -> Markup:
    text = " ".join(str(row["text"]).split())
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 4].rsplit(" ", 1)[0] + " ..."
    said = (
        f"True label: {row['label']}. {names[0]}: {row['reference_label']} "
        f"({row['reference_probability']:.0%}). {names[1]}: {row['model_label']} "
        f"({row['model_probability']:.0%}). Test row {row['row']}."
    )
    return Markup('<blockquote><p>{}</p><p class="said">{}</p></blockquote>').format(text, said)


def _histories(report: Report) -> Section:
    counts = {card["dataset"]: len(card["labels"]) for card in report.cards}
    figures = history_figures(report.tables["histories"], counts, report.look)
    text = (
        "Loss on the validation rows during training, at the largest size, a line for each seed. "
        "The dashed line is the loss of guessing; the axis ends at twice that. `histories.csv` has "
        "the accuracy, too, and all sizes."
    )
    parts = [Part(to_html(text)), Part(figures=figures)] if figures else []
    return Section("How the networks learned", parts)


def _origins(report: Report) -> list[Section]:
    """Return the sections that one copies from: methods, references, and what made the results."""
    text = methods(report.provenance, report.cards, report.recipe)
    config = yaml.safe_dump(report.provenance["config"], sort_keys=False, width=88)
    made = to_html(spell_environments(report.provenance))
    return [
        Section("Methods, to copy", [Part(to_html(text))]),
        Section("References", [Part(_preformatted(report.references))]),
        Section(
            "What made these results",
            [
                Part(made),
                Part(to_html("### The study's config, defaults filled in")),
                Part(_preformatted(config, "columns")),
            ],
        ),
    ]


def _preformatted(text: str, look: str = "") -> Markup:
    return Markup('<pre class="{}">{}</pre>').format(look, text.strip())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    keys = "JSON: that of write_summary.py"
    parser.add_argument("--recipe", required=True, type=json.loads, help=keys)
    parser.add_argument("--summary", required=True, help="Markdown file of write_summary.py")
    for name in TABLES:
        parser.add_argument(f"--{name}", required=True, help="CSV table of the study")
    parser.add_argument("--cards", required=True, nargs="+", help="JSON cards of prepare.py")
    parser.add_argument("--provenance", required=True, help="JSON of record_provenance.py")
    parser.add_argument("--template", required=True, help="page to fill, for jinja2")
    parser.add_argument("--references", required=True, help="BibTeX file")
    parser.add_argument("--report", required=True, help="HTML file to write")
    arguments = parser.parse_args(argv)
    tables = {
        name: study_order(read_table(getattr(arguments, name)), arguments.recipe) for name in TABLES
    }
    report = Report(
        recipe=arguments.recipe,
        summary=Path(arguments.summary).read_text(encoding="utf-8"),
        tables=tables,
        cards=[read_json(path) for path in arguments.cards],
        provenance=read_json(arguments.provenance),
        references=Path(arguments.references).read_text(encoding="utf-8"),
    )
    page = render(report, Path(arguments.template).read_text(encoding="utf-8"))
    target = Path(arguments.report)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
