"""Embedding: assignment 2, lesson 3, 8 points.

A table w has a row for each of v tokens. Look up the row of every id:

    y[i]  = w[ids[i]]

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dw,), a tuple of one, with w's
shape. The gradient of a row is the sum over all places that looked it up, and 0 if none did:

    dw[r] = Σ_{i : ids[i] = r} dy[i]

ids may have any number of axes, also none; y has these and one more. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward   1   forward looks up the row of each id
    backward  2   backward returns (dw,), with each gradient in its row
    repeated  2   a row that was looked up several times gets the sum
    shapes    2   ids may have any number of axes, also none
    reuse     1   backward can be called twice on one cache

    minillm exercises check embedding        minillm exercises hint embedding
"""

import numpy as np
from jaxtyping import Float, Int


def forward(ids: Int[np.ndarray, "*rows"],
            w: Float[np.ndarray, "v d"]) -> tuple[Float[np.ndarray, "*rows d"], tuple]:
    raise NotImplementedError("embedding.forward")


def backward(dy: Float[np.ndarray, "*rows d"], cache: tuple) -> tuple:
    """`into`: the array that dw is added to, where the caller collects gradients."""
    raise NotImplementedError("embedding.backward")
