"""The section on what models could not read: unknown tokens, texts alike, texts cut short."""

from __future__ import annotations

from gap.data.manifests import NOTEWORTHY
from gap.report.sections import Paragraph, Section, Table
from gap.results.findings import Findings

EXPLAINED = (
    "Where a tokenizer does not know the script or the signs of the texts, its model is blind to "
    "them, and gaps say nothing about pretraining. Shares are those of the test set, the largest "
    "of all sizes and seeds: of tokens that are unknown, of different texts that become the same "
    "tokens as an earlier one, and of texts that `max_tokens` cuts further than the text budget."
)


def reading(findings: Findings) -> Section | None:
    """Return what models did not read; None where all read everything."""
    rows = [
        [
            findings.title(part.dataset),
            findings.title(part.model),
            f"{100 * part.unknown_share:.1f}",
            f"{100 * part.collapsed_share:.1f}",
            f"{100 * part.shortened_share:.1f}",
        ]
        for part in findings.encodings
        if max(part.unknown_share, part.collapsed_share) > NOTEWORTHY or part.shortened_share
    ]
    if not rows:
        return None
    header = ["Data set", "Model", "Unknown, %", "Alike, %", "Cut, %"]
    table = Table(header, rows, frozenset({2, 3, 4}))
    return Section("reading", "Warning: what models could not read", [Paragraph(EXPLAINED), table])
