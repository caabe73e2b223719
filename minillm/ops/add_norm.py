"""Residual add and norm: a branch's output joins the stream, and the sum is normed for the next branch.

    s = x + branch                   the stream, which goes on
    y = norm(s)                      what the next branch reads
    ds_total = ds + norm's backward of dy          s has two readers, so its gradients add
    dx = dbranch = ds_total                        a sum hands its gradient to both of its terms

Composed from the table's norm (rmsnorm or layernorm). Kernels fuse the two, which saves reading s a second time.
"""

from math import prod

from ..arrays import Any, Float, Flops, Work


class AddNorm:
    def __init__(self, norm: Any):
        self.norm = norm

    def forward(self, x: Float[Any, "*rows d"], branch: Float[Any, "*rows d"], *weights: Float[Any, "d"] | None, **options
                ) -> tuple[tuple[Float[Any, "*rows d"], Float[Any, "*rows d"]], tuple]:
        s = x + branch
        y, cache = self.norm.forward(s, *weights, **options)
        return (s, y), cache

    def backward(self, dy: tuple[Float[Any, "*rows d"], Float[Any, "*rows d"]], cache: tuple) -> tuple:
        ds, dy = dy
        dx, *dweights = self.norm.backward(dy, cache)
        dx = dx + ds
        return dx, dx, *dweights

    def flops(self, x: tuple, branch: tuple, *weights: tuple | None, **options) -> Flops:
        norm, add = self.norm.flops(x, *weights, **options), Work(elementwise=prod(x))
        return Flops(norm.forward + add, norm.backward | {"dx": norm.backward["dx"] + add})
