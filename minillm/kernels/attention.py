"""Attention: bfloat16 on cuda/flash_attention.cu where its sizes fit, one query a row on cuda/decode.cu, all else on cuda/attention.cu."""

from math import sqrt
from typing import Any, NamedTuple

from ..arrays import xp
from ..ops.attention import refuse
from .decode import decode
from .flash_attention import fits, flash_backward, flash_forward
from .operation import KernelOperation, blocks_for, contiguous

TILE = 16                # queries of a block, and keys at a time
WARPS = 4                # of a block of attention_d
LARGEST_HEAD = 128       # four tiles of larger ones don't fit the shared memory that a block gets unasked


class Kept(NamedTuple):
    arrays: dict             # q, k, v, documents, mask: by the names of the kernels' parameters
    y: Any
    lse: Any
    options: dict
    num_keys: Any


class Attention(KernelOperation):
    def forward(self, q: Any, k: Any, v: Any, causal: bool = True, window: int | None = None, documents: Any = None, mask: Any = None,
                scale: float | None = None, block: int = 128, keep_probabilities: bool = False, num_keys: Any = None) -> tuple:
        """`block` is the reference's: the kernels have tiles of their own. To keep P for looking at is left to the reference, since not
        to write P is what the kernels are for.

        num_keys (b), ints: of row i there are only the first num_keys[i] keys yet, as in a cache with room for more. It says what a mask
        could say, but for a single query what lies behind them costs nothing."""
        refuse(q.shape, k.shape, window, documents)
        on_kernels = not keep_probabilities and self.can(q, k, v)
        if num_keys is not None and not (on_kernels and q.shape[1] == 1):
            mask, num_keys = without_the_rest(mask, num_keys, q.shape[1], k.shape[1]), None
        if not on_kernels:
            return self.reference.forward(q, k, v, causal, window, documents, mask, scale, block, keep_probabilities)
        (b, t, h, e), s, empty = q.shape, k.shape[1], self.launch.empty
        arrays = dict(q=contiguous(q), k=k, v=v, documents=contiguous(documents, "int64"), mask=contiguous(mask))
        mask_b, mask_h = (1, 1) if mask is None else mask.shape[:2]
        options = dict(mask_b=mask_b, mask_h=mask_h, causal=int(causal), window=t + s if window is None else min(window, t + s),
                       scale=1 / sqrt(e) if scale is None else scale)
        y, lse = empty(q, q.shape), empty(q, (b, h, t), "float32")
        if t == 1:
            num_keys = contiguous(num_keys, "int64")
            decode(self.launch, y, lse, num_keys=num_keys, **arrays, **options)
            return y, Kept(arrays, y, lse, options, num_keys)
        arrays |= dict(k=contiguous(k), v=contiguous(v))
        if fits(self.launch, *(arrays[name] for name in "qkv")):
            flash_forward(self.launch, y=y, lse=lse, **arrays, **options)
        else:
            self.run("attention_forward", (blocks_for(t, TILE), h, b), **arrays, **options, y=y, lse=lse)
        return y, Kept(arrays, y, lse, options, None)

    def backward(self, dy: Any, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache)
        arrays, y, lse, options, num_keys = cache
        if num_keys is not None:
            mask = without_the_rest(arrays["mask"], num_keys, 1, arrays["k"].shape[1])
            arrays, options = arrays | dict(mask=mask), options | dict(mask_b=mask.shape[0], mask_h=mask.shape[1])
        (b, t, h, _), (_, s, heads, _), empty = y.shape, arrays["k"].shape, self.launch.empty
        dy = contiguous(dy, y.dtype)
        d, dq, dk, dv = empty(y, lse.shape, "float32"), *(empty(y, arrays[name].shape) for name in "qkv")
        self.launch("attention.cu", "attention_d", y.dtype, grid=blocks_for(b * t * h, WARPS), block=32 * WARPS, define=self.define(y),
                    dy=dy, y=y, d=d)
        given = arrays | options | dict(k=contiguous(arrays["k"]), v=contiguous(arrays["v"]), dy=dy, lse=lse, d=d)
        if t > 1 and fits(self.launch, *(given[name] for name in ("q", "k", "v", "dy"))):
            flash_backward(self.launch, dq=dq, dk=dk, dv=dv, **given)
            return dq, dk, dv
        self.run("attention_dq", (blocks_for(t, TILE), h, b), **given, dq=dq)
        self.run("attention_dkv", (blocks_for(s, TILE), heads, b), **given, dk=dk, dv=dv)
        return dq, dk, dv

    def can(self, q: Any, *arrays: Any) -> bool:
        if q.shape[-1] > LARGEST_HEAD:
            return self.leave(f"heads of {q.shape[-1]} numbers")
        return super().can(q, *arrays)

    def run(self, kernel: str, grid: tuple, **given: Any) -> None:
        self.launch("attention.cu", kernel, given["q"].dtype, grid=grid, block=(TILE, TILE), define=self.define(given["q"]), **given)

    def define(self, q: Any) -> dict[str, int]:
        return {"TILE": TILE, "HEAD": blocks_for(q.shape[-1], TILE) * TILE}


def without_the_rest(mask: Any, num_keys: Any, t: int, s: int) -> Any:
    """The mask (b, 1 or h, t, s) that also hides all but the first num_keys[i] keys of row i."""
    np = xp(num_keys)
    there = (np.arange(s) < num_keys[:, None])[:, None, None]
    return contiguous(np.broadcast_to(there, (len(num_keys), 1, t, s)) if mask is None else mask & there)
