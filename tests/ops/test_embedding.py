"""The embedding. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.ops import embedding


@given(ids=st.lists(st.integers(0, 4), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_it_is_the_product_with_a_one_hot_matrix(ids, seed):
    rng = np.random.default_rng(seed)
    w, dy, onehot = rng.standard_normal((5, 3)), rng.standard_normal((len(ids), 3)), np.eye(5)[ids]
    y, cache = embedding.forward(np.array(ids), w)
    assert np.array_equal(y, onehot @ w)
    assert np.allclose(embedding.backward(dy, cache)[0], onehot.T @ dy, rtol=0, atol=1e-14)


def test_the_output_is_a_copy_of_the_tables_rows():
    w = np.ones((3, 2))
    y, _ = embedding.forward(np.array([[1]]), w)
    assert y.shape == (1, 1, 2) and not np.shares_memory(y, w)


def test_an_id_that_repeats_often_sums_in_float32_for_16_bit_gradients():
    w, ids = np.zeros((2, 1), np.float16), np.zeros(3000, int)
    (dw,) = embedding.backward(np.ones((3000, 1), np.float16), embedding.forward(ids, w)[1])
    assert dw.tolist() == [[3000], [0]]
