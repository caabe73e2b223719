"""Where the kernels' tests run: on the emulator, or all of them on a GPU:

    MINILLM_TEST_DEVICE=cuda python -m pytest tests/kernels

The tests hand over NumPy's arrays and get NumPy's arrays back, wherever they run. On a GPU every array is carried over as it lies in
memory: just as far behind a multiple of 64 bytes, with its strides, in the middle of NaN. MINILLM_TEST_DEVICE=standin does so with the
stand-in for CuPy: so these lines are tested where there is no GPU.

TABLE is the table itself; KERNELS has the same operations and updates for NumPy's arrays.
"""

import contextlib
import ctypes
import functools
import os
import sys

import numpy as np
from ops.test_every_op import PRECISIONS, assert_close
from watched import everywhere

from minillm import updates
from minillm.kernels import CUDA, EMULATED, UPDATES, table
from minillm.kernels.launcher import EMULATOR, GPU
from minillm.ops import Ops

DEVICE = os.environ.get("MINILLM_TEST_DEVICE", "emulator")
MARGIN = 64                                      # bytes of NaN on either side
if DEVICE not in ("emulator", "cuda", "standin"):
    raise ValueError(f"MINILLM_TEST_DEVICE is emulator, cuda or standin, not {DEVICE!r}.")


# --- arrays ------------------------------------------------------------------------------------------------------------------------

def carry(x):
    """(x on the GPU, check): check() fails if anything around it was written."""
    if not x.size:
        return cupy.asarray(x), lambda: None
    low, high = np.lib.array_utils.byte_bounds(x)
    memory = cupy.full(high - low + 2 * MARGIN + 64, 0xff, "uint8")                          # 0xffff…: NaN in every floating-point type
    start = MARGIN + (low - memory.data.ptr - MARGIN) % 64
    memory[start:start + high - low] = cupy.asarray(np.frombuffer((ctypes.c_char * (high - low)).from_address(low), "uint8"))

    def check():
        now = to_numpy(memory)
        assert (now[:start] == 0xff).all(), "a kernel wrote before the beginning of its output"
        assert (now[start + high - low:] == 0xff).all(), "a kernel wrote behind the end of its output"

    return view(memory, start + x.ctypes.data - low, x), check


def lift(x):
    """Whatever there is of NumPy's arrays in x, on the GPU."""
    return x if DEVICE == "emulator" else everywhere(lambda array: carry(array)[0], x)


def lower(x):
    """And back."""
    if isinstance(x, tuple):
        parts = map(lower, x)
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return to_numpy(x) if DEVICE != "emulator" and isinstance(x, cupy.ndarray) else x


def same_as_the_reference(mine, other):
    """Where array code computed it: bit for bit, but for a GPU, whose mathematics rounds in its own way."""
    for one, two in zip(mine, other, strict=True):
        if isinstance(one, tuple):
            same_as_the_reference(one, two)
        elif DEVICE == "cuda" and one is not None:
            one = np.asarray(one)
            assert_close(one, np.asarray(two, "float64"), PRECISIONS.get(one.dtype.name, 1e-12))
        else:
            assert one is two is None or np.asarray(one).tobytes() == np.asarray(two).tobytes()


# --- tables ------------------------------------------------------------------------------------------------------------------------

class Carried:
    """An operation on the GPU, for NumPy's arrays. Its cache stays there."""

    def __init__(self, op):
        self.op, self.flops = op, op.flops

    def forward(self, *arrays, **options):
        y, cache = self.op.forward(*map(lift, arrays), **{name: lift(value) for name, value in options.items()})
        return lower(y), cache

    def backward(self, dy, cache, into=None):
        if into is None:
            return lower(self.op.backward(lift(dy), cache))
        there = lift(into)
        gradients, homes = self.op.backward(lift(dy), cache, into=there), {}
        for home, array in zip(*((x if isinstance(x, tuple) else (x,)) for x in (into, there)), strict=True):
            if home is not None:
                home[...] = to_numpy(array)
                homes[id(array)] = home
        return tuple(homes[id(x)] if id(x) in homes else lower(x) for x in gradients)


def carried_update(update):
    """What it changes in place comes back."""
    @functools.wraps(update)
    def run(*arguments, **options):
        given = [*arguments, *options.values()]
        there = list(map(lift, given))
        result = update(*there[:len(arguments)], **dict(zip(options, there[len(arguments):], strict=True)))
        for home, array in zip(given, there, strict=True):
            if isinstance(home, np.ndarray):
                home[...] = to_numpy(array)
        return lower(result)
    return run


def carried(on_gpu):
    methods = {name: carried_update(getattr(on_gpu, name)) for name in UPDATES}
    methods["clip"] = functools.partial(updates.clip, square_norm=methods["square_norm"])    # the host waits for the norm, here and there
    kind = type("CarriedTable", (Ops,), {name: staticmethod(method) for name, method in methods.items()})
    return kind(**{name: Carried(getattr(on_gpu, name)) for name in Ops.names()})


def fresh():
    """KERNELS anew: one that has warned of nothing yet."""
    return table(EMULATOR) if DEVICE == "emulator" else carried(table(BACKEND))


if DEVICE == "emulator":
    TABLE = KERNELS = EMULATED
elif DEVICE == "cuda":
    import cupy
    cupy.cuda.set_allocator(None)                # each array has an allocation of its own, whose ends compute-sanitizer knows
    BACKEND, TABLE, to_numpy = GPU, CUDA, cupy.asnumpy
    view = lambda memory, at, x: cupy.ndarray(x.shape, x.dtype, memory.data + at, x.strides)                     # noqa: E731
else:
    import standin as cupy
    import standin_cublaslt
    sys.modules["cupy"] = cupy
    INSTALLED = contextlib.ExitStack()           # for good
    INSTALLED.enter_context(cupy.special_functions())
    INSTALLED.enter_context(standin_cublaslt.installed())
    BACKEND, to_numpy = GPU._replace(arrays="standin"), cupy.to_numpy
    TABLE = table(BACKEND)
    view = lambda memory, at, x: cupy.ndarray(x.shape, x.dtype, memory.data + at, x.strides)                     # noqa: E731
if DEVICE != "emulator":
    KERNELS = carried(TABLE)
