"""The watched arrays see what they should."""

import numpy as np
import pytest
from watched import Counted, Strict, counted, watched

ROWS, MATRIX = np.ones((2, 3, 4)).view(Counted), np.ones((4, 5))


@pytest.mark.parametrize("work, matmul, elementwise", [
    (lambda: ROWS @ MATRIX, 2 * 6 * 4 * 5, 0),
    (lambda: ROWS.swapaxes(-1, -2) @ ROWS, 2 * 2 * 4 * 3 * 4, 0),
    (lambda: ROWS * 2 + 1, 0, 48),
    (lambda: ROWS.mean(-1), 0, 24 + 6),
    (lambda: ROWS.max(), 0, 24),
    (lambda: np.where(ROWS > 0, ROWS, 0), 0, 48),
    (lambda: np.exp(np.zeros(7)), 0, 7),
    (lambda: np.add.at(np.zeros((9, 2)), np.array([1, 1]), np.ones((2, 2))), 0, 4),
    (lambda: np.arange(5) * 3, 0, 0),
    (lambda: ROWS.astype("float32").reshape(-1)[3:].copy(), 0, 0),
    (lambda: (ROWS @ MATRIX).sum(-1), 2 * 6 * 4 * 5, 30),
    (lambda: ROWS.sum() / 3, 0, 24),
])
def test_work_is_counted(work, matmul, elementwise):
    assert counted(work)[1:] == (matmul, elementwise)


def test_work_in_place_is_counted_and_done():
    x = np.ones((2, 3))

    def work():
        part = x[0]
        part += np.ones(3).view(Counted)
        return x

    assert counted(work)[1:] == (0, 3)
    assert x.tolist() == [[2] * 3, [1] * 3]


@pytest.mark.parametrize("mixed", [
    lambda x: x * np.ones(2), lambda x: x + np.float64(1), lambda x: x * np.array([1, 2]), lambda x: x @ np.ones(2, np.float16),
    lambda x: np.where(x > 0, x, np.zeros(2)), lambda x: x + np.zeros(2)])
def test_mixed_precisions_are_refused(mixed):
    with watched(Strict), pytest.raises(AssertionError, match="mixes"):
        mixed(np.ones(2, np.float32).view(Strict))


def test_one_precision_is_accepted():
    x = np.ones(2, np.float32).view(Strict)
    assert ((2 * x + np.ones(2, np.float32)).mean() > 1).dtype == bool
