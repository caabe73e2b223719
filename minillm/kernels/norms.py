"""RMSNorm and LayerNorm on cuda/norms.cu, each also with the residual sum before it."""

from typing import Any, NamedTuple

from ..arrays import rows_of
from .column_sums import column_sums
from .operation import KernelOperation, blocks_for, contiguous

WARPS = 4                # of a block
BLOCKS = 512             # of backward, at most: each leaves a row of sums
SHARED = 48 * 1024       # bytes that every GPU gives a block unasked
MOST_SHARED = 99 * 1024  # and the most that those of today give


class Kept(NamedTuple):
    s: Any
    w: Any
    means: Any
    rs: Any
    has_bias: bool


class Norm(KernelOperation):
    """Both norms: `layer` tells which."""

    layer = False

    def __init__(self, launch: Any, reference: Any):
        super().__init__(launch, reference)
        self.define = {"LAYER": 1} if self.layer else {}

    def can(self, x: Any, *arrays: Any) -> bool:
        if 4 * self.columns(x.shape[-1]) > MOST_SHARED:
            return self.leave(f"rows of {x.shape[-1]:,} numbers")
        return super().can(x, *arrays)

    def columns(self, d: int) -> int:
        """How many sums backward makes: dw, and of LayerNorm db."""
        return 2 * d if self.layer else d

    def normed(self, x: Any, branch: Any, w: Any, b: Any, eps: float) -> tuple:
        """(s, y, cache); without a branch s is x itself."""
        given, x, branch = x, rows_of(contiguous(x)), None if branch is None else rows_of(contiguous(branch))
        w, b, (rows, d), empty = contiguous(w), contiguous(b), x.shape, self.launch.empty
        s, y, rs = None if branch is None else empty(x, x.shape), empty(x, x.shape), empty(x, (rows,), "float32")
        means = empty(x, (rows,), "float32") if self.layer else None
        self.launch("norms.cu", "norm_forward", x.dtype, grid=blocks_for(rows, WARPS), block=32 * WARPS, define=self.define,
                    pack=self.launch.pack(x.dtype, d, x, branch, w, b, y), x=x, branch=branch, w=w, b=b, s=s, y=y, means=means, rs=rs, eps=eps)
        s = x if s is None else s
        return s.reshape(given.shape), y.reshape(given.shape), Kept(s, w, means, rs, b is not None)

    def gradients(self, dy: Any, beside: Any, cache: Kept) -> tuple:
        """(ds, dw, db or None). `beside`: the gradient that reaches s past the norm."""
        s, w, means, rs, has_bias = cache
        (rows, d), shape, empty = s.shape, dy.shape, self.launch.empty
        dy, beside = (None if x is None else rows_of(contiguous(x, s.dtype)) for x in (dy, beside))
        columns = self.columns(d)
        warps = max(1, min(WARPS, SHARED // (4 * columns)))
        blocks = min(BLOCKS, blocks_for(rows, warps))
        ds, sums = empty(s, s.shape), empty(s, (blocks, columns), "float32")
        self.launch("norms.cu", "norm_backward", s.dtype, grid=blocks, block=32 * warps, shared=4 * warps * columns, define=self.define,
                    pack=self.launch.pack(s.dtype, d, dy, beside, s, w, ds), dy=dy, beside=beside, s=s, w=w, means=means, rs=rs, ds=ds, sums=sums)
        dweights = column_sums(self.launch, sums)
        return ds.reshape(shape), dweights[:d], dweights[d:] if has_bias else None


class RMSNorm(Norm):
    def forward(self, x: Any, w: Any, eps: float = 1e-5) -> tuple:
        if not self.can(x, w):
            return self.reference.forward(x, w, eps)
        _, y, cache = self.normed(x, None, w, None, eps)
        return y, cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache)
        return self.gradients(dy, None, cache)[:2]


class LayerNorm(Norm):
    layer = True

    def forward(self, x: Any, w: Any, b: Any = None, eps: float = 1e-5) -> tuple:
        if not self.can(x, w, b):
            return self.reference.forward(x, w, b, eps)
        _, y, cache = self.normed(x, None, w, b, eps)
        return y, cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        return self.gradients(dy, None, cache) if isinstance(cache, Kept) else self.reference.backward(dy, cache)


class AddRMSNorm(Norm):
    def forward(self, x: Any, branch: Any, *weights: Any, eps: float = 1e-5) -> tuple:
        if not self.can(x, branch, *weights):
            return self.reference.forward(x, branch, *weights, eps=eps)
        w, b = (*weights, None)[:2]
        s, y, cache = self.normed(x, branch, w, b, eps)
        return (s, y), cache

    def backward(self, dy: tuple, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache)
        dx, *dweights = self.gradients(dy[1], dy[0], cache)
        return dx, dx, *(dweights if self.layer else dweights[:1])


class AddLayerNorm(AddRMSNorm):
    layer = True
