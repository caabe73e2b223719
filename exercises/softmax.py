"""Softmax: assignment 2, lesson 3, 8 points.

Turn every row of numbers (the last axis of x) into a probability distribution:

    y_i  = e^(x_i) / Σ_j e^(x_j)

e^x overflows for large x, so the same number m, the row's largest, is subtracted from all of a row first. It cancels:

    e^(x_i − m) / Σ_j e^(x_j − m)  =  e^(x_i) / Σ_j e^(x_j)

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dx,), a tuple of one:

    dx_i = y_i · (dy_i − Σ_j dy_j y_j)          for each row, since ∂y_j/∂x_i = y_j (1[i = j] − y_i)

x may have any number of leading axes, also none. Some numbers of a row may be −∞, never all: their probability is 0. What you are
given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward    2   every row of numbers becomes a distribution
    large      1   numbers of any size come out finite and right
    different  1   each row is treated for itself, and −∞ becomes 0
    backward   3   backward returns (dx,)
    reuse      1   backward can be called twice on one cache

    minillm exercises check softmax        minillm exercises hint softmax
"""

import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows v"]) -> tuple[Float[np.ndarray, "*rows v"], tuple]:
    raise NotImplementedError("softmax.forward")


def backward(dy: Float[np.ndarray, "*rows v"], cache: tuple) -> tuple:
    raise NotImplementedError("softmax.backward")
