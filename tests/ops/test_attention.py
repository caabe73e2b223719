"""Attention, in blocks and in three plain steps, against loops over every single pair. Its gradients, purity, precision and cost
on chosen cases: test_every_op.py."""

import tracemalloc
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.ops import PlainAttention, attention, softmax

PLAIN = PlainAttention(softmax)
BOTH = pytest.mark.parametrize("op", [attention, PLAIN], ids=["blocks", "plain"])
HEADS = pytest.mark.parametrize("h, k", [(4, 4), (4, 1), (6, 2)], ids=["MHA", "MQA", "GQA"])


def sees(i, j, t, s, b, head, causal=True, window=None, documents=None, mask=None, **_):
    """Whether query i of sequence b may look at key j: the rules once more, for a single pair."""
    position = i + s - t
    return ((not causal or j <= position)
            and (window is None or abs(position - j) < window)
            and (documents is None or documents[b, position] == documents[b, j])
            and (mask is None or bool(mask[b % mask.shape[0], head % mask.shape[1], i, j])))


def by_loops(q, k, v, scale=None, **rules):
    (b, t, h, e), (_, s, heads, _) = q.shape, k.shape
    y = np.zeros(q.shape)
    for n, i, head in np.ndindex(b, t, h):
        group = head // (h // heads)
        likeness = {j: exp((1 / sqrt(e) if scale is None else scale) * sum(q[n, i, head, c] * k[n, j, group, c] for c in range(e)))
                    for j in range(s) if sees(i, j, t, s, n, head, **rules)}
        for j, weight in likeness.items():
            y[n, i, head] += weight / sum(likeness.values()) * v[n, j, group]
    return y


def qkv(b, t, s, h, k, e, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((b, t, h, e), (b, s, k, e), (b, s, k, e))]


@st.composite
def problems(draw):
    """Arrays and rules of every kind."""
    b, t, s, k, g, e = (draw(st.integers(1, most)) for most in (2, 6, 6, 2, 3, 3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    rules = dict(causal=draw(st.booleans()), window=draw(st.none() | st.integers(0, 7)), scale=draw(st.none() | st.floats(-1, 2)))
    if t <= s and draw(st.booleans()):
        rules["documents"] = np.sort(rng.integers(0, 3, (b, s)))
    if draw(st.booleans()):
        rules["mask"] = rng.random((draw(st.sampled_from([1, b])), draw(st.sampled_from([1, g * k])), t, s)) < 0.7
    return qkv(b, t, s, g * k, k, e, seed=rng.integers(1000)), rules


@settings(max_examples=60)
@given(problem=problems(), block=st.integers(1, 8), keep=st.booleans())
def test_blocks_and_the_plain_form_agree_with_loops(problem, block, keep):
    arrays, rules = problem
    y, cache = attention.forward(*arrays, block=block, keep_probabilities=keep, **rules)
    plain, plain_cache = PLAIN.forward(*arrays, **rules)
    assert np.allclose(y, by_loops(*arrays, **rules), rtol=0, atol=1e-13)
    assert np.allclose(y, plain, rtol=0, atol=1e-13)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    for name, ours, other in zip("qkv", attention.backward(dy, cache), PLAIN.backward(dy, plain_cache), strict=True):
        assert np.allclose(ours, other, rtol=0, atol=1e-12), f"the gradients of {name} differ"


@settings(max_examples=40)
@given(problem=problems(), block=st.integers(1, 8))
def test_the_products_that_are_needed_are_those_of_visible_pairs(problem, block):
    (q, k, v), rules = problem
    structured = {name: rules[name] for name in ("causal", "window")}
    (b, t, h, e), s = q.shape, k.shape[1]
    pairs = b * h * sum(sees(i, j, t, s, 0, 0, **structured) for i in range(t) for j in range(s))
    for op in (attention, PLAIN):
        claim = op.flops(q.shape, k.shape, v.shape, block=block, **structured)
        assert claim.forward.needed == 2 * 2 * e * pairs, "Q Kᵀ and P V: a multiply-add in each channel of each pair, twice"
        assert claim.backward_total.needed == 4 * 2 * e * pairs
        assert claim.forward.matmul >= claim.forward.needed


def test_blocks_skip_half_of_a_causal_matrix():
    shape = (1, 64, 1, 8)
    whole, skipping = (attention.flops(shape, shape, shape, block=block).forward for block in (64, 4))
    assert whole.matmul == 4 * 8 * 64 * 64
    assert skipping.matmul == 4 * 8 * 4 * sum(range(4, 65, 4)) < 0.54 * whole.matmul


@BOTH
@HEADS
@pytest.mark.parametrize("window", [None, 3])
def test_one_query_at_a_time_over_cached_keys_gives_the_rows_of_the_whole(op, h, k, window):
    q, keys, values = qkv(2, 7, 7, h, k, 4)
    whole, _ = op.forward(q, keys, values, window=window)
    for t in range(7):
        row, _ = op.forward(q[:, t:t + 1], keys[:, :t + 1], values[:, :t + 1], window=window)
        assert np.allclose(row, whole[:, t:t + 1], rtol=0, atol=1e-14), f"position {t}"
    several, _ = op.forward(q[:, 4:], keys, values, window=window, block=2)
    assert np.allclose(several, whole[:, 4:], rtol=0, atol=1e-14)


@BOTH
def test_sharing_keys_equals_copying_them_to_every_head(op):
    q, k, v = qkv(2, 5, 5, 6, 2, 3)
    y, cache = op.forward(q, k, v)
    copied, copied_cache = op.forward(q, k.repeat(3, axis=2), v.repeat(3, axis=2))
    assert np.allclose(y, copied, rtol=0, atol=1e-14)
    dq, dk, dv = op.backward(y, cache)
    dq_, dk_, dv_ = op.backward(y, copied_cache)
    assert np.allclose(dq, dq_, rtol=0, atol=1e-14)
    for shared, each in ((dk, dk_), (dv, dv_)):
        assert np.allclose(shared, each.reshape(2, 5, 2, 3, 3).sum(3), rtol=0, atol=1e-13), "a key's gradient sums over its group"


@BOTH
def test_documents_in_one_row_are_as_apart_as_in_rows_of_their_own(op):
    q, k, v = qkv(1, 7, 7, 2, 1, 4)
    packed, _ = op.forward(q, k, v, documents=np.array([[8, 8, 8, 2, 2, 2, 2]]))
    for document in (slice(0, 3), slice(3, 7)):
        alone, _ = op.forward(q[:, document], k[:, document], v[:, document])
        assert np.allclose(packed[:, document], alone, rtol=0, atol=1e-14)


@BOTH
def test_the_future_has_no_influence(op):
    q, k, v = qkv(1, 6, 6, 2, 2, 3)
    before, _ = op.forward(q, k, v, block=4)
    for now in reversed(range(6)):
        k[:, now:], v[:, now:] = 77, 88
        after, _ = op.forward(q, k, v, block=4)
        assert np.array_equal(after[:, :now], before[:, :now])
        assert not np.allclose(after[:, now], before[:, now])


@BOTH
@pytest.mark.parametrize("rules", [dict(window=0), dict(mask=np.zeros((1, 1, 3, 3), bool)), dict(window=0, causal=False)])
def test_a_query_that_sees_nothing_gets_zeros_and_no_gradient(op, rules):
    y, cache = op.forward(*qkv(1, 3, 3, 2, 1, 2), **rules)
    assert not y.any()
    assert not any(gradient.any() for gradient in op.backward(np.ones_like(y), cache))


@BOTH
def test_queries_older_than_every_key_see_nothing(op):
    y, cache = op.forward(*qkv(1, 5, 2, 2, 1, 2), block=2)
    assert not y[:, :3].any() and y[:, 3:].all()
    dq = op.backward(np.ones_like(y), cache)[0]
    assert not dq[:, :3].any() and np.isfinite(dq).all()


@BOTH
def test_scores_of_ten_thousand_are_safe_in_float32(op):
    q, k, v = qkv(1, 5, 5, 2, 1, 4, dtype="float32")
    y, cache = op.forward(100 * q, 100 * k, v, scale=1.0)
    gradients = op.backward(np.ones_like(y), cache)
    assert np.abs(100 * q).max() * np.abs(100 * k).max() > 1e4
    assert all(np.isfinite(array).all() for array in (y, *gradients))


def test_probabilities_can_be_kept_to_look_at():
    q, k, v = qkv(2, 5, 5, 4, 2, 3)
    y, cache = attention.forward(q, k, v, window=3, block=2, keep_probabilities=True)
    p = cache.probabilities
    assert p.shape == (2, 4, 5, 5)
    assert np.allclose(p.sum(-1), 1, rtol=1e-14)
    assert all((p[0, 0, i, j] > 0) == sees(i, j, 5, 5, 0, 0, window=3) for i in range(5) for j in range(5))
    assert np.allclose(y, (p @ v.transpose(0, 2, 1, 3).repeat(2, axis=1)).transpose(0, 2, 1, 3), rtol=0, atol=1e-14)
    assert attention.forward(q, k, v)[1].probabilities is None


def test_memory_grows_with_t_and_not_with_its_square():
    def peak(t):
        arrays = qkv(1, t, t, 2, 1, 4, dtype="float32")
        tracemalloc.start()
        y, cache = attention.forward(*arrays, block=16)
        attention.backward(y, cache)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(16)
    assert peak(1024) < 2.5 * peak(512), "twice the length may cost twice the memory, but not four times"


@BOTH
def test_what_can_not_be_computed_is_refused_with_a_sentence(op):
    with pytest.raises(ValueError, match="3 query heads can't share 2 key heads evenly"):
        op.forward(*qkv(1, 2, 2, 3, 2, 2))
    with pytest.raises(ValueError, match="0 or more, not -1"):
        op.forward(*qkv(1, 2, 2, 2, 2, 2), window=-1)
    with pytest.raises(ValueError, match="3 queries have only 2 keys"):
        op.forward(*qkv(1, 3, 2, 2, 2, 2), documents=np.zeros((1, 2), int))
