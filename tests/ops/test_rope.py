"""RoPE. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.ops import rope
from minillm.ops.rope import LinearScaling, Llama3Scaling

PAIRINGS = st.sampled_from(["half", "interleaved"])
SCALINGS = st.sampled_from([None, LinearScaling(3.0), Llama3Scaling(4.0, 1.0, 4.0, 32)])


def turned(x, position, **options):
    return rope.forward(x.reshape(1, 1, 1, -1), np.array([position]), **options)[0].ravel()


@settings(max_examples=40)
@given(e=st.integers(1, 4).map(lambda n: 2 * n), p=st.integers(0, 500), s=st.integers(0, 500), shift=st.integers(-300, 300),
       theta=st.floats(10, 1e6), pairing=PAIRINGS, scaling=SCALINGS)
def test_a_score_depends_on_the_distance_alone_and_lengths_stay(e, p, s, shift, theta, pairing, scaling):
    q, k = np.random.default_rng(e).standard_normal((2, e))
    options = dict(theta=theta, pairing=pairing, scaling=scaling)
    score = turned(q, p, **options) @ turned(k, s, **options)
    shifted = turned(q, p + shift, **options) @ turned(k, s + shift, **options)
    assert abs(score - shifted) < 1e-10
    assert abs(np.linalg.norm(turned(q, p, **options)) - np.linalg.norm(q)) < 1e-12


@settings(max_examples=25)
@given(t=st.integers(1, 5), e=st.integers(1, 3).map(lambda n: 2 * n), pairing=PAIRINGS, scaling=SCALINGS, seed=st.integers(0, 99))
def test_backward_turns_back(t, e, pairing, scaling, seed):
    x = np.random.default_rng(seed).standard_normal((2, t, 3, e))
    y, cache = rope.forward(x, pairing=pairing, scaling=scaling, theta=30.0)
    assert np.allclose(rope.backward(y, cache)[0], x, rtol=0, atol=1e-13)


def test_pair_j_turns_by_position_times_theta_to_the_minus_2j_over_e():
    y = turned(np.array([1.0, 1, 1, 0, 0, 0]), 5, theta=64.0)
    angles = 5 * np.array([1, 1 / 4, 1 / 16])
    assert np.allclose(y, [*np.cos(angles), *np.sin(angles)], rtol=0, atol=1e-14)
    y = turned(np.array([1.0, 0, 1, 0, 1, 0]), 5, theta=64.0, pairing="interleaved")
    assert np.allclose(y, np.stack([np.cos(angles), np.sin(angles)], -1).ravel(), rtol=0, atol=1e-14)


def test_the_pairings_differ_by_the_order_of_channels_only():
    x = np.random.default_rng(0).standard_normal((1, 4, 2, 6))
    order = [0, 2, 4, 1, 3, 5]                   # the first channels of all pairs, then the second ones
    assert np.array_equal(rope.forward(x[..., order])[0], rope.forward(x, pairing="interleaved")[0][..., order])


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_a_slice_with_its_positions_equals_the_slice_of_the_whole(pairing):
    x = np.random.default_rng(0).standard_normal((2, 6, 2, 4))
    whole, _ = rope.forward(x, pairing=pairing)
    for first in range(6):
        assert np.array_equal(rope.forward(x[:, first:], np.arange(first, 6), pairing=pairing)[0], whole[:, first:])
    both = np.stack([np.arange(6), np.arange(6)])
    assert np.array_equal(rope.forward(x, both, pairing=pairing)[0], whole)


def test_each_sequence_has_its_own_positions():
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 4))
    positions = np.array([[0, 1, 2], [7, 5, 900]])
    y, _ = rope.forward(x, positions)
    for b in range(2):
        assert np.array_equal(y[b:b + 1], rope.forward(x[b:b + 1], positions[b])[0])


def test_linear_scaling_squeezes_positions():
    x = np.random.default_rng(0).standard_normal(8)
    assert np.allclose(turned(x, 12, scaling=LinearScaling(4.0)), turned(x, 3), rtol=0, atol=1e-14)


def test_llama3_scaling_slows_only_the_slow_pairs():
    f = 2 * np.pi * np.array([8.0, 4, 2.5, 1, 0.5]) / 64      # turns within the original 64 positions: 8, 4, 2½, 1, ½
    slowed = Llama3Scaling(8.0, 1.0, 4.0, 64).slowed(f)
    assert np.allclose(slowed / f, [1, 1, 0.5 + 0.5 / 8, 1 / 8, 1 / 8], rtol=1e-14)


def test_far_positions_are_exact_in_float32():
    angles = 999_983 * 1234.5 ** (-np.arange(4) / 4)
    found = turned(np.array([1, 1, 1, 1, 0, 0, 0, 0], np.float32), 999_983, theta=1234.5)
    assert found.dtype == np.float32 and np.abs(found - [*np.cos(angles), *np.sin(angles)]).max() < 1e-7


def test_what_can_not_be_turned_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="must be even, not 3"):
        rope.forward(np.ones((1, 1, 1, 3)))
    with pytest.raises(ValueError, match="not as 'pairs'"):
        rope.forward(np.ones((1, 1, 1, 4)), pairing="pairs")
