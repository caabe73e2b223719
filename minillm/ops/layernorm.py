"""LayerNorm: shift each vector to mean 0, divide by its standard deviation, then scale and shift each channel.

    μ  = mean(x)          r = (mean((x − μ)²) + ε)^-½        two numbers a row
    n  = (x − μ) · r
    y  = w · n + b
    db = Σ_rows dy        dw = Σ_rows dy · n
    dx = r · (g − mean(g) − n · mean(g · n))     with g = w · dy, the gradient of n

Where dx comes from: n has mean 0 and length √d whatever x is, so a change of x along (1, …, 1) or along n itself changes
nothing. dx is g with its parts along those two directions taken out, divided by the standard deviation. (Exactly so for ε = 0;
with ε the formula still is the exact derivative, because ∂r/∂x_i = −r² n_i / d holds for any ε.)
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, rows_of, wide, xp


def forward(x: Float[Any, "*rows d"], w: Float[Any, "d"], b: Float[Any, "d"] | None = None, eps: float = 1e-5
            ) -> tuple[Float[Any, "*rows d"], tuple]:
    x_ = wide(x)
    mean = x_.mean(-1, keepdims=True)
    centred = x_ - mean
    r = 1 / xp(x).sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    y = centred * r * wide(w)
    if b is not None:
        y += wide(b)
    return y.astype(x.dtype, copy=False), (x, w, mean, r, b is not None)


def backward(dy: Float[Any, "*rows d"], cache: tuple) -> tuple:
    x, w, mean, r, has_bias = cache
    dy = wide(dy)
    n = (wide(x) - mean) * r
    g = dy * wide(w)
    dx = r * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True))
    dw = rows_of(dy * n).sum(0)
    db = rows_of(dy).sum(0) if has_bias else None
    return dx.astype(x.dtype, copy=False), dw, db


def flops(x: tuple, w: tuple, b: tuple | None = None, eps: float = 1e-5) -> Flops:
    n, rows = prod(x), prod(x[:-1])
    backward = {"shared": Work(elementwise=2 * n), "dx": Work(elementwise=8 * n + 2 * rows), "dw": Work(elementwise=2 * n)}
    if b is not None:
        backward["db"] = Work(elementwise=n)
    return Flops(Work(elementwise=(6 if b is None else 7) * n + 5 * rows), backward)
