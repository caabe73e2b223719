"""The linear layer. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.ops import linear


@given(rows=st.lists(st.integers(1, 3), max_size=3), d=st.integers(1, 4), f=st.integers(1, 4), bias=st.booleans(), seed=st.integers(0, 99))
def test_every_row_is_multiplied_and_shifted(rows, d, f, bias, seed):
    rng = np.random.default_rng(seed)
    x, w, b = rng.standard_normal((*rows, d)), rng.standard_normal((d, f)), rng.standard_normal(f)
    y, _ = linear.forward(x, w, b if bias else None)
    assert y.shape == (*rows, f)
    for at in np.ndindex(*rows):
        expected = [sum(x[at][i] * w[i, j] for i in range(d)) + (b[j] if bias else 0) for j in range(f)]
        assert np.allclose(y[at], expected, rtol=0, atol=1e-13)


def test_the_weights_gradient_sums_over_rows_however_they_are_arranged():
    rng = np.random.default_rng(0)
    x, w, b, dy = (rng.standard_normal(shape) for shape in ((3, 2, 4), (4, 5), (5,), (3, 2, 5)))
    _, dw, db = linear.backward(dy, linear.forward(x, w, b)[1])
    _, dw_flat, db_flat = linear.backward(dy.reshape(6, 5), linear.forward(x.reshape(6, 4), w, b)[1])
    assert np.array_equal(dw, dw_flat) and np.array_equal(db, db_flat)
    assert np.allclose(dw, sum(np.outer(x[i, j], dy[i, j]) for i in range(3) for j in range(2)), rtol=0, atol=1e-13)


def test_sums_over_many_rows_of_16_bit_numbers_are_made_in_float32():
    """5001 can't be written in float16, where there is nothing between 5000 and 5004."""
    x, w, b = np.ones((5001, 1), np.float16), np.ones((1, 1), np.float16), np.ones(1, np.float16)
    _, dw, db = linear.backward(np.ones((5001, 1), np.float16), linear.forward(x, w, b)[1])
    assert dw == 5001 and db == 5001
