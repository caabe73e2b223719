"""Learned positions, of GPT-2: add row number p of a trained table w to the vector at position p.

    y[:, t] = x[:, t] + w[p_t]
    dx      = dy
    dw[p]   = Σ dy over everything that stood at position p
"""

from math import prod

from ..arrays import Any, Float, Flops, Int, Work, add_at, rows_of, wide, xp


def forward(x: Float[Any, "b t d"], w: Float[Any, "positions d"], positions: Int[Any, "t"] | Int[Any, "b t"] | None = None
            ) -> tuple[Float[Any, "b t d"], tuple]:
    """`positions`: 0, 1, 2, … unless given."""
    refuse_too_long(x.shape, w.shape, positions)
    rows = w[:x.shape[1]] if positions is None else w[positions]
    return (wide(x) + wide(rows)).astype(x.dtype, copy=False), (w, positions)


def backward(dy: Float[Any, "b t d"], cache: tuple, into: Float[Any, "positions d"] | None = None) -> tuple:
    """`into`: the array that dw is added to, where the caller collects gradients."""
    w, positions = cache
    dy_ = wide(dy)
    dw = xp(dy).zeros(w.shape, dy_.dtype) if into is None else into
    if positions is None:
        dw[:dy.shape[1]] += dy_.sum(0)
    else:
        positions = xp(dy).broadcast_to(positions, dy.shape[:2])
        add_at(dw, positions.reshape(-1), rows_of(dy_))
    return dy, dw


def refuse_too_long(x: tuple, w: tuple, positions: Any) -> None:
    """Raises a sentence if the table (w: its shape) ends before the texts do."""
    if positions is None and x[1] > w[0]:
        raise ValueError(f"{x[1]} positions were asked for, but the table of learned positions has {w[0]} rows.")


def flops(x: tuple, w: tuple, positions: tuple | None = None) -> Flops:
    added = 0 if positions else prod(x[1:])      # the sum over the batch, to the table
    return Flops(Work(elementwise=prod(x)), {"dx": Work(), "dw": Work(elementwise=prod(x) + added)})
