"""A linear layer: every row of x times one matrix, plus an optional bias.

    y  = x · w + b          w is stored (in, out), as on the blackboard
    dx = dy · wᵀ
    dw = xᵀ · dy            the product sums over all rows, however many axes they are arranged in
    db = Σ_rows dy

Why dx = dy · wᵀ: y_j = Σ_i x_i w_ij, so x_i reaches every y_j through w_ij, and dx_i = Σ_j dy_j w_ij.
Why dw = xᵀ · dy: w_ij appears in every row's y_j, multiplied by that row's x_i, so dw_ij = Σ_rows x_i dy_j.
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, added, rows_of, wide


def forward(x: Float[Any, "*rows d"], w: Float[Any, "d f"], b: Float[Any, "f"] | None = None
            ) -> tuple[Float[Any, "*rows f"], tuple]:
    y = rows_of(wide(x)) @ wide(w)
    if b is not None:
        y += wide(b)
    return y.astype(x.dtype, copy=False).reshape(*x.shape[:-1], w.shape[1]), (x, w, b is not None)


def backward(dy: Float[Any, "*rows f"], cache: tuple, into: tuple = (None, None)) -> tuple:
    """`into`: arrays that dw and db are added to, where the caller collects gradients."""
    x, w, has_bias = cache
    dy = rows_of(wide(dy))
    dx = (dy @ wide(w).T).astype(x.dtype, copy=False).reshape(x.shape)
    dw = added(rows_of(wide(x)).T @ dy, into[0])
    db = added(dy.sum(0), into[1]) if has_bias else None
    return dx, dw, db


def flops(x: tuple, w: tuple, b: tuple | None = None) -> Flops:
    rows, (d, f) = prod(x[:-1]), w
    backward = {"dx": Work(2 * rows * d * f), "dw": Work(2 * rows * d * f)}
    if b is not None:
        backward["db"] = Work(elementwise=rows * f)
    return Flops(Work(2 * rows * d * f, rows * f if b is not None else 0), backward)
