"""Residual add and norm. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
import pytest

from minillm.ops import REFERENCE

RNG = np.random.default_rng(0)
X, BRANCH, DS, DY = RNG.standard_normal((4, 3, 5))
W, B = RNG.standard_normal((2, 5))


@pytest.mark.parametrize("name, weights", [("rmsnorm", (W,)), ("layernorm", (W, B)), ("layernorm", (W,))])
def test_it_is_the_sum_and_its_norm(name, weights):
    fused, norm = getattr(REFERENCE, f"add_{name}"), getattr(REFERENCE, name)
    (s, y), cache = fused.forward(X, BRANCH, *weights, eps=0.3)
    expected, norm_cache = norm.forward(X + BRANCH, *weights, eps=0.3)
    assert np.array_equal(s, X + BRANCH) and np.array_equal(y, expected)
    dx, dbranch, *dweights = fused.backward((DS, DY), cache)
    through_norm, *expected = norm.backward(DY, norm_cache)
    assert np.allclose(dx, DS + through_norm, rtol=1e-15) and np.array_equal(dx, dbranch)
    assert all(a is b is None or np.array_equal(a, b) for a, b in zip(dweights, expected, strict=True))
