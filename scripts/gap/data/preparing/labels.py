"""The labels of a data set: numbered as they come, in the order in which models have them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from gap.data.excerpts import shorten
from gap.data.preparing.texts import normalise
from gap.run.errors import UserError

MOST_LABELS = 10_000
# Unicode's categories of control and format characters, zero-width ones among them.
INVISIBLE = ("Cc", "Cf")


@dataclass
class Labels:
    """Numbers of labels, in the order in which they appear.

    Where a config lists labels (`listed`), they have the first numbers and no other label gets one.
    """

    listed: Sequence[str] | None
    index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label in self.listed or []:
            self.index.setdefault(label, len(self.index))

    def find(self, label: str) -> int | None:
        """Return the label's number; None for one that is not among the listed ones."""
        number = self.index.get(label)
        if number is None and self.listed is None:
            number = self.index[label] = len(self.index)
            if number >= MOST_LABELS:
                examples = ", ".join(map(shorten, list(self.index)[:3]))
                raise UserError(
                    f"more than {MOST_LABELS:,} different labels ({examples}, ...); "
                    "`label` must name a column of classes"
                )
        return number

    def ordered(self) -> list[str]:
        """Return the labels as listed, else sorted: as numbers if all are, otherwise as text."""
        if self.listed is not None:
            return list(self.index)
        if all(map(numeric, self.index)):
            return sorted(self.index, key=numeric)
        return sorted(self.index)

    def numbers(self) -> list[int]:
        """Return the numbers of the labels in their order."""
        return [self.index[label] for label in self.ordered()]

    def look_alike(self) -> list[list[str]]:
        """Return the groups of labels that differ in case or invisible characters only."""
        groups: dict[str, list[str]] = {}
        for label in self.ordered():
            shown = "".join(sign for sign in label if unicodedata.category(sign) not in INVISIBLE)
            groups.setdefault(normalise(shown), []).append(label)
        return [group for group in groups.values() if len(group) > 1]


def numeric(label: str) -> tuple[float, str] | tuple[()]:
    """Return what numbers are sorted by; nothing where the label is no finite number."""
    try:
        number = float(label)
    except ValueError:
        return ()
    return (number, label) if math.isfinite(number) else ()
