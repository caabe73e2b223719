"""RoPE on cuda/rope.cu."""

import functools
from typing import Any, NamedTuple

from ..arrays import xp
from ..ops.rope import cos_and_sin
from .operation import KernelOperation, blocks_for, contiguous

THREADS = 256


class Kept(NamedTuple):
    cosines: Any
    sines: Any
    pairing: str


@functools.lru_cache(maxsize=8)
def tables(np: Any, device: int, t: int, e: int, theta: float, scaling: Any) -> tuple:
    """cos and sin for positions 0 … t − 1: the same in all layers and steps, so made once. (`device`: the number of the GPU that they are on.)"""
    return cos_and_sin(np.arange(t), e, theta, scaling, "float32")


class RoPE(KernelOperation):
    def forward(self, x: Any, positions: Any = None, theta: float = 10_000.0, pairing: str = "half", scaling: Any = None) -> tuple:
        if x.shape[-1] % 2 or pairing not in ("half", "interleaved") or not self.can(x):
            return self.reference.forward(x, positions, theta, pairing, scaling)
        (_, t, _, e), np = x.shape, xp(x)
        if positions is None:
            cosines, sines = tables(np, getattr(getattr(x, "device", None), "id", 0), t, e, theta, scaling)
        else:
            cosines, sines = cos_and_sin(positions, e, theta, scaling, "float32")
        cache = Kept(*(table.reshape(-1, e // 2) for table in (cosines, sines)), pairing)
        return self.turned(x, cache, 1.0), cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        return (self.turned(dy, cache, -1.0),) if isinstance(cache, Kept) else self.reference.backward(dy, cache)

    def turned(self, x: Any, cache: Kept, sign: float) -> Any:
        (b, t, h, e), y = x.shape, self.launch.empty(x, x.shape)
        x, flat = contiguous(x), (b * t, h, e)
        pack = self.launch.pack(x.dtype, e // 2, x, y)
        self.launch("rope.cu", "rope", x.dtype, grid=blocks_for(x.size // 2 // pack, THREADS), block=THREADS, pack=pack,
                    define={"INTERLEAVED": 1} if cache.pairing == "interleaved" else {},
                    x=x.reshape(flat), y=y.reshape(flat), cosines=cache.cosines, sines=cache.sines, sign=sign)
        return y
