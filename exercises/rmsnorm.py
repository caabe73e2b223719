"""RMSNorm: assignment 4, lesson 6, 8 points.

Divide each row of x by its root mean square, then scale each channel by w:

    r  = 1 / √(mean(x²) + ε)          one number a row
    y  = w · x · r

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dx, dw):

    g  = w · dy
    dx = r · (g − x · r² · mean(g · x))
    dw = Σ_rows dy · x · r

The means are over the last axis. The second term of dx comes from r: ∂r/∂x_i = −r³ x_i / d, so every channel of a row is coupled
to all the others through their common length.

x may have any number of leading axes, also none. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward   2   forward divides each row by its root mean square and scales each channel
    extremes  1   rows of zeros and of large numbers come out finite and right
    backward  4   backward returns dx and dw
    reuse     1   backward can be called twice on one cache

    minillm exercises check rmsnorm        minillm exercises hint rmsnorm
"""

import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d"],
            eps: float = 1e-05) -> tuple[Float[np.ndarray, "*rows d"], tuple]:
    raise NotImplementedError("rmsnorm.forward")


def backward(dy: Float[np.ndarray, "*rows d"], cache: tuple) -> tuple:
    raise NotImplementedError("rmsnorm.backward")
