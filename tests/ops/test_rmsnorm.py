"""RMSNorm. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
import pytest

from minillm.ops import rmsnorm

X = np.random.default_rng(0).standard_normal((3, 7))


def test_rows_have_the_root_mean_square_1():
    y, _ = rmsnorm.forward(X, np.ones(7), eps=0.0)
    assert np.allclose((y * y).mean(-1), 1, rtol=1e-14)


def test_the_mean_stays_where_it_is():
    """What LayerNorm would take out: the sign and the ratio of the channels survive."""
    y, _ = rmsnorm.forward(np.full((1, 4), 3.0), np.ones(4), eps=0.0)
    assert np.allclose(y, 1, rtol=1e-14)


def test_the_length_of_a_row_makes_no_difference_and_so_has_no_gradient():
    w = np.arange(1.0, 8)
    y, cache = rmsnorm.forward(X, w, eps=0.0)
    assert np.allclose(rmsnorm.forward(17 * X, w, eps=0.0)[0], y, rtol=1e-13)
    dx, _ = rmsnorm.backward(np.cos(y), cache)
    assert np.abs((dx * X).sum(-1)).max() < 1e-13 * np.abs(dx).max()


def test_eps_is_added_inside_the_root():
    y, _ = rmsnorm.forward(np.full((1, 4), 3.0), np.ones(4), eps=16.0)
    assert np.allclose(y, 3 / 5, rtol=1e-14), "3/√(3² + 16) is 3/5; with ε outside of the root it would be 3/19"


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e15])
def test_rows_of_any_size_stay_finite_in_float32(size):
    y, cache = rmsnorm.forward((size * X).astype(np.float32), np.ones(7, np.float32))
    gradients = rmsnorm.backward(np.ones_like(y), cache)
    assert all(np.isfinite(array).all() for array in (y, *gradients))
