"""SwiGLU: one half of the feed-forward layer opens and closes gates for the other half.

    y     = silu(gate) · up
    dgate = silu's backward of (dy · up)
    dup   = dy · silu(gate)

Composed from the table's silu, so that replacing silu replaces it here too.
"""

from math import prod

from ..arrays import Any, Float, Flops, Work


class SwiGLU:
    def __init__(self, silu: Any):
        self.silu = silu

    def forward(self, gate: Float[Any, "*rows f"], up: Float[Any, "*rows f"]) -> tuple[Float[Any, "*rows f"], tuple]:
        opened, silu_cache = self.silu.forward(gate)
        return opened * up, (opened, up, silu_cache)

    def backward(self, dy: Float[Any, "*rows f"], cache: tuple) -> tuple:
        opened, up, silu_cache = cache
        (dgate,) = self.silu.backward(dy * up, silu_cache)
        return dgate, dy * opened

    def flops(self, gate: tuple, up: tuple) -> Flops:
        silu, n = self.silu.flops(gate), prod(gate)
        return Flops(silu.forward + Work(elementwise=n),
                     {"dgate": silu.backward["dx"] + Work(elementwise=n), "dup": Work(elementwise=n)})
