"""ReLU: what is negative becomes zero.

    y  = max(x, 0)
    dx = dy where x > 0, else 0        (at x = 0 there is no derivative; 0 is the custom)
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, xp


def forward(x: Float[Any, "*shape"]) -> tuple[Float[Any, "*shape"], tuple]:
    return xp(x).maximum(x, 0), (x,)


def backward(dy: Float[Any, "*shape"], cache: tuple) -> tuple:
    (x,) = cache
    return (dy * (x > 0),)


def flops(x: tuple) -> Flops:
    return Flops(Work(elementwise=prod(x)), {"dx": Work(elementwise=2 * prod(x))})
