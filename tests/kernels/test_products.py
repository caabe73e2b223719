"""Matrix products where the kernels' tests run (device.py): NumPy's on the emulator, on a GPU those of cuBLASLt, held to float64. How they
are told to the library is tested without a GPU in test_cublaslt.py."""

import contextlib
import warnings

import numpy as np
import pytest
from kernels import device
from kernels.device import DEVICE, TABLE, lower
from ops.test_every_op import PRECISIONS, assert_close

from minillm.arrays import bfloat16
from minillm.kernels import table
from minillm.kernels.launcher import EMULATOR

RNG = np.random.default_rng(0)
DTYPES = pytest.mark.parametrize("dtype", [np.dtype("float32"), bfloat16, np.dtype("float16")], ids=str)
ON_A_GPU = pytest.mark.skipif(DEVICE == "emulator", reason="a GPU's streams and graphs: MINILLM_TEST_DEVICE=cuda")
lift = (lambda x: x) if DEVICE == "emulator" else device.lift
BACKEND = EMULATOR if DEVICE == "emulator" else device.BACKEND
SUMS, TF32 = 1e-5, 1e-3                          # of float32 sums in any order, also by tensor cores; and with 10 bits of each factor


def drawn(*shape, dtype="float32", how="plain"):
    """Numbers of order 1. How they lie in memory: row by row, or as a transposed view, or with rows in a wider array."""
    if len(shape) == 1:
        return RNG.standard_normal(shape).astype(dtype)
    rows, columns = shape[-2:] if how != "transposed" else (shape[-1], shape[-2])
    x = RNG.standard_normal((*shape[:-2], rows, columns + (8 if how == "wide" else 0))).astype(dtype)[..., :columns]
    return x.swapaxes(-1, -2) if how == "transposed" else x


def multiply(*arrays, launch=TABLE.launch, **options):
    """On the device, and without the fall-back's warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return lower(launch.multiply(*map(lift, arrays), **{name: lift(value) for name, value in options.items()}))


def exact(*arrays):
    return [x.astype("float64") for x in arrays]


# Sizes of a real model's layers, of none, of a single number, and such that no algorithm's tiles divide.
SIZES = [((64, 96), (96, 128)), ((33, 65), (65, 17)), ((1, 64), (64, 50)), ((5, 1), (1, 7)), ((1, 1), (1, 1)), ((130, 7), (7, 3)),
         ((3, 40, 24), (3, 24, 56)), ((2, 3, 9, 5), (2, 3, 5, 11)), ((6, 16, 24), (24, 40)), ((2, 1, 8, 8), (3, 8, 8))]


@pytest.mark.parametrize("a, b", SIZES, ids=str)
@pytest.mark.parametrize("for_a, for_b", [("plain", "plain"), ("transposed", "plain"), ("plain", "transposed"), ("transposed", "transposed"),
                                          ("wide", "plain"), ("plain", "wide")])
@DTYPES
def test_it_agrees_with_float64(a, b, for_a, for_b, dtype):
    a, b = drawn(*a, dtype=dtype, how=for_a), drawn(*b, dtype=dtype, how=for_b)
    (x, w), bias = exact(a, b), drawn(b.shape[-1], dtype=dtype)
    for options, more in (({}, 0), ({"bias": bias}, bias.astype("float64")), ({"dtype": np.float32}, 0)):
        y = multiply(a, b, **options)
        assert y.dtype == options.get("dtype", dtype)
        assert_close(y, x @ w + more, SUMS if y.dtype == "float32" else PRECISIONS[dtype.name])


@pytest.mark.parametrize("a, b", SIZES, ids=str)
@pytest.mark.parametrize("how", ["plain", "transposed", "wide"])
@DTYPES
def test_it_is_added_to_float32(a, b, how, dtype):
    """Exactly as a float32 sum would be: nothing is rounded to 16 bits on the way."""
    a, b = drawn(*a, dtype=dtype), drawn(*b, dtype=dtype)
    expected = np.matmul(*exact(a, b))
    into = drawn(*expected.shape, how=how)
    expected += into
    there = lift(into)
    assert TABLE.launch.multiply(lift(a), lift(b), into=there) is there
    assert_close(lower(there), expected, SUMS)


@pytest.mark.parametrize("offset", range(1, 9))
@DTYPES
def test_arrays_may_begin_anywhere(offset, dtype):
    a, b, bias = (drawn(400, dtype=dtype) for _ in range(3))
    a, b, bias = a[offset:][:16 * 12].reshape(16, 12), b[2 * offset:][:12 * 24].reshape(12, 24), bias[offset:][:24]
    assert_close(multiply(a, b, bias=bias), np.matmul(*exact(a, b)) + exact(bias)[0], SUMS if dtype == "float32" else PRECISIONS[dtype.name])


def test_float32_is_multiplied_exactly_unless_tf32_is_asked_for():
    a, b = drawn(64, 512), drawn(512, 64)
    expected = np.matmul(*exact(a, b))
    assert_close(multiply(a, b), expected, SUMS)
    with_tf32 = multiply(a, b, launch=table(BACKEND, tf32=True).launch)
    assert_close(with_tf32, expected, TF32)
    assert DEVICE != "cuda" or np.linalg.norm(with_tf32 - expected) > SUMS * np.linalg.norm(expected)


@DTYPES
def test_the_same_product_gives_the_same_bits(dtype):
    """Also a long sum for few results, which is split among many blocks of threads."""
    a, b = drawn(64, 30_000, dtype=dtype), drawn(30_000, 48, dtype=dtype)
    first = multiply(a, b, dtype=np.float32)
    assert all(multiply(a, b, dtype=np.float32).tobytes() == first.tobytes() for _ in range(3))


def test_sums_of_nothing():
    assert multiply(drawn(2, 0), drawn(0, 3)).tolist() == [[0] * 3] * 2
    assert multiply(drawn(2, 0), drawn(0, 3), bias=np.array([1, 2, 3], np.float32)).tolist() == [[1, 2, 3]] * 2
    assert multiply(drawn(0, 2), drawn(2, 3)).shape == (0, 3) and multiply(drawn(2, 0), drawn(0, 3), into=np.ones((2, 3), np.float32)).all()


@pytest.mark.parametrize("a, b, options, sentence", [
    ((2, 3), (4, 5), {}, r"a \(2, 3\) @ b \(4, 5\): a product takes matrices, or batches of them, a \(…, m, k\) and b \(…, k, n\) with the same k"),
    ((3,), (3, 5), {}, "a product takes matrices"),
    ((2, 2, 3), (3, 3, 5), {}, "the leading axes of the two don't fit together"),
    ((2, 3), (3, 5), dict(into=(2, 4)), r"has the shape \(2, 5\), and can't be added to an array of \(2, 4\)"),
    ((2, 3), (3, 5), dict(bias=(2,)), r"has rows of 5 numbers, and can't take a bias of shape \(2,\)"),
    ((2, 3), (3, 5), dict(into=(2, 5), bias=(5,)), "what is added to an array takes that array's dtype, and no bias"),
])
def test_what_does_not_fit_is_said(a, b, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        multiply(np.ones(a), np.ones(b), **{name: np.ones(shape, np.float32) for name, shape in options.items()})


def test_arrays_of_the_wrong_kind_are_told_where_they_belong():
    with pytest.raises(TypeError, match=f"b of a product must be an array of {BACKEND.arrays}, on which kernels.{BACKEND.name} computes, not "):
        multiply(drawn(2, 3), [[1.0]])


@ON_A_GPU
@DTYPES
def test_products_can_be_captured_in_a_graph(dtype):
    """A layer's three products, recorded once and replayed on new numbers."""
    cupy, launch = device.cupy, TABLE.launch
    pool = cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc)                  # y's memory must outlive y: a graph writes there
    with getattr(cupy, "waiting", contextlib.nullcontext)(), pool, cupy.cuda.Stream(non_blocking=True) as stream:
        x, w, bias = (lift(drawn(*shape, dtype=dtype)) for shape in ((24, 40), (40, 16), (16,)))
        dx, dw = cupy.zeros((24, 40), "float32"), cupy.zeros((40, 16), "float32")

        def step():
            y = launch.multiply(x, w, bias=bias)
            launch.multiply(y, w.T, into=dx)
            launch.multiply(x.T, y, into=dw)

        step()                                   # makes the plans
        stream.begin_capture()
        step()
        graph = stream.end_capture()
        for array in (dx, dw):
            array.fill(0)
        x += x
        graph.launch()
        graph.launch()
        x, w, bias = exact(*map(lower, (x, w, bias)))
        y = (x @ w + bias).astype(dtype).astype("float64")
        precision = SUMS if dtype == "float32" else PRECISIONS[dtype.name]
        assert_close(lower(dx), 2 * y @ w.T, precision)
        assert_close(lower(dw), 2 * x.T @ y, precision)
