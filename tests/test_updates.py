"""The updates against plain loops over single numbers, and their independence of threads and chunks."""

import hashlib
from math import fsum, inf, nan, sqrt

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import arrays, updates
from minillm.updates import CHUNK

SIZES = pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])


def drawn(n, count=4, seed=0, dtype="float64"):
    """Parameters, gradients, and moments that are not negative."""
    rng = np.random.default_rng(seed)
    return [np.abs(x) if i >= 3 else x for i, x in enumerate(rng.standard_normal((count, n)).astype(dtype))]


def sgd_of_one(p, g, u, lr, momentum, weight_decay):
    u = momentum * u + (g + weight_decay * p)
    return p - lr * u, u


def adam_of_one(p, g, m, v, step, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    average, square = m / (1 - beta1**step), v / (1 - beta2**step)
    return p - lr * average / (sqrt(square) + eps), m, v


UNIT = st.floats(0, 0.999)


@settings(max_examples=30)
@given(n=st.integers(0, 5), lr=st.floats(0, 2), momentum=UNIT, weight_decay=st.sampled_from([0, 0.1]), seed=st.integers(0, 99))
def test_sgd_is_its_formula(n, lr, momentum, weight_decay, seed):
    p, g, u = drawn(n, 3, seed)
    expected = [sgd_of_one(*one, lr, momentum, weight_decay) for one in zip(p, g, u, strict=True)]
    updates.sgd(p, g, u, lr, momentum, weight_decay)
    assert np.allclose(np.stack([p, u], -1), np.reshape(expected, (n, 2)), rtol=1e-13, atol=1e-15)


ADAM = dict(n=st.integers(0, 5), step=st.integers(1, 50), lr=st.floats(0, 2), beta1=UNIT, beta2=UNIT, eps=st.sampled_from([1e-8, 0.3]),
            seed=st.integers(0, 99))


@settings(max_examples=30)
@given(weight_decay=st.sampled_from([0, 0.1]), **ADAM)
def test_adam_is_its_formula_with_the_decay_in_the_gradient(n, step, lr, beta1, beta2, eps, weight_decay, seed):
    p, g, m, v = drawn(n, seed=seed)
    expected = [adam_of_one(a, b + weight_decay * a, c, d, step, lr, beta1, beta2, eps) for a, b, c, d in zip(p, g, m, v, strict=True)]
    updates.adam(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay)
    assert np.allclose(np.stack([p, m, v], -1), np.reshape(expected, (n, 3)), rtol=1e-12, atol=1e-14)


@settings(max_examples=40)
@given(weight_decay=st.sampled_from([0, 0.1]), grad_scale=st.sampled_from([1.0, 0.25]), decayed=st.none() | st.integers(0, 5), **ADAM)
def test_adamw_is_its_formula_with_the_decay_beside_the_moments(n, step, lr, beta1, beta2, eps, weight_decay, grad_scale, decayed, seed):
    p, g, m, v = drawn(n, seed=seed)
    decays = [weight_decay if decayed is None or i < decayed else 0 for i in range(n)]
    expected = [adam_of_one(a * (1 - lr * decay), b * grad_scale, c, d, step, lr, beta1, beta2, eps)
                for a, b, c, d, decay in zip(p, g, m, v, decays, strict=True)]
    updates.adamw(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decayed, grad_scale)
    assert np.allclose(np.stack([p, m, v], -1), np.reshape(expected, (n, 3)), rtol=1e-12, atol=1e-14)


def test_the_first_step_of_adam_moves_every_parameter_by_the_learning_rate():
    """The bias corrections make m̂ = g and √v̂ = |g| at step 1, however small the gradient."""
    p, g = np.zeros(4), np.array([1e-3, -1.0, 20.0, -1e5])
    updates.adam(p, g, np.zeros(4), np.zeros(4), step=1, lr=0.1, eps=0.0)
    assert np.allclose(p, [-0.1, 0.1, -0.1, 0.1], rtol=1e-12)


UPDATES = {
    "sgd": lambda p, g, m, v: updates.sgd(p, g, m, 0.1, weight_decay=0.01),
    "adam": lambda p, g, m, v: updates.adam(p, g, m, v, 3, 0.1, weight_decay=0.01),
    "adamw": lambda p, g, m, v: updates.adamw(p, g, m, v, 3, 0.1, decayed=CHUNK + 7, grad_scale=0.3),
    "clip": lambda p, g, m, v: updates.clip(p, 1.0),
    "cast": lambda p, g, m, v: updates.cast(p, m),
    "square_norm": lambda p, g, m, v: np.copyto(m, updates.square_norm(p)),
}
EACH = pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)


@pytest.fixture
def threads():
    before = arrays.num_threads()
    yield arrays.set_num_threads
    arrays.set_num_threads(before)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_bits(update, dtype, threads):
    results = []
    for n in (1, 2, 3):
        threads(n)
        state = drawn(5 * CHUNK + 123, dtype=dtype)
        update(*state)
        results.append(hashlib.sha256(b"".join(array.tobytes() for array in state)).hexdigest())
    assert results[0] == results[1] == results[2]


@EACH
@SIZES
def test_every_number_is_updated_once_wherever_the_chunks_end(update, size, monkeypatch):
    chunked, whole = drawn(size), drawn(size)
    update(*chunked)
    monkeypatch.setattr(updates, "CHUNK", 10 * CHUNK)
    update(*whole)
    assert all(np.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(chunked, whole, strict=True))


def test_gradients_and_the_part_that_does_not_decay_are_left_alone():
    p, g, m, v = drawn(6)
    before = p.copy(), g.copy()
    updates.adamw(p, g, m, v, 1, lr=0.0, decayed=2, grad_scale=0.5)
    assert np.array_equal(p, before[0]) and np.array_equal(g, before[1])
    m[:], v[:] = 0, 0
    updates.adamw(p, 0 * g, m, v, 1, lr=0.5, weight_decay=0.1, decayed=2)
    assert np.allclose(p, [*0.95 * before[0][:2], *before[0][2:]], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@SIZES
def test_the_square_norm_is_accurate(size, dtype):
    (x,) = drawn(size, 1, dtype=dtype)
    x *= np.logspace(-3, 3, size, dtype=dtype)
    exact = fsum(v * v for v in x.tolist())
    assert abs(float(updates.square_norm(x)) - exact) <= (1e-7 if dtype == "float32" else 1e-14) * exact


def test_many_small_squares_are_not_lost_beside_a_large_one():
    """Summed in float32, the million ones would vanish: 1e8 + 1 is 1e8 there."""
    x = np.ones(1_000_001, np.float32)
    x[0] = 1e4
    assert updates.square_norm(x) == 101_000_000


def test_clipping_brings_a_large_norm_down_and_leaves_a_small_one():
    g = np.array([3.0, 4.0])
    norm, scale = updates.clip(g, 1.0)
    assert norm == 5 and np.isclose(scale, 0.2, rtol=1e-6) and np.allclose(g, [0.6, 0.8], rtol=1e-6)
    g = np.array([3.0, 4.0])
    assert updates.clip(g, 5.1) == (5, 1) and g.tolist() == [3, 4]
    assert updates.clip(g, inf) == (5, 1) and g.tolist() == [3, 4]
    assert updates.clip(np.zeros(3), 1.0) == (0, 1)
    assert updates.clip(np.zeros(0), 1.0) == (0, 1)


@pytest.mark.parametrize("bad", [inf, nan])
def test_a_norm_that_is_not_finite_is_told_and_nothing_is_scaled(bad):
    g = np.array([3.0, bad, 1.0])
    norm, scale = updates.clip(g, 1.0)
    assert not np.isfinite(norm) and scale == 1
    assert g[0] == 3 and g[2] == 1


def test_clipping_can_be_left_to_the_update():
    p, g, m, v = drawn(9)
    state = [x.copy() for x in (p, g, m, v)]
    _, scale = updates.clip(g, 0.5, in_place=False)
    assert np.array_equal(g, state[1]) and scale < 1
    updates.adamw(p, g, m, v, 2, 0.1, grad_scale=scale)
    updates.clip(state[1], 0.5)
    updates.adamw(*state, 2, 0.1)
    assert np.array_equal(p, state[0]) and np.array_equal(v, state[3])


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64"])
@SIZES
def test_cast_rounds_to_the_nearest(size, dtype):
    (source,) = drawn(size, 1, dtype="float32")
    target = np.full(size, 7, dtype)
    updates.cast(source, target)
    assert target.tobytes() == source.astype(dtype).tobytes()


def test_cast_breaks_ties_to_even_and_keeps_what_is_not_finite():
    """bfloat16 has 8 bits of precision: between 1 and 1 + 2⁻⁷ lies 1 + 2⁻⁸, a tie."""
    source = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -(1 + 2**-8), inf, nan], np.float32)
    target = np.zeros(6, ml_dtypes.bfloat16)
    updates.cast(source, target)
    assert target.astype(float).tolist()[:5] == [1, 1 + 2**-6, 1 + 2**-7, -1, inf] and np.isnan(target[5])


@pytest.mark.parametrize("update", [lambda a, b: updates.sgd(a, b, a.copy(), 0.1), lambda a, b: updates.adam(a, a, a, b, 1, 0.1),
                                    lambda a, b: updates.adamw(a, b, a, a, 1, 0.1), updates.cast])
@pytest.mark.parametrize("other", [2, 4, 0])
def test_unequal_lengths_are_refused(update, other):
    with pytest.raises(Exception, match="(?i)arrays of one length|type-check"):
        update(np.ones(3), np.ones(other))


def test_unequal_lengths_are_a_sentence_where_shapes_are_not_checked():
    with pytest.raises(ValueError, match="arrays of one length; the first has 3 numbers, number 2 has 5"):
        updates.chunks(np.ones(3), np.ones(5))


# --- the second way: numbers that stay beside the arrays ----------------------------------------------------------------------

NUMBERS = dict(beta1=0.8, beta2=0.95, eps=1e-6)


def two_ways(size, dtype="float32"):
    """State (params, grads, m, v), mean and copy, twice."""
    return [(drawn(size, dtype=dtype), drawn(size, 1, 9, dtype)[0], np.zeros(size, ml_dtypes.bfloat16)) for _ in range(2)]


@pytest.mark.parametrize("max_norm", [1e-2, 1e9], ids=["clipped", "not clipped"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_judged_step_has_the_same_bits_as_one_whose_numbers_the_host_knows(dtype, max_norm):
    (state, mean, _), (judged, judged_mean, copy) = two_ways(50, dtype)
    verdict = np.array([nan, nan, 1.0])
    for step in (1, 2, 60):
        norm, scale = updates.clip(state[1], max_norm, in_place=False)
        updates.judge(judged[1], np.float32(step), max_norm, verdict)
        assert verdict.tolist() == [scale, norm, 1]
        now = updates.numbers_of_step(step, 0.01, 0.8, 0.95, 0.3)
        if dtype == "float64":                   # as sharp as the host's
            now = np.array([1 - 0.01 * 0.3, 0.01 / (1 - 0.8**step), 1 / sqrt(1 - 0.95**step)])
        updates.adamw(*state, step, 0.01, **NUMBERS, weight_decay=0.3, decayed=20, grad_scale=scale)
        updates.adamw_judged(*judged, now, verdict, **NUMBERS, decayed=20, copy=copy)
        updates.average(mean, state[0], 0.9)
        updates.average_judged(judged_mean, judged[0], 0.9, verdict)
    assert all(a.tobytes() == b.tobytes() for a, b in zip([*state, mean], [*judged, judged_mean], strict=True))
    assert copy.tobytes() == judged[0].astype(copy.dtype).tobytes()


def test_the_numbers_of_a_step_are_its_formulas_in_float32():
    assert updates.numbers_of_step(3, 0.1, 0.9, 0.99, 0.2).tobytes() == np.array(
        [1 - 0.1 * 0.2, 0.1 / (1 - 0.9**3), 1 / sqrt(1 - 0.99**3)], np.float32).tobytes()


@pytest.mark.parametrize("loss, bad", [(nan, None), (inf, None), (-inf, None), (1.0, nan), (1.0, inf)], ids=str)
def test_after_the_first_step_that_is_not_sound_nothing_changes_any_more(loss, bad):
    (state, mean, copy), _ = two_ways(9)
    before, verdict, now = [x.tobytes() for x in (*state, mean, copy)], np.array([0, 0, 1.0]), updates.numbers_of_step(2, 0.1, 0.9, 0.99, 0.1)
    good, grads = state[1].copy(), state[1]
    for step in range(3):                        # the first is bad, the others are well
        grads[...] = good
        if step == 0 and bad is not None:
            grads[4] = bad
        updates.judge(grads, np.float32(loss if step == 0 else 1.0), 1.0, verdict)
        assert verdict[2] == 0
        updates.adamw_judged(*state, now, verdict, copy=copy)
        updates.average_judged(mean, state[0], 0.9, verdict)
    assert [x.tobytes() for x in (*state, mean, copy)] == before
    assert verdict[1] == updates.clip(good, 1.0, in_place=False)[0], "the norm that is told is the last one's"
