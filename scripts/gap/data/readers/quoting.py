"""What quotation marks are in a CSV or TSV file: found out from the whole file.

They enclose fields, or they are letters of the texts. Taken for the wrong one of these, they make
rows vanish inside fields. So both readings are tried where the marks do not clearly enclose, and
the one is taken in which more lines are rows.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gap.data.readers.delimited import Row, Table, header_of, iterate_rows
from gap.data.readers.files import UTF8, encoding_of, open_bytes
from gap.data.readers.records import Columns, Tell

CHUNK = 1 << 22
MARK, NEWLINE, RETURN = b'"'[0], b"\n"[0], b"\r"[0]
# More different labels than that are not compared.
MOST_LABELS = 10_000
MANY = "\0"
READINGS = {
    "double": "they enclose fields, and are doubled inside them",
    "backslash": "they enclose fields, and have a backslash before them inside",
    "none": "they are letters",
}


def find_quoting(table: Table, columns: Columns, tell: Tell) -> Table:
    """Return a table with what its quotation marks are, where that is not set.

    Says so where it is not as usual, and where fields seem to hold rows. Streams the file, once
    where the marks clearly enclose fields, and else up to four times.
    """
    if columns.quoting == "none" or marks_enclose(table):
        return table
    if columns.label is None and len(table.names) == 1:
        # Any line looks like a row, those inside a field, too: nothing tells rows from lines.
        return table
    double = read_as(table, columns, table.quoting)
    tallies, labels = [double], set(double.rows)
    if columns.quoting is None and (double.lines_lost(labels) or len(labels) < 2):
        tallies.append(read_as(table, columns, "backslash"))
        header = header_of(table.path, columns._replace(quoting="none"), table.delimiter)
        if header == table.names:
            tallies.append(read_as(table, columns, "none"))
        if len(labels) < 2:
            labels = {label for label, count in tallies[-1].rows.items() if count > 1}
    best = min(tallies, key=lambda tally: tally.lines_lost(labels))
    if best is not double:
        tell(
            f"{table.path}: quotation marks: {READINGS[best.quoting]}, because otherwise "
            f"{double.lines_lost(labels):,} lines would be no rows (first: line {double.first}); "
            "set `quoting` if that is wrong"
        )
    elif swallowed := sum(double.swallowed[label] for label in labels):
        tell(
            f"{table.path}: fields in quotation marks hold {swallowed:,} lines that look like rows "
            f"(first: line {double.first}); if the marks are letters there, set `quoting: none`"
        )
    return table._replace(quoting=best.quoting)


def marks_enclose(table: Table) -> bool:
    """Return whether each quotation mark opens or closes a field, or is half of a doubled one.

    No field may hold a line break. Then every line is one row, however it is read.
    """
    with open_bytes(table.path) as file:
        piece = file.read(4).removeprefix(codecs.BOM_UTF8)
        if encoding_of(piece, table.encoding) != UTF8 or not table.delimiter.isascii():
            return False
        ends = np.zeros(256, dtype=bool)
        ends[[ord(table.delimiter), NEWLINE, RETURN]] = True
        inside = 0
        # The last two bytes come again in the next piece: each byte is judged with both neighbours.
        rest = b"\n"
        while piece:
            piece = rest + piece
            more = file.read(CHUNK)
            if not more:
                piece += b"\n"
            state = _marks_in(np.frombuffer(piece, dtype=np.uint8), ends, inside)
            if state is None:
                return False
            inside, rest, piece = state, piece[-2:], more
    return inside == 0


def _marks_in(content: NDArray[np.uint8], ends: NDArray[np.bool_], inside: int) -> int | None:
    """Return whether a field is open (1) after these bytes; None where marks do not enclose.

    The first and the last byte are neighbours only. `inside`: whether a field is open before.
    """
    middle = content[1:-1]
    marks = np.flatnonzero(middle == MARK)
    if not len(marks):
        broken = inside and np.any((middle == NEWLINE) | (middle == RETURN))
        return None if broken else inside
    opening, closing = marks[inside::2], marks[1 - inside :: 2]
    before, after = content[opening], content[closing + 2]
    if not (np.all(ends[before] | (before == MARK)) and np.all(ends[after] | (after == MARK))):
        return None
    breaks = np.flatnonzero((middle == NEWLINE) | (middle == RETURN))
    if np.any((np.searchsorted(marks, breaks) + inside) & 1):
        return None
    return (inside + len(marks)) & 1


@dataclass
class Tally:
    """What a file is in one reading of its quotation marks.

    `rows` counts the lines that are rows, by label; `lost` those that are none; `swallowed` lines
    inside fields that look like rows, by label. `first` is the line of the first doubtful row.
    """

    quoting: str
    rows: Counter[str] = field(default_factory=Counter)
    swallowed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    enclosed: int = 0
    first: int = 0

    def lines_lost(self, labels: set[str]) -> int:
        """Return how many lines are no rows, or rows of a label that is not among `labels`."""
        if self.quoting != "none":
            return self.lost + sum(self.swallowed[label] for label in labels)
        lines = self.rows.total()
        strange = sum(count for label, count in self.rows.items() if label not in labels)
        # Where most texts are enclosed, the marks are not letters.
        return self.lost + (lines if self.enclosed > lines / 2 else strange)


def read_as(table: Table, columns: Columns, quoting: str) -> Tally:
    """Return what a file is when it is read with this `quoting`."""
    tally, label = Tally(quoting), table.names.index(columns.label or columns.text[0])
    by_id = columns.label is None or columns.label_key == "id"
    for row in iterate_rows(table._replace(quoting=quoting)):
        values, line, last_line, _, error = row
        if error or len(values) != len(table.names):
            tally.lost += last_line - line + 1
            tally.first = tally.first or line
        else:
            _count_row(tally, table, label, row)
    if by_id:
        # Each id, or text that has no label, is another one: any line that looks like a row counts.
        tally.rows = Counter({MANY: tally.rows.total()})
        # No label tells a row inside a text from a line of the text.
        inside = 0 if columns.label is None else tally.swallowed.total()
        tally.swallowed = Counter({MANY: inside})
    return tally


def _count_row(tally: Tally, table: Table, label: int, row: Row) -> None:
    """Count a whole row, and the lines in its fields that look like rows."""
    values, line, last_line, _, _ = row
    name = values[label].strip()
    tally.rows[name if name in tally.rows or len(tally.rows) < MOST_LABELS else MANY] += 1
    if tally.quoting == "none":
        inner = [value[1:-1] for value in values if len(value) > 1 and value[0] == value[-1] == '"']
        tally.enclosed += bool(inner)
        # No text doubles its marks by itself.
        tally.lost += any('""' in value for value in inner)
    elif last_line > line:
        seeming = _rows_inside(values, len(table.names), label, table.delimiter)
        if seeming:
            tally.first = tally.first or line
        tally.swallowed.update(seeming)


def _rows_inside(values: list[str], columns: int, label: int, delimiter: str) -> list[str]:
    """Return the labels of the lines inside fields that would be rows without quotation marks."""
    labels = []
    for place, value in enumerate(values):
        lines = value.splitlines()
        for number, line in enumerate(lines[:-1]):
            before = place if number == 0 else 0
            parts = line.split(delimiter)
            if before + len(parts) == columns and label >= before:
                labels.append(parts[label - before].strip())
    return labels
