"""The arrays that refuse mixed precisions see what they should."""

import numpy as np
import pytest
from watched import Strict

from minillm.cost.watching import watching


@pytest.mark.parametrize("mixed", [
    lambda x: x * np.ones(2), lambda x: x + np.float64(1), lambda x: x * np.array([1, 2]), lambda x: x @ np.ones(2, np.float16),
    lambda x: np.where(x > 0, x, np.zeros(2)), lambda x: x + np.zeros(2)])
def test_mixed_precisions_are_refused(mixed):
    with watching(Strict), pytest.raises(AssertionError, match="mixes"):
        mixed(np.ones(2, np.float32).view(Strict))


def test_one_precision_is_accepted():
    x = np.ones(2, np.float32).view(Strict)
    assert ((2 * x + np.ones(2, np.float32)).mean() > 1).dtype == bool
