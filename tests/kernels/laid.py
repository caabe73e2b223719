"""Arrays on the stand-in for CuPy that lie in memory in every way, for the tests of the binding to cuBLASLt."""

import numpy as np
import standin

from minillm.arrays import bfloat16
from minillm.kernels.launcher import GPU

DTYPES = [np.dtype("float32"), bfloat16, np.dtype("float16")]
STANDIN = GPU._replace(arrays="standin")
WAYS = ["plain", "turned", "wide", "turned wide"]            # the library reads these where they lie
OTHERS = ["stepped", "backwards", "turned stepped"]          # and not these


def laid(shape, dtype, how="plain", offset=0, seed=0):
    """(array on the stand-in, its memory as NumPy sees it). Whole numbers, whose products every dtype can hold; NaN around them."""
    rows, columns = shape[-2:] if "turned" not in how else shape[:-3:-1]
    wider = columns + 3 if "wide" in how else columns
    step = 2 if "stepped" in how else 1
    extent = (*shape[:-2], rows, wider * step)
    memory = standin.full(offset + int(np.prod(extent)), np.nan, dtype)
    x = memory[offset:].reshape(extent)[..., :columns * step:step]
    x = x.swapaxes(-1, -2) if "turned" in how else x
    x = x[..., ::-1, :] if "backwards" in how else x
    x[...] = standin.asarray(np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype))
    return x, memory


def exact(x):
    return standin.to_numpy(x).astype("float64")


def recorded(sizes):
    """Inside, what is allocated goes down in a list."""
    def malloc(size):
        sizes.append(size)
        return standin.get_default_memory_pool().malloc(size)
    return standin.cuda.using_allocator(malloc)
