"""The exercise's own cross-entropy is the library's."""

import numpy as np
from minillm.exercises import cross_entropy as exercise
from minillm.ops import cross_entropy as library


def test_loss_and_gradient_are_the_librarys():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(0, 2, (3, 4, 7)), rng.integers(0, 7, (3, 4))
    targets[0, 1] = targets[2] = -100
    loss, cache = exercise.forward(logits, targets)
    (expected, plain), other = library.forward(logits, targets)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    np.testing.assert_allclose(loss, plain, rtol=1e-14)
    np.testing.assert_allclose(exercise.backward(1.7, cache)[0], library.backward(1.7, other)[0], rtol=1e-13)
