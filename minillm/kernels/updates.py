"""AdamW, the square norm and the cast on cuda/updates.cu; the other updates are the reference's."""

from math import sqrt
from typing import Any

import numpy as np

from .. import updates as reference
from .launcher import NAMES, Launcher
from .operation import KernelOperation, blocks_for

THREADS = 256
BLOCKS = 1024            # of square_sums, at most
FLOAT = np.dtype("float32")


class Updates(KernelOperation):
    """The updates as methods."""

    sgd, adam, average = staticmethod(reference.sgd), staticmethod(reference.adam), staticmethod(reference.average)

    def __init__(self, launch: Launcher):
        self.launch, self.warned = launch, set()

    def flat(self, *arrays: Any) -> bool:
        """Whether all are float32 in one piece, as the kernels need them."""
        return self.can(*arrays) and all(x.dtype == FLOAT and x.ndim == 1 and x.flags.c_contiguous and x.size == arrays[0].size for x in arrays)

    def adamw(self, params: Any, grads: Any, m: Any, v: Any, step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
              eps: float = 1e-8, weight_decay: float = 0.01, decayed: int | None = None, grad_scale: float = 1.0, copy: Any = None) -> None:
        """updates.adamw. `copy`: where to leave the new parameters in 16 bits."""
        if not self.flat(params, grads, m, v) or copy is not None and (copy.dtype not in NAMES or copy.size != params.size):
            reference.adamw(params, grads, m, v, step, lr, beta1, beta2, eps, weight_decay, decayed, grad_scale)
            if copy is not None:
                self.cast(params, copy)
            return
        pack = self.launch.pack(FLOAT, params.size, params, grads, m, v, copy)
        self.launch("updates.cu", "adamw", FLOAT if copy is None else copy.dtype, grid=blocks_for(params.size // pack, THREADS), block=THREADS,
                    pack=pack, params=params, grads=grads, m=m, v=v, copy=copy, decayed=params.size if decayed is None else decayed,
                    keep=1 - lr * weight_decay, rate=lr / (1 - beta1**step), root=1 / sqrt(1 - beta2**step),
                    beta1=beta1, beta2=beta2, rest1=1 - beta1, rest2=1 - beta2, eps=eps, scale=grad_scale)

    def square_norm(self, x: Any) -> Any:
        if not self.flat(x):
            return reference.square_norm(x)
        pack = self.launch.pack(FLOAT, x.size, x)
        blocks = min(BLOCKS, blocks_for(x.size // pack, THREADS))
        sums, of_all = self.launch.empty(x, (blocks,), "float64"), self.launch.empty(x, (1,), "float64")
        self.launch("updates.cu", "square_sums", FLOAT, grid=blocks, block=THREADS, pack=pack, x=x, sums=sums)
        self.launch("updates.cu", "total", FLOAT, grid=1, block=THREADS, pack=pack, sums=sums, sum_of_all=of_all)
        return of_all.reshape(())

    def clip(self, grads: Any, max_norm: float, in_place: bool = True) -> tuple[float, float]:
        return reference.clip(grads, max_norm, in_place, square_norm=self.square_norm)

    def cast(self, source: Any, target: Any) -> None:
        if not self.flat(source) or target.dtype not in NAMES or target.shape != source.shape or not target.flags.c_contiguous:
            return reference.cast(source, target)
        pack = self.launch.pack(FLOAT, source.size, source, target)
        self.launch("updates.cu", "cast", target.dtype, grid=blocks_for(source.size // pack, THREADS), block=THREADS, pack=pack,
                    source=source, target=target)
