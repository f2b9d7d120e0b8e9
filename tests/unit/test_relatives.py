"""Relatives: families of sequences of one origin stand on one side, and are counted."""

import itertools
import shutil
import subprocess
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gap.data.prepared import load_groups
from gap.data.preparing import mmseqs, shared_runs, store
from gap.data.preparing.roles import POOL
from gap.report import background
from gap.run.errors import UserError
from gap.study.datasets import Dataset
from gap.study.rules import PrepareRecipe
from prepared_rows import prepare_rows
from table_rows import card_of

RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
RECIPE = {"name": "made-up", "text": "text", "label": "label", "test": "25%", "words": 40_000}
IDENTITIES = (0.95, 0.6, 0.35)
needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="mmseqs is not installed")


def sequence(rng, residues=240):
    return "".join(rng.choice(RESIDUES, residues))


def mutated(rng, ancestor, identity):
    """Return a copy in which so many residues are the same, and a few are put in or taken out."""
    letters = np.array(list(ancestor))
    places = rng.choice(len(letters), round((1 - identity) * len(letters)), replace=False)
    shift = rng.integers(1, len(RESIDUES), len(places))
    kinds = np.searchsorted(RESIDUES, letters[places])
    letters[places] = RESIDUES[(kinds + shift) % len(RESIDUES)]
    place = int(rng.integers(len(letters) - 3))
    return "".join(letters[:place]) + sequence(rng, 2) + "".join(letters[place + 2 :])


def make_families(rng, families=30, copies=IDENTITIES, residues=240):
    """Return {sequence: number of its family}: an ancestor with a copy of each identity."""
    numbers = {}
    for number in range(families):
        ancestor = sequence(rng, residues)
        numbers[ancestor] = number
        numbers |= {mutated(rng, ancestor, identity): number for identity in copies}
    return numbers


def with_others(rng, numbers, others=60):
    """Return families, and other sequences with a family each, in any order."""
    first = max(numbers.values()) + 1
    numbers = numbers | {sequence(rng): first + place for place in range(others)}
    order = rng.permutation(len(numbers))
    items = list(numbers.items())
    return dict(items[place] for place in order)


def run(folder, rows, test_rows=None, threads=1, **recipe):
    """Run prepare on rows; return the card, and the texts of pool and test."""
    return prepare_rows(folder, RECIPE | recipe, rows, test_rows, threads)


def labelled(texts, groups=None):
    groups = groups or [f"g{place}" for place in range(len(texts))]
    return [
        (text, ("good", "bad")[place % 2], group)
        for place, (text, group) in enumerate(zip(texts, groups, strict=True))
    ]


def on_both_sides(numbers, pool, test):
    return {numbers[text] for text in pool} & {numbers[text] for text in test}


@pytest.mark.parametrize("by", ["shared_runs", pytest.param("mmseqs2", marks=needs_mmseqs)])
def test_no_family_is_on_both_sides(tmp_path, by):
    rng = np.random.default_rng(3)
    numbers = with_others(rng, make_families(rng))
    card, pool, test = run(tmp_path, labelled(list(numbers)), relatives={"by": by})
    assert on_both_sides(numbers, pool, test) == set()
    related = card["relatives"]
    assert related["dropped"] == 0 and len(pool) + len(test) == len(numbers)
    assert len(test) == pytest.approx(0.25 * len(numbers), abs=4)
    # 30 families and 60 single sequences.
    assert (related["clusters"], related["largest_cluster"]) == (90, 4)
    assert all(not share["pool_rows"] and not share["test_rows"] for share in related["shares"])
    # A family is one observation: intervals are over the groups of the test rows.
    groups = load_groups(tmp_path / "test.parquet")
    assert groups is not None
    assert card["test_groups"] == len({numbers[text] for text in test}) == groups.max() + 1
    families = {(numbers[text], group) for text, group in zip(test, groups, strict=True)}
    assert len(families) == card["test_groups"]


def test_without_the_key_families_are_torn(tmp_path):
    rng = np.random.default_rng(3)
    numbers = with_others(rng, make_families(rng))
    card, pool, test = run(tmp_path, labelled(list(numbers)))
    assert on_both_sides(numbers, pool, test)
    assert card["relatives"] is None and card["test_groups"] is None


def given_sets(rng):
    """Return test texts, pool texts, and how alike to a test text each pool text is."""
    test = [sequence(rng) for _ in range(40)]
    pool = {sequence(rng): 0.0 for _ in range(60)}
    for places, identity in zip((range(12), range(9, 30), range(30, 36)), IDENTITIES, strict=True):
        pool |= {mutated(rng, test[place], identity): identity for place in places}
    return test, pool


@pytest.mark.parametrize("by", ["shared_runs", pytest.param("mmseqs2", marks=needs_mmseqs)])
def test_the_card_counts_rows_with_a_relative_on_the_other_side(tmp_path, by, capsys):
    test, pool = given_sets(np.random.default_rng(4))
    relatives = {"apart": False, "by": by}
    card, left, _ = run(tmp_path, labelled(list(pool)), labelled(test), relatives=relatives)
    shares = {share.pop("likeness"): share for share in card["relatives"]["shares"]}
    counts = {key: (share["pool_rows"], share["test_rows"]) for key, share in shares.items()}
    assert counts == {0.9: (12, 12), 0.5: (33, 30), 0.3: (39, 36)}
    assert shares[0.5]["test_share"] == 0.75
    assert shares[0.5]["pool_share"] == round(33 / 99, 4)
    assert len(left) == 99 and card["relatives"]["clusters"] is None
    warning = "30 test rows (75.0%) have a relative of 50% likeness or more in the pool"
    assert any(warning in line for line in card["warnings"])
    assert warning in capsys.readouterr().err


@pytest.mark.parametrize(("likeness", "left"), [(0.3, 60), (0.5, 66), (0.9, 87)])
def test_relatives_of_a_given_test_set_leave_the_pool(tmp_path, likeness, left):
    test, pool = given_sets(np.random.default_rng(4))
    # Two test sequences are relatives of each other: they are one group of the test set.
    test.append(mutated(np.random.default_rng(1), test[0], 0.95))
    relatives = {"likeness": likeness}
    card, kept, kept_test = run(tmp_path, labelled(list(pool)), labelled(test), relatives=relatives)
    assert kept == [text for text, identity in pool.items() if identity < likeness]
    assert len(kept) == left and kept_test == test
    assert card["relatives"]["dropped"] == 99 - left
    assert f"{99 - left} pool rows were dropped" in " ".join(card["warnings"])
    assert card["test_groups"] == 40
    groups = load_groups(tmp_path / "test.parquet")
    assert groups is not None and groups[0] == groups[-1]
    # What is left is counted, and what left is not.
    for share in card["relatives"]["shares"]:
        expected = sum(share["likeness"] <= identity < likeness for identity in pool.values())
        assert share["pool_rows"] == expected


def test_groups_and_relatives_are_united(tmp_path):
    rng = np.random.default_rng(5)
    numbers = with_others(rng, make_families(rng, families=20), others=80)
    # Each group has texts of two families or single sequences: families 0 and 1, 2 and 3, ...
    groups = [f"lab {number // 2}" for number in numbers.values()]
    rows = labelled(list(numbers), groups)
    card, pool, test = run(tmp_path, rows, group="group", relatives={})
    assert on_both_sides({text: n // 2 for text, n in numbers.items()}, pool, test) == set()
    assert card["relatives"]["clusters"] == len(set(groups)) == 50
    assert card["relatives"]["largest_cluster"] == 8
    # Families without the group, and groups without families: neither is torn where both differ.
    groups = [f"lab {place % 70}" for place in range(len(numbers))]
    card, pool, test = run(
        tmp_path / "other", labelled(list(numbers), groups), group="group", relatives={}
    )
    by_group = dict(zip(numbers, groups, strict=True))
    assert on_both_sides(by_group, pool, test) == set()
    assert on_both_sides(numbers, pool, test) == set()
    # A study that groups only tears families.
    _, pool, test = run(tmp_path / "groups", labelled(list(numbers), groups), group="group")
    assert on_both_sides(numbers, pool, test)


def test_it_is_the_same_with_any_number_of_processes_and_in_any_order(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    numbers = with_others(rng, make_families(rng))
    monkeypatch.setattr(store, "BATCH_ROWS", 96)
    monkeypatch.setattr(shared_runs, "PAIRS_AT_ONCE", 50)
    rows = labelled(list(numbers))
    results = [
        run(tmp_path / str(threads), rows, threads=threads, relatives={}) for threads in (1, 2)
    ]
    assert results[0][0] == results[1][0] and results[0][1:] == results[1][1:]
    # One file or many: the same test set, in the order of the rows.
    monkeypatch.undo()
    whole = run(tmp_path / "whole", rows, relatives={})
    assert whole[1:] == results[0][1:]
    turned = run(tmp_path / "turned", rows[::-1], relatives={})
    assert turned[2][::-1] == whole[2]
    assert turned[0]["relatives"] == whole[0]["relatives"]


def test_repeats_with_other_labels_stay_with_their_family(tmp_path):
    rng = np.random.default_rng(7)
    numbers = with_others(rng, make_families(rng))
    texts = [*numbers, *list(numbers)[:50]]
    rows = [(text, f"l{place // len(numbers)}", "") for place, text in enumerate(texts)]
    _, pool, test = run(tmp_path, rows, relatives={})
    assert on_both_sides(numbers, pool, test) == set()
    assert len(pool) + len(test) == len(texts)


def test_what_the_clusters_miss_leaves_the_pool(tmp_path, monkeypatch):
    rng = np.random.default_rng(8)
    numbers = with_others(rng, make_families(rng, copies=(0.95, 0.8)))
    real = shared_runs.candidates
    # The clusters see nothing, the search of the test set sees all.
    monkeypatch.setattr(
        shared_runs,
        "candidates",
        lambda seekers, targets, least: (
            real(seekers, targets, least) + (" LIMIT 0" if seekers == targets else "")
        ),
    )
    card, pool, test = run(tmp_path, labelled(list(numbers)), relatives={})
    assert card["relatives"]["dropped"] > 0
    assert len(pool) + len(test) + card["relatives"]["dropped"] == len(numbers)
    assert on_both_sides(numbers, pool, test) == set()


def test_one_family_only_is_an_error(tmp_path):
    rng = np.random.default_rng(9)
    ancestor = sequence(rng)
    texts = [mutated(rng, ancestor, 0.9) for _ in range(40)]
    with pytest.raises(UserError, match=r"the 1 groups of relatives have 40 to 40 rows"):
        run(tmp_path, labelled(texts), relatives={})
    with pytest.raises(UserError, match=r"'bad' has no row .* as relatives of test texts"):
        rows = [(text, "bad", "") for text in texts[:20]]
        rows += [(sequence(rng), "good", "") for _ in range(20)]
        run(tmp_path, rows, labelled(texts[20:]), relatives={})


def test_unrelated_sequences_are_none_whatever_their_length_and_letters():
    rng = np.random.default_rng(10)
    for letters, residues in (("ACGT", 80), ("ACGT", 600), ("ACDEFGHIKLMNPQRSTVWY", 80)):
        texts = ["".join(rng.choice(list(letters), residues)) for _ in range(2000)]
        pairs = itertools.pairwise(texts)
        related = [shared_runs.likeness(text, other, 0.3) > 0 for text, other in pairs]
        assert np.mean(related) < 0.002
    assert shared_runs.likeness("ACGT" * 9, "ACGT" * 9, 0.3) == 1
    assert shared_runs.likeness("AAAA" * 9, "AAAA" * 9, 0.3) == 1
    assert shared_runs.likeness("", "", 0.3) == 1


def test_likeness_is_the_share_of_residues_that_are_the_same():
    rng = np.random.default_rng(11)
    text = sequence(rng, 500)
    for identity in IDENTITIES:
        values = [shared_runs.likeness(text, mutated(rng, text, identity), 0.2) for _ in range(20)]
        assert np.mean(values) == pytest.approx(identity, abs=0.04)
    # A part is as much like the whole as its length says.
    assert shared_runs.likeness(text, text[:300], 0.3) == pytest.approx(0.6)
    assert shared_runs.likeness(text, text[:100], 0.3) == 0


def test_long_sequences_and_short_ones_have_relatives(tmp_path):
    rng = np.random.default_rng(12)
    numbers = make_families(rng, families=3, copies=(0.9,), residues=35_000)
    others = make_families(rng, families=20, copies=(0.9,), residues=40)
    numbers |= {text: 3 + number for text, number in others.items()}
    card, pool, test = run(tmp_path, labelled(list(numbers)), relatives={"likeness": 0.5})
    assert on_both_sides(numbers, pool, test) == set()
    assert card["relatives"]["clusters"] == 23


def test_a_run_leads_to_few_texts_however_many_share_it(tmp_path):
    rows = store.Store(tmp_path, "1GB", 1, grouped=False, unit="character")
    rng = np.random.default_rng(13)
    ancestor = sequence(rng, 60)
    texts = [mutated(rng, ancestor, 0.95) for _ in range(3000)]
    batch = next(rows.batches((place, text, 0, "") for place, text in enumerate(texts)))
    rows.add(store.take_batch(100, "head", False, False, batch), in_test=False)
    rows.replace_table("texts", "SELECT position FROM usable")
    search = shared_runs.SharedRuns(rows, 1)
    rows.replace_table("found", shared_runs.candidates("texts", "texts", 0.3))
    assert 0 < rows.count("SELECT count(*) FROM found") <= 3000 * shared_runs.COMPARED
    assert rows.count("SELECT count(DISTINCT seeker) FROM found") > 1000
    assert search.store is rows and POOL == 0


def test_where_mmseqs_is_missing_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(mmseqs.shutil, "which", lambda program: None)
    rows = labelled(["A" * 60, "C" * 60])
    with pytest.raises(UserError, match=r"mmseqs, which is not on the PATH; install it") as error:
        run(tmp_path, rows, relatives={"by": "mmseqs2"})
    assert "\n" not in str(error.value)


@needs_mmseqs
def test_mmseqs_reads_sequences_only_and_its_errors_are_one_line(tmp_path, monkeypatch):
    rng = np.random.default_rng(14)
    texts = [*make_families(rng, families=5), "a good film, 10 of 10"]
    relatives = {"by": "mmseqs2"}
    with pytest.raises(UserError, match=r"row 20 \('agoodfilm,10of10'\) is no sequence"):
        run(tmp_path, labelled(texts), relatives=relatives)

    def fail(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "out of memory\n")

    monkeypatch.setattr(mmseqs.subprocess, "run", fail)
    with pytest.raises(UserError, match="made-up: mmseqs failed: out of memory; try"):
        run(tmp_path / "failing", labelled(texts[:-1]), relatives=relatives)


@needs_mmseqs
def test_mmseqs_finds_relatives_among_nucleotides(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.RESIDUES", np.array(list("ACGT")))
    rng = np.random.default_rng(15)
    numbers = with_others(rng, make_families(rng, copies=(0.95, 0.9)))
    relatives = {"by": "mmseqs2", "likeness": 0.8}
    card, pool, test = run(tmp_path, labelled(list(numbers)), relatives=relatives)
    assert on_both_sides(numbers, pool, test) == set()
    assert card["relatives"]["clusters"] == 90


def test_a_change_of_the_key_prepares_again_and_its_absence_changes_no_recipe():
    keys = {"source": {"kind": "file", "path": "rows.csv"}, "text": ["text"], "label": "label"}
    written: list[dict[str, Any]] = [
        {},
        {"relatives": {}},
        {"relatives": {"likeness": 0.5}},
    ]
    recipes: list[Any] = [
        PrepareRecipe.of("made-up", Dataset.model_validate(keys | relatives)).plain()
        for relatives in written
    ]
    assert "relatives" not in recipes[0]
    assert recipes[1]["relatives"] == {"apart": True, "likeness": 0.3, "by": "shared_runs"}
    assert recipes[2] == recipes[1] | {"relatives": recipes[1]["relatives"] | {"likeness": 0.5}}


def parts_of_report(cards: Any) -> Any:
    findings: Any = SimpleNamespace(cards=cards, title=str, recipe=SimpleNamespace(checkpoints={}))
    section: Any = background.data(findings)
    return section.parts


def test_the_report_tells_relatives_where_they_were_looked_for(tmp_path):
    test, pool = given_sets(np.random.default_rng(4))
    related, *_ = run(tmp_path, labelled(list(pool)), labelled(test), relatives={"likeness": 0.5})
    cards = [card_of("films", pool=10, test=5), related]
    _, table, paragraph, *_ = parts_of_report(cards)
    assert [row[:3] for row in table.rows] == [
        ["made-up", "30%", "6 (9.1%)"],
        ["made-up", "50%", "0 (0.0%)"],
        ["made-up", "90%", "0 (0.0%)"],
    ]
    assert "40 clusters, the largest of 1 texts; 33 rows were dropped" in paragraph.text
    assert len(parts_of_report(cards[:1])) == 1
