"""GELU. Its gradients, purity, precision and cost: test_every_op.py."""

from math import erf, pi, sqrt, tanh

import numpy as np
import pytest

from minillm.ops import gelu

X = np.linspace(-6, 6, 241)


def test_exact_is_x_times_the_normal_distribution():
    expected = [x * 0.5 * (1 + erf(x / sqrt(2))) for x in X]
    assert np.abs(gelu.forward(X)[0] - expected).max() < 1e-14


def test_tanh_is_the_formula_of_gpt2():
    expected = [0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) for x in X]
    assert np.abs(gelu.forward(X, tanh=True)[0] - expected).max() < 1e-14


def test_the_two_differ_by_at_most_half_a_thousandth_but_they_differ():
    difference = np.abs(gelu.forward(X)[0] - gelu.forward(X, tanh=True)[0]).max()
    assert 1e-4 < difference < 5e-4


@pytest.mark.parametrize("exactly", [dict(), dict(tanh=True)])
def test_huge_numbers_are_safe_in_float32(exactly):
    x = np.array([-1e4, 0, 1e4], np.float32)
    y, cache = gelu.forward(x, **exactly)
    assert y.tolist() == [0, 0, 1e4]
    assert gelu.backward(np.ones_like(x), cache)[0].tolist() == [0, 0.5, 1]
