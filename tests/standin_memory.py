"""The stand-in's GPU memory: one heap, CuPy's allocators above it. See standin_cuda.py.

Memory is the host's, at its real addresses, so that the emulator's kernels find it. It is filled with 0xff, NaN in every floating-point
type, when it is fresh and when it is freed: a number read too early or too late shows. The heap is reserved once and never given back, so
that a graph which reads memory that was freed since finds NaN there, and not a hole.

`MemoryPointer` and `UnownedMemory` are CuPy's own: they work without a GPU. `MemoryPool` follows CuPy's: sizes rounded up to 512 bytes,
blocks of a stream kept when freed, the smallest that fits taken and split, neighbours merged, only whole pieces given back.
"""

import bisect
import contextlib
import ctypes
import mmap
import threading

import cupy
import standin_streams as streams
from cupy.cuda import MemoryPointer, UnownedMemory
from cupy.cuda.memory import OutOfMemoryError
from cupy.cuda.runtime import CUDARuntimeError

UNIT = 512                                       # what CuPy rounds sizes up to
RESERVED = 32 * 2**30                            # of addresses: pages cost nothing until they are written
OUT_OF_MEMORY = 2                                # cudaErrorMemoryAllocation


# --- the heap ------------------------------------------------------------------------------------------------------------------

class Heap:
    """First fit, in a reserved range."""

    def __init__(self):
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        self.range = mmap.mmap(-1, RESERVED, flags=kind)
        begin = -(-ctypes.addressof(ctypes.c_char.from_buffer(self.range)) // UNIT) * UNIT
        self.gaps = [(begin, RESERVED - UNIT)]   # sorted: (address, size)
        self.taken, self.used = {}, 0            # taken: size by address
        self.total = 140 * 2**30                 # what this GPU claims to have: a test may set it

    def malloc(self, size):
        for stream in streams._capturing:        # CuPy captures in relaxed mode, in which this is allowed
            if stream.capture.mode != cupy.cuda.runtime.streamCaptureModeRelaxed:
                streams.refuse(stream.capture, streams.UNSUPPORTED)
        size = -(-size // UNIT) * UNIT
        found = next((i for i, gap in enumerate(self.gaps) if gap[1] >= size), None)
        if found is None or self.used + size > self.total:
            raise CUDARuntimeError(OUT_OF_MEMORY)
        address, room = self.gaps.pop(found)
        if room > size:
            self.gaps.insert(found, (address + size, room - size))
        self.taken[address] = size
        self.used += size
        ctypes.memset(address, 0xff, size)
        return address

    def free(self, address):
        """CUDA waits for all work before."""
        for queue in streams._queues.values():
            queue.run()
        size = self.taken.pop(address)
        self.used -= size
        ctypes.memset(address, 0xff, size)
        i = bisect.bisect(self.gaps, (address, 0))
        self.gaps.insert(i, (address, size))
        for j in (i, i - 1):                     # with the gap behind, with the gap before
            if 0 <= j < len(self.gaps) - 1 and sum(self.gaps[j]) == self.gaps[j + 1][0]:
                self.gaps[j:j + 2] = [(self.gaps[j][0], self.gaps[j][1] + self.gaps[j + 1][1])]


heap = Heap()


# --- pointers that free --------------------------------------------------------------------------------------------------------

class Owner(streams.Mortal):
    def __init__(self, free, arguments):
        self.free, self.arguments = free, arguments

    def __del__(self):
        if not self.over:
            self.free(*self.arguments)


def owned(address, size, free, *arguments):
    """A MemoryPointer, after whose end free(*arguments) is called."""
    return MemoryPointer(UnownedMemory(address, size, Owner(free, arguments), 0), 0)


def _malloc(size):
    """cudaMalloc, without a pool."""
    if size == 0:
        return MemoryPointer(UnownedMemory(0, 0, None, 0), 0)
    address = heap.malloc(size)
    return owned(address, size, heap.free, address)


class PythonFunctionAllocator:
    def __init__(self, malloc_func, free_func):
        self._malloc_func, self._free_func = malloc_func, free_func

    def malloc(self, size):
        if size == 0:
            return _malloc(0)
        address = self._malloc_func(size, 0)
        return owned(address, size, self._free_func, address, 0)


# --- the pool ------------------------------------------------------------------------------------------------------------------

class Chunk:
    """A piece of `whole`, which the heap gave; before and behind: the neighbouring pieces of the same."""

    def __init__(self, address, size, stream, whole):
        self.address, self.size, self.stream, self.whole = address, size, stream, whole
        self.before = self.behind = None


class MemoryPool:
    def __init__(self, allocator=None):
        self._allocator = allocator or _malloc
        self._free, self._limit, self._total, self._used = [], 0, 0, 0

    def malloc(self, size):
        if size == 0:
            return _malloc(0)
        rounded, stream = -(-size // UNIT) * UNIT, streams.get_current_stream().ptr
        chunk = self._cached(rounded, stream) or self._fresh(rounded, stream)
        self._used += chunk.size
        return owned(chunk.address, chunk.size, self._give_back, chunk)

    def _cached(self, size, stream):
        fitting = [chunk for chunk in self._free if chunk.stream == stream and chunk.size >= size]
        if not fitting:
            return None
        chunk = min(fitting, key=lambda chunk: chunk.size)
        self._free.remove(chunk)
        if chunk.size > size:
            rest = Chunk(chunk.address + size, chunk.size - size, stream, chunk.whole)
            rest.before, rest.behind, chunk.behind, chunk.size = chunk, chunk.behind, rest, size
            if rest.behind:
                rest.behind.before = rest
            self._free.append(rest)
        return chunk

    def _fresh(self, size, stream):
        if self._limit and self._total + size > self._limit:
            raise OutOfMemoryError(size, self._total, self._limit)
        for last in (False, True):
            try:
                whole = self._allocator(size)
                break
            except CUDARuntimeError as problem:
                if problem.status != OUT_OF_MEMORY:
                    raise
                if last:
                    raise OutOfMemoryError(size, self._total, self._limit) from None
                self.free_all_blocks()
        self._total += size
        return Chunk(whole.ptr, size, stream, whole)

    def _give_back(self, chunk):
        self._used -= chunk.size
        if chunk.behind in self._free:
            self._merge(chunk, chunk.behind)
        if chunk.before in self._free:
            chunk = self._merge(chunk.before, chunk)
        if chunk not in self._free:
            self._free.append(chunk)

    def _merge(self, chunk, behind):
        if behind in self._free:
            self._free.remove(behind)
        chunk.size, chunk.behind = chunk.size + behind.size, behind.behind
        if chunk.behind:
            chunk.behind.before = chunk
        return chunk

    def free_all_blocks(self, stream=None):
        kept = [chunk for chunk in self._free if chunk.before or chunk.behind or stream is not None and stream.ptr != chunk.stream]
        self._total -= sum(chunk.size for chunk in self._free if chunk not in kept)
        self._free = kept

    def set_limit(self, size=None, fraction=None):
        self._limit = size if size is not None else int((fraction or 0) * heap.total)

    def get_limit(self):
        return self._limit

    def used_bytes(self):
        return self._used

    def free_bytes(self):
        return sum(chunk.size for chunk in self._free)

    def total_bytes(self):
        return self._total

    def n_free_blocks(self):
        return len(self._free)


# --- the allocator in force ----------------------------------------------------------------------------------------------------

_pool = MemoryPool()
_everywhere, _here = _pool.malloc, threading.local()


def get_default_memory_pool():
    return _pool


def get_allocator():
    return getattr(_here, "allocator", None) or _everywhere


def set_allocator(allocator=None):
    global _everywhere
    if getattr(_here, "allocator", None) is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager")
    _everywhere = allocator or _malloc


@contextlib.contextmanager
def using_allocator(allocator=None):
    before, _here.allocator = getattr(_here, "allocator", None), allocator or _malloc
    try:
        yield
    finally:
        _here.allocator = before


def alloc(size):
    return get_allocator()(size)


def reset():
    """A fresh pool and CuPy's usual allocator. Arrays that are still there keep their memory."""
    global _pool, _everywhere
    _pool, heap.total = MemoryPool(), 140 * 2**30
    _everywhere = _pool.malloc
    _here.__dict__.clear()
