"""Launching a kernel: arrays by their names, held to what the .cu file says of them.

A kernel's parameters tell their shapes in comments, and every call is checked against them:

    extern "C" __global__ void norm_forward(
        const real* __restrict__ x,              // (rows, d)
        const real* __restrict__ branch,         // (rows, d) or null
        float* __restrict__ rs,                  // (rows)
        int rows, int d, float eps)

    launcher("norms.cu", "norm_forward", x.dtype, grid=…, block=128, x=x, branch=None, rs=rs, eps=1e-5)

Arrays must have these shapes and types and lie in one piece. A name in a shape means one size throughout a call; an int of that name
(`rows`, `d`) is filled in. An array k with `// (b, s, e) strided` may be a view, if only the numbers of its last axis lie side by side;
its strides, counted in numbers, are filled in for `long long k_b, long long k_s`.

The same launcher serves the GPU and the emulator: a Backend says where arrays live and who compiles. A file is compiled once for each
dtype and set of definitions, when a kernel of it first runs.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..arrays import bfloat16
from .products import by_array_code, multiply
from .products.gpu import OnGPU
from .source import source


class Backend(NamedTuple):
    name: str                                    # "EMULATED" or "CUDA", for sentences
    arrays: str                                  # whose arrays it takes: the name of their module
    raw_module: Callable                         # code, options → an object with get_function, as cupy.RawModule
    address: Callable[[Any], int]                # where an array begins
    product: Callable[[bool], Callable]          # may float32 be multiplied as TF32? → what multiplies matrices (products/)


def _emulated(code: str, options: tuple) -> Any:
    from .emulator import RawModule
    return RawModule(code, options=options)


def _compiled_by_cupy(code: str, options: tuple) -> Any:
    import cupy
    return cupy.RawModule(code=code, options=options)


EMULATOR = Backend("EMULATED", "numpy", _emulated, lambda x: x.ctypes.data, lambda tf32: by_array_code)
GPU = Backend("CUDA", "cupy", _compiled_by_cupy, lambda x: x.data.ptr, OnGPU)

# The types of C in a kernel's parameters. `real` is what the file is compiled for.
TYPES = {"float": np.dtype("float32"), "double": np.dtype("float64"), "int": np.dtype("int32"), "unsigned": np.dtype("uint32"),
         "long long": np.dtype("int64"), "unsigned long long": np.dtype("uint64"), "bool": np.dtype("bool"), "unsigned char": np.dtype("uint8")}
NAMES = {np.dtype("float32"): "float", bfloat16: "__nv_bfloat16"}            # and of `real`
PACK_BYTES = 16
ABSENT = np.uintp(0)                             # a null pointer; CuPy has no other way to pass one


class Parameter(NamedTuple):
    name: str
    type: str                                    # "real", "float", …
    shape: tuple | None                          # names and numbers; None for a number
    optional: bool = False
    strided: bool = False


PARAMETERS = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(.*?\) )?(\w+)\(\n(.*?)\) \{\n', re.DOTALL)


@functools.cache
def parameters(file: str) -> dict[str, list[Parameter]]:
    """Of every kernel of a .cu file."""
    return {name: [parameter for line in text.split("\n") for parameter in _parameters_of_line(file, name, line)]
            for name, text in PARAMETERS.findall(source(file))}


def _parameters_of_line(file: str, kernel: str, line: str) -> list[Parameter]:
    """One array with its shape behind it, or any number of numbers."""
    array = re.fullmatch(r"\s*(?:const )?([\w ]+?)\* __restrict__ (\w+),?\s*// \(([^)]*)\)( strided)?( or null)?.*", line)
    if array:
        type, name, shape, strided, null = array.groups()
        return [Parameter(name, type, tuple(int(word) if word.isdecimal() else word for word in shape.split(", ")), bool(null), bool(strided))]
    numbers = [part.strip().rpartition(" ") for part in line.partition("//")[0].split(",") if part.strip()]
    if unknown := [" ".join(number) for number in numbers if number[0] not in TYPES]:
        raise ValueError(f"{file}: {kernel} has a parameter that the launcher can't read: {unknown[0]!r}. "
                         "An array needs its shape behind it, `const real* __restrict__ x,   // (rows, d)`, and a number one of the types of C.")
    return [Parameter(name, type, None) for type, _, name in numbers]


class Launcher:
    def __init__(self, backend: Backend, tf32: bool = False):
        self.backend, self.modules, self.kernels, self.product = backend, {}, {}, backend.product(tf32)

    def __call__(self, file: str, kernel: str, dtype: Any, grid: int | tuple, block: int | tuple, shared: int = 0, pack: int = 1,
                 define: dict[str, Any] | None = None, **arguments: Any) -> None:
        """dtype: of `real`. pack: how many numbers are moved at once (see `pack`). shared: bytes of dynamic shared memory. define: further
        names that the file is compiled with. arguments: by the names of the kernel's parameters."""
        listed = parameters(file)[kernel]
        values = self.checked(f"{kernel} ({file})", listed, np.dtype(dtype), pack, arguments)
        function = self.function(file, kernel, np.dtype(dtype), pack, tuple(sorted((define or {}).items())))
        if shared > 48 * 1024 and function.max_dynamic_shared_size_bytes < shared:
            function.max_dynamic_shared_size_bytes = shared
        function(*((sizes,) if isinstance(sizes, int) else sizes for sizes in (grid, block)), tuple(values), shared_mem=shared)

    def function(self, file: str, kernel: str, dtype: np.dtype, pack: int, define: tuple) -> Any:
        key = file, dtype, pack, define
        if (*key, kernel) not in self.kernels:
            if key not in self.modules:
                definitions = {"REAL": NAMES[dtype], "PACK": pack} | dict(define)
                options = tuple(f"-D{name}={value}" for name, value in definitions.items())
                self.modules[key] = self.backend.raw_module(source(file), options)
            self.kernels[*key, kernel] = self.modules[key].get_function(kernel)
        return self.kernels[*key, kernel]

    def checked(self, name: str, listed: list[Parameter], dtype: np.dtype, pack: int, arguments: dict[str, Any]) -> list[Any]:
        """The arguments in the order of the parameters, or a sentence that says which of them is wrong, and how."""
        sizes: dict[str, int] = {}
        for parameter in listed:
            if parameter.shape is not None and parameter.name in arguments:
                self.check_array(name, parameter, arguments[parameter.name], dtype, pack, sizes)
        known = arguments | {key: size for key, size in sizes.items() if key not in arguments}
        missing = [parameter.name for parameter in listed if parameter.name not in known]
        unknown = arguments.keys() - {parameter.name for parameter in listed}
        if missing or unknown:
            wrong = [f"{word} {', '.join(sorted(names))}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
            raise TypeError(f"{name} takes {', '.join(parameter.name for parameter in listed)}; {'; '.join(wrong)}.")
        return [self.number(name, parameter, known[parameter.name], sizes) if parameter.shape is None
                else ABSENT if known[parameter.name] is None else known[parameter.name] for parameter in listed]

    def check_array(self, name: str, parameter: Parameter, x: Any, dtype: np.dtype, pack: int, sizes: dict[str, int]) -> None:
        where = f"{name}: {parameter.name}"
        if x is None and parameter.optional:
            return
        self.refuse_foreign(where, x)
        wanted = dtype if parameter.type == "real" else TYPES[parameter.type]
        if x.dtype != wanted:
            raise TypeError(f"{where} must hold {wanted}, not {x.dtype}.")
        meant = [sizes.setdefault(size, given) if isinstance(size, str) else size for size, given in zip(parameter.shape, x.shape)]
        if list(x.shape) != meant or len(x.shape) != len(parameter.shape):
            said = ", ".join(f"{size} = {sizes[size]}" for size in dict.fromkeys(parameter.shape) if size in sizes)
            raise ValueError(f"{where} has the shape {tuple(x.shape)}, but must have ({', '.join(map(str, parameter.shape))}), where {said}.")
        if parameter.strided and x.strides[-1] == x.itemsize:
            steps = [stride // x.itemsize for stride in x.strides[:-1]]
            sizes.update(zip((f"{parameter.name}_{axis}" for axis in parameter.shape), steps))
        elif not x.flags.c_contiguous:
            raise ValueError(f"{where} doesn't lie in memory in one piece, row after row (its strides are {x.strides}): "
                             "copy it with ascontiguousarray.")
        if pack > 1 and parameter.type == "real" and (x.size % pack and not parameter.strided or not self.begins_at_multiples(x, pack * x.itemsize)):
            raise ValueError(f"{where} can't be moved {pack} numbers at a time: it has {x.size}, and begins at {self.backend.address(x):#x}.")

    def refuse_foreign(self, name: str, x: Any) -> None:
        module = "numpy" if isinstance(x, np.ndarray) else type(x).__module__.partition(".")[0]          # subclasses too
        if module != self.backend.arrays:
            raise TypeError(f"{name} must be an array of {self.backend.arrays}, on which kernels.{self.backend.name} computes, "
                            f"not {module}'s {type(x).__name__}.")

    def number(self, name: str, parameter: Parameter, value: Any, sizes: dict[str, int]) -> np.generic:
        if sizes.get(parameter.name, value) != value:
            raise ValueError(f"{name}: {parameter.name} is {value}, but by the shapes of the arrays {sizes[parameter.name]}.")
        try:
            return TYPES[parameter.type].type(value)
        except OverflowError:
            raise ValueError(f"{name}: {parameter.name} = {value} doesn't fit the kernel's {parameter.type}.") from None

    def pack(self, dtype: np.dtype, row: int, *arrays: Any) -> int:
        """How many neighbouring numbers a thread can move at once: 16 bytes of them where all rows have a multiple of that, and all arrays
        begin at one; else 1. None stands for an absent array."""
        most = PACK_BYTES // dtype.itemsize
        fits = row % most == 0 and all(x is None or self.begins_at_multiples(x, PACK_BYTES) for x in arrays)
        return most if fits else 1

    def begins_at_multiples(self, x: Any, of: int) -> bool:
        """Whether x, and each row of a view, begins at an address that is a multiple of so many bytes."""
        steps = () if x.flags.c_contiguous else (stride for stride, n in zip(x.strides[:-1], x.shape) if n > 1)
        return self.backend.address(x) % of == 0 and all(step % of == 0 for step in steps)

    def multiply(self, a: Any, b: Any, into: Any = None, dtype: Any = None, bias: Any = None, aligned: bool = False) -> Any:
        """a (…, m, k) @ b (…, k, n) + bias (n), summed in float32: in a's dtype or the one that is asked for; or added to `into`, which is
        returned. Transposed views are read, and added to, where they lie. `aligned`: rows of the result may lie apart, so that each begins
        where memory is read fastest."""
        return multiply(self, a, b, into, dtype, bias, aligned)

    def empty(self, like: Any, shape: tuple, dtype: Any = None) -> Any:
        """Memory for a result, beside the array `like`."""
        from ..arrays import xp
        return xp(like).empty(shape, like.dtype if dtype is None else dtype)
