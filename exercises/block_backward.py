"""The backward of a whole block: assignment 5, lesson 6, 12 points.

A block of a Llama has two branches, each with a norm before it and the stream beside it:

    n₁   = rmsnorm(x, w₁)
    q    = rope(n₁ · Wq)          k = rope(n₁ · Wk)          v = n₁ · Wv
    s    = x + attention(q, k, v) · Wo
    n₂   = rmsnorm(s, w₂)
    gate = n₂ · Wgate             up = n₂ · Wup
    y    = s + swiglu(gate, up) · Wdown

You need no formula of an operation for it: they are handed in. The module ops has

    y, cache = ops.rmsnorm.forward(x, w)            dx, dw = ops.rmsnorm.backward(dy, cache)
    y, cache = ops.linear.forward(x, w)             dx, dw, _ = ops.linear.backward(dy, cache)        the third is a bias's: None
    y, cache = ops.rope.forward(x, positions)       (dx,) = ops.rope.backward(dy, cache)              x: (b, t, h, e)
    y, cache = ops.attention.forward(q, k, v)       dq, dk, dv = ops.attention.backward(dy, cache)    (b, t, h, e), (b, t, k, e)
    y, cache = ops.swiglu.forward(gate, up)         dgate, dup = ops.swiglu.backward(dy, cache)

params is a dictionary with attention_norm (w₁), query, key, value, attention_output (Wo), feed_forward_norm (w₂), gate, up and down.
Heads are cut by reshape(b, t, -1, e), and put side by side again by reshape(b, t, -1). Attention is causal, and shares keys.

forward returns (y, cache). backward(dy, cache, ops) returns (dx, grads); grads is a dictionary with the names of params.

Backward walks through the lines of forward from the last to the first. One rule does the rest: what forward used several times gets
the sum of the gradients that come back. And a sum s = x + a hands its gradient to both of its terms, whole:

    ds = dy + (what comes back through the second norm)
    dx = ds + (what comes back through the first norm)

What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward  3   forward runs the block
    weights  4   backward returns the gradient of every weight
    stream   4   backward returns the gradient of x
    reuse    1   backward can be called twice on one cache

    minillm exercises check block_backward        minillm exercises hint block_backward
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int


def forward(x: Float[np.ndarray, "b t d"], params: Mapping, positions: Int[np.ndarray, "t"], e: int,
            ops: Any) -> tuple[Float[np.ndarray, "b t d"], tuple]:
    """A pre-norm block of a Llama: attention and the feed-forward layer, each with a norm before it and the stream beside it."""
    raise NotImplementedError("block_backward.forward")


def backward(dy: Float[np.ndarray, "b t d"], cache: tuple, ops: Any) -> tuple[Float[np.ndarray, "b t d"], dict]:
    """The gradients of x, and of each of params by its name."""
    raise NotImplementedError("block_backward.backward")
