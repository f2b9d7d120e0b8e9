"""What the summary and the report are made of.

A section is one object: a title with texts, tables and figures. `gap.report.markdown` writes
sections as plain text, `gap.report.page` as HTML. Links name the identity of a section, so its
title may be worded anew without losing anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading inside a section, of level 3 or 4."""

    text: str
    level: int = 3


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of Markdown: what stands in backticks is typed by a person."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of points, each a text in Markdown."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of texts; `right` are the numbers of the columns that are aligned to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A drawing, as SVG that stands in a page of HTML, and what is told of it without eyes."""

    svg: str
    text: str


@dataclass(frozen=True)
class Figures:
    """Figures beside each other; `draw` makes them, as only a page of HTML has room for them."""

    draw: Callable[[], Sequence[Figure]]


@dataclass(frozen=True)
class Quotation:
    """A text of the data, quoted as it is, and what models said of it."""

    text: str
    said: str


@dataclass(frozen=True)
class Preformatted:
    """Lines to copy as they are; `columns` lets a page set them in several columns."""

    text: str
    columns: bool = False


Part = Heading | Paragraph | Items | Table | Figures | Quotation | Preformatted


@dataclass(frozen=True)
class Section:
    """A section: `identity` is what links name, `title` what people read."""

    identity: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Document:
    """A whole summary or report: the answer in a sentence, an explanation, and the sections."""

    answer: str
    explanation: str
    sections: Sequence[Section]
