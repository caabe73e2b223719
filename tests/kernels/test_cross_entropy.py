"""What only the kernels of the loss have to show; the cases that they share with all operations are in cases.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.device import KERNELS, TABLE, lift, lower

from minillm.arrays import bfloat16
from minillm.kernels import cross_entropy
from minillm.kernels.launcher import Launcher
from minillm.ops import REFERENCE

RNG = np.random.default_rng(0)
X, W, TARGETS = RNG.standard_normal((7, 5)).astype(np.float32), RNG.standard_normal((40, 5)).astype(np.float32), RNG.integers(0, 40, 7)


@pytest.mark.parametrize("dtype", ["float32", bfloat16], ids=str)
def test_logits_of_any_size_are_safe(dtype):
    logits = np.array([[1e4, -1e4, 9e3], [-3e38, -3e38, -3e38], [-np.inf, 1, 2], [3e38, -3e38, 0]]).astype(dtype)
    targets = np.array([0, 1, 2, 0])
    (loss, nll), cache = KERNELS.cross_entropy.forward(logits, targets)
    (exact, _), exact_cache = REFERENCE.cross_entropy.forward(logits.astype(float), targets)
    assert np.allclose((loss, nll), exact, rtol=1e-6)
    mine, other = KERNELS.cross_entropy.backward(1.0, cache)[0], REFERENCE.cross_entropy.backward(1.0, exact_cache)[0]
    assert np.allclose(mine.astype(float), other, rtol=0, atol=2e-3 if dtype == bfloat16 else 1e-7)


def test_nan_among_the_logits_is_not_lost():
    logits = np.ones((2, 40), np.float32)
    logits[1, 33] = np.nan
    (loss, nll), _ = KERNELS.cross_entropy.forward(logits, np.array([0, 1]))
    assert np.isnan(loss) and np.isnan(nll)


def test_the_gradient_that_is_made_with_the_loss_is_the_one_that_backward_makes():
    (loss, nll), cache = KERNELS.linear_cross_entropy.forward(X, W, TARGETS, label_smoothing=0.1, z_loss=0.01)
    dx, dw = lower(tuple(cache))
    (apart, _), cache = KERNELS.cross_entropy.forward(X @ W.T, TARGETS, label_smoothing=0.1, z_loss=0.01)
    dlogits = KERNELS.cross_entropy.backward(1.0, cache)[0]
    assert np.allclose(loss, apart, rtol=1e-6) and np.allclose(dx, dlogits @ W, atol=1e-6) and np.allclose(dw, dlogits.T @ X, atol=1e-6)


def test_evaluation_makes_no_gradients(monkeypatch):
    (expected, _), _ = KERNELS.linear_cross_entropy.forward(X, W, TARGETS)
    launched, call = [], Launcher.__call__
    monkeypatch.setattr(Launcher, "__call__", lambda self, file, kernel, *rest, **more: launched.append(kernel) or call(self, file, kernel, *rest, **more))
    (loss, _), cache = KERNELS.linear_cross_entropy.forward(X, W, TARGETS, gradients=False, chunk=3)
    assert np.isclose(loss, expected, rtol=1e-6) and launched == 3 * ["cross_entropy_forward"] + ["mean_losses"]
    with pytest.raises(ValueError, match="There are no gradients to hand back"):
        KERNELS.linear_cross_entropy.backward(1.0, cache)


def test_the_gradient_of_the_loss_itself_is_added_as_it_is_and_can_be_asked_for_twice():
    _, cache = KERNELS.linear_cross_entropy.forward(X, W, TARGETS)
    dx, dw = KERNELS.linear_cross_entropy.backward(np.float32(1), cache)
    into = np.ones_like(W)
    for times in (1, 2):
        mine, collected = KERNELS.linear_cross_entropy.backward(1.0, cache, into=into)
        assert collected is into and np.allclose(into, 1 + times * dw, atol=1e-6) and np.array_equal(mine, dx)
    half, _ = KERNELS.linear_cross_entropy.backward(0.5, cache, into=into)
    assert np.array_equal(half, 0.5 * dx) and np.allclose(into, 1 + 2.5 * dw, atol=1e-6)


@given(rows=st.integers(1, 200_000), v=st.integers(1, 200_000), itemsize=st.sampled_from([2, 4]))
def test_chunks_of_logits_are_equal_and_not_too_large(rows, v, itemsize):
    chunk, most = cross_entropy.rows_at_once(rows, v, itemsize), cross_entropy.LOGITS_AT_ONCE
    chunks = -(-rows // chunk)
    assert chunk == 1 or (chunk - 1) * v * itemsize < most, "rounding up may add a row to the most that fit"
    assert chunks * chunk - rows < chunks, "the last chunk lacks less than one row for each of the others"
    assert chunks == 1 or rows * v * itemsize > most


def test_the_loss_of_many_rows_is_summed_without_losing_the_small_ones():
    losses = np.full(100_001, 1e-3, np.float32)
    losses[0] = 1e5
    loss, nll = lower(TABLE.cross_entropy.means(lift(losses), lift(losses[::-1].copy()), 2.0))
    assert np.isclose(loss, (1e5 + 100) / 2, rtol=1e-7) and loss == nll


def test_what_replaces_a_part_is_inside_the_output_layer():
    changed = KERNELS.replace(cross_entropy=REFERENCE.cross_entropy)
    assert changed.linear_cross_entropy.cross_entropy is REFERENCE.cross_entropy and changed.linear_cross_entropy.linear is KERNELS.linear
