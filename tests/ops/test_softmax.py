"""Softmax. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.ops import softmax

ROWS = st.lists(st.lists(st.floats(-50, 50), min_size=4, max_size=4), min_size=1, max_size=3).map(np.array)


@given(x=ROWS, shift=st.floats(-1e3, 1e3))
def test_a_row_sums_to_1_and_a_shift_of_it_changes_nothing(x, shift):
    y, cache = softmax.forward(x)
    assert np.allclose(y.sum(-1), 1, rtol=1e-14)
    assert (y >= 0).all()
    assert np.allclose(softmax.forward(x + shift)[0], y, rtol=1e-11, atol=0)
    dx = softmax.backward(np.cos(np.arange(x.size)).reshape(x.shape), cache)[0]
    assert np.abs(dx.sum(-1)).max() < 1e-15, "a direction that changes nothing has no gradient"


def test_the_ratio_of_two_probabilities_is_e_to_the_difference():
    y, _ = softmax.forward(np.array([1.0, 3.0, 0.5]))
    assert np.isclose(y[1] / y[0], np.exp(2), rtol=1e-14)


def test_a_row_that_may_choose_nothing_gives_zeros_and_no_gradient():
    x = np.array([[-np.inf, -np.inf], [-np.inf, 7.0]])
    y, cache = softmax.forward(x)
    assert y.tolist() == [[0, 0], [0, 1]]
    assert not softmax.backward(np.array([[3.0, 1], [2, 5]]), cache)[0].any()


def test_huge_numbers_are_safe_in_float32():
    x = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]], np.float32)
    y, cache = softmax.forward(x)
    assert np.allclose(y, [[0.5, 0, 0.5], [1 / 3] * 3], rtol=1e-6)
    assert np.isfinite(softmax.backward(x, cache)[0]).all()


def test_a_nan_is_not_hidden():
    assert np.isnan(softmax.forward(np.array([[1.0, np.nan]]))[0]).any()
