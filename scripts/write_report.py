"""Write the report of a study: one page of HTML, to be read offline, printed and sent on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gap.report.contents import document
from gap.report.inputs import REPORTED, add_options, read_reported, write_text
from gap.report.page import write_page
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    add_options(parser, REPORTED)
    parser.add_argument("--provenance", required=True, help="JSON of record_provenance.py")
    parser.add_argument("--template", required=True, help="page to fill, for jinja2")
    parser.add_argument("--references", required=True, help="BibTeX file")
    parser.add_argument("--report", required=True, help="HTML file to write")
    arguments = parser.parse_args(argv)
    findings = read_reported(arguments)
    template = Path(arguments.template).read_text(encoding="utf-8")
    title = f"What does {findings.reference} still gain?"
    write_text(arguments.report, write_page(document(findings), title, template))


if __name__ == "__main__":
    run(main)
