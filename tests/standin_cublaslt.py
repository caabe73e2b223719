"""A stand-in for what of cuBLASLt needs a GPU: the handle, the search for an algorithm, and the product. All else is the real library.

    with standin_cublaslt.installed() as library:      inside, minillm's binding finds this one
        library.searches, library.products              what was asked for: see Asked

The product reads everything back from the real descriptors, by the library's own GetAttribute functions, and computes with NumPy, on the raw
memory, the column-major product that they describe. So a wrong leading dimension, transpose, stride, type or beta gives wrong numbers.
The functions are called through C, with the argument types that the binding declares.

It also refuses what the library's documentation rules out: types that don't go together, matrices that don't fit, leading dimensions that
are too small, an array that isn't as aligned as the search was told, an algorithm that was found for other descriptors.
"""

import contextlib
import ctypes
import types
from ctypes import CFUNCTYPE, POINTER, byref, c_float, c_int, c_size_t, c_void_p, cast
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import standin

from minillm.kernels.products import cublaslt, plans

SUCCESS, INVALID_VALUE, INTERNAL_ERROR, NOT_SUPPORTED = 0, 7, 14, 15
DTYPES = {0: np.dtype("float32"), 2: np.dtype("float16"), 14: np.dtype(ml_dtypes.bfloat16)}
COMPUTE_32F, FAST_TF32 = 68, 77
HANDLE = 0x5ca1ab1e

# Every attribute that may be read back: its number in the header, and its type.
LAYOUT = dict(type=(0, ctypes.c_uint32), order=(1, ctypes.c_int32), rows=(2, ctypes.c_uint64), columns=(3, ctypes.c_uint64),
              leading=(4, ctypes.c_int64), batch=(5, ctypes.c_int32), stride=(6, ctypes.c_int64))
DESCRIPTION = dict(compute=(0, ctypes.c_int32), scale=(1, ctypes.c_int32), pointers=(2, ctypes.c_int32), transpose_a=(3, ctypes.c_int32),
                   transpose_b=(4, ctypes.c_int32), transpose_c=(5, ctypes.c_int32), epilogue=(7, ctypes.c_uint32), bias=(8, ctypes.c_uint64),
                   bias_type=(26, ctypes.c_int32))
PREFERENCE = dict(mode=(0, ctypes.c_uint32), workspace=(1, ctypes.c_uint64), reductions=(3, ctypes.c_uint32),
                  a=(5, ctypes.c_uint32), b=(6, ctypes.c_uint32), c=(7, ctypes.c_uint32), d=(8, ctypes.c_uint32))


class Asked(NamedTuple):
    """A search, or a product: what the descriptors said."""
    description: Any
    a: Any
    b: Any
    c: Any
    d: Any
    preference: Any = None                       # of a search
    beta: float | None = None                    # of a product
    stream: int | None = None
    addresses: dict = {}                         # of A, B, C and D


class NotTaken(Exception):
    """The library's status, and why."""


class Functions:
    def __init__(self, real):
        self.real, self.searches, self.products, self.problem, self.refusing = real, [], [], None, lambda asked: 0
        self.cublasLtCreate = self.guarded(CFUNCTYPE(c_int, POINTER(c_void_p)), lambda out: self.create(out))
        self.cublasLtMatmulAlgoGetHeuristic = self.guarded(
            CFUNCTYPE(c_int, *(c_void_p,) * 7, c_int, POINTER(cublaslt.Heuristic), POINTER(c_int)), self.search)
        self.cublasLtMatmul = self.guarded(CFUNCTYPE(c_int, *(c_void_p,) * 14, c_size_t, c_void_p), self.multiply)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def guarded(self, kind, function):
        """As C sees it: an exception is a status, and kept for the test to see."""
        def call(*arguments):
            try:
                return function(*arguments) or SUCCESS
            except NotTaken as problem:
                self.problem = problem.args[1]
                return problem.args[0]
            except Exception as problem:
                self.problem = problem
                return INTERNAL_ERROR
        return kind(call)

    def attributes(self, kind, descriptor, listed):
        def value(number, type):
            held, written = type(), c_size_t()
            get = getattr(self.real, f"cublasLt{kind}GetAttribute")
            status = get(c_void_p(descriptor), c_int(number), byref(held), c_size_t(ctypes.sizeof(held)), byref(written))
            assert status == SUCCESS and written.value == ctypes.sizeof(held), (kind, number, status)
            return held.value
        return types.SimpleNamespace(**{name: value(*attribute) for name, attribute in listed.items()})

    # --- the three functions -------------------------------------------------------------------------------------------------------

    def create(self, out):
        out[0] = HANDLE

    def search(self, handle, description, a, b, c, d, preference, wanted, found, count):
        asked = self.asked(handle, description, a, b, c, d)._replace(preference=self.attributes("MatmulPreference", preference, PREFERENCE))
        self.searches.append(asked)
        count[0] = 0
        if status := self.refusing(asked):
            return max(status, SUCCESS)          # -1: it succeeds, and found nothing
        check(asked)
        found[0].state, found[0].workspaceSize, count[0] = SUCCESS, asked.preference.workspace, 1
        found[0].algo.data[0] = len(self.searches)           # 0 is no algorithm

    def multiply(self, handle, description, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algorithm, workspace, size, stream):
        asked = self.asked(handle, description, a_layout, b_layout, c_layout, d_layout)
        number = cast(algorithm, POINTER(cublaslt.Algorithm))[0].data[0]
        alpha, beta = (cast(number, POINTER(c_float))[0] for number in (alpha, beta))
        check(asked)
        asked = asked._replace(beta=beta, stream=stream or 0, addresses=dict(a=a, b=b, c=c, d=d))
        check_run(asked, self.searches[number - 1], workspace, size)
        self.products.append(asked)
        run(asked, alpha, beta, a, b, c, d)

    def asked(self, handle, description, *layouts):
        if handle != HANDLE:
            raise NotTaken(INVALID_VALUE, "no handle")
        return Asked(self.attributes("MatmulDesc", description, DESCRIPTION), *(self.attributes("MatrixLayout", one, LAYOUT) for one in layouts))


# --- what the library doesn't take ---------------------------------------------------------------------------------------------

def demand(condition, why, status=INVALID_VALUE):
    if not condition:
        raise NotTaken(status, why)


def check(asked):
    said, *matrices = asked[:5]
    for x in matrices:
        demand(x.type in DTYPES and x.order == 0, "a matrix of another kind", NOT_SUPPORTED)
        demand(x.leading >= x.rows > 0 and x.columns > 0, "columns overlap")
        demand(x.batch == asked.d.batch and x.batch > 0, "batches of several sizes")
    (a, b, c, d), float32 = matrices, 0
    m, k = (a.columns, a.rows) if said.transpose_a else (a.rows, a.columns)
    k_too, n = (b.columns, b.rows) if said.transpose_b else (b.rows, b.columns)
    demand(k == k_too and (m, n) == (d.rows, d.columns) == (c.rows, c.columns) and not said.transpose_c, "the matrices don't fit")
    demand(c == d, "C isn't D", NOT_SUPPORTED)
    demand(d.batch == 1 or d.stride >= (d.columns - 1) * d.leading + d.rows or d.leading >= (d.batch - 1) * d.stride + d.rows, "results overlap")
    demand(said.scale == float32 and said.pointers == 0, "α and β aren't float32 of the host", NOT_SUPPORTED)
    demand(said.compute == COMPUTE_32F or said.compute == FAST_TF32 and a.type == float32, "sums of another kind", NOT_SUPPORTED)
    demand(a.type == b.type and d.type in (a.type, float32), "types that don't go together", NOT_SUPPORTED)
    with_bias = said.epilogue == 4 and said.bias and said.bias_type == d.type and said.bias % 16 == 0
    demand(said.epilogue == 1 or with_bias, "the epilogue", NOT_SUPPORTED)


def check_run(asked, searched, workspace, size):
    """The algorithm was found for these descriptors (but for where the bias lies), and its conditions are met."""
    now, then = (vars(one.description) | {"bias": 0} for one in (asked, searched))
    demand(now == then and asked[1:5] == searched[1:5], "another product's algorithm")
    demand(all(address % getattr(searched.preference, name) == 0 for name, address in asked.addresses.items()), "less aligned than was said")
    demand(workspace and workspace % 256 == 0 and size >= searched.preference.workspace, "the workspace")


# --- the product ---------------------------------------------------------------------------------------------------------------

def memory(address, x):
    """The matrices of a layout, row by row: (batch, columns, rows), each the transpose of what the library means."""
    dtype = DTYPES[x.type]
    numbers = (x.batch - 1) * x.stride + (x.columns - 1) * x.leading + x.rows
    buffer = (ctypes.c_char * (numbers * dtype.itemsize)).from_address(address)
    return np.ndarray((x.batch, x.columns, x.rows), dtype, buffer, 0, tuple(step * dtype.itemsize for step in (x.stride, x.leading, 1)))


def run(asked, alpha, beta, a, b, c, d):
    """Handed to the current stream, as the library does."""
    said = asked.description
    bias = types.SimpleNamespace(type=said.bias_type, batch=1, stride=0, columns=1, leading=1, rows=asked.d.rows)
    reads = {"a": memory(a, asked.a), "b": memory(b, asked.b)} | ({"c": memory(c, asked.c)} if beta else {}) \
        | ({"bias": memory(said.bias, bias)} if said.epilogue == 4 else {})          # with β = 0, C isn't even read

    def product(*arrays):
        *arrays, d = arrays
        d[...] = computed(alpha, beta, said.transpose_a, said.transpose_b, **dict(zip(reads, arrays))).astype(d.dtype)

    standin.enqueue(product, list(reads.values()), [memory(d, asked.d)])


def computed(alpha, beta, transpose_a, transpose_b, a, b, c=None, bias=None):
    """α·op(B)ᵀ·op(A)ᵀ + β·Cᵀ + bias: the transpose of what the library says, which is NumPy's order of memory."""
    a, b = (x.swapaxes(-1, -2) if turned else x for x, turned in ((a, transpose_a), (b, transpose_b)))
    y = np.float32(alpha) * np.stack([second.astype("float32") @ first.astype("float32") for first, second in zip(a, b, strict=True)])
    if c is not None:
        y += np.float32(beta) * c.astype("float32")
    if bias is not None:
        y += bias.astype("float32")
    return y


# --- in place of the real one --------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def installed():
    """Inside, the binding's library is a stand-in. Needs the real one, of the package nvidia-cublas."""
    real, before = cublaslt.load(), cublaslt.load
    functions = Functions(real.functions)
    library = cublaslt.Library(functions)
    cublaslt.load = lambda: library
    plans.card.cache_clear()
    try:
        yield functions
    finally:
        cublaslt.load = before
        plans.card.cache_clear()

