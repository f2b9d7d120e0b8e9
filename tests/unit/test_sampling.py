"""Subsamples are nested, stratified within one row, deterministic, and differ between seeds."""

import numpy as np
import pytest
from gap.data.sampling import (
    label_sequence,
    read_subsamples,
    stratified_order,
    subsample,
    write_subsamples,
)
from gap.run.errors import UserError
from gap.study.recipes import Validation
from gap.study.sizes import count_rows, parse_seeds, rows_of_size, validation_rows
from hypothesis import given
from hypothesis import strategies as st

counts = st.lists(st.integers(1, 60), min_size=1, max_size=12).map(np.array)
VALIDATION = Validation(share=0.2, min=2, max=50)


def strays(sequence, counts):
    """Return how far each prefix's count of each label is from its share, (length, labels)."""
    taken = np.cumsum(sequence[:, None] == np.arange(len(counts)), axis=0)
    wanted = np.arange(1, len(sequence) + 1)[:, None] * counts / counts.sum()
    return abs(taken - wanted)


@given(counts)
def test_every_prefix_holds_each_label_within_one_row_of_its_share(counts):
    sequence = label_sequence(counts, int(counts.sum()))
    assert (np.bincount(sequence, minlength=len(counts)) == counts).all()
    assert strays(sequence, counts).max() < 1


def test_stays_within_one_row_where_rounding_each_label_does_not():
    # Rounding each label's quota by itself leaves a sum that is off by up to half the labels.
    counts = np.array([900, *[10] * 10])
    assert strays(label_sequence(counts, 1000), counts).max() <= 1 - 1 / 20


@given(counts, st.integers(0, 1000), st.data())
def test_orders_of_one_seed_are_nested(counts, seed, data):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    longer = data.draw(st.integers(1, len(labels)))
    shorter = data.draw(st.integers(1, longer))
    order = stratified_order(labels, seed, longer)
    assert (stratified_order(labels, seed, shorter) == order[:shorter]).all()
    assert len(set(order.tolist())) == longer


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    labels = np.tile([0, 1], 500).astype(np.int32)
    first = stratified_order(labels, 1, 100)
    assert (first == stratified_order(labels, 1, 100)).all()
    assert len(set(first) & set(stratified_order(labels, 2, 100))) < 30


def test_validation_is_part_of_the_size_and_stratified():
    labels = np.repeat([0, 1], [300, 700]).astype(np.int32)
    drawn = subsample(labels, seed=3, n=100, validation=VALIDATION)
    assert len(drawn.training_rows) == 80
    assert not set(drawn.training_rows) & set(drawn.validation_rows)
    assert len(drawn.rows) == 100
    assert abs(drawn.validation_labels.sum() - 14) <= 1
    assert abs(drawn.training_labels.sum() - 56) <= 2
    assert (labels[drawn.training_rows] == drawn.training_labels).all()


@given(st.integers(2, 10_000), st.floats(0.01, 0.99), st.integers(1, 100), st.integers(1, 5000))
def test_both_parts_have_a_row(n, share, minimum, maximum):
    held_out = validation_rows(n, share, minimum, maximum)
    assert 1 <= held_out < n
    assert held_out <= max(1, maximum)


@pytest.mark.parametrize(("size", "n"), [("250", 250), ("10%", 100), ("0.5%", 5), ("100%", 1000)])
def test_sizes_are_counts_or_shares_of_the_pool(size, n):
    assert rows_of_size(size, 1000) == n


@pytest.mark.parametrize("size", ["1001", "0.01%"])
def test_a_size_that_the_pool_cannot_give_is_an_error_with_its_rows(size):
    with pytest.raises(UserError, match=rf"sizes: {size} .* the pool has 1,000"):
        rows_of_size(size, 1000)


def test_a_half_is_rounded_upwards_whatever_the_size():
    assert [count_rows("10%", rows) for rows in (5, 15, 25, 105, 1005)] == [1, 2, 3, 11, 101]
    # In binary fractions it would be a little less than a half.
    assert count_rows("0.7%", 1500) == 11


def test_blocks_of_seeds():
    assert parse_seeds("3") == [3]
    assert parse_seeds("2-4") == [2, 3, 4]


def test_what_is_written_is_read_back(tmp_path):
    labels = np.tile([0, 1, 2], 50).astype(np.int32)
    drawn = [subsample(labels, seed, 60, VALIDATION) for seed in (4, 7)]
    write_subsamples(drawn, tmp_path / "subsample.parquet")
    for written, read in zip(drawn, read_subsamples(tmp_path / "subsample.parquet"), strict=True):
        assert written.seed == read.seed
        for part in ("training_rows", "training_labels", "validation_rows", "validation_labels"):
            assert (getattr(written, part) == getattr(read, part)).all()
