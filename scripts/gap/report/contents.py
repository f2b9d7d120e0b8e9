"""All sections of a study's summary and report, in their order."""

from __future__ import annotations

from collections.abc import Callable

from gap.report.accuracy import accuracy, published
from gap.report.answer import answer, explanation, other_comparisons
from gap.report.background import data, intervals, missing, notice
from gap.report.bridges import bridges
from gap.report.forgetting import forgetting
from gap.report.gaps import crossings, gaps
from gap.report.inference import inference
from gap.report.joint import joint
from gap.report.metrics import metrics
from gap.report.mistakes import learning, mistakes
from gap.report.origins import methods_section, origins, references
from gap.report.power import power
from gap.report.pretraining import pretraining
from gap.report.probes import probes
from gap.report.reading import reading
from gap.report.sections import Document, Section
from gap.report.targets import targets
from gap.report.transfer import transfer
from gap.report.tried import tried
from gap.report.verdict import verdict
from gap.results.findings import Findings

# A section is None where the findings have nothing to tell in it, or where the program has not read
# its inputs: the summary reads less than the report.
SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    verdict,
    reading,
    other_comparisons,
    gaps,
    power,
    targets,
    joint,
    crossings,
    accuracy,
    metrics,
    published,
    tried,
    pretraining,
    bridges,
    transfer,
    inference,
    forgetting,
    probes,
    mistakes,
    learning,
    data,
    missing,
    intervals,
    methods_section,
    references,
    origins,
)


def document(findings: Findings) -> Document:
    """Return the answer, an explanation and all sections that there is something to tell in."""
    sections = [section for build in SECTIONS if (section := build(findings))]
    return Document(notice(findings) + answer(findings), explanation(findings), sections)
