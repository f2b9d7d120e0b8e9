"""The labels of a data set: numbered as they come, in the order in which models have them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from gap.data.excerpts import shorten
from gap.run.errors import UserError

MOST_LABELS = 10_000
# Unicode's categories of control and format characters, zero-width ones among them.
INVISIBLE = ("Cc", "Cf")
# A number as JSON spells it, or with a bare point behind it. A code such as 007 is none.
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(?P<rest>(\.[0-9]*)?([eE][+-]?[0-9]+)?)")
# What programs write in the place of a missing value.
MISSING = {"nan", "<na>", "nat"}
# Words that stand for a missing value among numbers, and are labels among other words.
MISSING_AMONG_NUMBERS = {"none", "null", "na", "n/a", "-", "?"}


def spell_label(label: str) -> str:
    """Return the one spelling of a label: equal numbers are one label, in all kinds of files.

    A whole number is spelled without a point (1.0 and 1e0 are 1), any other as short as it can be
    (0.50 is 0.5). What is not spelled as a number, such as 007 or 1,5, stays as it is.
    """
    match = NUMBER.fullmatch(label)
    if match is None or (not match["rest"] and label != "-0"):
        return label
    number = float(label)
    if not math.isfinite(number):
        return label
    return str(int(number)) if number.is_integer() else repr(number)


@dataclass
class Labels:
    """Numbers of labels, in the order in which they appear.

    Where a config lists labels (`listed`), they have the first numbers and no other label gets one.
    `spellings` has each spelling that the data have of them, `index` the one of `spell_label`.
    """

    listed: Sequence[str] | None
    index: dict[str, int] = field(default_factory=dict)
    spellings: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label in self.listed or []:
            self.index.setdefault(spell_label(label), len(self.index))

    def find(self, label: str) -> int | None:
        """Return the label's number; None for one that is not among the listed ones."""
        number = self.spellings.get(label)
        return self._learn(label) if number is None else number

    def _learn(self, label: str) -> int | None:
        """Return the number of a label in a spelling that comes for the first time."""
        spelled = spell_label(label)
        number = self.index.get(spelled)
        if number is None and self.listed is None:
            number = self.index[spelled] = len(self.index)
        if number is not None:
            self.spellings[label] = number
            if len(self.spellings) > MOST_LABELS:
                examples = ", ".join(map(shorten, list(self.index)[:3]))
                raise UserError(
                    f"more than {MOST_LABELS:,} different labels ({examples}, ...); "
                    "`label` must name a column of classes; are text and label swapped?"
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
        """Return the groups of labels that differ in case, form or invisible characters only."""
        groups: dict[str, list[str]] = {}
        for label in self.ordered():
            groups.setdefault(_visible_form(label), []).append(label)
        return [group for group in groups.values() if len(group) > 1]

    def warnings(self) -> list[str]:
        """Return what a person should know of the labels, a sentence each."""
        warnings = []
        if alike := self.look_alike():
            different = sum(map(len, alike))
            groups = "; ".join(" = ".join(map(ascii, group)) for group in alike[:5])
            warnings.append(
                f"{different:,} labels look like {len(alike):,} and are taken as different ones "
                f"({groups}{'; ...' if len(alike) > 5 else ''}); mend them in the data if they are "
                "the same"
            )
        spellings: dict[int, list[str]] = {}
        for label, number in self.spellings.items():
            spellings.setdefault(number, []).append(label)
        if several := [group for group in spellings.values() if len(group) > 1]:
            groups = "; ".join(" = ".join(map(shorten, sorted(group)[:5])) for group in several[:5])
            warnings.append(f"labels that are equal numbers are one label ({groups})")
        return warnings + self._missing()

    def _missing(self) -> list[str]:
        """Return a sentence about each label that reads like a missing value."""
        if self.listed is not None:
            return []
        others = [label for label in self.index if label.lower() not in MISSING_AMONG_NUMBERS]
        words = MISSING | (MISSING_AMONG_NUMBERS if all(map(numeric, others)) else set())
        return [
            f"the label {label!r} reads like a missing value; if it is one, leave such rows out by "
            "listing the others under `labels`"
            for label in self.ordered()
            if label.lower() in words
        ]


def _visible_form(label: str) -> str:
    shown = "".join(sign for sign in label if unicodedata.category(sign) not in INVISIBLE)
    return " ".join(unicodedata.normalize("NFKC", shown).casefold().split())


def numeric(label: str) -> tuple[float, str] | tuple[()]:
    """Return what numbers are sorted by; nothing where the label is no finite number."""
    try:
        number = float(label)
    except ValueError:
        return ()
    return (number, label) if math.isfinite(number) else ()
