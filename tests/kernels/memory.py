"""Arrays in the middle of NaN: what a kernel reads beside its input shows in its result, and what it writes beside its output shows here."""

import contextlib

import numpy as np
from kernels import device

from minillm.kernels.launcher import Launcher

MARGIN = 64                                      # bytes of NaN on either side


def poison(count, dtype):
    """Numbers that spoil whatever they get into: NaN, or of ints the most negative."""
    dtype = np.dtype(dtype)
    return np.full(count, np.iinfo(dtype).min if dtype.kind in "iu" else np.nan, dtype)


def surrounded(shape, dtype, offset=0):
    """(array, check): an array of poison that begins `offset` numbers behind a multiple of 64 bytes; check() fails if anything around
    it was written."""
    dtype, count = np.dtype(dtype), int(np.prod(shape))
    margin = MARGIN // dtype.itemsize
    memory = poison(count + 4 * margin + offset, dtype)
    start = margin + (-(memory.ctypes.data // dtype.itemsize) % margin) + offset
    before = memory.tobytes()

    def check():
        now = memory.tobytes()
        end = start + count
        assert now[:start * dtype.itemsize] == before[:start * dtype.itemsize], "a kernel wrote before the beginning of its output"
        assert now[end * dtype.itemsize:] == before[end * dtype.itemsize:], "a kernel wrote behind the end of its output"

    return memory[start:start + count].reshape(shape), check


def embedded(x, offset=0):
    """A copy of x in the middle of NaN."""
    if not isinstance(x, np.ndarray):
        return x
    copy, _ = surrounded(x.shape, x.dtype, offset)
    copy[...] = x
    return copy


@contextlib.contextmanager
def poisoned_outputs(offset=0):
    """Whatever the launch code allocates inside is full of NaN and surrounded by it; checked at the end."""
    checks, empty = [], Launcher.empty

    def poisoned(self, like, shape, dtype=None):
        on_host = isinstance(like, np.ndarray)
        if not on_host and device.DEVICE == "emulator":
            return empty(self, like, shape, dtype)
        array, check = surrounded(shape, like.dtype if dtype is None else dtype, offset)
        if not on_host:
            array, check = device.carry(array)
        checks.append(check)
        return array

    Launcher.empty = poisoned
    try:
        yield
    finally:
        Launcher.empty = empty
    for check in checks:
        check()
