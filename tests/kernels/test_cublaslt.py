"""The binding to cuBLASLt, without a GPU: its numbers against NVIDIA's headers, its descriptors read back from the real library, and the
products that they describe computed by a stand-in (standin_cublaslt.py), for arrays that lie in memory in every possible way."""

import ctypes
import shutil
import subprocess
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import standin  # noqa: E402
import standin_cublaslt  # noqa: E402
from hypothesis import example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from kernels.laid import DTYPES, OTHERS, STANDIN, WAYS, exact, laid, recorded  # noqa: E402
from kernels.test_training import NAMES, SHAPES, batch  # noqa: E402

from minillm.arrays import bfloat16  # noqa: E402
from minillm.kernels import CUDA, CUDA_TF32, table  # noqa: E402
from minillm.kernels.launcher import Launcher  # noqa: E402
from minillm.kernels.products import cublaslt, plans  # noqa: E402
from minillm.model import Config, Transformer  # noqa: E402
from minillm.ops import REFERENCE  # noqa: E402


@pytest.fixture
def launch(library):
    return Launcher(STANDIN)


# --- products of arrays that lie anyhow ------------------------------------------------------------------------------------------------

SIZES = st.integers(1, 9)
LEADING = st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), ()), ((), (3,)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 1), (1, 3)),
                           ((1, 1), (1,))])


@settings(max_examples=150)
@given(m=SIZES, k=SIZES, n=SIZES, leading=LEADING, how=st.tuples(*[st.sampled_from(WAYS * 2 + OTHERS)] * 3), dtype=st.sampled_from(DTYPES),
       result=st.sampled_from(["same", "float32", "added to float32", "added to the same"]), bias=st.booleans(), tf32=st.booleans(),
       offsets=st.tuples(*[st.sampled_from([0, 8, 3])] * 4))
@example(m=1, k=1, n=1, leading=((), ()), how=("plain",) * 3, dtype=bfloat16, result="same", bias=True, tf32=True, offsets=(1, 1, 1, 1))
def test_a_product_of_arrays_that_lie_anyhow_is_numpys(m, k, n, leading, how, dtype, result, bias, tf32, offsets):
    with standin_cublaslt.installed() as library, warnings.catch_warnings():
        warnings.simplefilter("error")
        launch = Launcher(STANDIN, tf32)
        (a, _), (b, _) = laid((*leading[0], m, k), dtype, how[0], offsets[0], 1), laid((*leading[1], k, n), dtype, how[1], offsets[1], 2)
        expected = exact(a) @ exact(b)
        if result.startswith("added"):
            into, memory = laid(expected.shape, dtype if "same" in result else "float32", how[2], offsets[2], 3)
            before, spoiled = exact(into), np.isnan(exact(memory))
            assert launch.multiply(a, b, into=into) is into
            assert np.array_equal(exact(into), before + expected) and np.array_equal(np.isnan(exact(memory)), spoiled), library.problem
        else:
            added = laid((1, n), dtype, "plain", offsets[3], 4)[0][0] if bias else None
            y = launch.multiply(a, b, dtype=None if result == "same" else result, bias=added)
            assert np.array_equal(exact(y), expected + (exact(added) if bias else 0)), library.problem
            assert y.dtype == (dtype if result == "same" else result)
            assert (library.products[-1].description.epilogue == 4) == bias, "the bias is added by the product, not behind it"
        assert library.products and all((asked.description.compute == 77) == (tf32 and dtype == "float32") for asked in library.products)


def test_one_row_for_many_is_copied_first(library, launch):
    """A broadcast view has steps of 0, which no matrix has."""
    row, b, into = laid((1, 5), "float32")[0], laid((5, 6), "float32")[0], standin.zeros((4, 6), "float32")
    a = standin.broadcast_to(row, (4, 5))
    assert np.array_equal(exact(launch.multiply(a, b)), exact(a) @ exact(b))
    assert np.array_equal(exact(launch.multiply(b.T, a.T)), (exact(a) @ exact(b)).T)
    assert np.array_equal(exact(launch.multiply(a, b, into=into)), exact(a) @ exact(b))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("for_a", WAYS)
@pytest.mark.parametrize("for_b", WAYS)
def test_the_library_reads_and_adds_where_the_arrays_lie(library, launch, monkeypatch, for_a, for_b, leading, dtype):
    a, b = laid((*leading, 4, 5), dtype, for_a)[0], laid((*leading, 5, 6), dtype, for_b)[0]
    results = [laid((*leading, 4, 6), "float32", for_out)[0] for for_out in WAYS]
    plans.card(0, standin)                       # takes its workspace
    for name in ("empty", "zeros", "ascontiguousarray", "array"):
        monkeypatch.setitem(vars(standin), name, None)
    for into in results:
        launch.multiply(a, b, into=into)
        asked = library.products[-1]
        assert {asked.addresses[name] for name in "ab"} == {a.data.ptr, b.data.ptr}
        assert asked.addresses["c"] == asked.addresses["d"] == into.data.ptr and asked.beta == 1


# --- the numbers and records of the header -----------------------------------------------------------------------------------------

HEADER = """
#define __CUDA_FP16_H__      // cublas_api.h wants these files' types by name only, and they want more of CUDA than its runtime
#define __CUDA_BF16_H__
struct __half; struct __nv_bfloat16;
#include <cstddef>
#include <cstdio>
#include <cublasLt.h>
#define SHOW(what) std::printf("%s %lld\\n", #what, (long long)(what));
int main() {
"""


@pytest.fixture(scope="module")
def header(tmp_path_factory):
    """What a C++ compiler reads in NVIDIA's own header: a function from expressions to their values."""
    from cuda.pathfinder import load_nvidia_dynamic_lib
    include = Path(load_nvidia_dynamic_lib("cublasLt").abs_path).parents[1] / "include"
    compiler = shutil.which("g++") or shutil.which("clang++")
    if not compiler or not (include / "cublasLt.h").exists():
        pytest.skip("needs a C++ compiler and cublasLt.h: pip install 'minillm[cuda]'")
    folder = tmp_path_factory.mktemp("header")

    def values(expressions):
        text = HEADER + "".join(f"SHOW({expression})\n" for expression in expressions) + "}\n"
        subprocess.run([compiler, "-w", "-x", "c++", "-I", include, "-", "-o", folder / "show"], input=text, text=True, check=True)
        said = subprocess.run([folder / "show"], capture_output=True, text=True, check=True).stdout.splitlines()
        return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in said)}

    return values


def test_every_constant_is_the_headers(header):
    mine = {name: getattr(value, "number", value) for name, value in vars(cublaslt).items() if name.startswith(("CUDA_", "CUBLAS"))}
    assert len(mine) > 25 and header(mine) == mine


def test_every_record_has_the_headers_fields(header):
    for record, name in ((cublaslt.Algorithm, "cublasLtMatmulAlgo_t"), (cublaslt.Heuristic, "cublasLtMatmulHeuristicResult_t")):
        mine = {f"offsetof({name}, {field})": getattr(record, field).offset for field, _ in record._fields_}
        mine[f"sizeof({name})"] = ctypes.sizeof(record)
        assert header(mine) == mine


def test_every_attribute_has_the_size_that_the_library_keeps():
    """Attributes of another size are refused by the library itself; of each kind it tells how many bytes it wants."""
    library = cublaslt.load()
    made = {"MATMUL_DESC": cublaslt.Descriptor(library, "MatmulDesc", cublaslt.CUBLAS_COMPUTE_32F, cublaslt.CUDA_R_32F),
            "MATRIX_LAYOUT": cublaslt.Descriptor(library, "MatrixLayout", cublaslt.CUDA_R_16BF, 4, 5, 6),
            "MATMUL_PREF": cublaslt.Descriptor(library, "MatmulPreference")}
    listed = {name: value for name, value in vars(cublaslt).items() if isinstance(value, cublaslt.Attribute)}
    assert len(listed) == 13
    for name, attribute in listed.items():
        descriptor, size = next(made for kind, made in made.items() if name.startswith(f"CUBLASLT_{kind}_")), ctypes.c_size_t()
        library.functions[f"cublasLt{descriptor.kind}GetAttribute"](descriptor, attribute.number, None, ctypes.c_size_t(0), ctypes.byref(size))
        assert size.value == ctypes.sizeof(attribute.type), name


def test_a_descriptor_is_freed_with_its_owner(library):
    freed, real = [], library.real.cublasLtMatrixLayoutDestroy
    library.cublasLtMatrixLayoutDestroy = lambda layout: freed.append(layout) or real(layout)
    layout = cublaslt.Descriptor(cublaslt.load(), "MatrixLayout", cublaslt.CUDA_R_32F, 2, 3, 2)
    del layout
    assert len(freed) == 1


# --- what is told to the library ---------------------------------------------------------------------------------------------------

def test_a_row_major_product_is_the_column_major_one_of_the_exchanged_operands(library, launch):
    """A hidden layer's three products, with rows 12 numbers apart; every number by hand."""
    (x, _), (w, _), (dy, _) = laid((7, 9), bfloat16, "wide"), laid((9, 5), bfloat16), laid((7, 5), bfloat16)
    bias, dw = laid((1, 5), bfloat16)[0][0], standin.zeros((9, 5), "float32")
    launch.multiply(x, w, bias=bias)
    launch.multiply(dy, w.T)
    launch.multiply(x.T, dy, into=dw)
    forward, dx, dw = ([(asked.description.transpose_a, asked.description.transpose_b),
                        *((one.type, one.rows, one.columns, one.leading, one.batch) for one in (asked.a, asked.b, asked.d))]
                       for asked in library.products)
    assert forward == [(0, 0), (14, 5, 9, 5, 1), (14, 9, 7, 12, 1), (14, 5, 7, 5, 1)]        # yᵀ = wᵀ·xᵀ
    assert dx == [(1, 0), (14, 5, 9, 5, 1), (14, 5, 7, 5, 1), (14, 9, 7, 9, 1)]              # dxᵀ = w·dyᵀ
    assert dw == [(0, 1), (14, 5, 7, 5, 1), (14, 9, 7, 12, 1), (0, 5, 9, 5, 1)]              # dwᵀ = dyᵀ·x
    assert [asked.beta for asked in library.products] == [0, 0, 1]
    said = library.products[0].description
    assert (said.epilogue, said.bias, said.bias_type, said.compute) == (4, bias.data.ptr, 14, 68)


def test_a_transposed_array_gets_the_transposed_product(library, launch):
    """As the output layer's weight: dw (v, d), and into=dw.T."""
    (x, _), (dlogits, _), dw = laid((6, 3), bfloat16), laid((6, 8), bfloat16), standin.zeros((8, 3), "float32")
    launch.multiply(x.T, dlogits, into=dw.T)
    assert np.array_equal(exact(dw), exact(dlogits).T @ exact(x))
    (asked,) = library.products
    assert (asked.a.rows, asked.b.rows, asked.d.rows, asked.d.columns, asked.d.leading) == (3, 8, 3, 8, 3)
    assert asked.addresses["a"] == x.data.ptr and asked.addresses["d"] == dw.data.ptr


def test_several_leading_axes_are_one_batch(library, launch):
    (a, _), (b, _) = laid((2, 3, 4, 5), "float32", "wide"), laid((5, 6), "float32")
    launch.multiply(a, b)
    (asked,) = library.products
    assert [(one.batch, one.stride) for one in (asked.a, asked.b, asked.d)] == [(6, 0), (6, 32), (6, 24)]


def test_sums_keep_their_order_and_may_use_the_workspace(library, launch):
    (a, _), (b, _), into = laid((4, 5), "float32", offset=2), laid((5, 6), "float32", offset=1), laid((4, 6), "float32", offset=4)[0]
    launch.multiply(a, b, into=into)
    (asked,) = library.searches
    assert asked.preference.reductions == 2 and asked.preference.workspace == 32 * 2**20
    assert [getattr(asked.preference, name) for name in "abcd"] == [4, 8, 16, 16]


def test_the_stream_is_the_current_one(library, launch):
    a, stream = laid((4, 4), "float32")[0], standin.cuda.Stream(non_blocking=True)
    launch.multiply(a, a)
    with stream:
        launch.multiply(a, a)
    assert [asked.stream for asked in library.products] == [0, stream.ptr] and stream.ptr


def test_the_workspace_is_not_of_a_steps_memory(library, launch):
    """It lives on when the step's memory is used for something else."""
    sizes, a = [], laid((4, 4), "float32")[0]
    with recorded(sizes):
        launch.multiply(a, a)
        launch.multiply(a, a)
    assert sizes == [64, 64]


# --- plans -------------------------------------------------------------------------------------------------------------------------

def test_a_product_is_searched_for_once(library, launch):
    for seed in range(3):
        (a, _), (b, _), bias = laid((4, 8), bfloat16, seed=seed), laid((8, 8), bfloat16), laid((1, 8), bfloat16)[0][0]
        y = launch.multiply(a, b, bias=bias)     # other arrays, and another bias: its address is told anew
        assert np.array_equal(exact(y), exact(a) @ exact(b) + exact(bias))
    assert len(library.products) == 3 and len(library.searches) == 1


def test_whatever_a_plan_depends_on_makes_another(library, launch):
    def plain(dtype=bfloat16, how="plain", offset=0, shape=(8, 8)):
        return laid(shape, dtype, how, offset)[0]

    bias, batch = plain(shape=(1, 8))[0], plain(shape=(3, 8, 8))
    products = [((plain(), plain()), {}), ((plain(), plain()), dict(bias=bias)), ((plain(), plain()), dict(dtype="float32")),
                ((plain(), plain()), dict(into=plain("float32"))), ((plain(), plain()), dict(into=plain("float32", offset=1))),
                ((plain(how="turned"), plain()), {}), ((plain(), plain(how="turned")), {}), ((plain(how="wide"), plain()), {}),
                ((plain(), plain(how="wide")), {}), ((plain(offset=8), plain()), {}), ((plain(), plain(offset=8)), {}),
                ((plain(shape=(9, 8)), plain()), {}), ((plain(), plain(shape=(8, 9))), {}), ((plain(shape=(8, 9)), plain(shape=(9, 8))), {}),
                ((batch, plain()), {}), ((batch, batch), {}), ((plain("float32"), plain("float32")), {}), ((plain("float16"), plain("float16")), {})]
    for _ in range(2):
        for number, ((a, b), options) in enumerate(products):
            launch.multiply(a, b, **options)
    assert len(library.searches) == len(products)
    Launcher(STANDIN, tf32=True).multiply(plain("float32"), plain("float32"))
    assert len(library.searches) == len(products) + 1, "tables share a GPU's plans, but TF32 is another product"


def test_the_oldest_plans_make_room(library, launch, monkeypatch):
    monkeypatch.setattr(plans, "MOST_PLANS", 2)
    arrays = [laid((4, n), "float32")[0] for n in (1, 2, 3)]
    for a in (*arrays, *arrays):
        assert np.array_equal(exact(launch.multiply(a.T, a)), exact(a).T @ exact(a))
    assert len(library.searches) == 6 and len(plans.card(0, standin).plans) == 2


# --- a layer -----------------------------------------------------------------------------------------------------------------------

def test_no_gradient_of_a_weight_lies_anywhere_but_in_its_place(library):
    """Weights are large, and there are few rows: what is allocated is small, also for an output layer, whose weight is transposed."""
    op, sizes = table(STANDIN).linear, []
    (x, _), (w, _), (dy, _), (v, _) = laid((2, 3, 64), bfloat16), laid((64, 80), bfloat16), laid((2, 3, 80), bfloat16), laid((80, 64), bfloat16)
    b, dw, dv, db = laid((1, 80), bfloat16)[0][0], standin.ones((64, 80), "float32"), standin.ones((80, 64), "float32"), standin.ones(80, "float32")
    for weight, bias, into in ((w, b, (dw, db)), (v.T, None, (dv.T, None))):
        op.backward(dy, op.forward(x, weight, bias)[1], into=into)           # so that the workspace is there
        with recorded(sizes):
            gradients = op.backward(dy, op.forward(x, weight, bias)[1], into=into)
        assert gradients[1] is into[0] and max(sizes) <= 2 * 3 * 80 * 4 < 64 * 80 * 4
    product = exact(x).reshape(6, 64).T @ exact(dy).reshape(6, 80)
    assert np.array_equal(exact(dw), 1 + 2 * product) and np.array_equal(exact(dv), 1 + 2 * product.T)
    assert np.array_equal(exact(db), 1 + 2 * exact(dy).sum((0, 1)))


def test_a_tables_float32_products_are_tf32s_only_if_asked(library):
    x, w = laid((4, 8), "float32")[0], laid((8, 8), "float32")[0]
    for tf32, compute in ((False, 68), (True, 77)):
        op = table(STANDIN, tf32=tf32).linear
        op.backward(x, op.forward(x, w)[1])
        assert {asked.description.compute for asked in library.products} == {compute}
        library.products.clear()
    assert CUDA_TF32.launch.product.tf32 and not CUDA.launch.product.tf32


def test_an_output_layer_of_any_vocabulary_reads_whole_packs(library):
    """101 logits in bfloat16: every row begins where the library and the kernel want it."""
    kernels = table(STANDIN)
    (x, _), (w, _), targets = laid((6, 64), bfloat16), laid((101, 64), bfloat16), standin.asarray(np.arange(6))
    (loss, _), (dx, dw) = kernels.linear_cross_entropy.forward(x, w, targets)
    (expected, _), (exact_dx, exact_dw) = REFERENCE.linear_cross_entropy.forward(exact(x), exact(w), np.arange(6))
    assert len(library.products) == 3
    assert {one.leading * DTYPES[0 if one.type == 0 else 1].itemsize % 16 for asked in library.products for one in (asked.a, asked.b, asked.d)} == {0}
    assert {pack for _, _, pack, _, kernel in kernels.launch.kernels if kernel == "cross_entropy_together"} == {8}
    for mine, other in ((loss, expected), (dx, exact_dx), (dw, exact_dw)):
        np.testing.assert_allclose(exact(mine), other, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("shape", ["grouped queries", "gpt2 with dropout"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_products_of_a_training_step_are_the_librarys(gpu, shape, dtype):
    """CuPy's can't be part of a graph."""
    if not hasattr(gpu, "watching"):
        pytest.skip("a card doesn't tell: the stand-in does")
    config, dropout = SHAPES[NAMES.index(shape)]
    model = Transformer(Config(**config, dropout=dropout), dtype=dtype, device="cuda")
    with gpu.watching() as seen:
        model.loss_and_grads(*batch(0), dropout_key=1 if dropout else None)
    names = Counter(work.name for work in seen if work.kind == "operation")
    in_blocks = [name for name in model.params if name.startswith("layers.") and model.params[name].ndim == 2]
    assert names["product"] == 3 * (len(in_blocks) + 1) and not names.keys() & {"matmul", "dot", "tensordot"}
