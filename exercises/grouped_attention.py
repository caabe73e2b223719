"""Attention with shared keys: assignment 3, lesson 5, 13 points.

Causal attention for a whole batch, with h query heads that share k key and value heads. With g = h/k query heads to a group, query
head i (counted from 0) reads key head

    j(i) = ⌊i / g⌋

so neighbours share: with 6 query heads and 3 key heads they read 0, 0, 1, 1, 2, 2. With k = h this is multi-head attention, with k = 1
multi-query attention, and between them grouped-query attention. q is (b, t, h, e), k and v are (b, t, k, e). For each row of the
batch and each query head apart:

    S  = Q_i · K_j(i)ᵀ / √e          and −∞ where the key lies after the query
    P  = softmax of each row of S
    Y_i = P · V_j(i)

forward returns (y, cache), with y in the shape of q. backward(dy, cache) returns (dq, dk, dv), each in the shape of what it is the
gradient of. For one head they are those of ordinary attention:

    dV = Pᵀ · dY
    dP = dY · Vᵀ
    dS = P ∘ (dP − D)                 D: the sum of dP ∘ P over each row
    dQ = dS · K / √e
    dK = dSᵀ · Q / √e

and a shared key or value, which g heads have read, gets the sum of what they send back:

    dK_j = Σ_{i: j(i) = j} dK of head i            likewise dV_j

Scores may be as large as ±5,000, and e^5000 is infinite. What you are given must stay as it is. Loops over rows
and heads are fast enough here.

What is checked, and for how many points (each check has 5 s and 512 MB):

    own_keys         2   with as many key heads as query heads, each head attends for itself, to itself and the past
    groups           2   with fewer key heads, neighbouring query heads read the same one
    one_key_head     1   one key head serves all query heads
    extremes         1   scores of thousands come out finite and right
    backward         3   backward returns dq, dk and dv where every head has its own keys
    backward_groups  3   the gradients of shared keys and values collect what all their readers send
    reuse            1   backward can be called twice on one cache

    minillm exercises check grouped_attention        minillm exercises hint grouped_attention
"""

import numpy as np
from jaxtyping import Float


def forward(q: Float[np.ndarray, "b t h e"], k: Float[np.ndarray, "b t k e"],
            v: Float[np.ndarray, "b t k e"]) -> tuple[Float[np.ndarray, "b t h e"], tuple]:
    """Causal attention of h query heads that share k key and value heads: query head i reads key head i // (h / k)."""
    raise NotImplementedError("grouped_attention.forward")


def backward(dy: Float[np.ndarray, "b t h e"],
             cache: tuple) -> tuple[Float[np.ndarray, "b t h e"], Float[np.ndarray, "b t k e"], Float[np.ndarray, "b t k e"]]:
    """The gradients of q, k and v."""
    raise NotImplementedError("grouped_attention.backward")
