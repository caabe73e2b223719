"""One head of attention: assignment 3, lesson 4, 12 points.

Every position of a text asks a question (a row of q), offers a key (a row of k) and has something to tell (a row of v). With t
positions and a head of size e, in three steps:

    S  = Q · Kᵀ / √e             scores, t × t: a row for each query, a column for each key
    P  = softmax of each row of S
    Y  = P · V                   each row an average of the values, with the weights of its row of P

With causal=True position i may only see the positions j ≤ i: the other scores become −∞ before the softmax, so that their weight is 0.

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dq, dk, dv):

    dV   = Pᵀ · dY
    dP   = dY · Vᵀ
    dS_ij = P_ij · (dP_ij − Σ_l dP_il · P_il)          the sum is one number a row
    dQ   = dS · K / √e
    dK   = dSᵀ · Q / √e

Under the root stands the size of the head: a query and a key of independent numbers of variance 1 have a product of variance e.
Scores may be as large as ±5,000, and e^5000 is infinite. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward          2   without a mask, forward averages all values by the softmax of the scores
    causal           2   with the mask, no position sees a later one
    extremes         1   scores of thousands come out finite and right
    backward         4   backward returns dq, dk and dv, without a mask
    backward_causal  2   backward returns dq, dk and dv, with the mask
    reuse            1   backward can be called twice on one cache

    minillm exercises check attention_head        minillm exercises hint attention_head
"""

import numpy as np
from jaxtyping import Float


def forward(q: Float[np.ndarray, "t e"], k: Float[np.ndarray, "t e"], v: Float[np.ndarray, "t e"],
            causal: bool = True) -> tuple[Float[np.ndarray, "t e"], tuple]:
    """Every position takes the average of the values, weighted by how well its query fits the keys. `causal`: only over the keys of
    positions that are not after its own.
    """
    raise NotImplementedError("attention_head.forward")


def backward(dy: Float[np.ndarray, "t e"],
             cache: tuple) -> tuple[Float[np.ndarray, "t e"], Float[np.ndarray, "t e"], Float[np.ndarray, "t e"]]:
    """The gradients of q, k and v."""
    raise NotImplementedError("attention_head.backward")
