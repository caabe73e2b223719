"""cupy.cuda of the stand-in: memory, streams, events and graphs of a GPU that isn't there.

    memory      Arrays lie in what the allocator in force gave them (standin_memory.py): two live arrays that a plan lets overlap really
                spoil each other, and freed memory is really used again. Fresh and freed memory is NaN.
    streams     Copies between pinned memory and the GPU, and graphs, are done as late as CUDA allows (standin_streams.py).
    graphs      What is captured has no effect, and a launch does it again at the same addresses, with the numbers that kernels were
                given by value at the time. What CUDA or CuPy refuse meanwhile is refused: to wait, products by cuBLAS
                (NotImplementedError, as CuPy), sorts (Thrust may wait for the GPU: it promises nothing), transfers from and to
                memory that isn't pinned, cudaMalloc in other modes than "relaxed". By any of these but cuBLAS the capture is lost.
    waiting     is refused, and allowed `with standin.waiting():`. `with standin.watching() as seen:` collects what is handed to the GPU,
                and each wait with the amount of work that was still in the streams after it: 0 is a GPU with nothing to do.
    enqueue     hands over work that goes past CuPy, such as a library called by ctypes: enqueue(function, reads, writes) calls
                function(*reads, *writes) with NumPy arrays at the places of these arrays, now and at each launch of a graph.
    machine     is what the runtime says of driver and GPU: a test may set its fields. heap.total: how much memory there is.

Whatever has no meaning here raises AttributeError, and so does what CuPy's cupy.cuda doesn't have.
"""

import dataclasses
import types

import cupy
import numpy
import standin_memory
import standin_streams
from cupy.cuda import BaseMemory, MemoryPointer, UnownedMemory  # noqa: F401
from cupy.cuda.runtime import CUDARuntimeError
from standin_memory import (MemoryPool, OutOfMemoryError, PythonFunctionAllocator, _malloc, alloc, get_allocator,  # noqa: F401
                            heap, set_allocator, using_allocator)
from standin_streams import Event, ExternalStream, Graph, Stream, get_current_stream, get_elapsed_time, wait  # noqa: F401


# --- the runtime ---------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Machine:
    count: int = 1                               # of GPUs
    name: str = "NVIDIA H200"
    capability: tuple = (9, 0)
    multiprocessors: int = 132
    driver: int = 13000                          # CUDA's version that the driver knows; 0: no driver
    runtime: int = 13000                         # that CuPy was built for
    failure: int = 0                             # the status that everything fails with: 35, the driver is too old or isn't there
    others: int = 0                              # bytes that other processes hold


machine = Machine()


def _works():
    if machine.failure:
        raise CUDARuntimeError(machine.failure)


def getDeviceCount():
    _works()
    return machine.count


def getDeviceProperties(device):
    _works()
    major, minor = machine.capability
    return {"name": machine.name.encode(), "major": major, "minor": minor, "totalGlobalMem": heap.total, "warpSize": 32,
            "multiProcessorCount": machine.multiprocessors, "sharedMemPerBlockOptin": 227 * 1024, "sharedMemPerBlock": 48 * 1024,
            "l2CacheSize": 50 * 2**20, "memoryBusWidth": 6144}


def memGetInfo():
    _works()
    return heap.total - heap.used - machine.others, heap.total


def driverGetVersion():
    return machine.driver


def runtimeGetVersion():
    return machine.runtime


def getDevice():
    _works()
    return 0


def setDevice(device):
    _works()


def deviceSynchronize():
    wait("Device.synchronize", standin_streams.everything)


RUNTIME = (getDeviceCount, getDeviceProperties, memGetInfo, driverGetVersion, runtimeGetVersion, getDevice, setDevice, deviceSynchronize)


class _Module(types.ModuleType):
    """A module of CuPy: these names, and of the real one its numbers and errors."""

    def __init__(self, real, names):
        super().__init__(real.__name__)
        self.__dict__.update(names, _real=real)

    def __getattr__(self, name):
        found = getattr(self._real, name)        # AttributeError: CuPy doesn't have it
        if isinstance(found, (int, str)) or isinstance(found, type) and issubclass(found, Exception):
            return found
        raise AttributeError(f"CuPy has {self._real.__name__}.{name}, but the stand-in doesn't.")


runtime = _Module(cupy.cuda.runtime, {function.__name__: function for function in RUNTIME})
memory = _Module(cupy.cuda.memory, {name: globals()[name] for name in (
    "MemoryPool", "OutOfMemoryError", "PythonFunctionAllocator", "_malloc", "alloc", "get_allocator", "set_allocator",
    "BaseMemory", "MemoryPointer", "UnownedMemory")})
stream = _Module(cupy.cuda.stream, {name: globals()[name] for name in (
    "Event", "ExternalStream", "Stream", "get_current_stream", "get_elapsed_time")})
graph = _Module(cupy.cuda.graph, {"Graph": Graph})


class Device:
    """The one GPU. CuPy's Device has a number, and no hash."""

    __hash__ = cupy.cuda.Device.__hash__

    def __init__(self, device=None):
        self.id = getattr(device, "id", device) or 0

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def __int__(self):
        return self.id

    def use(self):
        return self

    def synchronize(self):
        deviceSynchronize()

    @property
    def compute_capability(self):
        return "%d%d" % machine.capability

    @property
    def mem_info(self):
        return memGetInfo()


def is_available():
    return not machine.failure and machine.count > 0


def get_device_id():
    return getDevice()


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    getattr(cupy.cuda, name)                     # AttributeError: CuPy doesn't have it
    raise AttributeError(f"CuPy has cupy.cuda.{name}, but the stand-in doesn't.")


# --- memory of the host ----------------------------------------------------------------------------------------------------------

class Pinned:
    """Memory that the GPU copies from and to while the host goes on."""

    def __init__(self, size):
        self.bytes = numpy.full(size, 0xff, numpy.uint8)
        self.__array_interface__ = self.bytes.__array_interface__


def empty_pinned(shape, dtype=float, order="C"):
    """cupyx.empty_pinned: an array of NumPy's."""
    shape, dtype = (shape,) if isinstance(shape, int) else tuple(shape), numpy.dtype(dtype)
    size = int(numpy.prod(shape, dtype=int)) * dtype.itemsize
    return numpy.ndarray(shape, dtype, numpy.asarray(Pinned(size)), order=order)


def empty_like_pinned(a, dtype=None, order="K", subok=None, shape=None):
    return empty_pinned(a.shape if shape is None else shape, dtype or a.dtype)


def zeros_pinned(shape, dtype=float, order="C"):
    array = empty_pinned(shape, dtype, order)
    array[...] = 0
    return array


def zeros_like_pinned(a, dtype=None, order="K", subok=None, shape=None):
    return zeros_pinned(a.shape if shape is None else shape, dtype or a.dtype)


def is_pinned(array):
    return isinstance(standin_streams.base_of(array), Pinned)


# --- between host and GPU --------------------------------------------------------------------------------------------------------

def copy_in(target, source, stream):
    """From pinned memory later: what stands there then is copied."""
    stream = stream or get_current_stream()
    if is_pinned(source):
        target = standin_streams.raw(target)
        standin_streams.later("copy in", "set", lambda: numpy.copyto(target, source), [target], stream)
        return
    standin_streams.refuse(stream.capture, standin_streams.UNSUPPORTED)
    wait("set, from memory that isn't pinned", standin_streams._queue(stream.ptr).run)
    standin_streams.saw("copy in", "set")
    target[...] = source


def copy_out(source, target, stream):
    """To pinned memory: what stands on the GPU when it is the copy's turn, and there when the host has waited. Until then NaN."""
    source, stream = standin_streams.raw(source), stream or get_current_stream()
    standin_streams.bytes_of(target)[...] = 0xff

    def copy():
        numbers = source.copy()
        standin_streams._deliveries.append(lambda: numpy.copyto(target, numbers))

    standin_streams.later("copy out", "get", copy, [], stream)


def reset():
    """As if the process had just begun; but arrays keep their memory."""
    standin_streams.reset()
    standin_memory.reset()
    for field in dataclasses.fields(Machine):
        setattr(machine, field.name, field.default)
