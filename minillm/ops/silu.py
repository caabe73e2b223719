"""SiLU (also called swish): x times its own sigmoid, a smooth relative of ReLU.

    s  = 1 / (1 + e^−x)
    y  = x · s
    dx = dy · s · (1 + x · (1 − s))          since s' = s · (1 − s)
"""

from math import prod

from ..arrays import Any, Float, Flops, Work, wide, xp

LOWEST = -80.0      # there the sigmoid is below 2e-35; further down e^−x would overflow float32


def sigmoid(x: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    return 1 / (1 + xp(x).exp(-xp(x).maximum(x, LOWEST)))


def forward(x: Float[Any, "*shape"]) -> tuple[Float[Any, "*shape"], tuple]:
    x_ = wide(x)
    return (x_ * sigmoid(x_)).astype(x.dtype, copy=False), (x,)


def backward(dy: Float[Any, "*shape"], cache: tuple) -> tuple:
    (x,) = cache
    x_ = wide(x)
    s = sigmoid(x_)
    return ((wide(dy) * s * (1 + x_ * (1 - s))).astype(x.dtype, copy=False),)


def flops(x: tuple) -> Flops:
    return Flops(Work(elementwise=6 * prod(x)), {"dx": Work(elementwise=10 * prod(x))})
