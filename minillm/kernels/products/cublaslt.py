"""cuBLASLt, NVIDIA's library of matrix products, called from Python with ctypes: its constants, its functions, its descriptors.

What a call of the library means stands in descriptors, each a little record that the library keeps: a description of the product, a layout
for each matrix, a preference for the search. They are made and filled without a GPU; only the handle, the search for an algorithm and the
product itself need one. plans.py fills them in.

The names are those of NVIDIA's headers cublasLt.h, cublas_api.h and library_types.h, where more is said about each.
"""

import ctypes
import functools
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any, NamedTuple

CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF = 0, 2, 14                               # types of numbers: float32, float16, bfloat16
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32 = 68, 77                    # sums in float32, of exact products or of TF32's
CUBLAS_OP_N, CUBLAS_OP_T = 0, 1                                              # the matrix as it is, or transposed
CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS = 1, 4                     # what follows the product
CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2
CUBLAS_STATUS_INVALID_VALUE, CUBLAS_STATUS_ARCH_MISMATCH, CUBLAS_STATUS_NOT_SUPPORTED = 7, 8, 15


class Attribute(NamedTuple):
    number: int
    type: Any


CUBLASLT_MATMUL_DESC_TRANSA = Attribute(3, c_int32)
CUBLASLT_MATMUL_DESC_TRANSB = Attribute(4, c_int32)
CUBLASLT_MATMUL_DESC_EPILOGUE = Attribute(7, c_uint32)
CUBLASLT_MATMUL_DESC_BIAS_POINTER = Attribute(8, c_void_p)
CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE = Attribute(26, c_int32)
CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT = Attribute(5, c_int32)
CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = Attribute(6, c_int64)
CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = Attribute(1, c_uint64)
CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = Attribute(3, c_uint32)
CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = Attribute(5, c_uint32)
CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = Attribute(6, c_uint32)
CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = Attribute(7, c_uint32)
CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = Attribute(8, c_uint32)


class Algorithm(ctypes.Structure):               # cublasLtMatmulAlgo_t
    _fields_ = [("data", c_uint64 * 8)]


class Heuristic(ctypes.Structure):               # cublasLtMatmulHeuristicResult_t
    _fields_ = [("algo", Algorithm), ("workspaceSize", c_size_t), ("state", c_int), ("wavesCount", c_float), ("reserved", c_int * 4)]


OUT, NUMBER = POINTER(c_void_p), POINTER(c_float)
SIGNATURES = {
    "cublasLtCreate": (OUT,),
    "cublasLtMatmulDescCreate": (OUT, c_int, c_int),                         # type of the sums, type of α and β
    "cublasLtMatrixLayoutCreate": (OUT, c_int, c_uint64, c_uint64, c_int64),             # type, rows, columns, leading dimension
    "cublasLtMatmulPreferenceCreate": (OUT,),
    **{f"cublasLt{kind}{end}": types for kind in ("MatmulDesc", "MatrixLayout", "MatmulPreference")
       for end, types in (("SetAttribute", (c_void_p, c_int, c_void_p, c_size_t)), ("Destroy", (c_void_p,)))},
    # handle, description, layouts of A, B, C, D, preference; how many algorithms are wanted, where to, how many came
    "cublasLtMatmulAlgoGetHeuristic": (c_void_p,) * 7 + (c_int, POINTER(Heuristic), POINTER(c_int)),
    # handle, description, α, A, B, β, C, D (each matrix with its layout), algorithm, workspace with its size, stream
    "cublasLtMatmul": (c_void_p, c_void_p, NUMBER, *(c_void_p,) * 4, NUMBER, *(c_void_p,) * 4, POINTER(Algorithm), c_void_p, c_size_t, c_void_p),
}


class Missing(Exception):
    """The library can't be used at all; the message says why."""


class Refused(Exception):
    """A call returned a status other than success."""

    def __init__(self, function: str, status: int, name: str):
        super().__init__(f"{function} returned {name}")
        self.said, self.status, self.name = (function, status, name), status, name


class Library:
    """The library's functions, by their names: a status other than success is an exception."""

    def __init__(self, functions: Any):
        for name, types in SIGNATURES.items():
            getattr(functions, name).argtypes = types
        functions.cublasLtGetStatusName.restype = c_char_p
        functions.cublasLtGetVersion.restype = c_size_t
        number = functions.cublasLtGetVersion()                              # 130100 is 13.1.0
        self.functions, self.version = functions, f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def __call__(self, name: str, *arguments: Any) -> None:
        status = getattr(self.functions, name)(*arguments)
        if status:
            raise Refused(name, status, self.functions.cublasLtGetStatusName(status).decode())


class Descriptor:
    """One of the library's records, of the kind "MatmulDesc", "MatrixLayout" or "MatmulPreference"; it is freed with this object."""

    _as_parameter_: c_void_p | None = None       # what ctypes passes for it

    def __init__(self, library: Library, kind: str, *arguments: Any):
        self.library, self.kind, made = library, kind, c_void_p()
        library(f"cublasLt{kind}Create", byref(made), *arguments)
        self._as_parameter_ = made

    def set(self, attribute: Attribute, value: int) -> None:
        held = attribute.type(value)
        self.library(f"cublasLt{self.kind}SetAttribute", self, attribute.number, byref(held), sizeof(held))

    def __del__(self) -> None:
        if self._as_parameter_ is not None:
            getattr(self.library.functions, f"cublasLt{self.kind}Destroy")(self)


@functools.cache
def load() -> Library:
    """The library of this machine, from the package nvidia-cublas or a CUDA toolkit. It is found by what finds CuPy's own libraries."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib
        return Library(ctypes.CDLL(load_nvidia_dynamic_lib("cublasLt").abs_path))
    except (ImportError, OSError, RuntimeError, AttributeError) as problem:
        reason = str(problem).strip().partition("\n")[0]
        raise Missing(f"cuBLASLt can't be loaded ({type(problem).__name__}: {reason}). It comes with: pip install 'minillm[cuda]'") from None
