"""Learned positions. Their gradients, purity, precision and cost: test_every_op.py."""

import numpy as np
import pytest

from minillm.ops import learned_positions

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((6, 4))


def test_row_p_is_added_at_position_p():
    assert np.array_equal(learned_positions.forward(X, W)[0], X + W[:3])
    assert np.array_equal(learned_positions.forward(X, W, np.array([5, 0, 5]))[0], X + W[[5, 0, 5]])
    each = np.array([[0, 1, 2], [3, 3, 3]])
    assert np.array_equal(learned_positions.forward(X, W, each)[0], X + W[each])


@pytest.mark.parametrize("positions", [np.arange(3), np.stack([np.arange(3)] * 2)])
def test_positions_said_or_unsaid_give_the_same_gradient(positions):
    unsaid = learned_positions.backward(X, learned_positions.forward(X, W)[1])
    said = learned_positions.backward(X, learned_positions.forward(X, W, positions)[1])
    assert all(np.allclose(a, b, rtol=0, atol=1e-15) for a, b in zip(unsaid, said, strict=True))
    assert not unsaid[1][3:].any()


def test_more_positions_than_rows_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match="3 positions were asked for, but the table of learned positions has 2 rows"):
        learned_positions.forward(X, W[:2])
