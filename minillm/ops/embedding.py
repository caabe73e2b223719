"""Embedding: row number id of the table w, for every id.

    y[i]  = w[ids[i]]
    dw[r] = Σ_{i : ids[i] = r} dy[i]      a row's gradient is the sum over all the places that looked it up

It is the product of a one-hot matrix with w, done without the zeros: no floating-point operation forward, one addition
for each number backward.
"""

from math import prod

from ..arrays import Any, Float, Flops, Int, Work, add_at, rows_of, wide, xp


def forward(ids: Int[Any, "*rows"], w: Float[Any, "v d"]) -> tuple[Float[Any, "*rows d"], tuple]:
    return w[ids], (ids, w)


def backward(dy: Float[Any, "*rows d"], cache: tuple, into: Float[Any, "v d"] | None = None) -> tuple:
    """`into`: the array that dw is added to, where the caller collects gradients."""
    ids, w = cache
    dy = rows_of(wide(dy))
    dw = xp(dy).zeros(w.shape, dy.dtype) if into is None else into
    add_at(dw, ids.reshape(-1), dy)
    return (dw,)


def flops(ids: tuple, w: tuple) -> Flops:
    return Flops(Work(), {"dw": Work(elementwise=prod(ids) * w[1])})
