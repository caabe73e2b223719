"""Dropout on cuda/dropout.cu."""

from numbers import Integral
from typing import Any, NamedTuple

from .operation import KernelOperation, blocks_for, by_value_or_at, contiguous

THREADS = 256


class Kept(NamedTuple):
    rate: float
    key: Any
    layer: int
    site: int
    start: Any


class Dropout(KernelOperation):
    def forward(self, x: Any, rate: float, key: Any, layer: int = 0, site: int = 0, start: Any = 0) -> tuple:
        if not (0 < rate < 1 and self.can(x)):
            return self.reference.forward(x, rate, key, layer, site, start)
        cache = Kept(rate, key, layer, site, start)
        return self.dropped(x, cache), cache

    def backward(self, dy: Any, cache: Any) -> tuple:
        return (self.dropped(dy, cache),) if isinstance(cache, Kept) else self.reference.backward(dy, cache)

    def dropped(self, x: Any, place: Kept) -> Any:
        rate, key, layer, site, start = place
        key = int(key) & 2**64 - 1 if isinstance(key, Integral) else key
        x, y = contiguous(x), self.launch.empty(x, x.shape)
        words = (x.size + 6) // 4                # blocks of four, wherever in its block the first number stands
        self.launch("dropout.cu", "dropout", x.dtype, grid=blocks_for(words, THREADS), block=THREADS, x=x.reshape(-1), y=y.reshape(-1),
                    **by_value_or_at("key", key, "uint64"), **by_value_or_at("start", start, "int64"), layer=layer, site=site,
                    threshold=round(rate * 2**32), scale=1 / (1 - rate))
        return y
