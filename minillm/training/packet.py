"""Named arrays side by side in one buffer, so that one copy moves them all from the host to the GPU, or back.

    packet = Packet({"tokens": ((8, 1024), "int64"), "first_row": ((), "int64")}, make)
    packet.tokens[...] = …                       views, as ordinary arrays
    packet.buffer                                the bytes; two packets of the same fields lie alike

`make(size)` gives the buffer: so many bytes on the GPU, or on the host in pinned memory, which the GPU can read while the host does other
things. From ordinary memory a copy would wait: the system may move such memory about.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

ALIGNMENT = 256     # bytes


class Packet:
    def __init__(self, fields: Mapping[str, tuple[tuple[int, ...], Any]], make: Callable[[int], Any]):
        starts, end = {}, 0
        for name, (shape, dtype) in fields.items():
            starts[name] = end
            end += -(-prod(shape) * np.dtype(dtype).itemsize // ALIGNMENT) * ALIGNMENT
        self.buffer = make(end)
        for name, (shape, dtype) in fields.items():
            size = prod(shape) * np.dtype(dtype).itemsize
            setattr(self, name, self.buffer[starts[name]:starts[name] + size].view(dtype).reshape(shape))
