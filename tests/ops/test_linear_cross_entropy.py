"""The fused output layer and loss. Its gradients, purity, precision and cost: test_every_op.py."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.ops import REFERENCE, cross_entropy, linear

FUSED = REFERENCE.linear_cross_entropy


@settings(max_examples=40)
@given(b=st.integers(1, 2), t=st.integers(1, 5), d=st.integers(1, 3), v=st.integers(2, 5), chunk=st.none() | st.integers(1, 12),
       label_smoothing=st.sampled_from([0, 0.2]), z_loss=st.sampled_from([0, 0.1]), denominator=st.sampled_from([None, 5.0]),
       seed=st.integers(0, 99))
def test_fused_equals_one_after_the_other_for_any_chunk(b, t, d, v, chunk, seed, **options):
    rng = np.random.default_rng(seed)
    x, w, targets = rng.standard_normal((b, t, d)), rng.standard_normal((v, d)), rng.integers(0, v, (b, t))
    targets[rng.random((b, t)) < 0.3] = -100
    losses, cache = FUSED.forward(x, w, targets, chunk=chunk, **options)
    dx, dw = FUSED.backward(0.7, cache)

    logits, linear_cache = linear.forward(x, w.T)
    expected, loss_cache = cross_entropy.forward(logits, targets, **options)
    dx_, dw_t, _ = linear.backward(cross_entropy.backward(0.7, loss_cache)[0], linear_cache)
    assert np.allclose(losses, expected, rtol=1e-13, atol=1e-14)
    assert np.allclose(dx, dx_, rtol=0, atol=1e-13) and np.allclose(dw, dw_t.T, rtol=0, atol=1e-13)


RNG = np.random.default_rng(0)
X, W, TARGETS = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((5, 4)), RNG.integers(0, 5, (2, 3))


def test_without_gradients_the_loss_is_the_same_and_backward_is_refused():
    losses, cache = FUSED.forward(X, W, TARGETS, gradients=False)
    assert losses == FUSED.forward(X, W, TARGETS)[0]
    with pytest.raises(ValueError, match="gradients=False"):
        FUSED.backward(1.0, cache)
    claim = FUSED.flops(X.shape, W.shape, TARGETS.shape, gradients=False)
    assert claim.backward == {} and claim.forward == FUSED.flops(X.shape, W.shape, TARGETS.shape).forward


def test_the_logits_of_the_whole_batch_never_exist_at_once():
    rows, v, d, chunk = 512, 500, 4, 16
    x, w, targets = np.ones((rows, d), np.float32), np.ones((v, d), np.float32), np.zeros(rows, int)
    FUSED.forward(x, w, targets, chunk=chunk)
    tracemalloc.start()
    FUSED.backward(1.0, FUSED.forward(x, w, targets, chunk=chunk)[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * v * 4 / 4, "the peak is a quarter of the logits' size or more"
