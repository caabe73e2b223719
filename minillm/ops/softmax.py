"""Softmax: any row of numbers as a probability distribution.

    y_i  = e^(x_i − m) / Σ_j e^(x_j − m)       m = max(x): it cancels, and keeps e^… from overflowing
    dx_i = y_i · (dy_i − Σ_j dy_j y_j)

Where dx comes from: ∂y_j/∂x_i = y_j (1[i = j] − y_i), so dx_i = Σ_j dy_j y_j (1[i = j] − y_i). Adding the same number to a
whole row changes nothing, so dx sums to zero in every row.

A row that is −∞ everywhere (nothing may be chosen) gives zeros, and zero gradients.
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, wide, xp


def forward(x: Float[Any, "*rows v"]) -> tuple[Float[Any, "*rows v"], tuple]:
    x_ = wide(x)
    m = x_.max(-1, keepdims=True)
    e = xp(x).exp(x_ - xp(x).where(m > -xp(x).inf, m, 0))
    total = e.sum(-1, keepdims=True)
    y = (e / xp(x).where(total > 0, total, 1)).astype(x.dtype, copy=False)
    return y, (y,)


def backward(dy: Float[Any, "*rows v"], cache: tuple) -> tuple:
    (y,) = cache
    dy, y_ = wide(dy), wide(y)
    return ((y_ * (dy - (dy * y_).sum(-1, keepdims=True))).astype(y.dtype, copy=False),)


def flops(x: tuple) -> Flops:
    n, rows = prod(x), prod(x[:-1])
    return Flops(Work(elementwise=5 * n + 4 * rows), {"dx": Work(elementwise=4 * n)})
