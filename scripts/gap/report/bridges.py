"""The section on how well a checkpoint's embeddings come to vocabularies that are not its own."""

from __future__ import annotations

from gap.report.sections import Paragraph, Section, Table
from gap.results.findings import Findings

HEADER = ("Checkpoint", "Taught by", "Tokens", "Held out", "Generator", "Mean", "Drawn")


def bridges(findings: Findings) -> Section | None:
    """Return how near made vectors are to those of hidden tokens; None where there is no bridge."""
    if not findings.bridges:
        return None
    text = (
        "Where a model's own vocabulary has a piece that is no token of a checkpoint, a generator "
        "makes its vector of those of tokens that it is made of and of longer ones that it is a "
        "part of (Liu et al. 2021). It was taught by the vectors of tokens that were hidden from "
        "it, or, where the study has pretrained the checkpoint on masked tokens, by telling these "
        "with its vectors in the place of others. Cosines are means over tokens that were held out "
        "of that, beside the mean of the tokens that each is made of, and a vector at random; 1 is "
        "the best. What such vectors are worth to a model, the gaps tell."
    )
    rows = [
        [
            row.checkpoint,
            row.by,
            f"{row.tokens:,}",
            f"{row.held_out:,}",
            f"{row.generator:.3f}",
            f"{row.mean:.3f}",
            f"{row.drawn:.3f}",
        ]
        for row in findings.bridges
    ]
    table = Table(HEADER, rows, frozenset(range(2, 7)))
    return Section("bridges", "Bridged embeddings", [Paragraph(text), table])
