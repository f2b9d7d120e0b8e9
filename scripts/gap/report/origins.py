"""The sections that one copies from: methods, references, and what made the results."""

from __future__ import annotations

import yaml

from gap.report.methods import methods, name_machine
from gap.report.sections import Heading, Paragraph, Preformatted, Section, Table
from gap.results.findings import Findings
from gap.results.records import SourceRecord, StudyRecord


def methods_section(findings: Findings) -> Section | None:
    """Return paragraphs for the methods section of a paper."""
    if findings.record is None:
        return None
    paragraphs = methods(findings.record, findings.cards, findings.recipe)
    return Section("methods", "Methods, to copy", list(map(Paragraph, paragraphs)))


def references(findings: Findings) -> Section | None:
    """Return the BibTeX of what the methods name."""
    if not findings.references:
        return None
    return Section("references", "References", [Preformatted(findings.references)])


def origins(findings: Findings) -> Section | None:
    """Return what the results came from: data, weights, machines, packages and the config."""
    record = findings.record
    if record is None:
        return None
    checksums = (
        "Checksums are the first 16 digits of the sha256. `provenance.json` has them whole, and "
        "everything for every run."
    )
    config = yaml.safe_dump(record["config"], sort_keys=False, width=88)
    return Section(
        "origins",
        "What made these results",
        [
            Paragraph(checksums),
            Heading("Sources"),
            _sources(record),
            Heading("Data sets, cleaned"),
            _datasets(record),
            Heading("Where models were trained"),
            _machines(record),
            Heading("The study's config, defaults filled in"),
            Preformatted(config, columns=True),
        ],
    )


def _sources(record: StudyRecord) -> Table:
    rows = [
        [name, _where(source), sha256[:16], file]
        for name, source in record["sources"].items()
        for file, sha256 in source["files"].items()
    ]
    return Table(["Source", "From", "sha256", "File"], rows)


def _where(source: SourceRecord) -> str:
    """Return a source in short: its kind, and what names it there."""
    spec = source["spec"]
    names = [
        str(spec[key])
        for key in ("name", "id", "url", "path", "version", "dataset", "model", "size")
        if key in spec
    ]
    return " ".join([str(spec.get("kind", "")), *names]).strip()


def _datasets(record: StudyRecord) -> Table:
    rows = [
        [dataset, name, f"{part['rows']:,}", part["sha256"][:16]]
        for dataset, parts in record["datasets"].items()
        for name, part in (("pool", parts["pool"]), ("test", parts["test"]))
    ]
    return Table(["Data set", "Part", "Rows", "sha256"], rows, frozenset({2}))


def _machines(record: StudyRecord) -> Table:
    used = [run["environment"] for run in record["runs"].values()]
    rows = [
        [
            number,
            str(used.count(number)),
            name_machine(environment["hardware"]),
            ", ".join(f"{name} {version}" for name, version in environment["packages"].items()),
        ]
        for number, environment in record["environments"].items()
    ]
    return Table(["Number", "Runs", "Processor", "Packages"], rows, frozenset({1}))
