"""Encodings of text files: the one of a file, and which fits where UTF-8 does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path

from gap.data.excerpts import shorten
from gap.data.readers.files import open_bytes

# The most usual ones, for which texts are searched; a wrong guess costs more than none.
USUAL = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("mac_roman", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
]
ALPHABETS = {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC"}
# Categories of Unicode: punctuation, marks, currencies.
MARKS = {"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Mc", "Me", "Mn", "Sc"}
# How much of a file is looked through, and how many bytes of it are compared.
LOOKED_LINES, SAMPLE_BYTES = 200_000, 50_000
# Characters that a message shows on each side of one that tells.
AROUND = 20


def encoding_advice(paths: Iterable[Path]) -> str:
    """Return what to do about files that are not UTF-8: the encoding that fits best, a sample."""
    for path in paths:
        lines = _undecodable_lines(path)
        if lines and (encoding := _best_encoding(b"".join(lines))):
            sample = _around_first_sign(lines[0].decode(encoding, "replace"))
            return (
                f"{encoding} fits best, by which {path.name} has {sample!r}: if that is right, set "
                f"`encoding: {encoding}`, or convert the file (iconv -f {encoding} -t UTF-8)"
            )
    return "set `encoding`, or convert the file (for instance: iconv -f WINDOWS-1252 -t UTF-8)"


def _around_first_sign(line: str) -> str:
    """Return what stands around the first character of a line that is not ASCII."""
    place = next((place for place, sign in enumerate(line) if not sign.isascii()), 0)
    return shorten(line[max(0, place - AROUND) : place + AROUND])


def _undecodable_lines(path: Path) -> list[bytes]:
    """Return lines at the beginning of a file that are not UTF-8."""
    lines: list[bytes] = []
    size = 0
    try:
        with open_bytes(path) as file:
            for line in islice(iter(lambda: file.readline(SAMPLE_BYTES), b""), LOOKED_LINES):
                if b"\0" in line or not _is_utf8(line):
                    lines.append(line)
                    size += len(line)
                if size > SAMPLE_BYTES:
                    break
    except (OSError, EOFError):
        return []
    return lines


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _best_encoding(sample: bytes) -> str | None:
    """Return which of the usual encodings a sample is in, as far as can be told; None if none."""
    from charset_normalizer import from_bytes

    # Every other byte of ASCII in UTF-16 is zero.
    for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
        if zeros.count(0) > len(sample) / 5:
            return encoding
    matches = from_bytes(sample, cp_isolation=USUAL)
    names = [name for match in matches for name in match.could_be_from_charset if name in USUAL]
    # Several read most Western texts in the same way; Windows' own is the likeliest by far.
    names.sort(key=lambda name: (_oddities(sample.decode(name, "replace")), name != USUAL[0]))
    return names[0] if names else None


def _oddities(text: str) -> int:
    """Return how many characters beyond ASCII stand where real texts do not have them.

    These are capitals inside words, words of two alphabets, and signs that are neither letters,
    marks, punctuation nor currencies.
    """
    odd = 0
    for before, sign in pairwise(f" {text}"):
        if sign.isascii():
            continue
        if sign.isalpha():
            scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in (before, sign)}
            odd += before.isalpha() and (
                sign.isupper() or (scripts <= ALPHABETS and len(scripts) > 1)
            )
            odd += "HALFWIDTH" in scripts
        else:
            odd += unicodedata.category(sign) not in MARKS and not sign.isspace()
    return odd
