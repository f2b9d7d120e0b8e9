"""The text budget: what counts as a word or a character, and where texts are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
import regex
from gap.data.preparing.texts import cut_text
from gap.data.units import count_units, find_unit, is_unspaced, unit_starts
from gap.data.words import split_words
from gap.study.datasets import TextUnit
from hypothesis import example, given
from hypothesis import strategies as st

# Letters of scripts with and without spaces, marks, joined emoji, punctuation and spaces.
SIGNS = "ab1天上。「ガーきดีน้ำລາວខ្មែររမန်မာकीلعَe\u0301\u0308👩\u200d👧🇩🇪.,'+ \n\t\u00a0\u3000"
TEXTS = st.text(alphabet=SIGNS, max_size=30) | st.text(max_size=20)
UNITS = st.sampled_from(["word", "character"])
KEEPS = st.sampled_from(["head", "head_and_tail"])
PROTEIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"


def clusters(text: str) -> list[str]:
    return regex.findall(r"\X", text)


@pytest.mark.parametrize(
    ("text", "words", "characters"),
    [
        ("Don't pay 3.50 (for C), R!", ["Don't ", "pay ", "3.50 ", "(for ", "C), ", "R!"], 21),
        (" naïve — vue", ["naïve ", "— ", "vue"], 9),
        ("我喜欢。「今天」サービスが", ["我", "喜", "欢。「", "今", "天」", "サービス", "が"], 13),
        ("ดีน้ำ", ["ดี", "น้ำ"], 2),
        ("我 like C++ 很", ["我 ", "like ", "C++ ", "很"], 9),
        ("不C++", ["不", "C", "+", "+"], 4),
        ("काला कीला", ["काला ", "कीला"], 4),
        (f"{PROTEIN} ", [f"{PROTEIN} "], len(PROTEIN)),
        ("👩‍👩‍👧🇩🇪 e\u0301", ["👩‍👩‍👧🇩🇪 ", "e\u0301"], 3),
        ("\u0308。\u0308好\u0308", ["\u0308。\u0308", "好\u0308"], 3),
        (" \n", [], 0),
    ],
)
def test_what_counts(text: str, words: list[str], characters: int) -> None:
    ends = [*unit_starts(text, "word"), len(text)]
    assert [text[start:end] for start, end in pairwise(ends)] == words
    assert (count_units(text, "word"), count_units(text, "character")) == (len(words), characters)


def test_words_of_a_script_without_spaces_are_those_of_the_linear_model() -> None:
    text = "今天。我喜欢这个サービス!3.50元,don't"
    assert count_units(text, "word") == len(split_words(text))


@given(text=TEXTS, words=st.integers(1, 9), keep=KEEPS, unit=UNITS)
@example(text="  \u0301\u0301\u0301 b", words=1, keep="head", unit="character")
@example(text="น้ำน้ำ", words=1, keep="head", unit="word")
def test_a_cut_text_is_within_its_budget(text: str, words: int, keep: str, unit: TextUnit) -> None:
    cut = cut_text(text, words, keep, unit)
    if count_units(text, unit) <= words:
        assert cut == text
        return
    first = -(-3 * words // 4) if keep == "head_and_tail" else words
    seam = " ... " if first < words else None
    # What is kept may hold a seam of its own: the first one that fits is the right one.
    head, tail = (cut, "") if seam is None else halves(text, cut)
    assert count_units(head, unit) <= first
    assert count_units(tail, unit) <= words - first
    assert head.strip()
    assert text.startswith(head)
    assert text.rstrip().endswith(tail)
    assert clusters(text)[: len(clusters(head))] == clusters(head)
    assert clusters(text.rstrip())[len(clusters(text.rstrip())) - len(clusters(tail)) :] == (
        clusters(tail)
    )


def halves(text: str, cut: str) -> tuple[str, str]:
    """Return head and tail of a cut text; the seam is the only one where both are parts of it."""
    places = [place for place in range(len(cut)) if cut.startswith(" ... ", place)]
    pairs = [(cut[:place], cut[place + 5 :]) for place in places]
    return next(
        (head, tail)
        for head, tail in pairs
        if text.startswith(head) and text.rstrip().endswith(tail)
    )


@given(text=TEXTS, unit=UNITS)
def test_units_begin_where_characters_do(text: str, unit: TextUnit) -> None:
    starts = list(unit_starts(text, unit))
    assert starts == sorted(set(starts))
    assert bool(starts) == bool(text.strip())
    if unit == "character" or is_unspaced(text):
        places = [0]
        for cluster in clusters(text):
            places.append(places[-1] + len(cluster))
        spaced = [match.start() for match in regex.finditer(r"(?<!\S)\S", text)]
        assert set(starts) <= set(places) | set(spaced)


@given(text=st.text(alphabet="ab .é—\u00a0\n", max_size=30), words=st.integers(1, 9), keep=KEEPS)
def test_a_text_with_spaces_is_cut_at_them(text: str, words: int, keep: str) -> None:
    assert count_units(text, "word") == len(text.split())
    cut = cut_text(text, words, keep)
    if len(text.split()) > words:
        first = -(-3 * words // 4) if keep == "head_and_tail" else words
        runs = text.split()
        dots = ["..."] * (first < words)
        assert cut.split() == [*runs[:first], *dots, *runs[len(runs) - words + first :]]


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        ([PROTEIN] * 6 + ["a text of words"] * 5, "character"),
        ([PROTEIN] * 5 + ["a text of words"] * 5, "word"),
        ([f"a {PROTEIN}\n"], "character"),
        ([f"{PROTEIN} with a remark on it"], "word"),
        ([PROTEIN[:50]], "word"),
        (["今天上车看里后我们" * 10], "word"),
    ],
)
def test_the_first_texts_tell_the_unit(texts: list[str], unit: TextUnit) -> None:
    assert find_unit(texts) == unit
