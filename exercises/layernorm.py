"""LayerNorm: assignment 4, lesson 6, 10 points.

Shift each row of x to mean 0, divide it by its standard deviation, then scale each channel by w and shift it by b:

    μ  = mean(x)          r = 1 / √(mean((x − μ)²) + ε)          two numbers a row
    n  = (x − μ) · r
    y  = w · n + b

The means are over the last axis. The variance is divided by the number of channels d, not by d − 1; ε stands under the root.

forward returns (y, cache); the cache holds whatever your backward needs. backward(dy, cache) returns (dx, dw, db):

    g  = w · dy                       the gradient of n
    dx = r · (g − mean(g) − n · mean(g · n))
    dw = Σ_rows dy · n
    db = Σ_rows dy

Why: x reaches n directly, through the mean, and through r. From ∂μ/∂x_i = 1/d and ∂r/∂x_i = −r² n_i / d follow the two means that
are subtracted. They are what a change of x along (1, …, 1) or along n can't do: change the result.

x may have any number of leading axes, also none. b may be None: then nothing is added, and db is None. What you are given must stay
as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward        2   forward gives each row mean 0 and standard deviation 1, then scales and shifts each channel
    extremes       1   rows of equal numbers and a single channel come out finite and right
    large_mean     1   a large mean doesn't hide the variance, in float32
    backward       4   backward returns dx, dw and db
    without_shift  1   b may be None: nothing is added, and db is None
    reuse          1   backward can be called twice on one cache

    minillm exercises check layernorm        minillm exercises hint layernorm
"""

import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d"], b: Float[np.ndarray, "d"] | None = None,
            eps: float = 1e-05) -> tuple[Float[np.ndarray, "*rows d"], tuple]:
    raise NotImplementedError("layernorm.forward")


def backward(dy: Float[np.ndarray, "*rows d"], cache: tuple) -> tuple:
    raise NotImplementedError("layernorm.backward")
