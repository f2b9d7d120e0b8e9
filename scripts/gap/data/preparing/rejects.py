"""The rows of a source that cannot be used: listed, counted, and an error where they are many."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gap.data.excerpts import shorten
from gap.data.readers.encodings import encoding_advice
from gap.data.readers.records import (
    BAD_QUOTES,
    HEADER_LACKS,
    LONG_LABEL,
    NO_RESIDUE,
    NOT_IN_TABLE,
    NOT_UTF8,
    SEVERAL_LABELS,
    UNKNOWN_LABEL,
    Record,
)
from gap.run.errors import UserError
from gap.study.rules import RowsRecipe


@dataclass
class Rejects:
    """The rows set aside, written to a CSV as they come, and counted by reason."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def __post_init__(self) -> None:
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.file = self.partial.open("w", encoding="utf-8", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(["file", "row", "line", "reason", "excerpt"])

    def add(self, path: Path, record: Record, reason: str) -> None:
        """Set one row aside."""
        excerpt = record.excerpt or shorten(f"{record.label} {record.text}".strip())
        self.writer.writerow([path, record.row, record.line or "", reason, excerpt])
        if not self.example:
            line = f", line {record.line}" if record.line else ""
            self.example = f"{path}, row {record.row}{line}: {reason}: {excerpt!r}"
        self.counts[reason] += 1

    def close(self, path: Path) -> None:
        """Give the finished file its name."""
        self.file.close()
        os.replace(self.partial, path)


def check_rejected(
    recipe: RowsRecipe,
    rows: int,
    rejects: Rejects,
    counts: Counter[str],
    files: Sequence[Path],
) -> None:
    """Raise UserError when too many of the rows of `files` are among `counts`.

    It says why they cannot be used, and what to do.
    """
    rejected = counts.total()
    if not rows:
        raise UserError(f"{recipe.name}: the source has no rows")
    if rejected < rows and rejected <= recipe.max_rejected * rows:
        return
    listing = rejects.path.with_name(f"{rejects.path.stem}.failed.csv")
    rejects.close(listing)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    advice = _advice(counts.most_common(1)[0][0], recipe, files)
    raise UserError(
        f"{recipe.name}: {rejected:,} of {rows:,} rows cannot be used ({reasons}), and "
        f"`max_rejected` allows {recipe.max_rejected:.1%}; first: {rejects.example}; all of them: "
        f"{listing}; {advice}, or raise `max_rejected`"
    )


def _advice(reason: str, recipe: RowsRecipe, files: Sequence[Path]) -> str:
    """Return what to do about rows rejected for a reason."""
    if reason == NOT_UTF8 and recipe.encoding:
        return f"choose another `encoding` than {recipe.encoding}"
    if reason == NOT_UTF8:
        return encoding_advice(files)
    if reason == UNKNOWN_LABEL:
        return f"add the missing ones to `labels` ({', '.join(recipe.labels or [])})"
    if reason == SEVERAL_LABELS:
        return "several labels a row are not supported: give each row one label"
    if reason == LONG_LABEL:
        return "`label` must name a column of classes: are text and label swapped?"
    if reason == BAD_QUOTES:
        return "set `quoting: none` if quotation marks are letters here, or mend those rows"
    if reason == NOT_IN_TABLE:
        return "let `id` and `table_id` name columns that spell ids alike"
    if reason.startswith(HEADER_LACKS):
        key = reason.removeprefix(HEADER_LACKS).strip()
        return f"choose another pattern as `{key}`, or mend those headers"
    if reason.endswith(NO_RESIDUE):
        return "a sequence is of the letters A to Z; take out gaps, numbers and other signs"
    return "mend those rows"
