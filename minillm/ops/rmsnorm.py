"""RMSNorm: divide each vector by its root mean square, then scale each channel.

    r  = (mean(x²) + ε)^-½            one number a row (of d channels)
    y  = w · x · r
    dw = Σ_rows dy · x · r
    dx = r · (g − x · r² · mean(g · x))     with g = w · dy, the gradient of x · r

Where dx comes from: x_i reaches y directly, which gives r · g_i, and through r, which gives (Σ_j g_j x_j) · ∂r/∂x_i. Since
∂r/∂x_i = −½ (mean(x²) + ε)^(−3/2) · 2x_i/d = −r³ x_i / d, the second part is −x_i · r³ · mean(g · x): every channel of a row
is coupled to all the others through their common length.
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, rows_of, wide, xp


def forward(x: Float[Any, "*rows d"], w: Float[Any, "d"], eps: float = 1e-5) -> tuple[Float[Any, "*rows d"], tuple]:
    x_ = wide(x)
    r = 1 / xp(x).sqrt((x_ * x_).mean(-1, keepdims=True) + eps)
    return (x_ * r * wide(w)).astype(x.dtype, copy=False), (x, w, r)


def backward(dy: Float[Any, "*rows d"], cache: tuple) -> tuple:
    x, w, r = cache
    dy, x_ = wide(dy), wide(x)
    g = dy * wide(w)
    dx = r * (g - x_ * (r * r * (g * x_).mean(-1, keepdims=True)))
    dw = rows_of(dy * x_ * r).sum(0)
    return dx.astype(x.dtype, copy=False), dw


def flops(x: tuple, w: tuple, eps: float = 1e-5) -> Flops:
    n, rows = prod(x), prod(x[:-1])
    return Flops(Work(elementwise=4 * n + 4 * rows),
                 {"dx": Work(elementwise=6 * n + 3 * rows), "dw": Work(elementwise=3 * n)})
