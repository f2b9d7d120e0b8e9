"""Write the answer of a study: one sentence, then tables that read well in a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gap.report.contents import document
from gap.report.inputs import SUMMARISED, add_options, read_summarised, write_text
from gap.report.markdown import write_markdown
from gap.run.program import run


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    add_options(parser, SUMMARISED)
    parser.add_argument("--summary", required=True, help="Markdown file to write")
    arguments = parser.parse_args(argv)
    findings = read_summarised(arguments)
    write_text(arguments.summary, write_markdown(document(findings)))


if __name__ == "__main__":
    run(main)
