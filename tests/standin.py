"""A stand-in for CuPy on machines without a GPU: proof that code written over xp(x) would run on CuPy arrays.

    x = standin.asarray(numpy_array)        what lives "on the GPU"; minillm.arrays.xp(x) is this module
    y = standin.to_numpy(x)                 back, for comparing in a test; CuPy has no such name, so no operation can reach it
    standin.cuda                            cupy.cuda: memory, streams, events, graphs. See standin_cuda.py

Names and signatures are read from the CuPy that is installed (it imports without a GPU): a function that CuPy lacks raises
AttributeError, an argument that CuPy's function doesn't take raises TypeError. NumPy computes the values. An array refuses

    - to become a NumPy array by itself, and to be mixed with one (scalars may be mixed, Python's and NumPy's);
    - whatever makes the host wait for the GPU: bool(x), float(x), x.item(), iterating over scalars, x[mask], unique, …
      (but `with waiting():` it may);
    - within `strict_dtypes()` to compute with two floating-point dtypes at once, or to come out in a third.

Kernels in CUDA C run on the emulator: RawModule is CuPy's, for these arrays. The fixture `gpu` (conftest.py) makes a machine with a GPU of it.

What it can't tell: speed, rounding, the order of atomic additions, and errors in CuPy itself, except that the batched
product of bfloat16 matrices, which crashes in CuPy 14.2, is refused.
"""

import ast
import builtins
import contextlib
import gc
import functools
import inspect
import math
import operator
import re
import sys
import types

import cupy
import cupyx.scipy.special
import ml_dtypes
import numpy
import standin_cuda as cuda
import standin_streams
from standin_cuda import reset  # noqa: F401
from standin_memory import get_default_memory_pool  # noqa: F401
from standin_streams import HostSynchronisation, on_gpu, submit, waiting, watching  # noqa: F401

from minillm.kernels import emulator

_BFLOAT16 = numpy.dtype(ml_dtypes.bfloat16)
_strict = False


# --- lifting and lowering ------------------------------------------------------------------------------------------------------

def to_numpy(x):
    """The values, as a NumPy array that shares nothing; tuples, lists and dicts of arrays as such."""
    if isinstance(x, (tuple, list)):
        values = [to_numpy(one) for one in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    if not isinstance(x, ndarray):
        return x
    if not standin_streams._capturing:
        standin_streams.everything()
    return x._values.copy()


def enqueue(function, reads=(), writes=()):
    """Work that goes past CuPy, in the order of the current stream: function(*reads, *writes), with NumPy's arrays for ours."""
    reads, writes = [_lowered(x) for x in reads], [_lowered(x) for x in writes]
    submit("operation", getattr(function, "__name__", "enqueued"), function, (*reads, *writes), writes=writes)


@contextlib.contextmanager
def strict_dtypes(on=True):
    """Inside, arithmetic on arrays keeps to one floating-point dtype; astype is the only way to another."""
    global _strict
    before, _strict = _strict, on
    try:
        yield
    finally:
        _strict = before


@contextlib.contextmanager
def special_functions():
    """Inside, `import cupyx.scipy.special` finds this stand-in's erf, and `import cupyx` its pinned memory."""
    def erf(x, /, out=None, *, casting="same_kind", dtype=None):
        if out is not None or dtype is not None:
            raise TypeError("The stand-in's erf takes an array and nothing else.")
        _refuse_numpy("cupyx.scipy.special.erf", (x,))
        return _run("erf", lambda x: numpy.array([math.erf(one) for one in x.ravel()], x.dtype).reshape(x.shape), (x,))

    assert isinstance(cupyx.scipy.special.erf, cupy.ufunc)
    special, scipy, top = (types.ModuleType(name) for name in ("cupyx.scipy.special", "cupyx.scipy", "cupyx"))
    special.erf, scipy.special, top.scipy = erf, special, scipy
    for name in ("empty_pinned", "empty_like_pinned", "zeros_pinned", "zeros_like_pinned"):
        assert inspect.signature(getattr(cupyx, name)) == inspect.signature(getattr(cuda, name))
        setattr(top, name, getattr(cuda, name))
    before = {module.__name__: sys.modules[module.__name__] for module in (special, scipy, top)}
    sys.modules.update({module.__name__: module for module in (special, scipy, top)})
    try:
        yield
    finally:
        sys.modules.update(before)


_compiled = {}                                   # by table: its modules and kernels, kept from test to test


@contextlib.contextmanager
def in_place_of_cupy(monkeypatch):
    """Inside, `import cupy` finds the stand-in, the tables for a GPU take its arrays, and their products are those of cuBLASLt's stand-in."""
    import standin_cublaslt
    from minillm import kernels
    modules = {"cupy": sys.modules[__name__], "cupy.cuda": cuda}
    modules |= {f"cupy.cuda.{name}": getattr(cuda, name) for name in ("runtime", "memory", "stream", "graph")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("CUDA", "CUDA_TF32"):
        if hasattr(kernels, name):
            launch = getattr(kernels, name).launch
            kept = _compiled.setdefault(name, ({}, {}))
            monkeypatch.setattr(launch, "backend", launch.backend._replace(arrays=__name__))
            monkeypatch.setattr(launch, "modules", kept[0])
            monkeypatch.setattr(launch, "kernels", kept[1])
            monkeypatch.setattr(launch, "product", launch.backend.product(launch.product.tf32))
    with special_functions(), standin_cublaslt.installed(), no_collector():
        yield


@contextlib.contextmanager
def no_collector():
    """Inside, Python's collector of cycles only comes when it is called. It may come at any moment and in any thread, and what it ends
    gives memory back: in the middle of the stand-in's bookkeeping, which knows no locks. (CuPy's has locks.)"""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        if collects:
            gc.enable()


# --- refusals ------------------------------------------------------------------------------------------------------------------

def _refuse_numpy(name, values):
    """No NumPy array among the arguments, at whatever depth."""
    for value in values:
        if isinstance(value, (tuple, list)):
            _refuse_numpy(name, value)
        elif isinstance(value, numpy.ndarray):
            raise TypeError(f"{name} was given a NumPy array of shape {value.shape}: CuPy doesn't mix it with arrays on the GPU.")


def _floats(values):
    """The floating-point dtypes among arrays and NumPy's scalars. (Python's numbers take the dtype of what they meet.)"""
    dtypes = {value.dtype for value in values if isinstance(value, (ndarray, numpy.generic))}
    return {dtype for dtype in dtypes if dtype.kind == "f" or dtype == _BFLOAT16}


def _keep_to_one_dtype(name, operands, result):
    used = _floats(operands)
    if len(used) > 1:
        raise TypeError(f"{name} mixes {' and '.join(sorted(map(str, used)))}: cast explicitly.")
    made = _floats([result]) - used
    if used and made:
        raise TypeError(f"{name} of {used.pop()} comes out as {made.pop()}: cast explicitly.")


def _lowered(value):
    if isinstance(value, ndarray):
        return value._values
    if isinstance(value, (tuple, list)):
        return type(value)(map(_lowered, value))
    return value


def _lifted(value):
    if isinstance(value, numpy.ndarray):
        return _array(value)
    if isinstance(value, (tuple, list)):
        return type(value)(map(_lifted, value))
    return value


def _array(values):
    """The array whose numbers NumPy sees as `values`, which lie in GPU memory."""
    assert on_gpu(values)
    array = ndarray.__new__(ndarray)
    object.__setattr__(array, "_values", values)
    return array


class _Owner(standin_streams.Mortal):
    """Of memory that an array asked for. At its end NaN is written there."""

    def __init__(self, pointer, size):
        self.pointer, self.size = pointer, size

    def __del__(self):
        if not self.over:
            _poison(self.pointer.ptr, self.size)


def _poison(address, size):
    memory = numpy.asarray(standin_streams.Raw.at(address, size))
    if standin_streams.capturing() or standin_streams.busy():
        standin_streams.later("poison", "", lambda: memory.fill(0xff), [memory])
    else:
        memory.fill(0xff)


def _new(shape, dtype, strides=None):
    """NumPy's view of new GPU memory, with nothing in it."""
    dtype = numpy.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    pointer = cuda.alloc(size)
    block = standin_streams.Block(cuda.MemoryPointer(cuda.UnownedMemory(pointer.ptr, size, _Owner(pointer, size), 0), 0), size)
    return numpy.ndarray(shape, dtype, numpy.asarray(block), strides=strides)


def _placed(values):
    """What NumPy computed, in GPU memory, and which of it is new there."""
    if isinstance(values, (tuple, list)):
        found = [_placed(value) for value in values]
        return type(values)(value for value, _ in found), [x for _, new in found for x in new]
    if not isinstance(values, (numpy.ndarray, numpy.generic)) or isinstance(values, numpy.ndarray) and on_gpu(values):
        return values, []
    values = numpy.asarray(values)
    strides = None if values.flags.c_contiguous else numpy.empty_like(values).strides
    there = _new(values.shape, values.dtype, strides)
    there[...] = values
    return there, [there]


def _run(name, compute, args=(), kwargs=None, writes=(), kind="operation"):
    """compute(*args, **kwargs) on NumPy's arrays, as work of the current stream; the result in GPU memory."""
    kwargs = {key: _lowered(value) for key, value in (kwargs or {}).items()}
    return _lifted(submit(kind, name, compute, _lowered(tuple(args)), kwargs, [_lowered(x) for x in writes], _placed))


# --- signatures ----------------------------------------------------------------------------------------------------------------

def _documented(text):
    """The signature that the first line of a docstring shows, as Cython and the ufuncs write it:
    `ufunc.at(self, a, indices, b=None)`, `add(x1, x2, /, out=None, \\*, casting='same_kind', dtype=None)`."""
    inside = re.match(r"[\w.]+\((.*?)\)( -> .*)?$", text.strip().splitlines()[0])[1].replace("\\*", "*")
    inside = re.sub(r"(\w+)\[.*?\], / \[, out=.*?\]", r"\1, out1=None, out2=None, /, out=None", inside)
    inside = ", ".join(part.split()[-1] if "=" not in part else re.sub(r"^\w+ (\w+=)", r"\1", part)
                       for part in re.split(r",\s*", inside))                # without C's types: `int axis=-1`
    arguments = ast.parse(f"lambda {inside}: 0", mode="eval").body
    return inspect.signature(eval(compile(ast.Expression(arguments), "signature", "eval"), {}))


def _check_arguments(name, signature, args, kwargs):
    try:
        signature.bind(*args, **kwargs)
    except TypeError as problem:
        raise TypeError(f"CuPy's {name}{signature} was called with other arguments: {problem}.") from None


# --- functions -----------------------------------------------------------------------------------------------------------------

_SYNCHRONISING = {"nonzero", "flatnonzero", "argwhere", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values",
                  "bincount", "extract", "compress", "trim_zeros", "setdiff1d", "intersect1d", "union1d",
                  "save", "savez", "savetxt", "array_str", "array_repr", "array2string"}
_TRANSFERS = {"array", "asarray", "asanyarray", "ascontiguousarray"}          # from the host, on purpose
_PRODUCTS = {"matmul", "dot", "vdot", "inner", "tensordot", "einsum", "outer", "kron"}                 # cuBLAS
_SORTS = {"sort", "argsort", "lexsort", "partition", "argpartition", "msort", "sort_complex", "median", "percentile", "quantile"}


def _refuse_in_capture(name):
    """What CuPy, or CUDA, doesn't do while a stream is captured."""
    if name in _PRODUCTS and standin_streams.capturing():
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    if name in _SORTS or name in _TRANSFERS:
        standin_streams.refuse(cuda.get_current_stream().capture, standin_streams.UNSUPPORTED)


def _function(name):
    real, signature = getattr(cupy, name), inspect.signature(getattr(cupy, name))

    def call(*args, **kwargs):
        _check_arguments(f"cupy.{name}", signature, args, kwargs)
        if name in _SYNCHRONISING or name == "where" and len(args) + len(kwargs) == 1:
            cuda.wait(f"cupy.{name} copies to the host, or has a result whose shape depends on the data")
        from_host = name in _TRANSFERS and not isinstance(args[0] if args else kwargs.get("object"), ndarray)
        if not from_host:
            _refuse_numpy(f"cupy.{name}", (*args, *kwargs.values()))
        if from_host or name not in _TRANSFERS:
            _refuse_in_capture(name)
        if name in ("empty", "empty_like"):
            return _empty(name, args, kwargs)
        result = _run(name, functools.partial(_computed, name), args, kwargs, [x for x in (kwargs.get("out"),) if x is not None])
        if _strict and name in ("where", "matmul", "concatenate", "stack", "clip", "dot", "tensordot"):
            operands = args[1:] if name == "where" else [*args[0]] if name in ("concatenate", "stack") else args
            _keep_to_one_dtype(f"cupy.{name}", operands, result)
        return result

    call.__name__, call.__doc__ = name, real.__doc__
    return call


def _computed(name, *args, **kwargs):
    """By NumPy, with CuPy's dtypes."""
    result = getattr(numpy, name)(*args, **kwargs)
    if name == "where":
        result = _weak(args[1:], result)
    if name == "matmul":
        result = _product(args, result)
    return result


def _empty(name, args, kwargs):
    like = getattr(numpy, name)(*_lowered(args), **{key: _lowered(value) for key, value in kwargs.items()})
    there = _new(like.shape, like.dtype, None if like.flags.c_contiguous else like.strides)
    _poison(there.ctypes.data, there.nbytes)
    return _array(there)


def asarray(a, dtype=None, order=None, *, blocking=False):
    """A NumPy array, list or number as an array "on the GPU" (an explicit transfer, by way of pinned memory of CuPy's own)."""
    if isinstance(a, ndarray) and dtype is None:
        return a
    if isinstance(a, ndarray):
        return a.astype(dtype, copy=False)
    _refuse_in_capture("asarray")
    standin_streams.saw("copy in", "asarray")
    return _run("asarray", lambda: numpy.array(a, dtype))


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else numpy.asarray(a)


def _weak(operands, result):
    """A Python number beside a bfloat16 array leaves bfloat16 in CuPy; NumPy makes it float32."""
    strong = {x.dtype for x in operands if isinstance(x, (numpy.ndarray, numpy.generic))}
    mended = strong == {_BFLOAT16} and isinstance(result, (numpy.ndarray, numpy.generic)) and result.dtype == numpy.float32
    return result.astype(_BFLOAT16) if mended else result


def _product(args, result):
    a, b = args[:2]
    if {a.dtype, b.dtype} == {_BFLOAT16}:
        if max(a.ndim, b.ndim) > 2:
            raise TypeError("CuPy 14.2 can't multiply batches of bfloat16 matrices: cast to float32, or call cuBLASLt.")
        return result.astype(_BFLOAT16)          # as CuPy does; NumPy makes it float32
    return result


class ufunc:
    """One of CuPy's elementwise functions, with its methods (reduce, at, …)."""

    # add.at on the GPU is made of atomic additions, which exist for these
    ATOMIC = {numpy.dtype(name) for name in ("int32", "uint32", "uint64", "float16", "float32", "float64")}

    def __init__(self, name):
        self._name, self._real, self._numpy = f"cupy.{name}", getattr(cupy, name), getattr(numpy, name)
        self._signature = _documented(self._real.__doc__)

    def __call__(self, *args, **kwargs):
        _check_arguments(self._name, self._signature, args, kwargs)
        _refuse_numpy(self._name, (*args, *kwargs.values()))
        for operand in args:
            if operand is not None and not isinstance(operand, (ndarray, int, float, complex, numpy.generic)):
                raise TypeError(f"{self._name} takes arrays and numbers, not {type(operand).__name__}.")
        if _BFLOAT16 in _floats(args) and not any("E" in loop for loop in self._real.types):
            raise TypeError(f"{self._name} has no bfloat16 in CuPy: cast to float32.")
        _refuse_in_capture(self._real.__name__.removeprefix("cupy_"))
        out = args[self._real.nin] if len(args) > self._real.nin else kwargs.get("out")
        written = [x for x in (out if isinstance(out, tuple) else (out,)) if isinstance(x, ndarray)]
        result = _run(self._name, self._compute, args, kwargs, written)
        if isinstance(out, ndarray):
            result = out
        if _strict and kwargs.get("dtype") is None:
            _keep_to_one_dtype(self._name, args, result)
        return result

    def _compute(self, *args, **kwargs):
        values = self._numpy(*args, **kwargs)
        return values if kwargs.get("dtype") is not None or kwargs.get("out") is not None else _weak(args, values)

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(cupy.ufunc, name):
            raise AttributeError(f"CuPy's ufuncs have no {name}, so {self._name}.{name} doesn't exist.")
        method = getattr(cupy.ufunc, name)
        if not callable(method):
            return getattr(self._real, name)
        signature = _documented(method.__doc__)

        def call(*args, **kwargs):
            _check_arguments(f"{self._name}.{name}", signature, (self, *args), kwargs)
            _refuse_numpy(f"{self._name}.{name}", (*args, *kwargs.values()))
            if name == "at" and args[0].dtype not in self.ATOMIC:
                raise TypeError(f"{self._name}.at has no atomic operation for {args[0].dtype}.")
            if name == "at" and _strict:
                _keep_to_one_dtype(f"{self._name}.at", (args[0], *args[2:]), args[0])
            written = args[:1] if name == "at" else [x for x in (kwargs.get("out"),) if isinstance(x, ndarray)]
            return _run(f"{self._name}.{name}", getattr(self._numpy, name), args, kwargs, written)
        return call


def __getattr__(name):
    """What xp(x).name is."""
    if name.startswith("__"):
        raise AttributeError(name)
    if not hasattr(cupy, name):
        raise AttributeError(f"CuPy {cupy.__version__} has no {name}, so xp(x).{name} fails on a GPU.")
    real = getattr(cupy, name)
    if isinstance(real, cupy.ufunc) or name in _SYNCHRONISING or callable(real) and not isinstance(real, type):
        if not hasattr(numpy, name) and name not in _SYNCHRONISING:
            raise AttributeError(f"CuPy has {name}, but NumPy, on which the stand-in computes, doesn't.")
        return ufunc(name) if isinstance(real, cupy.ufunc) else _function(name)
    if isinstance(real, types.ModuleType):
        raise AttributeError(f"CuPy has a module {name}, but the stand-in covers functions and arrays only.")
    return real                                  # dtypes and numbers: float32, pi, inf, newaxis


# --- kernels ---------------------------------------------------------------------------------------------------------------------

class RawModule:
    """cupy.RawModule, whose kernels run on the emulator."""

    _signature = _documented(cupy.RawModule.__doc__)

    def __init__(self, *args, **kwargs):
        _check_arguments("RawModule", self._signature, args, kwargs)
        given = self._signature.bind(*args, **kwargs).arguments
        options = given.pop("options", ())
        if not isinstance(options, tuple) or set(given) != {"code"}:
            raise TypeError("The stand-in's RawModule takes `code` and a tuple of `options`.")
        self._module = emulator.RawModule(given["code"], options=options)

    def get_function(self, name):
        return RawKernel(self._module.get_function(name))


class RawKernel:
    __slots__ = ("_kernel",)

    NUMBERS = "?bhilqBHILQefdFD"                 # NumPy's types that CuPy passes to a kernel

    def __init__(self, kernel):
        object.__setattr__(self, "_kernel", kernel)

    def __getattr__(self, name):
        if not hasattr(cupy.RawKernel, name):
            raise AttributeError(f"CuPy's kernels have no {name}.")
        return getattr(self._kernel, name)

    def __setattr__(self, name, value):
        if name != "max_dynamic_shared_size_bytes":
            raise AttributeError(f"A kernel's {name} can't be set.")
        self._kernel.max_dynamic_shared_size_bytes = value

    def __call__(self, grid, block, args, **kwargs):
        if not (isinstance(grid, tuple) and isinstance(block, tuple) and isinstance(args, tuple)) or kwargs.keys() - {"shared_mem"}:
            raise TypeError("CuPy's kernels take (grid, block, args, *, shared_mem=0), the first three of them tuples.")
        for number, arg in enumerate(args):
            if not isinstance(arg, (ndarray, int, float)) and not (isinstance(arg, numpy.generic) and arg.dtype.char in self.NUMBERS):
                raise TypeError(f"CuPy can't pass argument {number}, a {type(arg).__name__}, to a kernel.")
        arrays = [arg for arg in args if isinstance(arg, ndarray)]
        _run(self._kernel.name, lambda *args: self._kernel(grid, block, args, **kwargs), args, None, arrays, kind="kernel")


# --- arrays ---------------------------------------------------------------------------------------------------------------------

class ndarray:
    """An array "on the GPU"."""

    __slots__ = ("_values",)
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if memptr is None:
            values = _new(shape, dtype, numpy.empty(shape, dtype, order).strides if strides is None else strides)
        else:
            end = math.prod(shape) * numpy.dtype(dtype).itemsize if strides is None else \
                sum((n - 1) * max(step, 0) for n, step in zip(shape, strides)) + numpy.dtype(dtype).itemsize
            values = numpy.ndarray(shape, dtype, numpy.asarray(standin_streams.Block(memptr, end)), strides=strides, order=order)
        object.__setattr__(self, "_values", values)

    def __repr__(self):
        return f"standin.ndarray(shape={self.shape}, dtype={self.dtype})"    # CuPy would print the values, and wait for them

    _PLAIN = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags")
    _VIEWS = ("T", "mT", "real", "imag")
    _SYNCHRONISING = ("item", "tolist", "tobytes", "tofile", "dump", "dumps", "nonzero", "argwhere", "compress")
    _TO_HOST = ("item", "tolist", "tobytes")
    _OFTEN_VIEWS = ("reshape", "ravel", "transpose", "swapaxes", "squeeze", "view", "diagonal")
    _IN_PLACE = ("fill", "sort", "partition", "put")

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(cupy.ndarray, name):
            raise AttributeError(f"CuPy's arrays have no {name}.")
        if name in self._PLAIN:
            return getattr(self._values, name)
        if name in self._VIEWS:
            return _lifted(getattr(self._values, name))
        if name in self._SYNCHRONISING:
            cuda.wait(f"x.{name} copies to or from the host, or has a result whose shape depends on the data")
            if name in self._TO_HOST:
                return getattr(self._values, name)
        if not callable(getattr(cupy.ndarray, name)) or not hasattr(self._values, name):
            raise AttributeError(f"CuPy's arrays have {name}, but the stand-in's don't.")
        return self._method(name)

    @property
    def device(self):
        return cuda.Device(0)

    @property
    def data(self):
        """Where the array lies."""
        pointer, address = standin_streams.base_of(self._values).pointer, self._values.ctypes.data
        return cuda.MemoryPointer(pointer.mem, address - pointer.mem.ptr) if self.size else pointer

    def set(self, arr, stream=None):
        if not isinstance(arr, numpy.ndarray):
            raise TypeError(f"Only numpy.ndarray can be set to cupy.ndarray, not {type(arr).__name__}.")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"{arr.dtype} {arr.shape} can't be set to {self.dtype} {self.shape}.")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        if self.flags.c_contiguous != arr.flags.c_contiguous:
            raise TypeError("CuPy makes a contiguous copy of this array first, which isn't pinned.")
        cuda.copy_in(self._values, arr, stream)

    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is not None and (not isinstance(out, numpy.ndarray) or out.dtype != self.dtype or out.shape != self.shape):
            raise TypeError(f"`out` must be a NumPy array of {self.dtype} {self.shape}.")
        if out is not None and cuda.is_pinned(out) and not blocking:
            cuda.copy_out(self._values, out, stream)
            return out
        cuda.wait("x.get copies to the host", standin_streams._queue((stream or cuda.get_current_stream()).ptr).run)
        if out is None:
            return self._values.copy(order)
        out[...] = self._values
        return out

    def _view(self, name, *args, **kwargs):
        """Without work for the GPU; None if it takes some."""
        view = getattr(self._values, name)(*args, **kwargs)
        return _array(numpy.asarray(view)) if on_gpu(view) else None

    def _method(self, name):
        signature = _documented(getattr(cupy.ndarray, name).__doc__)

        def call(*args, **kwargs):
            _check_arguments(f"ndarray.{name}", signature, (self, *args), kwargs)
            _refuse_numpy(f"x.{name}", (*args, *kwargs.values()))
            _refuse_in_capture(name)
            if name in self._OFTEN_VIEWS and (view := self._view(name, *args, **kwargs)) is not None:
                return view
            given = {key: value for key, value in kwargs.items() if value is not None or key == "axis"}
            written = [self] if name in self._IN_PLACE else [x for x in (kwargs.get("out"),) if isinstance(x, ndarray)]
            result = _run(name, lambda x, *args, **given: getattr(x, name)(*args, **given), (self, *args), given, written)
            same = isinstance(result, ndarray) and result._values is self._values                # astype(copy=False) hands the array itself back
            return self if same else result
        return call

    def __setattr__(self, name, value):
        raise AttributeError(f"The stand-in's arrays don't let {name} be set.")

    # To the host: by a method of this name or not at all.

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion of an array on the GPU to a NumPy array is not allowed (something called numpy on it).")

    def _refuse(what, convert=None):             # noqa: N805 (a helper for the lines below, not a method)
        def refused(self, *args):
            cuda.wait(f"{what} of an array on the GPU")
            return convert(self._values, *args)
        return refused

    __bool__, __float__, __int__ = _refuse("bool()", bool), _refuse("float()", float), _refuse("int()", int)
    __index__, __complex__ = _refuse("use as an index", operator.index), _refuse("complex()", complex)
    __contains__, __str__, __format__ = _refuse("`in`", operator.contains), _refuse("printing", str), _refuse("formatting", format)
    __reduce__ = _refuse("pickling")

    def __array_ufunc__(self, function, method, *inputs, **kwargs):
        """NumPy's function on such an array, or one of NumPy's scalars beside it: CuPy takes over."""
        if "out" in kwargs:
            kwargs["out"] = kwargs["out"][0]
        found = sys.modules[__name__].__getattr__(function.__name__)
        return (found if method == "__call__" else getattr(found, method))(*inputs, **kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        return sys.modules[__name__].__getattr__(function.__name__)(*args, **kwargs)

    # Indexing.

    def _indices(self, indices, writing_a_number=False):
        for index in indices if isinstance(indices, tuple) else (indices,):
            if isinstance(index, (numpy.ndarray, list)):
                raise TypeError(f"An array on the GPU was indexed with a {type(index).__name__} of the host: it would be copied there each time.")
            if isinstance(index, ndarray) and index.dtype == bool and not writing_a_number:
                cuda.wait("Indexing with an array of bools: how many are True is known on the GPU only, so the host waits for it")
        return _lowered(indices)

    def __getitem__(self, indices):
        places = indices if isinstance(indices, tuple) else (indices,)
        if all(isinstance(place, (int, numpy.integer, slice, type(None), type(...))) for place in places):
            return self._view("__getitem__", places if ... in places else (*places, ...))        # of a single number too, as in CuPy
        return _run("x[…]", lambda x, indices: x[indices], (self, self._indices(indices)))

    def __setitem__(self, indices, value):
        _refuse_numpy("x[…] = …", (value,))
        where = self._indices(indices, writing_a_number=isinstance(value, (int, float, numpy.generic)))
        if _strict and _floats([value]) - {self.dtype}:
            raise TypeError(f"{value.dtype} was written into an array of {self.dtype}: cast explicitly.")
        _run("x[…] = …", operator.setitem, (self, where, value), None, [self])

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        if self.ndim < 2:
            raise HostSynchronisation("Iterating over single numbers on the GPU: the host starts a little program for each.")
        return (self[i] for i in builtins.range(len(self)))

    # Arithmetic.

    def __neg__(self): return ufunc("negative")(self)
    def __pos__(self): return ufunc("positive")(self)
    def __abs__(self): return ufunc("absolute")(self)
    def __invert__(self): return ufunc("invert")(self)


_OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
              "pow": "power", "lshift": "left_shift", "rshift": "right_shift", "and": "bitwise_and", "or": "bitwise_or",
              "xor": "bitwise_xor", "matmul": "matmul"}
_COMPARISONS = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}


def _operator(function, swapped=False, in_place=False):
    def apply(self, other):
        found = sys.modules[__name__].__getattr__(function)
        if in_place:
            return found(self, other, out=self)
        return found(other, self) if swapped else found(self, other)
    return apply


for _symbol, _name in _OPERATORS.items():
    setattr(ndarray, f"__{_symbol}__", _operator(_name))
    setattr(ndarray, f"__r{_symbol}__", _operator(_name, swapped=True))
    setattr(ndarray, f"__i{_symbol}__", _operator(_name, in_place=True))
for _symbol, _name in _COMPARISONS.items():
    setattr(ndarray, f"__{_symbol}__", _operator(_name))
