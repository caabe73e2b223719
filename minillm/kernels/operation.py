"""What all operations made of kernels share: the launcher, and the way back to the reference for what the kernels can't do."""

import warnings
from numbers import Real
from typing import Any

import numpy as np

from ..arrays import bfloat16, xp
from .launcher import Launcher

DTYPES = (np.dtype("float32"), bfloat16)


class KernelOperation:
    """`reference`: the same operation in array code. What the kernels can't do it does, on the same device, and a warning says so once."""

    def __init__(self, launch: Launcher, reference: Any):
        self.launch, self.reference, self.flops = launch, reference, reference.flops
        self.warned: set[str] = set()

    def can(self, *arrays: Any) -> bool:
        """Whether all arrays (None: an absent one) hold numbers, of one dtype that the kernels know."""
        arrays = [x for x in arrays if x is not None]
        for x in arrays:
            self.launch.refuse_foreign(f"What {type(self).__name__} is given", x)
        dtypes = {x.dtype for x in arrays}
        if len(dtypes) > 1:
            return self.leave(f"arrays of {' and '.join(sorted(map(str, dtypes)))} together")
        if not dtypes <= set(DTYPES):
            return self.leave(f"arrays of {dtypes.pop()}")
        return all(x.size for x in arrays)       # nothing to launch for no numbers, and nothing to warn of

    def leave(self, what: str) -> bool:
        """Warns, once for each `what`, that the reference does it. False."""
        if what not in self.warned:
            self.warned.add(what)
            name = type(self).__name__
            warnings.warn(f"The kernels of {name} can't take {what}: the reference code computes them, on the same device but slower.",
                          RuntimeWarning, stacklevel=4)
        return False


def contiguous(x: Any, dtype: Any = None) -> Any:
    """x in one piece (itself, if it is already), in this dtype if one is given."""
    if x is None:
        return None
    return xp(x).ascontiguousarray(x if dtype is None else x.astype(dtype, copy=False))


def by_value_or_at(name: str, value: Any, dtype: str) -> dict[str, Any]:
    """A kernel's two parameters for a number: itself, or where on the device it lies, so that it is read when the kernel runs."""
    if isinstance(value, Real):
        return {name: value, f"{name}_at": None}
    return {name: 0, f"{name}_at": contiguous(value.reshape(1), dtype)}


def blocks_for(items: int, of_block: int) -> int:
    """How many blocks it takes."""
    return -(-items // of_block)


def power_of_two(n: int) -> int:
    """The next one, or n itself if it is one."""
    return 1 << (n - 1).bit_length()
