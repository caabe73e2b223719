"""AdamW: assignment 5, lesson 6, 9 points.

One step of AdamW, for parameters p with the gradient g. m and v are running averages of the gradients and of their squares; s is the
number of this step, counted from 1:

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ˢ)                     m and v begin at 0: after s steps their weights sum to 1 − βˢ only,
    v̂ = v / (1 − β₂ˢ)                     and dividing makes them averages
    p ← p − η ( m̂ / (√v̂ + ε) + λ p )

η is the learning rate lr. λ, the weight decay, goes past m and v: p shrinks by the share η λ of what it was, whatever the gradient. That is
the W; with λ p added to the gradient it would be Adam with an L2 penalty.

adamw returns new arrays (p, m, v); m and v without the correction. p may have any shape, and g, m and v have the same. What you are given
must stay as it is, so that a check can ask again. (A real optimizer changes p, m and v where they are, to save memory: minillm/updates.py.)

What is checked, and for how many points (each check has 5 s and 512 MB):

    first     2   the first step is right, without weight decay
    later     2   so are later ones, where m and v have a past
    decay     2   weight decay is decoupled: it shrinks p, and enters neither m nor v
    defaults  1   the usual settings are the defaults
    zeros     1   where the gradient is zero only the decay moves p
    several   1   three steps in a row are right

    minillm exercises check adamw        minillm exercises hint adamw
"""

import numpy as np
from jaxtyping import Float


def adamw(p: Float[np.ndarray, "*shape"], g: Float[np.ndarray, "*shape"], m: Float[np.ndarray, "*shape"],
          v: Float[np.ndarray, "*shape"], step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
          eps: float = 1e-08,
          weight_decay: float = 0.01) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """(p, m, v) after step number `step`, counted from 1: new arrays."""
    raise NotImplementedError("adamw.adamw")
