"""AdamW, the norm and its verdict, the moving average and the cast on cuda/updates.cu; the other updates are the reference's."""

from typing import Any

import numpy as np

from .. import updates as reference
from .launcher import NAMES, Launcher
from .operation import KernelOperation, blocks_for, contiguous

THREADS = 256
BLOCKS = 1024            # of square_sums, at most
FLOAT = np.dtype("float32")


class Updates(KernelOperation):
    """The updates as methods."""

    sgd, adam, numbers_of_step = staticmethod(reference.sgd), staticmethod(reference.adam), staticmethod(reference.numbers_of_step)

    def __init__(self, launch: Launcher):
        self.launch, self.warned = launch, set()

    def flat(self, *arrays: Any) -> bool:
        """Whether all are float32 in one piece, as the kernels need them."""
        return self.can(*arrays) and all(x.dtype == FLOAT and x.ndim == 1 and x.flags.c_contiguous and x.size == arrays[0].size for x in arrays)

    def adamw(self, params: Any, grads: Any, m: Any, v: Any, step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
              eps: float = 1e-8, weight_decay: float = 0.01, decayed: int | None = None, grad_scale: float = 1.0, copy: Any = None) -> None:
        """updates.adamw. `copy`: where to leave the new parameters in 16 bits."""
        if not self.can_adamw(params, grads, m, v, copy):
            reference.adamw(params, grads, m, v, step, lr, beta1, beta2, eps, weight_decay, decayed, grad_scale)
            if copy is not None:
                self.cast(params, copy)
            return
        keep, rate, root = self.numbers_of_step(step, lr, beta1, beta2, weight_decay)
        self.run_adamw((params, grads, m, v), copy, beta1, beta2, eps, decayed, now=None, verdict=None, keep=keep, rate=rate, root=root, scale=grad_scale)

    def adamw_judged(self, params: Any, grads: Any, m: Any, v: Any, now: Any, verdict: Any, beta1: float = 0.9, beta2: float = 0.999,
                     eps: float = 1e-8, decayed: int | None = None, copy: Any = None) -> None:
        if not self.can_adamw(params, grads, m, v, copy):
            return reference.adamw_judged(params, grads, m, v, now, verdict, beta1, beta2, eps, decayed, copy)
        self.run_adamw((params, grads, m, v), copy, beta1, beta2, eps, decayed, now=now, verdict=verdict, keep=0, rate=0, root=0, scale=0)

    def can_adamw(self, params: Any, *others: Any) -> bool:
        *state, copy = others
        return self.flat(params, *state) and (copy is None or copy.dtype in NAMES and copy.size == params.size)

    def run_adamw(self, state: tuple, copy: Any, beta1: float, beta2: float, eps: float, decayed: int | None, **numbers: Any) -> None:
        params, grads, m, v = state
        pack = self.launch.pack(FLOAT, params.size, *state, copy)
        self.launch("updates.cu", "adamw", FLOAT if copy is None else copy.dtype, grid=blocks_for(params.size // pack, THREADS), block=THREADS,
                    pack=pack, params=params, grads=grads, m=m, v=v, copy=copy, decayed=params.size if decayed is None else decayed,
                    beta1=beta1, beta2=beta2, rest1=1 - beta1, rest2=1 - beta2, eps=eps, **numbers)

    def square_norm(self, x: Any) -> Any:
        if not self.flat(x):
            return reference.square_norm(x)
        sums, of_all = self.square_sums(x), self.launch.empty(x, (1,), "float64")
        self.launch("updates.cu", "total", FLOAT, grid=1, block=THREADS, sums=sums, sum_of_all=of_all)
        return of_all.reshape(())

    def judge(self, grads: Any, loss: Any, max_norm: float, verdict: Any) -> None:
        if not self.flat(grads):
            return reference.judge(grads, loss, max_norm, verdict)
        self.launch("updates.cu", "judge", FLOAT, grid=1, block=THREADS, sums=self.square_sums(grads), loss=contiguous(loss.reshape(1), FLOAT),
                    verdict=verdict, max_norm=max_norm)

    def square_sums(self, x: Any) -> Any:
        pack = self.launch.pack(FLOAT, x.size, x)
        blocks = min(BLOCKS, blocks_for(x.size // pack, THREADS))
        sums = self.launch.empty(x, (blocks,), "float64")
        self.launch("updates.cu", "square_sums", FLOAT, grid=blocks, block=THREADS, pack=pack, x=x, sums=sums)
        return sums

    def clip(self, grads: Any, max_norm: float, in_place: bool = True) -> tuple[float, float]:
        return reference.clip(grads, max_norm, in_place, square_norm=self.square_norm)

    def average(self, mean: Any, params: Any, decay: float) -> None:
        if not self.flat(mean, params):
            return reference.average(mean, params, decay)
        self.run_average(mean, params, decay, None)

    def average_judged(self, mean: Any, params: Any, decay: float, verdict: Any) -> None:
        if not self.flat(mean, params):
            return reference.average_judged(mean, params, decay, verdict)
        self.run_average(mean, params, decay, verdict)

    def run_average(self, mean: Any, params: Any, decay: float, verdict: Any) -> None:
        pack = self.launch.pack(FLOAT, mean.size, mean, params)
        self.launch("updates.cu", "average", FLOAT, grid=blocks_for(mean.size // pack, THREADS), block=THREADS, pack=pack,
                    mean=mean, params=params, verdict=verdict, rest=1 - decay)

    def cast(self, source: Any, target: Any) -> None:
        if not self.flat(source) or target.dtype not in NAMES or target.shape != source.shape or not target.flags.c_contiguous:
            return reference.cast(source, target)
        pack = self.launch.pack(FLOAT, source.size, source, target)
        self.launch("updates.cu", "cast", target.dtype, grid=blocks_for(source.size // pack, THREADS), block=THREADS, pack=pack,
                    source=source, target=target)
