"""RoPE on cuda/rope.cu."""

import functools
from typing import Any, NamedTuple

from ..arrays import xp
from ..ops.rope import cos_and_sin, frequencies
from .operation import KernelOperation, blocks_for, contiguous, power_of_two

THREADS = 256


class Kept(NamedTuple):
    kernel: str
    angles: dict             # where the kernel has them from: tables of cosines and sines, or positions and frequencies
    pairing: str


# The same in all layers and steps, so made once. `device`: the number of the GPU that they are on. They are never given up, since a
# recorded step (repeated.py) reads them where they lie; to be few, the tables are as long as the next power of two.

@functools.cache
def tables(np: Any, device: int, length: int, e: int, theta: float, scaling: Any) -> tuple:
    """cos and sin for positions 0 … length − 1."""
    return tuple(table.reshape(length, e // 2) for table in cos_and_sin(np.arange(length), e, theta, scaling, "float32"))


@functools.cache
def speeds(np: Any, device: int, e: int, theta: float, scaling: Any) -> Any:
    return frequencies(np, e, theta, scaling)


class RoPE(KernelOperation):
    def forward(self, x: Any, positions: Any = None, theta: float = 10_000.0, pairing: str = "half", scaling: Any = None) -> tuple:
        if x.shape[-1] % 2 or pairing not in ("half", "interleaved") or not self.can(x):
            return self.reference.forward(x, positions, theta, pairing, scaling)
        (_, t, _, e), of_device = x.shape, (xp(x), getattr(getattr(x, "device", None), "id", 0))
        if positions is None:
            cosines, sines = tables(*of_device, power_of_two(t), e, theta, scaling)
            cache = Kept("rope", dict(cosines=cosines[:t], sines=sines[:t]), pairing)
        else:
            flat = contiguous(positions.reshape(-1), "int64")
            cache = Kept("rope_at", dict(positions=flat, frequencies=speeds(*of_device, e, theta, scaling)), pairing)
        return self.turned(x, cache, 1.0), cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        return (self.turned(dy, cache, -1.0),) if isinstance(cache, Kept) else self.reference.backward(dy, cache)

    def turned(self, x: Any, cache: Kept, sign: float) -> Any:
        (b, t, h, e), y = x.shape, self.launch.empty(x, x.shape)
        x, flat = contiguous(x), (b * t, h, e)
        pack = self.launch.pack(x.dtype, e // 2, x, y)
        self.launch("rope.cu", cache.kernel, x.dtype, grid=blocks_for(x.size // 2 // pack, THREADS), block=THREADS, pack=pack,
                    define={"INTERLEAVED": 1} if cache.pairing == "interleaved" else {},
                    x=x.reshape(flat), y=y.reshape(flat), sign=sign, **cache.angles)
        return y
