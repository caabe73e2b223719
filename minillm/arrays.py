"""The ground floor: NumPy or CuPy, dtypes, shapes in signatures, threads, and what an operation says it costs.

Every operation is written once, over whichever array module its arguments come from:

    xp(x)          the module that x belongs to: numpy, or cupy when x lives on a GPU
    wide(x)        x in the precision that sums are made in: 16-bit numbers as float32, the others as they are
    Float[Any, "b t d"]    a signature's shape: any array of floats with three axes; equal letters, equal sizes
"""

import contextlib
import contextvars
import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import erfc, log
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Any", "Bool", "Float", "Int", "Flops", "Turns", "Work", "add_at", "added", "bfloat16", "blas_threads", "erf", "here",
           "in_threads", "in_turn", "num_threads", "on_host", "place", "reuse_memory", "rows_of", "set_num_threads", "wide", "xp"]

bfloat16 = np.dtype(ml_dtypes.bfloat16)


# --- arrays ----------------------------------------------------------------------------------------------------------

def xp(x: Any) -> ModuleType:
    """The array module of x. Told by the type's own module, so that a machine without CuPy never looks for it."""
    return np if isinstance(x, np.ndarray) else sys.modules[type(x).__module__.partition(".")[0]]


def wide(x: Any) -> Any:
    """x in the precision for sums: float16 and bfloat16 become float32, everything else is x itself."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def on_host(x: Float[Any, "..."]) -> Float[np.ndarray, "..."]:
    """x as a NumPy array: itself, or a GPU's copied over, for which the host waits."""
    return x if isinstance(x, np.ndarray) else x.get()


def rows_of(x: Any) -> Any:
    """x as a matrix: all leading axes folded into one."""
    return x.reshape(-1, x.shape[-1])


def added(gradient: Any, into: Any) -> Any:
    """A weight's gradient: itself, or, where the caller collects gradients, the array `into` with it added."""
    if into is None:
        return gradient
    into += gradient
    return into


def add_at(target: Float[Any, "v d"], ids: Int[Any, "n"], rows: Float[Any, "n d"]) -> None:
    """target[ids[i]] += rows[i] for every i, also where ids repeat. On the CPU in order, so the same bits every time; CuPy adds in any
    order, so a GPU that needs the same bits runs a kernel of its own."""
    if not isinstance(target, np.ndarray):
        return xp(target).add.at(target, ids, rows)
    for i, row in zip(ids.tolist(), rows):       # 2 to 12 times faster than np.add.at on whole rows
        target[i] += row


# --- the error function, which NumPy lacks -----------------------------------------------------------------------------

ERF_END = 6.0       # beyond it erf(x) is 1 to the last bit of a float64


@functools.cache
def _erf_coefficients() -> tuple[float, ...]:
    """With t = 2/(2 + x): erfc(x) = t · exp(−x² + P(t)). P is smooth, so 20 Chebyshev terms give it to 1e-15."""
    end = 2 / (2 + ERF_END)

    def p(u: float) -> float:
        t = (u * (1 - end) + 1 + end) / 2
        x = 2 / t - 2
        return log(erfc(x) / t) + x * x

    return tuple(np.polynomial.chebyshev.chebinterpolate(np.vectorize(p), 20).tolist())


def erf(x: Float[Any, "..."]) -> Float[Any, "..."]:
    """2/√π ∫₀ˣ exp(−s²) ds, to about 1e-15."""
    if not isinstance(x, np.ndarray):
        import cupyx.scipy.special
        return cupyx.scipy.special.erf(x)
    size = np.minimum(np.abs(x), x.dtype.type(ERF_END))
    end = 2 / (2 + ERF_END)
    t = 2 / (2 + size)
    u = (2 * t - (1 + end)) / (1 - end)
    later, latest = np.zeros_like(x), np.zeros_like(x)       # Clenshaw's recurrence: the sum of c_k T_k(u), from the last term
    for c in reversed(_erf_coefficients()[1:]):
        later, latest = 2 * u * later - latest + c, later
    p = u * later - latest + _erf_coefficients()[0]
    return np.copysign(1 - t * np.exp(p - size * size), x)


# --- what an operation says it costs -------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Work:
    """Floating-point operations. A multiply-add in a matrix product counts 2; an elementwise operation, or a term of a
    sum, counts 1, whether it adds or takes a logarithm. `needed` is what the mathematics asks of the matrix products,
    where the algorithm does more (it computes whole blocks, or computes something twice)."""

    matmul: int = 0
    elementwise: int = 0
    needed: int | None = None

    def __post_init__(self) -> None:
        if self.needed is None:
            object.__setattr__(self, "needed", self.matmul)

    def __add__(self, other: "Work") -> "Work":
        return Work(self.matmul + other.matmul, self.elementwise + other.elementwise, self.needed + other.needed)

    def __mul__(self, times: int) -> "Work":
        return Work(self.matmul * times, self.elementwise * times, self.needed * times)


@dataclass(frozen=True)
class Flops:
    """What one call of an operation costs: forward, and backward by the gradient it makes ("dx", "dw", …). Work that
    several gradients share is booked under the name "shared"."""

    forward: Work
    backward: dict[str, Work]

    @property
    def backward_total(self) -> Work:
        return sum(self.backward.values(), Work())


# --- where in the model we are -------------------------------------------------------------------------------------------

_place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="")


@contextlib.contextmanager
def place(name: str) -> Iterator[None]:
    """Names the part of the model that runs inside, for whoever watches the operations: `with place("layers.3"): …`."""
    token = _place.set(f"{_place.get()}.{name}".lstrip("."))
    try:
        yield
    finally:
        _place.reset(token)


def here() -> str:
    """The place that is running now: "layers.3", or "" outside of any."""
    return _place.get()


# --- memory ----------------------------------------------------------------------------------------------------------------

@functools.cache
def reuse_memory() -> None:
    """Makes the C library keep freed memory for the next array instead of returning it to the system. Linux hands out memory page by
    page and zeroed, at the first touch; a training step makes and frees hundreds of large arrays, and would pay that for each:
    −20 % to −40 % step time. For a process that trains, not for a library's import; without glibc nothing happens."""
    import ctypes
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    mallopt(-8, 1)              # M_ARENA_MAX: one heap for all threads, which may grow
    mallopt(-4, 0)              # M_MMAP_MAX: nothing is mapped apart from that heap
    mallopt(-1, 2**31 - 1)      # M_TRIM_THRESHOLD: freed memory at its end stays
    mallopt(-2, 2**26)          # M_TOP_PAD: it grows in steps of 64 MiB


# --- threads ---------------------------------------------------------------------------------------------------------------

def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:                       # macOS has no affinity
        return os.cpu_count() or 1


_threads = int(os.environ.get("MINILLM_THREADS", 0)) or _cores()
_busy = contextvars.ContextVar("busy", default=False)


def num_threads() -> int:
    return _threads


def set_num_threads(n: int) -> None:
    """How many threads `in_threads` uses from now on."""
    global _threads
    if n < 1:
        raise ValueError(f"The number of threads must be 1 or more, not {n}.")
    _threads = n


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="minillm")


def in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """[function(item) for item in items], on several threads at once: NumPy lets go of Python's lock inside its loops.
    Called from inside such a thread it runs the items one after another, since the cores are already taken."""
    items = list(items)
    if _threads == 1 or len(items) < 2 or _busy.get():
        return [function(item) for item in items]

    def run(item: Any) -> Any:
        _busy.set(True)
        return function(item)

    started = [_pool(_threads).submit(contextvars.copy_context().run, run, item) for item in items]
    return [future.result() for future in started]


class Turns:
    """The order in which threads add to arrays that they share: for each array number 0 first, then number 1, and so on, and from the
    last again to number 0, so that a sum has the same bits every time. Each array has turns of its own: number 1 adds to one while
    number 0 is already at the next."""

    def __init__(self, count: int):
        self.added = [Counter() for _ in range(count)]      # how often each number has added to each array
        self.left = [False] * count
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, number: int) -> Iterator[None]:
        """Inside, `in_turn` waits for the number before."""
        token = _take_turn.set(functools.partial(self._take, number))
        try:
            yield
        finally:
            _take_turn.reset(token)
            with self.changed:                   # also after an error: nobody shall wait for it
                self.left[number] = True
                self.changed.notify_all()

    @contextlib.contextmanager
    def _take(self, number: int, array: Any) -> Iterator[None]:
        mine, before = self.added[number], self.added[number - 1]       # before number 0 comes the last one, with the round before
        with self.changed:
            self.changed.wait_for(lambda: self.left[number - 1] or before[id(array)] - mine[id(array)] == (number > 0))
        try:
            yield
        finally:
            with self.changed:
                mine[id(array)] += 1
                self.changed.notify_all()


_take_turn: contextvars.ContextVar[Callable | None] = contextvars.ContextVar("take_turn", default=None)


def in_turn(array: Any) -> contextlib.AbstractContextManager:
    """`with in_turn(dw): …` around what adds to an array that slices of a batch may share. Where there are none, nobody waits."""
    take = _take_turn.get()
    return contextlib.nullcontext() if take is None else take(array)


@functools.cache
def _blas() -> Any:
    """None without threadpoolctl, as on a machine for GPU work where nothing can be installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def blas_threads(n: int) -> contextlib.AbstractContextManager:
    """`with blas_threads(1): …` holds the matrix products inside to n threads each. Without threadpoolctl each takes as many as its library
    likes: slower, and not wrong."""
    return contextlib.nullcontext() if _blas() is None else _blas().limit(limits=n, user_api="blas")
