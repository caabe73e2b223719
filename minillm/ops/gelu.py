"""GELU: x times the probability that a standard normal number lies below x; exact, or with the tanh that GPT-2 used.

    exact   Φ(x) = ½ (1 + erf(x/√2))         y = x · Φ(x)
            dx = dy · (Φ(x) + x · φ(x))      φ(x) = Φ'(x) = e^(−x²/2) / √(2π)

    tanh    u = √(2/π) · (x + 0.044715 x³)   y = x · ½ (1 + tanh u)
            dx = dy · ½ (1 + tanh u + x · (1 − tanh² u) · u')        u' = √(2/π) · (1 + 3 · 0.044715 x²)

The two differ by at most 0.0005.
"""

from math import pi, prod, sqrt

from ..arrays import Any, Float, Flops, Work, erf, wide, xp

CUBIC = 0.044715


def forward(x: Float[Any, "*shape"], tanh: bool = False) -> tuple[Float[Any, "*shape"], tuple]:
    x_ = wide(x)
    if tanh:
        u = sqrt(2 / pi) * (x_ + CUBIC * x_ * x_ * x_)
        y = x_ * (0.5 * (1 + xp(x).tanh(u)))
    else:
        y = x_ * (0.5 * (1 + erf(x_ * sqrt(0.5))))
    return y.astype(x.dtype, copy=False), (x, tanh)


def backward(dy: Float[Any, "*shape"], cache: tuple) -> tuple:
    x, tanh = cache
    x_ = wide(x)
    if tanh:
        th = xp(x).tanh(sqrt(2 / pi) * (x_ + CUBIC * x_ * x_ * x_))
        slope = 0.5 * (1 + th + x_ * (1 - th * th) * (sqrt(2 / pi) * (1 + 3 * CUBIC * x_ * x_)))
    else:
        density = xp(x).exp(-0.5 * x_ * x_) * (1 / sqrt(2 * pi))
        slope = 0.5 * (1 + erf(x_ * sqrt(0.5))) + x_ * density
    return ((wide(dy) * slope).astype(x.dtype, copy=False),)


def flops(x: tuple, tanh: bool = False) -> Flops:
    """erf counts as one operation, like exp and tanh, however many it takes inside."""
    forward, dx = (9, 18) if tanh else (5, 11)
    return Flops(Work(elementwise=forward * prod(x)), {"dx": Work(elementwise=dx * prod(x))})
