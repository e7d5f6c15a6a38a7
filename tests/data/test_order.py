"""The computed permutations: exactness, independence of keys, uniformity, and their use."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.order import (
    EPOCH_STREAM,
    SPLIT_STREAM,
    half_bits,
    order_key,
    permute,
    permute_array,
    round_keys,
    split_counts,
    splitmix64,
    training_indices,
    validation_indices,
)

keys = st.integers(0, 2**64 - 1)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 5000), key=keys)
def test_every_element_occurs_once(n, key):
    image = permute_array(np.arange(n), n, key)
    assert image.dtype == np.uint32
    np.testing.assert_array_equal(np.sort(image), np.arange(n))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(1, 2**32), key=keys)
def test_array_form_equals_the_scalar_form(data, n, key):
    positions = data.draw(st.lists(st.integers(0, n - 1), max_size=8))
    expected = [permute(position, n, key) for position in positions]
    assert permute_array(np.array(positions, np.int64), n, key).tolist() == expected
    assert all(0 <= value < n for value in expected)


def test_arithmetic_is_what_it_was():
    # Published test vector of SplitMix64 (seed 1234567), then values that the C must give as well.
    assert splitmix64(1234567) == 6457827717110365317
    key = order_key(7, EPOCH_STREAM, 3)
    assert key == 0x1C461B8D55DC1536
    assert round_keys(key) == (0xB94B8065, 0x3B7314DC, 0x0539C121, 0x3EB844D2)
    assert [permute(i, 10, key) for i in range(10)] == [2, 9, 4, 8, 1, 3, 5, 6, 7, 0]
    first = [permute(i, 60000, key) for i in range(6)]
    assert first == [2652, 12406, 33716, 41286, 58914, 52807]


@pytest.mark.parametrize(
    ("n", "half"),
    [(1, 1), (2, 1), (4, 1), (5, 2), (16, 2), (17, 3), (64, 3), (65, 4), (2**31, 16), (2**32, 16)],
)
def test_domain_is_the_smallest_even_power_of_two(n, half):
    assert half_bits(n) == half


def test_keys_of_other_seeds_streams_and_epochs_give_other_orders():
    known = [order_key(seed, stream, epoch) for seed in (0, 1, 2**32 - 1)
             for stream in (SPLIT_STREAM, EPOCH_STREAM) for epoch in range(20)]  # fmt: skip
    orders = {tuple(permute_array(np.arange(100), 100, key)) for key in known}
    assert len(orders) == len(known)


@pytest.mark.parametrize("n", [64, 65, 100, 144, 257])
def test_every_position_goes_everywhere_equally_often(n):
    trials = 100 * n
    for position in {0, n // 2, n - 1}:
        counts = np.zeros(n)
        for epoch in range(trials):
            counts[permute(position, n, order_key(11, EPOCH_STREAM, epoch))] += 1
        chi2 = ((counts - trials / n) ** 2 / (trials / n)).sum()
        # Mean n - 1, variance 2 (n - 1): five standard deviations. Keys are fixed, so no luck is
        # involved from run to run.
        assert chi2 < (n - 1) + 5 * np.sqrt(2 * (n - 1))


@pytest.mark.parametrize("n", range(2, 33))
def test_small_sets_are_shuffled_roughly(n):
    """Tiny domains are not uniform (see the module); every element still goes anywhere."""
    trials = 100 * n
    for position in {0, n - 1}:
        counts = np.zeros(n)
        for epoch in range(trials):
            counts[permute(position, n, order_key(11, EPOCH_STREAM, epoch))] += 1
        assert counts.min() > 50
        assert counts.max() < 200


def test_neighbours_do_not_stay_neighbours():
    n = 60000
    image = permute_array(np.arange(n), n, order_key(0, EPOCH_STREAM)).astype(np.int64)
    correlation = np.corrcoef(image[:-1], image[1:])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(n)
    # Two neighbours in 60,000 would be expected to be 1 apart about twice.
    assert (np.abs(np.diff(image)) == 1).sum() < 15


@pytest.mark.parametrize(("n", "index"), [(0, 0), (2**32 + 1, 0), (5, 5), (5, -1)])
def test_out_of_range_is_refused(n, index):
    with pytest.raises(ValueError, match=r"range|needs"):
        permute(index, n, 1)
    with pytest.raises(ValueError, match=r"range|needs"):
        permute_array(np.array([index]), n, 1)


def test_no_positions_give_no_elements():
    assert permute_array(np.array([], np.int64), 10, 1).tolist() == []


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(2, 3000), fraction=st.floats(0, 0.9), seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 1000),
)  # fmt: skip
def test_training_and_validation_part_the_set(n, fraction, seed, epoch):
    n_train, n_val = split_counts(n, fraction)
    assert n_train + n_val == n
    validation = validation_indices(np.arange(n_val), n, seed)
    training = training_indices(np.arange(n_train), n, n_val, seed, epoch)
    together = np.concatenate([training, validation])
    np.testing.assert_array_equal(np.sort(together), np.arange(n))
    # What is held out is the same in every epoch.
    other = training_indices(np.arange(n_train), n, n_val, seed, epoch + 1)
    np.testing.assert_array_equal(np.sort(other), np.sort(training))


def test_validation_split_is_spread_over_the_set():
    validation = validation_indices(np.arange(6000), 60000, 0)
    tenths = np.bincount(validation // 6000, minlength=10)
    assert np.abs(tenths - 600).max() < 5 * np.sqrt(540)


@pytest.mark.parametrize(
    ("n", "fraction", "expected"),
    [
        (60000, 0.1, (54000, 6000)),
        (1437, 0.1, (1293, 144)),
        (1437, 0.0, (1437, 0)),
        (1, 0.5, (1, 0)),
        (2, 0.001, (1, 1)),
        (3, 0.89, (1, 2)),
        (5, 0.5, (2, 3)),
    ],
)
def test_split_counts(n, fraction, expected):
    assert split_counts(n, fraction) == expected


@pytest.mark.parametrize(("n", "fraction"), [(0, 0.1), (10, -0.1), (10, 1.0)])
def test_impossible_splits_are_refused(n, fraction):
    with pytest.raises(ValueError, match="cannot split"):
        split_counts(n, fraction)
