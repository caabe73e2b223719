"""How a product of arrays is told to cuBLASLt, and what is remembered of it.

cuBLASLt knows matrices that lie in memory column by column, ours lie row by row. Both are the same memory: the numbers of a row-major
matrix x (r, c), whose rows begin `leading` numbers apart, are those of the column-major matrix xᵀ (c, r), whose columns do. So for

    out = a · b                  a (m, k), b (k, n), out (m, n), all row by row

the library is asked for the transposed product, in which the operands change places:

    outᵀ = bᵀ · aᵀ               bᵀ (n, k), aᵀ (k, m), outᵀ (n, m), all column by column: the very same memory

and nothing is moved. An operand that is itself a transposed view, whose columns lie in one piece, is seen by the library as it is, and
marked to be transposed. A result that is a transposed view is the other product's: out = a · b is outᵀ = bᵀ · aᵀ with row-major outᵀ. That
is how the gradient of an output layer, into=dw.T, is added in its place. A bias is one number for each row of the library's result, which
is a column of ours.

With α = 1 always, and β = 0, or β = 1 to add to what is there: result = α·A·B + β·result, summed in float32 before it is rounded, if at all.

A plan is the descriptors of one product and the algorithm that the library's heuristics chose for it. Searching takes far longer than the
launch, and a model multiplies the same shapes in every step, so plans are kept, under all that they depend on.
"""

import functools
import threading
from ctypes import byref, c_float, c_int, c_void_p
from typing import Any, NamedTuple

import numpy as np

from ...arrays import bfloat16, xp
from . import cublaslt as lt

TYPES = {np.dtype("float32"): lt.CUDA_R_32F, np.dtype("float16"): lt.CUDA_R_16F, bfloat16: lt.CUDA_R_16BF}
WORKSPACE = 32 * 2**20   # bytes: what NVIDIA advises for Hopper
MOST_PLANS = 4096        # of one GPU: a few MB. A training step has some dozens
MOST_ALIGNED = 256       # bytes: the library asks for no more
ONE, ZERO = c_float(1), c_float(0)


class View(NamedTuple):
    """An array as the library sees it: so many columns of so many rows, and a batch of such matrices."""

    type: int
    rows: int
    columns: int
    leading: int                                 # from one column to the next, in numbers
    batch: int
    stride: int                                  # from one matrix to the next, in numbers
    alignment: int                               # the array begins at a multiple of so many bytes


class Product(NamedTuple):
    """All that a plan depends on: result = first·second as the library means it, each of the two transposed or not."""

    first: View
    transpose_first: bool
    second: View
    transpose_second: bool
    result: View
    bias: bool                                   # of the result's type, and it begins at a multiple of 16 bytes (gpu.py)
    add: bool
    tf32: bool


def seen(x: Any) -> tuple[View, bool] | None:
    """A row-major array x (…, r, c) as the library sees it: (view, False) where the columns of the view are x's rows, (view, True) where x is
    a transposed view and they are its columns. None if it is neither, or if no single step leads through the batch: it must be copied then."""
    found = lies(x.shape, x.strides, x.itemsize)
    return found and (View(TYPES[x.dtype], *found[0], alignment(x.data.ptr)), found[1])


@functools.lru_cache(MOST_PLANS)
def lies(shape: tuple, strides: tuple, itemsize: int) -> tuple[tuple, bool] | None:
    """How arrays of this shape lie in memory: what of their view doesn't depend on where they begin."""
    if any(stride % itemsize for stride in strides):
        return None
    *batch, r, c = shape
    *steps, down, across = (stride // itemsize for stride in strides)
    matrices = folded(batch, steps)
    for transposed, (lines, length, to_next, inside) in enumerate(((r, c, down, across), (c, r, across, down))):
        if matrices and (length == 1 or inside == 1) and (lines == 1 or to_next >= length):
            leading = length if lines == 1 else to_next
            return (length, lines, leading, *matrices), bool(transposed)
    return None


def folded(sizes: list, steps: list) -> tuple[int, int] | None:
    """Several leading axes as one: (how many matrices, from one to the next), if there is one such step."""
    count, step = 1, 0
    for size, here in zip(reversed(sizes), reversed(steps)):
        if size > 1 and count > 1 and here != count * step:
            return None
        if size > 1:
            count, step = count * size, step if count > 1 else here
    return (count, step) if step >= 0 else None


def alignment(address: int) -> int:
    """The largest power of two that the address is a multiple of, as far as anybody asks."""
    return min(address & -address, MOST_ALIGNED) or MOST_ALIGNED


def visible(x: Any, batch: tuple) -> tuple[Any, View, bool]:
    """(x, view, transposed) for an operand with these leading axes: x itself, or, where the library can't see it as it lies, a copy."""
    cupy = xp(x)
    spread = x if x.shape[:-2] == batch else cupy.broadcast_to(x, (*batch, *x.shape[-2:]))
    found = seen(spread)
    if found is None:
        spread = cupy.ascontiguousarray(spread)
        found = seen(spread)
    return spread, *found


class Plan:
    """A product's descriptors, and the algorithm that was chosen for it."""

    def __init__(self, library: lt.Library, handle: c_void_p, product: Product, bias: int):
        self.beta = ONE if product.add else ZERO
        compute = lt.CUBLAS_COMPUTE_32F_FAST_TF32 if product.tf32 else lt.CUBLAS_COMPUTE_32F
        self.description = lt.Descriptor(library, "MatmulDesc", compute, lt.CUDA_R_32F)
        self.description.set(lt.CUBLASLT_MATMUL_DESC_TRANSA, lt.CUBLAS_OP_T if product.transpose_first else lt.CUBLAS_OP_N)
        self.description.set(lt.CUBLASLT_MATMUL_DESC_TRANSB, lt.CUBLAS_OP_T if product.transpose_second else lt.CUBLAS_OP_N)
        if product.bias:
            self.description.set(lt.CUBLASLT_MATMUL_DESC_EPILOGUE, lt.CUBLASLT_EPILOGUE_BIAS)
            self.description.set(lt.CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, product.result.type)
            self.description.set(lt.CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias)             # the search reads how it is aligned
        self.first, self.second, self.result = (layout(library, view) for view in (product.first, product.second, product.result))
        self.algorithm = self.chosen(library, handle, preference(library, product))

    def chosen(self, library: lt.Library, handle: c_void_p, preference: lt.Descriptor) -> lt.Algorithm:
        """The algorithm that the library thinks the fastest."""
        found, count = lt.Heuristic(), c_int()
        library("cublasLtMatmulAlgoGetHeuristic", handle, self.description, self.first, self.second, self.result, self.result,
                preference, 1, byref(found), byref(count))
        if count.value < 1 or found.state:
            raise lt.Refused("cublasLtMatmulAlgoGetHeuristic", lt.CUBLAS_STATUS_NOT_SUPPORTED, "no algorithm")
        return found.algo


def layout(library: lt.Library, view: View) -> lt.Descriptor:
    made = lt.Descriptor(library, "MatrixLayout", view.type, view.rows, view.columns, view.leading)
    made.set(lt.CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, view.batch)
    made.set(lt.CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, view.stride)
    return made


def preference(library: lt.Library, product: Product) -> lt.Descriptor:
    """What algorithms may be: content with how the arrays are aligned, and, where they split a sum among blocks, such that keep the parts in
    float32 and add them up at the end in a fixed order: the same product gives the same bits every time."""
    made = lt.Descriptor(library, "MatmulPreference")
    made.set(lt.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, WORKSPACE)
    made.set(lt.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, lt.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
    made.set(lt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, product.first.alignment)
    made.set(lt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, product.second.alignment)
    made.set(lt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, product.result.alignment)
    made.set(lt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, product.result.alignment)
    return made


class Card:
    """cuBLASLt on one GPU: a handle, the plans that were made, and memory that algorithms may use while they run.

    There is one such workspace, so products must follow one another, as they do on one stream. It is taken from CuPy's own pool, and not
    from whatever allocator is in use when the first product runs: that may be one that hands the same memory out again in the next step.
    """

    def __init__(self, library: lt.Library, cupy: Any):
        self.library, self.cupy, self.handle, self.plans, self.lock = library, cupy, c_void_p(), {}, threading.Lock()
        try:
            library("cublasLtCreate", byref(self.handle))
        except lt.Refused as problem:
            raise lt.Missing(f"cuBLASLt {library.version} doesn't start on this GPU ({problem.name}): the driver may be too old for it, or the "
                             "GPU's memory full. `minillm doctor` says more") from None
        with cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc):
            self.workspace = cupy.empty(WORKSPACE, "uint8")

    def multiply(self, a: Any, b: Any, out: Any, result: View, add: bool, bias: Any, tf32: bool) -> None:
        """out = a·b + bias, or out += a·b. `out` is row-major, and `result` is what the library sees of it."""
        (first, *as_first), (second, *as_second) = (visible(x, out.shape[:-2]) for x in (b, a))          # they change places
        product = Product(*as_first, *as_second, result, bias is not None, add, tf32)
        address = 0 if bias is None else bias.data.ptr
        with self.lock:                          # the address of the bias stands in the plan
            plan = self.plan(product, address)
            if bias is not None:
                plan.description.set(lt.CUBLASLT_MATMUL_DESC_BIAS_POINTER, address)
            self.library("cublasLtMatmul", self.handle, plan.description, ONE, first.data.ptr, plan.first, second.data.ptr, plan.second,
                         plan.beta, out.data.ptr, plan.result, out.data.ptr, plan.result, plan.algorithm,
                         self.workspace.data.ptr, WORKSPACE, self.cupy.cuda.get_current_stream().ptr)

    def plan(self, product: Product, bias: int) -> Plan:
        """The product's plan, made when it is first asked for. That the library has none is remembered too."""
        if product not in self.plans:
            if len(self.plans) >= MOST_PLANS:
                del self.plans[next(iter(self.plans))]                       # the oldest
            try:
                self.plans[product] = Plan(self.library, self.handle, product, bias)
            except lt.Refused as problem:
                self.plans[product] = problem.said       # an exception would keep the arrays
        plan = self.plans[product]
        if not isinstance(plan, Plan):
            raise lt.Refused(*plan)
        return plan


@functools.cache
def card(number: int, cupy: Any) -> Card:
    """The GPU of this number."""
    return Card(lt.load(), cupy)
