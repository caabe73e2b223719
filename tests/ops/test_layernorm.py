"""LayerNorm. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np

from minillm.ops import layernorm

RNG = np.random.default_rng(0)
X, W, B, DY = (RNG.standard_normal(shape) for shape in ((3, 7), (7,), (7,), (3, 7)))


def test_rows_have_mean_0_and_variance_1():
    y, _ = layernorm.forward(X, np.ones(7), eps=0.0)
    assert np.abs(y.mean(-1)).max() < 1e-15
    assert np.allclose(y.var(-1), 1, rtol=1e-14)


def test_shifting_and_stretching_a_row_changes_nothing_and_so_has_no_gradient():
    y, cache = layernorm.forward(X, W, B, eps=0.0)
    assert np.allclose(layernorm.forward(5 * X - 3, W, B, eps=0.0)[0], y, rtol=0, atol=1e-13)
    dx = layernorm.backward(DY, cache)[0]
    assert np.abs(dx.sum(-1)).max() < 1e-13
    assert np.abs((dx * (X - X.mean(-1, keepdims=True))).sum(-1)).max() < 1e-13


def test_eps_is_added_inside_the_root():
    y, _ = layernorm.forward(np.array([[-3.0, 3.0]]), np.ones(2), eps=16.0)
    assert np.allclose(y, [[-3 / 5, 3 / 5]], rtol=1e-14)


def test_a_far_shifted_row_keeps_its_variance():
    """The variance comes from the centred numbers: mean(x²) − mean(x)² would lose it all in float32."""
    x = (X + 1e4).astype(np.float32)
    y, _ = layernorm.forward(x, np.ones(7, np.float32), eps=0.0)
    exact, _ = layernorm.forward(x.astype(np.float64), np.ones(7), eps=0.0)
    assert np.abs(y - exact).max() < 0.01


def test_a_constant_row_gives_the_bias():
    y, cache = layernorm.forward(np.full((1, 7), 2.0), W, B)
    assert np.array_equal(y[0], B)
    assert all(np.isfinite(gradient).all() for gradient in layernorm.backward(DY[:1], cache))
