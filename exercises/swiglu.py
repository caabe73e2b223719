"""SwiGLU: assignment 4, lesson 6, 8 points.

The feed-forward layer of a Llama has three matrices. Two of them read the input n, and one half opens and closes gates for the other:

    gate = n · Wgate          up = n · Wup          y = silu(gate) · up          and y · Wdown leaves

Here you write what stands between the matrices. With σ for the sigmoid:

    σ(x)     = 1 / (1 + e^−x)
    silu(x)  = x · σ(x)
    silu'(x) = σ(x) · (1 + x · (1 − σ(x)))          by the product rule, and σ' = σ · (1 − σ)

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dgate, dup):

    dgate = dy · up · silu'(gate)
    dup   = dy · silu(gate)

gate and up have the same shape, with any number of axes. A gate may be ±1,000, and ±100 in float32, where e^100 is infinite: the
result must be finite and right all the same, also in backward. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward   2   forward multiplies up by SiLU of the gate
    backward  3   backward returns dgate and dup
    extremes  2   gates of any size come out finite and right, forward and backward
    reuse     1   backward can be called twice on one cache

    minillm exercises check swiglu        minillm exercises hint swiglu
"""

import numpy as np
from jaxtyping import Float


def forward(gate: Float[np.ndarray, "*rows f"],
            up: Float[np.ndarray, "*rows f"]) -> tuple[Float[np.ndarray, "*rows f"], tuple]:
    """The gate, through SiLU, opens and closes the way for `up`."""
    raise NotImplementedError("swiglu.forward")


def backward(dy: Float[np.ndarray, "*rows f"],
             cache: tuple) -> tuple[Float[np.ndarray, "*rows f"], Float[np.ndarray, "*rows f"]]:
    """The gradients of gate and up."""
    raise NotImplementedError("swiglu.backward")
