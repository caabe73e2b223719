"""Learned and sinusoidal positions on cuda/positions.cu."""

import functools
from math import prod
from typing import Any, NamedTuple

from ..arrays import rows_of, xp
from ..ops.learned_positions import refuse_too_long
from ..ops.sinusoidal import waves
from .embedding import add_rows_at, can_add_to
from .operation import KernelOperation, blocks_for, contiguous, power_of_two

THREADS = 256


class Kept(NamedTuple):
    w: Any
    positions: Any


class Positions(KernelOperation):
    def add(self, kernel: str, x: Any, w: Any, *packed: Any, **given: Any) -> Any:
        """x with a row of w added to every vector. packed: those arrays beside x that are moved in packs."""
        x, y = contiguous(x), self.launch.empty(x, x.shape)
        pack = self.launch.pack(x.dtype, x.shape[-1], x, y, *packed)
        self.launch("positions.cu", kernel, x.dtype, grid=blocks_for(x.size // pack, THREADS), block=THREADS, pack=pack,
                    x=rows_of(x), w=w, y=rows_of(y), **given)
        return y


class LearnedPositions(Positions):
    def forward(self, x: Any, w: Any, positions: Any = None) -> tuple:
        refuse_too_long(x.shape, w.shape, positions)
        if not self.can(x, w):
            return self.reference.forward(x, w, positions)
        flat = None if positions is None else contiguous(positions.reshape(-1), "int64")
        places, w = x.shape[1] if positions is None else prod(positions.shape), contiguous(w)
        return self.add("add_positions", x, w, w, positions=flat, places=places), Kept(w, positions)

    def backward(self, dy: Any, cache: Any, into: Any = None) -> tuple:
        """`into`: the array that dw is added to, where the caller collects gradients."""
        w, positions = cache
        if not isinstance(cache, Kept) or not can_add_to(into):
            return self.reference.backward(dy, (w, positions), into=into)
        np, rows = xp(w), contiguous(rows_of(dy), w.dtype)
        dw = np.zeros(w.shape, "float32") if into is None else into
        if positions is None:
            self.sum_over_sequences(dw[:dy.shape[1]].reshape(-1), rows.reshape(len(dy), -1))
        else:
            ids = np.broadcast_to(positions, dy.shape[:2]).reshape(-1)
            add_rows_at(self.launch, dw, ids.astype("int64", copy=False), rows)
        return dy, dw

    def sum_over_sequences(self, dw: Any, dy: Any) -> None:
        pack = self.launch.pack(dy.dtype, dw.size, dy, dw)
        self.launch("positions.cu", "sum_over_sequences", dy.dtype, grid=blocks_for(dw.size // pack, THREADS), block=THREADS, pack=pack, dy=dy, dw=dw)


@functools.cache
def table(np: Any, device: int, length: int, d: int, theta: float) -> Any:
    """The waves at positions 0 … length − 1: the same in every step, so made once, and kept for good, as rope.py's. (`device`: the number of
    the GPU that they are on.)"""
    return waves(np.arange(length), d, theta).astype("float32")


class Sinusoidal(Positions):
    def forward(self, x: Any, positions: Any = None, theta: float = 10_000.0) -> tuple:
        if not self.can(x):
            return self.reference.forward(x, positions, theta)
        (_, t, d), device = x.shape, getattr(getattr(x, "device", None), "id", 0)
        w = table(xp(x), device, power_of_two(t), d, theta)[:t] if positions is None else rows_of(waves(positions, d, theta)).astype("float32")
        return self.add("add_waves", x, w), ()

    def backward(self, dy: Any, cache: tuple) -> tuple:
        return (dy,)
