"""SwiGLU. Its gradients, purity, precision and cost: test_every_op.py."""

import numpy as np

from minillm.ops import REFERENCE, silu


def test_the_gate_passes_through_silu_and_the_other_half_does_not():
    gate, up = np.random.default_rng(0).standard_normal((2, 3, 5))
    y, _ = REFERENCE.swiglu.forward(gate, up)
    assert np.array_equal(y, silu.forward(gate)[0] * up)
    assert np.allclose(REFERENCE.swiglu.forward(gate, -2 * up)[0], -2 * y), "it is linear in `up`"
