"""RoPE: assignment 4, lesson 6, 9 points.

Attention by itself doesn't know where a key stands. RoPE tells it: each pair of channels of a query or a key is turned by an angle
that grows with the position, so that the product of a query and a key depends only on how far apart they are. For a head of size e,
channels j and j + e/2 are pair j, with j = 0, 1, …, e/2 − 1 ("half" pairing, as in Hugging Face's models):

    f_j       = θ^(−2j/e)
    a         = position · f_j
    y_j       = x_j · cos a − x_(j+e/2) · sin a
    y_(j+e/2) = x_j · sin a + x_(j+e/2) · cos a

x is (b, t, h, e). positions has the position of each of the t places, the same for all rows of the batch and all heads. They need
not be 0, 1, 2, …: with a cache of earlier keys, a single new query stands at position 41, say.

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dx,), a tuple of one:

    dx_j       =   dy_j · cos a + dy_(j+e/2) · sin a
    dx_(j+e/2) = − dy_j · sin a + dy_(j+e/2) · cos a

which is the same turn, backwards: the transpose of a rotation is its inverse. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward    3   forward turns each pair of channels by its angle
    one_pair   1   a head of one pair turns by the position itself
    positions  1   the angle comes from the positions handed in, not from the place in the array
    theta      1   theta is 10,000 unless given, and heeded if it is
    backward   2   backward turns the gradient back
    reuse      1   backward can be called twice on one cache

    minillm exercises check rope        minillm exercises hint rope
"""

import numpy as np
from jaxtyping import Float, Int


def forward(x: Float[np.ndarray, "b t h e"], positions: Int[np.ndarray, "t"],
            theta: float = 10000.0) -> tuple[Float[np.ndarray, "b t h e"], tuple]:
    """Turns each pair of channels (j, j + e/2) by an angle that grows with the position."""
    raise NotImplementedError("rope.forward")


def backward(dy: Float[np.ndarray, "b t h e"], cache: tuple) -> tuple[Float[np.ndarray, "b t h e"]]:
    """(dx,): the same turn, backwards."""
    raise NotImplementedError("rope.backward")
