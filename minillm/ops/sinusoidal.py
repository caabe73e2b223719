"""Sinusoidal positions, of the original Transformer: add a fixed wave to each channel, so that a vector knows its place.

    a_i         = position · θ^(−2i/d)
    y[…, 2i]    = x[…, 2i]   + sin a_i
    y[…, 2i+1]  = x[…, 2i+1] + cos a_i
    dx          = dy                      the waves have no parameters
"""

from math import prod

from ..arrays import Any, Float, Flops, Int, Work, wide, xp


def waves(positions: Int[Any, "*b t"], d: int, theta: float = 10_000.0) -> Float[Any, "*b t d"]:
    a = positions[..., None] * theta ** (xp(positions).arange((d + 1) // 2, dtype="float64") * (-2 / d))
    table = xp(a).empty((*positions.shape, d))
    table[..., 0::2] = xp(a).sin(a)
    table[..., 1::2] = xp(a).cos(a[..., :d // 2])
    return table


def forward(x: Float[Any, "b t d"], positions: Int[Any, "t"] | Int[Any, "b t"] | None = None, theta: float = 10_000.0
            ) -> tuple[Float[Any, "b t d"], tuple]:
    """`positions`: 0, 1, 2, … unless given."""
    if positions is None:
        positions = xp(x).arange(x.shape[1])
    x_ = wide(x)
    return (x_ + waves(positions, x.shape[-1], theta).astype(x_.dtype)).astype(x.dtype, copy=False), ()


def backward(dy: Float[Any, "b t d"], cache: tuple) -> tuple:
    return (dy,)


def flops(x: tuple, positions: tuple | None = None, theta: float = 10_000.0) -> Flops:
    d = x[-1]
    sines, cosines, places = (d + 1) // 2, d // 2, prod(positions or x[1:2])
    return Flops(Work(elementwise=prod(x) + places * (2 * sines + cosines) + 2 * sines), {"dx": Work()})
