"""Which products cuBLASLt takes, and what becomes of the others."""

import warnings
from typing import Any

import numpy as np

from ...arrays import wide, xp
from . import by_array_code
from . import cublaslt as lt
from .plans import TYPES, View, card, seen

FLOAT = np.dtype("float32")
ALIGNED = 16             # bytes: algorithms that add a bias read it so many at a time
REFUSALS = (lt.CUBLAS_STATUS_NOT_SUPPORTED, lt.CUBLAS_STATUS_INVALID_VALUE, lt.CUBLAS_STATUS_ARCH_MISMATCH)


class OnGPU:
    """out = a·b + bias, or out += a·b, on CuPy's arrays: bfloat16, float16 and float32 by cuBLASLt, all else by CuPy's @. `tf32`: float32
    numbers may be multiplied with 10 bits of their fractions, several times faster; the sums stay float32."""

    def __init__(self, tf32: bool):
        self.tf32, self.missing, self.warned = tf32, False, set()

    def __call__(self, a: Any, b: Any, out: Any, add: bool, bias: Any = None) -> None:
        if not self.missing and all(x.dtype in TYPES for x in (a, b, out)):
            try:
                return self.by_cublaslt(a, b, out, add, bias)
            except lt.Missing as problem:
                self.missing = True
                self.warn("missing", f"{problem}. CuPy makes all matrix products instead: slower, and no CUDA graph can hold them.")
            except lt.Refused as problem:
                if problem.status not in REFUSALS:
                    raise OSError(f"The product {sentence(a, b, out, add)} failed on the GPU: {problem}.") from None
                self.warn(problem.name, f"cuBLASLt doesn't take the product {sentence(a, b, out, add)}: {problem}. CuPy makes it, and others like "
                                        "it, instead: slower, and no CUDA graph can hold them.")
        by_array_code(a, b, out, add, bias)

    def by_cublaslt(self, a: Any, b: Any, out: Any, add: bool, bias: Any) -> None:
        """The library multiplies numbers of one type, into that type or float32."""
        if a.dtype != b.dtype:
            a, b = wide(a), wide(b)
        result = seen(out)
        if result is None or out.dtype not in (a.dtype, FLOAT):
            y = xp(a).empty(out.shape, FLOAT)
            self.by_cublaslt(a, b, y, False, bias)
            out[...] = (wide(out) + y if add else y).astype(out.dtype, copy=False)
            return
        view, transposed = result
        if transposed:                           # out = a·b is outᵀ = bᵀ·aᵀ (plans.py); no bias comes with an array to add to
            a, b, out = (x.swapaxes(-1, -2) for x in (b, a, out))
        self.with_bias(a, b, out, view, add, None if bias is None else aligned(bias, out.dtype))

    def with_bias(self, a: Any, b: Any, out: Any, view: View, add: bool, bias: Any) -> None:
        """Where the library has no algorithm that adds the bias in the same go, it is added behind."""
        here, tf32 = card(a.device.id, xp(a)), self.tf32 and a.dtype == FLOAT
        try:
            here.multiply(a, b, out, view, add, bias, tf32)
        except lt.Refused as problem:
            if bias is None or problem.status not in REFUSALS:
                raise
            here.multiply(a, b, out, view, add, None, tf32)
            out += bias

    def warn(self, reason: str, sentence: str) -> None:
        if reason not in self.warned:
            self.warned.add(reason)
            warnings.warn(sentence, RuntimeWarning, stacklevel=6)


def aligned(bias: Any, dtype: Any) -> Any:
    """The bias in the result's type and in one piece, that begins where the library wants it: itself, or a copy."""
    bias = xp(bias).ascontiguousarray(bias.astype(dtype, copy=False))
    return bias if bias.data.ptr % ALIGNED == 0 else bias.copy()


def sentence(a: Any, b: Any, out: Any, add: bool) -> str:
    return f"{a.dtype} {a.shape} @ {b.dtype} {b.shape}, {'added to' if add else 'as'} {out.dtype}"
