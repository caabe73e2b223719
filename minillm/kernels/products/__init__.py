"""Matrix products. On NumPy's arrays they are NumPy's, on a GPU those of cuBLASLt:

    cublaslt.py      the library, by ctypes
    plans.py         how a product of our arrays is told to it; what is remembered
    gpu.py           which numbers it multiplies, and what is done where it can't

The launcher has them as launch.multiply. CuPy's own product can't be part of a CUDA graph, can't multiply batches of bfloat16, and can't
add to float32, so that a weight's gradient would be rounded first, written, read and added.

A bias is added by the product itself, where the sums still lie in registers: an array of the output's size is neither written nor read for
it. cuBLASLt has more of such epilogues, which this project leaves alone. GELU inside the product, and its derivative inside the next one's
backward, would hide the activation from the table, whose rule is that a replaced gelu is the one that runs, and know only the tanh form.
The sum for a bias's gradient comes out in the type of the product's result and overwrites what is there: no float32 beside bfloat16, and
nothing added to `into`.
"""

from typing import Any

import numpy

from ...arrays import wide, xp

LINE = 128               # bytes that memory moves at once; the matrix library reads 16 at a time


def multiply(launch: Any, a: Any, b: Any, into: Any = None, dtype: Any = None, bias: Any = None, aligned: bool = False) -> Any:
    """See Launcher.multiply."""
    for name, x in (("a", a), ("b", b), ("into", into), ("bias", bias)):
        if x is not None:
            launch.refuse_foreign(f"{name} of a product", x)
    shape = shape_of(a, b, into, dtype, bias)
    out = into if into is not None else in_lines(launch, a, shape, dtype) if aligned else launch.empty(a, shape, dtype)
    if a.shape[-1] and out.size:
        launch.product(a, b, out, into is not None, bias)
    elif into is None:                           # sums of nothing
        out[...] = 0 if bias is None else bias.astype(out.dtype, copy=False)
    return out


def in_lines(launch: Any, like: Any, shape: tuple, dtype: Any) -> Any:
    """Memory for a result whose rows begin at multiples of 128 bytes: a view of wider rows, unless they do so anyway."""
    itemsize = like.itemsize if dtype is None else numpy.dtype(dtype).itemsize
    wide = -(-shape[-1] * itemsize // LINE) * LINE // itemsize
    return launch.empty(like, (*shape[:-1], wide), dtype)[..., :shape[-1]]


def shape_of(a: Any, b: Any, into: Any, dtype: Any, bias: Any) -> tuple:
    """The product's shape, or a sentence that says what doesn't fit."""
    said = f"a {a.shape} @ b {b.shape}"
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{said}: a product takes matrices, or batches of them, a (…, m, k) and b (…, k, n) with the same k.")
    try:
        shape = (*numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    except ValueError:
        raise ValueError(f"{said}: the leading axes of the two don't fit together.") from None
    if into is not None and (dtype is not None or bias is not None):
        raise ValueError(f"{said}: what is added to an array takes that array's dtype, and no bias.")
    if into is not None and into.shape != shape:
        raise ValueError(f"{said} has the shape {shape}, and can't be added to an array of {into.shape}.")
    if bias is not None and bias.shape != shape[-1:]:
        raise ValueError(f"{said} has rows of {shape[-1]} numbers, and can't take a bias of shape {bias.shape}.")
    return shape


def by_array_code(a: Any, b: Any, out: Any, add: bool, bias: Any = None) -> None:
    """out = a·b + bias, or out += a·b, by the arrays' own @, summed in float32 (in float64 if they hold that). Only CuPy's product of two
    matrices takes 16-bit numbers as they are: it sums in float32 by itself."""
    by_cupy = not isinstance(a, numpy.ndarray) and a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and not add
    if not by_cupy:
        a, b = wide(a), wide(b)
    if a.dtype == b.dtype == out.dtype and a.dtype.itemsize > 2 and out.flags.c_contiguous and not add:
        y = xp(a).matmul(a, b, out=out)
    else:
        y = a @ b
    if bias is not None:
        y += bias.astype(y.dtype, copy=False)
    if add and out.dtype == y.dtype:
        out += y
    elif y is not out:
        out[...] = (wide(out) + y if add else y).astype(out.dtype, copy=False)
