"""Cross-entropy. Its gradients, purity, precision and cost: test_every_op.py."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.ops import cross_entropy


def by_loops(logits, targets, ignore=-100, label_smoothing=0.0, z_loss=0.0, denominator=None):
    """(loss, nll), from the definition: minus the expected log-probability under the smoothed target distribution."""
    losses, nlls, v = [], [], logits.shape[-1]
    for row, target in zip(logits.reshape(-1, v), targets.ravel(), strict=True):
        if target != ignore:
            lse = log(sum(exp(x) for x in row))
            wanted = [(1 - label_smoothing) * (j == target) + label_smoothing / v for j in range(v)]
            losses.append(sum(p * (lse - x) for p, x in zip(wanted, row, strict=True)) + z_loss * lse**2)
            nlls.append(lse - row[target])
    n = denominator or len(nlls) or 1
    return sum(losses) / n, sum(nlls) / n


@settings(max_examples=60)
@given(rows=st.integers(1, 6), v=st.integers(2, 5), ignore=st.sampled_from([-100, 0, 1]), label_smoothing=st.sampled_from([0, 0.1, 1.0]),
       z_loss=st.sampled_from([0, 0.01]), denominator=st.sampled_from([None, 7.0]), seed=st.integers(0, 99))
def test_it_agrees_with_the_definition(rows, v, seed, **options):
    rng = np.random.default_rng(seed)
    logits, targets = 3 * rng.standard_normal((rows, v)), rng.integers(0, v, rows)
    targets[rng.random(rows) < 0.3] = options["ignore"]
    (loss, nll), _ = cross_entropy.forward(logits, targets, **options)
    assert np.allclose((loss, nll), by_loops(logits, targets, **options), rtol=1e-12, atol=1e-13)


RNG = np.random.default_rng(0)
LOGITS, TARGETS = RNG.standard_normal((4, 3, 5)), RNG.integers(0, 5, (4, 3))
SPARSE = np.where(RNG.random((4, 3)) < 0.4, -100, TARGETS)


def test_what_is_ignored_counts_neither_in_the_sum_nor_in_the_mean():
    (loss, nll), cache = cross_entropy.forward(LOGITS, SPARSE, label_smoothing=0.1, z_loss=0.01)
    kept = SPARSE != -100
    assert 0 < kept.sum() < 12
    (expected, expected_nll), cache_of_kept = cross_entropy.forward(LOGITS[kept], SPARSE[kept], label_smoothing=0.1, z_loss=0.01)
    assert np.allclose((loss, nll), (expected, expected_nll), rtol=1e-14)
    dx = cross_entropy.backward(1.0, cache)[0]
    assert not dx[~kept].any()
    assert np.allclose(dx[kept], cross_entropy.backward(1.0, cache_of_kept)[0], rtol=1e-13)


def test_slices_that_share_a_denominator_add_up_to_the_whole():
    (loss, nll), cache = cross_entropy.forward(LOGITS, SPARSE)
    n = float((SPARSE != -100).sum())
    halves = [cross_entropy.forward(LOGITS[part], SPARSE[part], denominator=n) for part in (slice(0, 1), slice(1, 4))]
    assert np.allclose(sum(half[0][0] for half in halves), loss, rtol=1e-14)
    assert np.allclose(sum(half[0][1] for half in halves), nll, rtol=1e-14)
    dx = np.concatenate([cross_entropy.backward(1.0, half[1])[0] for half in halves])
    assert np.allclose(dx, cross_entropy.backward(1.0, cache)[0], rtol=1e-14)


def test_without_extras_the_gradient_is_what_the_model_said_minus_what_it_should_have_said():
    (_, _), cache = cross_entropy.forward(LOGITS, TARGETS)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    assert np.allclose(cross_entropy.backward(3.0, cache)[0], 3 * (p - np.eye(5)[TARGETS]) / 12, rtol=0, atol=1e-15)


def test_the_plain_loss_is_reported_without_the_extras():
    (plain, nll), _ = cross_entropy.forward(LOGITS, TARGETS)
    (loss, nll_beside_extras), _ = cross_entropy.forward(LOGITS, TARGETS, label_smoothing=0.3, z_loss=0.1)
    assert plain == nll == nll_beside_extras != loss


def test_a_model_that_knows_nothing_is_surprised_by_log_v():
    (loss, _), _ = cross_entropy.forward(np.zeros((2, 7)), np.array([1, 6]))
    assert np.isclose(loss, log(7), rtol=1e-15)


def test_all_ignored_costs_nothing_and_teaches_nothing():
    (loss, nll), cache = cross_entropy.forward(LOGITS, np.full((4, 3), -100), label_smoothing=0.1, z_loss=0.1)
    assert loss == nll == 0
    assert not cross_entropy.backward(1.0, cache)[0].any()


@pytest.mark.parametrize("options", [dict(), dict(label_smoothing=0.1, z_loss=1e-4)])
def test_logits_of_ten_thousand_are_safe_in_float32(options):
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], np.float32)
    (loss, nll), cache = cross_entropy.forward(logits, np.array([1, 0, 1]), **options)
    assert np.isclose(nll, (2e4 + log(3) + log(2)) / 3, rtol=1e-6)
    assert np.isfinite(loss) and np.isfinite(cross_entropy.backward(1.0, cache)[0]).all()


def test_16_bit_logits_have_a_loss_in_float32():
    """65536 rows: their count and the sum of their losses are beyond float16."""
    (loss, _), cache = cross_entropy.forward(np.zeros((65536, 2), np.float16), np.zeros(65536, int))
    assert loss.dtype == np.float32 and np.isclose(loss, log(2), rtol=1e-4)
    assert np.isfinite(cross_entropy.backward(np.float32(1), cache)[0]).all()
