"""Sinusoidal positions. Their gradients, purity, precision and cost: test_every_op.py."""

from math import cos, sin

import numpy as np
import pytest

from minillm.ops import sinusoidal


@pytest.mark.parametrize("d", [1, 4, 5])
def test_channels_are_sines_and_cosines_of_slower_and_slower_angles(d):
    y, _ = sinusoidal.forward(np.zeros((1, 3, d)), theta=100.0)
    for p in range(3):
        expected = [(cos if c % 2 else sin)(p * 100 ** (-2 * (c // 2) / d)) for c in range(d)]
        assert np.allclose(y[0, p], expected, rtol=0, atol=1e-14)


def test_a_slice_with_its_positions_equals_the_slice_of_the_whole():
    x = np.random.default_rng(0).standard_normal((2, 5, 4))
    whole, _ = sinusoidal.forward(x)
    assert np.array_equal(sinusoidal.forward(x[:, 2:], np.arange(2, 5))[0], whole[:, 2:])
    assert np.array_equal(sinusoidal.forward(x, np.stack([np.arange(5)] * 2))[0], whole)


def test_far_positions_are_exact_in_float32():
    far, angle = np.array([999_983]), 999_983 * 1234.5 ** -0.5
    found = sinusoidal.forward(np.zeros((1, 1, 4), np.float32), far, theta=1234.5)[0][0, 0]
    assert found.dtype == np.float32 and np.abs(found[2:] - [sin(angle), cos(angle)]).max() < 1e-7
