"""What only the kernels of the loss have to show; the cases that they share with all operations are in cases.py."""

import numpy as np
import pytest
from kernels.device import KERNELS, lower

from minillm.arrays import bfloat16
from minillm.kernels import cross_entropy
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
    monkeypatch.setattr(cross_entropy.LossWithGradient, "forward", None)
    (loss, _), cache = KERNELS.linear_cross_entropy.forward(X, W, TARGETS, gradients=False, chunk=3)
    assert np.isclose(loss, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="There are no gradients to hand back"):
        KERNELS.linear_cross_entropy.backward(1.0, cache)


def test_what_replaces_a_part_is_inside_the_output_layer():
    changed = KERNELS.replace(cross_entropy=REFERENCE.cross_entropy)
    assert changed.linear_cross_entropy.cross_entropy is REFERENCE.cross_entropy and changed.linear_cross_entropy.linear is KERNELS.linear
