"""ReLU. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np

from minillm.ops import relu


def test_negatives_become_zero_and_let_no_gradient_through():
    y, cache = relu.forward(np.array([-2.0, -0.0, 0.0, 3.0]))
    assert y.tolist() == [0, 0, 0, 3]
    assert relu.backward(np.array([5.0, 5, 5, 7]), cache)[0].tolist() == [0, 0, 0, 7]


def test_a_nan_is_not_hidden():
    assert np.isnan(relu.forward(np.array([np.nan]))[0][0])
