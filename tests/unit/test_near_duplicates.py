"""Pool rows whose text is nearly a text of the test set: told, counted, dropped."""

import tracemalloc

import numpy as np
import pytest
from gap.data.preparing import near_duplicates, store
from gap.data.preparing.near_duplicates import (
    BAND_ROWS,
    LEAST_LIKENESS,
    NearIndex,
    shingle,
    signatures,
)
from gap.data.preparing.roles import POOL, TEST
from gap.run.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_rows import prepare_rows

RNG = np.random.default_rng(5)
WORDS = ["".join(RNG.choice(list("abcdefghijklmnop"), RNG.integers(2, 9))) for _ in range(2000)]
RECIPE = {"name": "made-up", "text": "text", "label": "label", "test": "25%"}
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_texts():
    """Begin each test at one state: its texts depend on no test before it."""
    RNG.bit_generator.state = START


def text(words=30):
    return " ".join(RNG.choice(WORDS, words))


def altered(whole, words=1):
    """Return a text with other words in the place of so many."""
    parts = whole.split()
    for place in RNG.choice(len(parts), words, replace=False):
        parts[place] = RNG.choice([word for word in WORDS if word != parts[place]])
    return " ".join(parts)


def likeness(one, other):
    """Return the Jaccard index of two texts' shingles."""
    first, second = (set(shingle(each).tolist()) for each in (one, other))
    return len(first & second) / len(first | second)


def run(folder, rows, test_rows=None, threads=1, **recipe):
    """Run prepare on rows; return the card, and the texts of pool and test."""
    return prepare_rows(folder, RECIPE | recipe, rows, test_rows, threads)


def labelled(texts):
    return [(each, ("good", "bad")[place % 2]) for place, each in enumerate(texts)]


@pytest.fixture
def reviews():
    """Two hundred test texts, and pool texts of which every fourth is nearly one of them."""
    test = [text() for _ in range(200)]
    pool = [altered(test[place // 4]) if place % 4 == 0 else text() for place in range(800)]
    return pool, test


def test_a_signature_estimates_how_alike_two_texts_are():
    for words in (1, 2, 4, 8):
        pairs = [(whole, altered(whole, words)) for whole in (text() for _ in range(60))]
        signed = [signatures(pair) for pair in pairs]
        estimates = np.array([(one == other).mean() for one, other in signed])
        exact = np.array([likeness(*pair) for pair in pairs])
        assert (estimates - exact).mean() == pytest.approx(0, abs=0.015)
        # The standard error of a share of 128.
        assert np.std(estimates - exact) < 0.05


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5), st.text(max_size=1200))
def test_a_text_has_one_signature_whatever_stands_beside_it(others, whole):
    alone = signatures([whole])[0]
    beside = signatures([*others, whole, whole.upper().lower()])
    assert (beside[len(others)] == alone).all()
    near = NearIndex(signatures([*others, whole])).near(signatures([whole]))
    assert near.all()


def test_a_long_text_is_hashed_in_parts(monkeypatch):
    whole = text(2000)
    signed = signatures([whole])
    monkeypatch.setattr(near_duplicates, "SHINGLES_AT_ONCE", 7)
    assert (signatures([whole]) == signed).all()


@pytest.mark.parametrize("way", ["count", "drop"])
def test_rows_that_differ_in_a_word_of_thirty_are_told_and_others_never(
    tmp_path, reviews, way, capsys
):
    pool, test = reviews
    card, left, _ = run(tmp_path, labelled(pool), labelled(test), near_duplicates=way)
    # One word of thirty changes 8 to 16 of some 160 shingles: an index of 0.82 to 0.9.
    told = card["near_duplicates"]
    assert 0.95 * 200 <= told <= 200
    near = {each for place, each in enumerate(pool) if place % 4 == 0}
    assert set(pool) - near <= set(left)
    assert card["pool"]["rows"] == len(left) == (800 - told if way == "drop" else 800)
    dropped = "were dropped, because their texts are nearly texts of the test set"
    advice = "have texts that are nearly texts of the test set; `near_duplicates: drop`"
    expected = dropped if way == "drop" else advice
    assert any(f"{told:,} of 800 pool rows {expected}" in line for line in card["warnings"])
    assert f"dropped for standing in test 0, near duplicates of test texts {told:,}; " in (
        capsys.readouterr().err
    )
    indices = signatures(left)
    if way == "drop":
        assert not NearIndex(signatures(test)).near(indices).any()


def test_they_are_not_looked_for_unless_asked(tmp_path, reviews):
    pool, test = reviews
    card, left, _ = run(tmp_path, labelled(pool), labelled(test))
    assert card["near_duplicates"] is None and len(left) == 800
    assert not any("nearly" in line for line in card["warnings"])


def test_it_is_the_same_with_any_number_of_processes(tmp_path, reviews, monkeypatch):
    pool, test = reviews
    monkeypatch.setattr(store, "BATCH_ROWS", 64)
    results = []
    for threads in (1, 3):
        folder = tmp_path / str(threads)
        folder.mkdir()
        rows = labelled([*pool, *test])
        card, *texts = run(folder, rows, threads=threads, near_duplicates="drop")
        results.append((card["near_duplicates"], card["pool"]["sha256"], texts))
    assert results[0] == results[1]
    assert results[0][0] > 0
    # None is left that is near to a row of the test set that was drawn.
    left, drawn = results[0][2]
    assert not NearIndex(signatures(drawn)).near(signatures(left)).any()


def test_short_texts_that_differ_are_none(tmp_path):
    words = [f"{a}{b}" for a in ("good", "bad", "fine", "poor") for b in ("", " film", " plot")]
    rows = [
        (f"{word} {number}", "x" if number % 2 else "y") for word in words for number in (1, 22)
    ]
    card, *_ = run(tmp_path, rows, near_duplicates="drop")
    assert card["near_duplicates"] == 0


def test_where_all_rows_of_a_label_are_near_it_is_an_error(tmp_path):
    test = [text() for _ in range(40)]
    pool = [(altered(each), "bad") for each in test[:20]]
    pool += [(text(), "good") for _ in range(20)]
    with pytest.raises(UserError, match=r"label 'bad' has no row in the pool .* near duplicates"):
        run(tmp_path, pool, labelled(test), near_duplicates="drop")


def test_none_is_missed_that_the_signatures_tell():
    # Lines of a log: most of each is the same in all, and some are near duplicates.
    frame = text(24)
    lines = [f"{frame} {text(2 + place % 6)}" for place in range(600)]
    index, other = signatures(lines[:300]), signatures(lines[300:])
    told = NearIndex(index).near(other)
    expected = ((index == other[:, None]).mean(axis=2) >= LEAST_LIKENESS).any(axis=1)
    assert (told == expected).all()
    assert told.any() and not told.all()


def test_signatures_at_the_limit_are_near_wherever_they_differ():
    signed = signatures([text() for _ in range(50)])
    for differing, near in ((25, True), (26, False)):
        other = signed.copy()
        # The hashes that differ are in as many bands as they can be.
        for row in other:
            row[np.arange(differing) * BAND_ROWS + RNG.integers(4)] ^= 1
        assert (NearIndex(signed).near(other) == near).all()


def test_memory_holds_one_file_of_the_pool_at_a_time(tmp_path):
    test, pool = ([text() for _ in range(count)] for count in (100, 500))
    peaks = []
    for files in (2, 12):
        folder = tmp_path / str(files)
        folder.mkdir()
        rows = store.Store(folder, "1GB", 1, grouped=False, unit="word")
        for part in [test, *[pool] * files]:
            batch = next(rows.batches((place, line, 0, "") for place, line in enumerate(part)))
            rows.add(store.take_batch(100, "head", False, False, batch), in_test=part is test)
        sides = f"CASE WHEN in_test THEN {TEST} ELSE {POOL} END AS role"
        rows.replace_table("roles", f"SELECT *, {sides} FROM usable")
        tracemalloc.start()
        assert near_duplicates.find_near_duplicates(rows, 1, drop=False) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_the_limit_is_where_it_is_said_to_be():
    near: list[str] = []
    far: list[str] = []
    index = [text() for _ in range(300)]
    for whole in index:
        other = altered(whole, int(RNG.integers(1, 6)))
        if abs(likeness(whole, other) - LEAST_LIKENESS) < 0.07:
            continue
        (near if likeness(whole, other) > LEAST_LIKENESS else far).append(other)
    assert len(near) > 25 and len(far) > 25
    told = NearIndex(signatures(index))
    assert told.near(signatures(near)).mean() > 0.97
    assert told.near(signatures(far)).mean() < 0.03
