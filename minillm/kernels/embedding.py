"""Embedding on cuda/embedding.cu: a gradient without atomic additions, the same bits every time."""

from typing import Any, NamedTuple

from ..arrays import rows_of, xp
from .launcher import Launcher
from .operation import KernelOperation, blocks_for, contiguous
from .sort import sorted_rows

WARPS = 4                # of a block
RUN = 64                 # sorted places of a warp in backward


class Kept(NamedTuple):
    ids: Any
    w: Any


class Embedding(KernelOperation):
    def forward(self, ids: Any, w: Any) -> tuple:
        if not (ids.size and self.can(w)):
            return self.reference.forward(ids, w)
        w, (n, d) = contiguous(w), (ids.size, w.shape[1])
        flat = contiguous(ids.reshape(-1), "int64")
        y = self.launch.empty(w, (n, d))
        self.launch("embedding.cu", "embedding_forward", w.dtype, grid=blocks_for(n, WARPS), block=32 * WARPS,
                    pack=self.launch.pack(w.dtype, d, w, y), define={"RUN": RUN}, ids=flat, w=w, y=y)
        return y.reshape(*ids.shape, d), Kept(flat, w)

    def backward(self, dy: Any, cache: Any, into: Any = None) -> tuple:
        """`into`: the array that dw is added to, where the caller collects gradients."""
        ids, w = cache
        if not isinstance(cache, Kept) or not can_add_to(into):
            return self.reference.backward(dy, (ids.reshape(dy.shape[:-1]), w), into=into)
        np, dy = xp(w), contiguous(rows_of(dy), w.dtype)
        dw = np.zeros(w.shape, "float32") if into is None else into
        add_rows_at(self.launch, dw, ids, dy)
        return (dw,)


def can_add_to(into: Any) -> bool:
    """Whether the kernel can collect a gradient in this array; None: in a new one."""
    return into is None or into.dtype == "float32" and into.flags.c_contiguous


def add_rows_at(launch: Launcher, dw: Any, ids: Any, dy: Any) -> None:
    """dw[ids[i]] += dy[i] for every i, in order where ids repeat."""
    rows, order = sorted_rows(launch, ids, len(dw))
    (n, d), runs, pack = dy.shape, blocks_for(len(ids), RUN), launch.pack(dy.dtype, dy.shape[1], dy, dw)
    rest = launch.empty(dw, (runs, d))
    grid = blocks_for(runs, WARPS), blocks_for(d // pack, 32)
    for kernel, given in (("embedding_backward", dict(order=order, dy=dy)), ("embedding_rest", {})):
        launch("embedding.cu", kernel, dy.dtype, grid=grid, block=32 * WARPS, pack=pack, define={"RUN": RUN}, rows=rows, dw=dw, rest=rest, **given)
