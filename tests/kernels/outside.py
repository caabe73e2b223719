"""Ids that have no row, and targets that no vocabulary has. On a GPU nobody looks at them first, since that would mean waiting for it: so a
kernel must read nothing beside its arrays, and what it makes of them must be seen."""

import numpy as np
from kernels.device import lower
from kernels.memory import embedded
from ops.test_every_op import PRECISIONS, assert_close

from minillm.ops import REFERENCE

ROWS = 5
OUTSIDE = (-1, ROWS, 2**40, -2**40)
SIZES = (3, 24)                                  # without packs, and with


def lookups(op, dtype, look_up, rows):
    """op: embedding or learned_positions. look_up(op, ids, w) → (y, cache); rows(op, dy, cache) → dw."""
    ids = np.tile([[4, OUTSIDE[0], 0], [OUTSIDE[1], 4, OUTSIDE[2]], [OUTSIDE[3], 2, 2]], (40, 1))
    known = (ids >= 0) & (ids < ROWS)
    for d in SIZES:
        w, dy = (np.random.default_rng(d).standard_normal(shape).astype(dtype) for shape in ((ROWS, d), (*ids.shape, d)))
        y, cache = look_up(op, embedded(ids), embedded(w))
        assert np.isnan(y[~known].astype(float)).all() and np.array_equal(y[known], w[ids[known]])
        exact, reference_cache = REFERENCE.embedding.forward(ids[known], w.astype(float))
        assert_close(rows(op, embedded(dy), cache), REFERENCE.embedding.backward(dy[known].astype(float), reference_cache)[0], PRECISIONS["float32"])


def embedding(kernels, dtype):
    lookups(kernels.embedding, dtype, lambda op, ids, w: op.forward(ids, w), lambda op, dy, cache: op.backward(dy, cache)[0])


def learned_positions(kernels, dtype):
    lookups(kernels.learned_positions, dtype, lambda op, ids, w: op.forward(embedded(np.zeros((*ids.shape, w.shape[1]), w.dtype)), w, ids),
            lambda op, dy, cache: op.backward(dy, cache)[1])


def cross_entropy(kernels, dtype):
    for v in SIZES:
        logits = np.random.default_rng(v).standard_normal((4, v)).astype(dtype)
        for outside in (-1, v, 2**40, -2**40):
            targets, known = np.array([v - 1, outside, -100, 0]), np.array([True, False, True, True])
            (loss, nll), cache = kernels.cross_entropy.forward(embedded(logits), embedded(targets))
            assert np.isnan(loss) and np.isnan(nll), f"a target of {outside} among {v} has a loss"
            (dx,) = kernels.cross_entropy.backward(1.0, cache)
            refuse_a_wrong_gradient(dx, logits, targets, known, dtype)


def linear_cross_entropy(kernels, dtype):
    for v in SIZES:
        logits = np.random.default_rng(v).standard_normal((4, v)).astype(dtype)
        for outside in (-1, v, 2**40, -2**40):
            targets, known = np.array([v - 1, outside, -100, 0]), np.array([True, False, True, True])
            (loss, nll), gradients = kernels.linear_cross_entropy.forward(logits, np.eye(v, dtype=dtype), targets)
            assert np.isnan(loss) and np.isnan(nll), f"a target of {outside} among {v} has a loss"
            refuse_a_wrong_gradient(lower(gradients[0]), logits, targets, known, dtype)


def refuse_a_wrong_gradient(dx, logits, targets, known, dtype):
    """NaN in the rows of unknown targets, and in the others what the reference says of them."""
    assert np.isnan(dx[~known].astype(float)).all()
    _, cache = REFERENCE.cross_entropy.forward(logits[known].astype(float), targets[known], denominator=3.0)
    assert_close(dx[known], REFERENCE.cross_entropy.backward(1.0, cache)[0], PRECISIONS[np.dtype(dtype).name])


OF_FILE = {"embedding.cu": [embedding, learned_positions], "sort.cu": [embedding], "positions.cu": [learned_positions], "cross_entropy.cu": [cross_entropy, linear_cross_entropy]}
EVERY = [embedding, learned_positions, cross_entropy, linear_cross_entropy]
