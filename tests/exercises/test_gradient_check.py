"""The exercise's own gradient check finds what the library's finds."""

from types import SimpleNamespace

import numpy as np
import pytest
from minillm import checks
from minillm.exercises import gradient_check as exercise
from minillm.ops import softmax


def test_right_gradients_are_far_below_the_tolerance_and_wrong_ones_far_above():
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    measured = exercise.slopes(softmax, x, dy)
    y, cache = softmax.forward(x)
    (claimed,) = softmax.backward(dy, cache)
    assert exercise.relative_error(claimed, measured) < 1e-8
    assert exercise.relative_error(claimed * y, measured) > 0.1


def test_the_relative_error_is_the_librarys():
    """A gradient that is twice too large."""
    doubled = SimpleNamespace(forward=softmax.forward, backward=lambda dy, cache: (2 * softmax.backward(dy, cache)[0],))
    x = np.random.default_rng(2).normal(size=(2, 4))
    (row,) = checks.gradient_check(doubled, x).rows
    assert row.error == pytest.approx(0.5, rel=1e-6)
    assert exercise.relative_error(2 * x, x) == pytest.approx(0.5, rel=1e-12)
