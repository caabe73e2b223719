"""A linear layer: its products are the matrix library's (products/), the gradient of its bias is cuda/column_sums.cu."""

from typing import Any, NamedTuple

from ..arrays import rows_of
from .column_sums import column_sums
from .operation import KernelOperation, contiguous


class Kept(NamedTuple):
    x: Any
    w: Any
    has_bias: bool


class Linear(KernelOperation):
    """The gradients of the weights are sums over all rows, in float32 whatever the model computes in."""

    def forward(self, x: Any, w: Any, b: Any = None) -> tuple:
        if not self.can(x, w, b):
            return self.reference.forward(x, w, b)
        y = self.launch.multiply(rows_of(x), w, bias=b)
        return y.reshape(*x.shape[:-1], w.shape[1]), Kept(x, w, b is not None)

    def backward(self, dy: Any, cache: Any, into: tuple = (None, None)) -> tuple:
        """`into`: arrays that dw and db are added to, where the caller collects gradients."""
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache, into=into)
        x, w, has_bias = cache
        dy = rows_of(dy.astype(x.dtype, copy=False))
        dx = self.launch.multiply(dy, w.T).reshape(x.shape)
        dw = self.launch.multiply(rows_of(x).T, dy, into=into[0], dtype="float32" if into[0] is None else None)
        return dx, dw, column_sums(self.launch, contiguous(dy), into[1]) if has_bias else None
