"""CUDA kernels without a GPU: the same .cu code, compiled for this CPU, with the calling convention of CuPy.

    module = RawModule(code=r'''
        extern "C" __global__ void double_it(const float* x, float* y, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) y[i] = 2 * x[i];
        }''')
    kernel = module.get_function("double_it")
    kernel((4,), (32,), (x, y, numpy.int32(len(x))))         grid, block, arguments: NumPy arrays and NumPy's numbers;
                                                             numpy.uintp(0) is a null pointer

Each CUDA thread is a fiber; barriers, shuffles and tensor-core instructions really wait for their partners (include/block.h). A barrier
that not all threads reach, or a warp that waits for itself, is an error with the line where it stands. With

    with settings(checked=True): …       every access to memory is checked too: bounds, races, uninitialised shared memory
    with settings(seed=3): …             the threads take turns in another order; 0 is the plain one

It is for learning and for tests: a kernel that passes here computes the right thing on a GPU, but how fast, nobody knows.
"""

import contextlib
import contextvars
import ctypes
import re
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import compiler
from .compiler import CompilerMissing, KernelError

__all__ = ["CompilerMissing", "Kernel", "KernelError", "RawModule", "settings"]

MOST_THREADS, MOST_SHARED, SHARED_UNASKED = 1024, 227 * 1024, 48 * 1024


class Settings(NamedTuple):
    seed: int = 0                    # of the order in which threads take turns
    checked: bool = False            # whether every access to memory is checked


_settings = contextvars.ContextVar("settings", default=Settings())


@contextlib.contextmanager
def settings(**changes: Any) -> Iterator[None]:
    """How kernels run inside: `with settings(seed=1, checked=True): …`."""
    token = _settings.set(_settings.get()._replace(**changes))
    try:
        yield
    finally:
        _settings.reset(token)


class RawModule:
    """What cupy.RawModule is on a GPU. Compiles when a kernel first runs."""

    def __init__(self, code: str, *, options: tuple[str, ...] = ()):
        self.code, self.options = code, tuple(options)
        self.bounds = {name: bounds for bounds, name in compiler.KERNEL.findall(code)}
        self.lock = threading.Lock()             # a library runs one kernel at a time: shared memory is a variable of it
        self.libraries = {}

    def get_function(self, name: str) -> "Kernel":
        if name not in self.bounds:
            raise ValueError(f'The code has no kernel {name}. Those marked extern "C" __global__ are: {", ".join(self.bounds) or "none"}.')
        return Kernel(self, name, self.bounds[name])

    def library(self, checked: bool) -> ctypes.CDLL:
        with self.lock:
            if checked not in self.libraries:
                self.libraries[checked] = compiler.library(self.code, self.options, checked)
            return self.libraries[checked]


class _Launch(ctypes.Structure):                 # block.h: struct Launch
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("dynamic_shared", ctypes.c_ulonglong), ("seed", ctypes.c_uint),
                ("num_regions", ctypes.c_uint), ("arguments", ctypes.c_void_p), ("regions", ctypes.c_void_p)]


class _Region(ctypes.Structure):                 # block.h: struct Region
    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("cells", ctypes.c_void_p)]


class Kernel:
    def __init__(self, module: RawModule, name: str, bounds: str = ""):
        self.module, self.name = module, name
        self.max_threads = int(bounds) if bounds.strip().isdecimal() else MOST_THREADS
        self.max_dynamic_shared_size_bytes = SHARED_UNASKED          # as in CuPy: to use more, set it first
        self.signatures = {}

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        grid, block = ((*map(int, sizes), 1, 1)[:3] for sizes in (grid, block))
        self._refuse(grid, block, shared_mem)
        settings = _settings.get()
        library = self.module.library(settings.checked)
        values = self._values(library, args)
        addresses = (ctypes.c_void_p * max(1, len(values)))(*(value.ctypes.data for value in values))
        regions, owners = _regions(args)
        launch = _Launch(grid, block, shared_mem, settings.seed, len(regions), ctypes.addressof(addresses), ctypes.addressof(regions))
        run = library[f"emulator_launch_{self.name}"]
        run.restype = ctypes.c_char_p
        with self.module.lock:
            problem = run(ctypes.byref(launch))
        if problem is not None:
            raise KernelError(f"{self.name}: {_readable(problem.decode(), library._name, args, owners)}")

    def _refuse(self, grid: tuple, block: tuple, shared_mem: int) -> None:
        if min(grid) < 1 or grid[0] >= 2**31 or max(grid[1:]) > 65535:
            raise ValueError(f"{self.name}: a grid of {grid} blocks can't be launched: each size is at least 1, the first below 2³¹, "
                             f"the others at most 65,535.")
        if min(block) < 1 or block[2] > 64 or block[0] * block[1] * block[2] > self.max_threads:
            raise ValueError(f"{self.name}: a block of {block} threads can't be launched; this kernel takes 1 to {self.max_threads} threads.")
        if shared_mem > min(self.max_dynamic_shared_size_bytes, MOST_SHARED):
            raise ValueError(f"{self.name}: {shared_mem:,} bytes of dynamic shared memory were asked for; allowed are "
                             f"{self.max_dynamic_shared_size_bytes:,}. Set max_dynamic_shared_size_bytes for more, at most {MOST_SHARED:,}.")

    def _values(self, library: ctypes.CDLL, args: tuple) -> list[np.ndarray]:
        """Each argument's value in memory: a number, or an array's address."""
        if library._name not in self.signatures:
            asked = library[f"emulator_signature_{self.name}"]
            asked.restype = ctypes.c_char_p
            self.signatures[library._name] = asked().decode().split(",")[:-1]
        parameters = self.signatures[library._name]
        if len(args) != len(parameters):
            raise TypeError(f"{self.name} takes {len(parameters)} arguments, not {len(args)}.")
        return [_value(f"{self.name}: argument {i}", arg, parameter) for i, (arg, parameter) in enumerate(zip(args, parameters, strict=True))]


def _value(name: str, arg: Any, parameter: str) -> np.ndarray:
    """`parameter`: its C type, "*f4" for float*, "i4" for int."""
    if isinstance(arg, np.ndarray):
        given, value = "*" + _code(arg.dtype), np.uintp(arg.ctypes.data)
    elif isinstance(arg, (np.generic, bool, int, float)):
        value = arg if isinstance(arg, np.generic) else np.array(arg)[()]        # a Python int is 8 bytes, as for CuPy
        given = _code(value.dtype)
    else:
        raise TypeError(f"{name} must be a NumPy array or a number, not {type(arg).__name__}. An absent array is numpy.uintp(0).")
    if given != parameter and not _fits(given, parameter, value):
        raise TypeError(f"{name} is {_words(given)}, but the kernel takes {_words(parameter)}.")
    return np.array(value)


def _fits(given: str, parameter: str, value: np.generic) -> bool:
    """A null pointer is any array; float4* and void* take arrays of any type."""
    null = parameter.startswith("*") and given == "u8" and int(value) == 0
    return null or given.startswith("*") and parameter.startswith(("*v", "*s"))


def _code(dtype: np.dtype) -> str:
    return ("E" if dtype.name == "bfloat16" else dtype.kind if dtype.kind != "b" else "b") + str(dtype.itemsize)


def _words(code: str) -> str:
    kinds = {"f": "float", "i": "int", "u": "uint", "b": "bool", "E": "bfloat"}
    kind, size = code.lstrip("*")[:1], code.lstrip("*")[1:]
    word = f"{kinds[kind]}{8 * int(size)}" if kind in kinds else "something else"
    return f"an array of {word}" if code.startswith("*") else f"the number {word}"


def _regions(args: tuple) -> tuple[Any, list[list[int]]]:
    """The memory that the arrays cover, arrays that overlap as one, and the numbers of the arguments in each."""
    covered = sorted((*np.lib.array_utils.byte_bounds(arg), i) for i, arg in enumerate(args) if isinstance(arg, np.ndarray) and arg.size)
    regions, owners = [], []
    for begin, end, i in covered:
        if regions and begin < regions[-1].end:
            regions[-1].end = max(end, regions[-1].end)
            owners[-1].append(i)
        else:
            regions.append(_Region(begin, end, None))
            owners.append([i])
    return (_Region * max(1, len(regions)))(*regions), owners


def _readable(problem: str, path: str, args: tuple, owners: list[list[int]]) -> str:
    """Lines of the source for @instructions@, and arguments for #numbers of regions#."""
    lines = compiler.lines(path, re.findall(r"@(\w+)@", problem))
    problem = re.sub(r"@(\w+)@", lambda found: lines[found[1]], problem)
    return re.sub(r"#(\d+)#", lambda found: " and ".join(
        f"{i} ({args[i].dtype}, shape {args[i].shape})" for i in owners[int(found[1])]) if int(found[1]) < len(owners) else "", problem)
