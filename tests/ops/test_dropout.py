"""Dropout, and the random bits it is made of. Its gradients, purity, precision and cost: test_every_op.py."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.ops import dropout
from minillm.ops.dropout import philox

ONES = 0xFFFFFFFF
ANSWERS = [                                      # published with the algorithm (Random123): counter, key, answer
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize("counter, key, answer", ANSWERS)
def test_philox_gives_the_published_answers(counter, key, answer):
    words = philox(tuple(np.array([c], np.uint64) for c in counter), key[0] | key[1] << 32)
    assert [int(word[0]) for word in words] == list(answer)


def test_number_i_uses_word_i_mod_4_of_block_i_over_4():
    """What any other implementation must do to drop the same numbers."""
    rate, key, layer, site, first = 0.3, 0xA4093822 | 0x299F31D0 << 32, 7, 2, 2**34 + 5
    y, _ = dropout.forward(np.ones(11), rate, key, layer, site, start=first)
    for i, kept in enumerate(y > 0, start=first):
        block = i // 4
        words = philox(tuple(np.array([c], np.uint64) for c in (block & ONES, block >> 32, layer, site)), key)
        assert kept == (int(words[i % 4][0]) >= rate * 2**32)


@settings(max_examples=40)
@given(rate=st.floats(0, 0.95), key=st.integers(0, 2**64 - 1), start=st.integers(0, 2**40), cut=st.integers(0, 30))
def test_a_slices_mask_is_the_slice_of_the_whole_mask(rate, key, start, cut):
    x = np.ones(30)
    whole, _ = dropout.forward(x, rate, key, 3, 1, start)
    assert np.array_equal(dropout.forward(x[:cut], rate, key, 3, 1, start)[0], whole[:cut])
    assert np.array_equal(dropout.forward(x[cut:], rate, key, 3, 1, start + cut)[0], whole[cut:])
    assert np.array_equal(dropout.forward(x.reshape(2, 3, 5), rate, key, 3, 1, start)[0].ravel(), whole)


@settings(max_examples=40)
@given(n=st.integers(1, 30), key=st.integers(0, 2**64 - 1), start=st.integers(0, 2**40), shape=st.sampled_from([(), (1,)]))
def test_arrays_of_one_number_say_key_and_place_as_well_as_ints(n, key, start, shape):
    x, arrays = np.ones(n), (np.full(shape, key, np.uint64), np.full(shape, start))
    expected, _ = dropout.forward(x, 0.5, key, 3, 1, start)
    y, cache = dropout.forward(x, 0.5, arrays[0], 3, 1, arrays[1])
    assert np.array_equal(y, expected) and np.array_equal(dropout.backward(x, cache)[0], expected)
    assert np.array_equal(dropout.forward(x, 0.5, arrays[0].view(np.int64), 3, 1, np.int64(start))[0], expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_the_rate_and_the_mean_stays(rate):
    n = 40_000
    y, _ = dropout.forward(np.ones(n), rate, key=12)
    deviation = sqrt(n * rate * (1 - rate))      # of a binomial count
    assert abs((y == 0).sum() - rate * n) < 5 * deviation
    assert np.allclose(y[y != 0], 1 / (1 - rate), rtol=1e-15)


def test_key_layer_and_site_give_masks_that_have_nothing_in_common():
    masks = [dropout.forward(np.ones(4000), 0.5, *place)[0] > 0 for place in [(0, 0, 0), (1, 0, 0), (2**32, 0, 0), (0, 1, 0), (0, 0, 1)]]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs((a == b).mean() - 0.5) < 5 * 0.5 / sqrt(4000)


def test_backward_drops_the_same_numbers():
    x, dy = np.random.default_rng(0).standard_normal((2, 50))
    y, cache = dropout.forward(x, 0.4, key=9, start=3)
    assert np.array_equal(dropout.backward(dy, cache)[0], np.where(y == 0, 0, dy / 0.6))
    assert not any(isinstance(part, np.ndarray) for part in cache), "the mask is made anew, not kept"


def test_what_is_dropped_does_not_matter_even_if_it_is_not_a_number():
    y, _ = dropout.forward(np.full(64, np.inf), 0.5, key=1)
    assert set(y.tolist()) == {0.0, np.inf}


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_outside_of_0_to_1_is_refused_with_a_sentence(rate):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        dropout.forward(np.ones(3), rate, key=0)
