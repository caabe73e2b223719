"""How long each operation takes, in the running program, and how many bytes it can't avoid moving.

>>> import numpy as np
>>> from minillm import Config, Transformer
>>> tokens, times = np.zeros((2, 16), int), Times()
>>> model = Transformer(Config(vocab_size=100, d_model=32, num_layers=4, num_heads=4, d_ff=64, max_seq_len=16))
>>> _ = model.with_ops(timing(model.ops, times)).loss_and_grads(tokens, tokens)
>>> times.by_op["linear"].calls                        # 4 layers of 7 matrices, forward and backward
56

Bytes are those of the arrays that a call is given and of those that it hands back, each once: what would move between memory and the
processor if nothing else were ever stored. Real traffic is more where an operation makes arrays on its way, and less where its inputs are
still in a cache. Tables that only a few rows are looked up in count for those rows.

Seconds are summed over threads: two threads that are busy for a second each make two. On a GPU they are the GPU's own: it is told to
note the time before an operation and behind it, nobody waits, and the notes are read when the sums are asked for.
"""

import time
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

import numpy as np

from ..arrays import here, xp
from ..ops import Ops
from .activations import arrays

LOOKUPS = ("embedding", "learned_positions")


@dataclass(frozen=True)
class Spent:
    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class Times:
    """What every call took: (place, operation, "forward" or "backward", Spent), in the order in which they ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, Spent]] = []       # only ever appended to, which threads may do at once
        self.unread: list[tuple[int, Clock]] = []                # of calls on a GPU: which call, and its clock

    def note(self, what: tuple[str, str, str], bytes: int, clock: "Clock") -> None:
        if clock.on_gpu:
            self.unread.append((len(self.calls), clock))
        self.calls.append((*what, Spent(1, 0.0 if clock.on_gpu else clock.read(), bytes)))

    def settle(self) -> None:
        """Reads the GPU's clocks, when it has come so far."""
        for number, clock in self.unread:
            *what, spent = self.calls[number]
            self.calls[number] = (*what, replace(spent, seconds=clock.read()))
        self.unread.clear()

    @property
    def by_op(self) -> dict[str, Spent]:
        return self.sums(1)

    @property
    def by_phase(self) -> dict[str, Spent]:
        return self.sums(2)

    @property
    def by_layer(self) -> dict[str, Spent]:
        return self.sums(0)

    def sums(self, position: int) -> dict[str, Spent]:
        self.settle()
        made: dict[str, Spent] = {}
        for call in self.calls:
            made[call[position]] = made.get(call[position], Spent()) + call[3]
        return made


def timing(ops: Ops, times: Times) -> Ops:
    """The same table, where every call of an operation is timed. What is fused from others is timed as one."""
    return replace(ops, **{field.name: _Timed(field.name, getattr(ops, field.name), times) for field in fields(ops)})


class _Timed:
    def __init__(self, name: str, op: Any, times: Times):
        self.name, self.op, self.times, self.flops = name, op, times, op.flops

    def forward(self, *inputs: Any, **options: Any) -> tuple:
        clock = Clock(module_of(inputs))
        y, cache = self.op.forward(*inputs, **options)
        clock.stop()
        self.note("forward", clock, (inputs, tuple(options.values())), y)
        return y, cache

    def backward(self, dy: Any, cache: Any, **options: Any) -> tuple:
        clock = Clock(module_of((dy, cache)))
        gradients = self.op.backward(dy, cache, **options)
        clock.stop()
        self.note("backward", clock, (dy, cache), gradients)
        return gradients

    def note(self, direction: str, clock: "Clock", given: Any, made: Any) -> None:
        if self.name in LOOKUPS:                 # not the whole table: as many rows as there are tokens
            moved = 2 * (made if direction == "forward" else given[0]).nbytes
        else:
            moved = sum({(address(array), array.nbytes): array.nbytes for _, array in arrays([given, made])}.values())
        self.times.note((here(), self.name, direction), moved, clock)


def address(array: Any) -> int:
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


class Clock:
    """Goes from when it is made until it is stopped: the host's, or for the module of a GPU's arrays a pair of its events."""

    def __init__(self, np: Any):
        self.np, self.on_gpu = np, hasattr(np, "cuda")
        self.began, self.end = self.now(), None

    def now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = self.np.cuda.Event()
        event.record()
        return event

    def stop(self) -> None:
        self.end = self.now()

    def read(self) -> float:
        """The seconds between. Waits until a GPU has come so far."""
        if not self.on_gpu:
            return self.end - self.began
        self.end.synchronize()
        return self.np.cuda.get_elapsed_time(self.began, self.end) / 1000


def module_of(given: Any) -> Any:
    """NumPy, or the module of a GPU's arrays if there is one among these."""
    return next((xp(array) for _, array in arrays(given) if not isinstance(array, np.ndarray)), np)
