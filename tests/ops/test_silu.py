"""SiLU. Its gradients, purity, precision and cost: test_every_op.py."""

from math import exp

import numpy as np

from minillm.ops import silu


def test_it_is_x_times_the_sigmoid():
    x = np.linspace(-30, 30, 121)
    assert np.allclose(silu.forward(x)[0], [v / (1 + exp(-v)) for v in x], rtol=1e-14)


def test_huge_numbers_are_safe_in_float32():
    x = np.array([-1e4, -90, 0, 90, 1e4], np.float32)
    y, cache = silu.forward(x)
    assert np.allclose(y, [0, 0, 0, 90, 1e4], rtol=0, atol=1e-30)
    assert np.allclose(silu.backward(np.ones_like(x), cache)[0], [0, 0, 0.5, 1, 1], rtol=0, atol=1e-30)
