"""A stand-in for CuPy on machines without a GPU: proof that code written over xp(x) would run on CuPy arrays.

    x = standin.asarray(numpy_array)        what lives "on the GPU"; minillm.arrays.xp(x) is this module
    y = standin.to_numpy(x)                 back, for comparing in a test; CuPy has no such name, so no operation can reach it

Names and signatures are read from the CuPy that is installed (it imports without a GPU): a function that CuPy lacks raises
AttributeError, an argument that CuPy's function doesn't take raises TypeError. NumPy computes the values. An array refuses

    - to become a NumPy array by itself, and to be mixed with one (scalars may be mixed, Python's and NumPy's);
    - whatever makes the host wait for the GPU: bool(x), float(x), x.item(), iterating over scalars, x[mask], unique, …

Kernels in CUDA C run on the emulator: RawModule is CuPy's, for these arrays.

and within `strict_dtypes()` also to compute with two floating-point dtypes at once, or to come out in a third.

What it can't tell: speed, rounding, the order of atomic additions, and errors in CuPy itself, except that the batched
product of bfloat16 matrices, which crashes in CuPy 14.2, is refused.
"""

import ast
import builtins
import contextlib
import inspect
import math
import re
import sys
import types


import cupy
import cupyx.scipy.special
import ml_dtypes
import numpy

from minillm.kernels import emulator

_BFLOAT16 = numpy.dtype(ml_dtypes.bfloat16)
_strict = False


class HostSynchronisation(TypeError):
    """The host would have to wait for the GPU."""


# --- lifting and lowering ------------------------------------------------------------------------------------------------------

def to_numpy(x):
    """The values, as a NumPy array that shares nothing; tuples, lists and dicts of arrays as such."""
    if isinstance(x, (tuple, list)):
        values = [to_numpy(one) for one in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)
    return x._values.copy() if isinstance(x, ndarray) else x


def asarray(a, dtype=None):
    """A NumPy array, list or number as an array "on the GPU" (an explicit transfer, which CuPy allows too)."""
    return a if isinstance(a, ndarray) and dtype is None else ndarray(numpy.array(to_numpy(a), dtype))


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
    """Inside, `import cupyx.scipy.special` finds this stand-in's erf."""
    def erf(x, /, out=None, *, casting="same_kind", dtype=None):
        if out is not None or dtype is not None:
            raise TypeError("The stand-in's erf takes an array and nothing else.")
        _refuse_numpy("cupyx.scipy.special.erf", (x,))
        return ndarray(numpy.array([math.erf(one) for one in x._values.ravel()], x.dtype).reshape(x.shape))

    assert isinstance(cupyx.scipy.special.erf, cupy.ufunc)
    special, scipy, top = (types.ModuleType(name) for name in ("cupyx.scipy.special", "cupyx.scipy", "cupyx"))
    special.erf, scipy.special, top.scipy = erf, special, scipy
    before = {module.__name__: sys.modules[module.__name__] for module in (special, scipy, top)}
    sys.modules.update({module.__name__: module for module in (special, scipy, top)})
    try:
        yield
    finally:
        sys.modules.update(before)


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
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return ndarray(numpy.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_lifted, value))
    return value


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
                  "bincount", "asnumpy", "extract", "compress", "trim_zeros", "setdiff1d", "intersect1d", "union1d",
                  "save", "savez", "savetxt", "array_str", "array_repr", "array2string"}
_TRANSFERS = {"array", "asarray", "asanyarray", "ascontiguousarray"}          # from the host, on purpose


def _function(name):
    real, signature = getattr(cupy, name), inspect.signature(getattr(cupy, name))

    def call(*args, **kwargs):
        _check_arguments(f"cupy.{name}", signature, args, kwargs)
        if name in _SYNCHRONISING or name == "where" and len(args) + len(kwargs) == 1:
            raise HostSynchronisation(f"cupy.{name} copies to the host, or has a result whose shape depends on the data: the host waits for the GPU.")
        if name not in _TRANSFERS:
            _refuse_numpy(f"cupy.{name}", (*args, *kwargs.values()))
        result = _lifted(getattr(numpy, name)(*_lowered(args), **{key: _lowered(value) for key, value in kwargs.items()}))
        if name == "where":
            result = _weak(args[1:], result)
        if name == "matmul":
            result = _product(args, result)
        if _strict and name in ("where", "matmul", "concatenate", "stack", "clip", "dot", "tensordot"):
            operands = args[1:] if name == "where" else [*args[0]] if name in ("concatenate", "stack") else args
            _keep_to_one_dtype(f"cupy.{name}", operands, result)
        return result

    call.__name__, call.__doc__ = name, real.__doc__
    return call


def _weak(operands, result):
    """A Python number beside a bfloat16 array leaves bfloat16 in CuPy; NumPy makes it float32."""
    strong = {x.dtype for x in operands if isinstance(x, (ndarray, numpy.generic))}
    mended = strong == {_BFLOAT16} and isinstance(result, ndarray) and result.dtype == numpy.float32
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
        values = self._numpy(*_lowered(args), **{name: _lowered(value) for name, value in kwargs.items()})
        out = args[self._real.nin] if len(args) > self._real.nin else kwargs.get("out")
        if isinstance(out, ndarray):
            result = out
        else:
            result = _lifted(values) if kwargs.get("dtype") is not None else _weak(args, _lifted(values))
        if _strict and kwargs.get("dtype") is None:
            _keep_to_one_dtype(self._name, args, result)
        return result

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
            return _lifted(getattr(self._numpy, name)(*_lowered(args), **{key: _lowered(value) for key, value in kwargs.items()}))
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
        self._kernel(grid, block, _lowered(args), **kwargs)


# --- arrays ---------------------------------------------------------------------------------------------------------------------

class _Device:
    id = 0
    __hash__ = cupy.cuda.Device.__hash__


class ndarray:
    """An array "on the GPU"."""

    __slots__ = ("_values",)
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, values):
        object.__setattr__(self, "_values", values)

    def __repr__(self):
        return f"standin.ndarray(shape={self.shape}, dtype={self.dtype})"    # CuPy would print the values, and wait for them

    _PLAIN = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags")
    _VIEWS = ("T", "mT", "real", "imag")
    _SYNCHRONISING = ("get", "item", "tolist", "tobytes", "tofile", "dump", "dumps", "nonzero", "argwhere", "compress", "set")

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(cupy.ndarray, name):
            raise AttributeError(f"CuPy's arrays have no {name}.")
        if name in self._PLAIN:
            return getattr(self._values, name)
        if name in self._VIEWS:
            return _lifted(getattr(self._values, name))
        if name in self._SYNCHRONISING:
            raise HostSynchronisation(f"x.{name} copies to or from the host, or has a result whose shape depends on the data: the host waits for the GPU.")
        if not callable(getattr(cupy.ndarray, name)) or not hasattr(self._values, name):
            raise AttributeError(f"CuPy's arrays have {name}, but the stand-in's don't.")
        return self._method(name)

    @property
    def device(self):
        """The one GPU. CuPy's Device has a number, and no hash."""
        return _Device()

    @property
    def data(self):
        """Where the array lies: data.ptr, as CuPy says it."""
        return types.SimpleNamespace(ptr=self._values.ctypes.data)

    def _method(self, name):
        signature = _documented(getattr(cupy.ndarray, name).__doc__)

        def call(*args, **kwargs):
            _check_arguments(f"ndarray.{name}", signature, (self, *args), kwargs)
            _refuse_numpy(f"x.{name}", (*args, *kwargs.values()))
            given = {key: _lowered(value) for key, value in kwargs.items() if value is not None or key == "axis"}
            result = getattr(self._values, name)(*_lowered(args), **given)
            return self if result is self._values else _lifted(result)       # astype(copy=False) hands the array itself back
        return call

    def __setattr__(self, name, value):
        raise AttributeError(f"The stand-in's arrays don't let {name} be set.")

    # To the host: by a method of this name or not at all.

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion of an array on the GPU to a NumPy array is not allowed (something called numpy on it).")

    def _refuse(what):                           # noqa: N805 (a helper for the lines below, not a method)
        def refused(self, *_):
            raise HostSynchronisation(f"{what} of an array on the GPU: the host waits for the GPU.")
        return refused

    __bool__, __float__, __int__ = _refuse("bool()"), _refuse("float()"), _refuse("int()")
    __index__, __complex__, __contains__ = _refuse("use as an index"), _refuse("complex()"), _refuse("`in`")
    __str__ = _refuse("printing")
    __format__ = _refuse("formatting")
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
                raise HostSynchronisation("Indexing with an array of bools: how many are True is known on the GPU only, so the host waits for it.")
        return _lowered(indices)

    def __getitem__(self, indices):
        return _lifted(self._values[self._indices(indices)])

    def __setitem__(self, indices, value):
        _refuse_numpy("x[…] = …", (value,))
        where = self._indices(indices, writing_a_number=isinstance(value, (int, float, numpy.generic)))
        if _strict and _floats([value]) - {self.dtype}:
            raise TypeError(f"{value.dtype} was written into an array of {self.dtype}: cast explicitly.")
        self._values[where] = _lowered(value)

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
