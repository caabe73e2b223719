"""A linear layer: assignment 2, lesson 3, 9 points.

Multiply every row of x with one matrix w, and add b to every row, if there is one:

    y  = x · w + b             w is stored (in, out), as on the blackboard

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dx, dw, db), each of the
shape of what it is the gradient of, and None for db where there was no b:

    dx = dy · wᵀ
    dw = Σ_rows x_rowᵀ · dy_row
    db = Σ_rows dy_row

x may have any number of leading axes, also none; "rows" means all of them. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward        1   forward multiplies every row of x with w
    bias           1   forward adds b to every row, if there is one
    backward       3   backward returns dx, dw and None where there was no bias
    backward_bias  1   backward returns dx, dw and db
    shapes         2   any number of leading axes will do, also none
    reuse          1   backward can be called twice on one cache

    minillm exercises check linear        minillm exercises hint linear
"""

import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d f"],
            b: Float[np.ndarray, "f"] | None = None) -> tuple[Float[np.ndarray, "*rows f"], tuple]:
    raise NotImplementedError("linear.forward")


def backward(dy: Float[np.ndarray, "*rows f"], cache: tuple) -> tuple:
    """`into`: arrays that dw and db are added to, where the caller collects gradients."""
    raise NotImplementedError("linear.backward")
