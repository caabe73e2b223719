"""A linear layer: its products are the matrix library's, the gradient of its bias is cuda/column_sums.cu."""

from typing import Any, NamedTuple

from ..arrays import rows_of
from .column_sums import column_sums
from .operation import KernelOperation, contiguous


class Kept(NamedTuple):
    products: tuple          # the reference's cache, as of a layer without bias


class Linear(KernelOperation):
    def forward(self, x: Any, w: Any, b: Any = None) -> tuple:
        y, cache = self.reference.forward(x, w, b)
        return (y, cache) if b is None or not self.can(x) else (y, Kept((*cache[:-1], False)))

    def backward(self, dy: Any, cache: Any, into: tuple = (None, None)) -> tuple:
        """`into`: arrays that dw and db are added to, where the caller collects gradients."""
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache, into=into)
        dx, dw, _ = self.reference.backward(dy, cache.products, into=(into[0], None))
        return dx, dw, column_sums(self.launch, contiguous(rows_of(dy), dx.dtype), into[1])
