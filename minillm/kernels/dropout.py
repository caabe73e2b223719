"""Dropout on cuda/dropout.cu."""

from typing import Any, NamedTuple

from ..ops.dropout import LOW
from .operation import KernelOperation, blocks_for, contiguous

THREADS = 256


class Kept(NamedTuple):
    rate: float
    key: int
    layer: int
    site: int
    start: int


class Dropout(KernelOperation):
    def forward(self, x: Any, rate: float, key: int, layer: int = 0, site: int = 0, start: int = 0) -> tuple:
        if not (0 < rate < 1 and self.can(x)):
            return self.reference.forward(x, rate, key, layer, site, start)
        cache = Kept(rate, key, layer, site, start)
        return self.dropped(x, cache), cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        return (self.dropped(dy, cache),) if isinstance(cache, Kept) else self.reference.backward(dy, cache)

    def dropped(self, x: Any, place: Kept) -> Any:
        rate, key, layer, site, start = place
        x, y = contiguous(x), self.launch.empty(x, x.shape)
        words = (start + x.size + 3) // 4 - start // 4       # blocks of four
        self.launch("dropout.cu", "dropout", x.dtype, grid=blocks_for(words, THREADS), block=THREADS, x=x.reshape(-1), y=y.reshape(-1),
                    start=start, key_low=key & LOW, key_high=key >> 32 & LOW, layer=layer, site=site,
                    threshold=round(rate * 2**32), scale=1 / (1 - rate))
        return y
